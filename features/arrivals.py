"""What a user or an item that has just arrived would have in the columns that are made of its events."""

from typing import NamedTuple

from core.encoder import Arriving, Encoder
from core.schema import Config
from features.windows import unknown_defaults


class AtArrival(NamedTuple):
    """A column of a user or an item that has no events yet.

    Attributes:
        of: whose events the column is made of.
        value: that it has without them; None: null.
    """

    of: Arriving
    value: float | None


def values_at_arrival(config: Config) -> dict[str, AtArrival]:
    """Return column -> its value without events, of all columns that are made of events of a user or an item.

    Of a user these are the features that are no attributes, those of crosses, and the id; of an item alike,
    without crosses. Features of further groups, such as of an item's author, are not the item's own, and a
    cohort says who somebody is; both stay as they are.
    """
    found: dict[str, AtArrival] = {}
    for of in ("user", "item"):
        groups = {of: getattr(config.features, of)}
        if of == "user":
            groups |= {name: group for name, group in config.features.keyed.items() if group.is_cross}
        for name, group in groups.items():
            found |= {
                column: AtArrival(of, None if value is None else float(value))
                for column, value in unknown_defaults(group, name).items()
                if column not in group.attributes
            }
        found[f"{of}_id"] = AtArrival(of, None)
    return found


def with_history(encoder: Encoder, config: Config) -> Encoder:
    """Return an encoder whose columns say whose events they are made of, and what they are without any."""
    found = values_at_arrival(config)
    categorical = (
        c.model_copy(update={"history_of": found[c.column].of}) if c.column in found else c
        for c in encoder.categorical
    )
    dense = (
        d.model_copy(update={"history_of": own.of, "at_arrival": own.value})
        if (own := found.get(d.column))
        else d
        for d in encoder.dense
    )
    return Encoder(categorical=tuple(categorical), dense=tuple(dense))
