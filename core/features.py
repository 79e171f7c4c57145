"""The typed schema of features: groups, each with its key, and what is measured of the events of a key."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from core.config_model import ConfigModel, Name, Window, each_once

WITHOUT_OF = ("count", "recency")
WITH_K = ("top_k", "last_k")
"""Aggregates that are arrays of values."""
TOTALS = ("count", "sum", "distinct")
"""Aggregates that are 0 without events, and never null."""
NUMBERS = ("count", "sum", "distinct", "mean", "variance", "min", "max")
"""Aggregates that a rate may divide."""
EXACT = ("sum", "mean", "variance")
"""Aggregates of behaviours only: of these alone sums are exact."""
BUILT_IN = ("is_never_seen", "recency_days", "first_event_time", "last_data_date")
"""Features that every group but a cross has, without being declared."""


class Aggregate(ConfigModel):
    """A measure of the events of one key over trailing windows.

    `of` is a column of events, or an attribute of the event's user or item as of the event's data date;
    count and recency have none. docs/aggregates.md says what each returns.
    """

    name: Name
    agg: Literal[
        "count",
        "sum",
        "mean",
        "variance",
        "min",
        "max",
        "first",
        "last",
        "distinct",
        "top_k",
        "last_k",
        "recency",
    ]
    of: str | None = None
    where: str | None = None
    windows: tuple[Window, ...]
    k: Annotated[int, Field(ge=1, le=1000)] | None = None  # values of top_k and last_k
    split: Annotated[str, Field(min_length=1)] | None = None  # of top_k: a value is a list with separators

    @model_validator(mode="after")
    def _options_fit_agg(self) -> Self:
        if (self.agg in WITHOUT_OF) != (self.of is None):
            raise ValueError(
                f"aggregate {self.name}: `of` names the column that is read, and goes with all but "
                f"{' and '.join(WITHOUT_OF)}"
            )
        if (self.agg in WITH_K) != (self.k is not None):
            raise ValueError(
                f"aggregate {self.name}: `k` is the number of values, and goes with {' and '.join(WITH_K)}"
            )
        if self.split is not None and self.agg != "top_k":
            raise ValueError(f"aggregate {self.name}: `split` is for top_k, and this is {self.agg}")
        return self


class Smoothing(ConfigModel):
    """rate = (numerator + prior * strength) / (denominator + strength)."""

    prior: float
    strength: Annotated[float, Field(gt=0)]


class Rate(ConfigModel):
    """One aggregate per another, over the same window; null when the other is 0 or null.

    With `per_window` the other is taken over that window, whatever the first is taken over: the ratio of a
    short to a long window.
    """

    name: Name
    of: Name
    per: Name
    windows: tuple[Window, ...]
    per_window: Window | None = None
    smoothing: Smoothing | None = None


class FeatureGroup(ConfigModel):
    """Features of one kind of key: of users, of items, of the values of a column, or of a cross.

    Groups `user` and `item` have the ids of events as keys, and attributes. Any other group has as `key` an
    attribute of users or of items that is declared here, or a context column; a cross has
    `[user_id, COLUMN]`, a user and the value of an attribute of items, or item_id. With `split` the value is
    a list of values between separators, and an event counts for each of them.
    """

    key: Name | tuple[Name, ...] | None = None
    split: Annotated[str, Field(min_length=1)] | None = None
    aggregates: tuple[Aggregate, ...]
    rates: tuple[Rate, ...] = ()
    attributes: tuple[Name, ...] = ()

    @property
    def is_cross(self) -> bool:
        """Whether its key is a user and a value."""
        return isinstance(self.key, tuple)

    @property
    def key_column(self) -> str | None:
        """The column whose values are its key, or the second part of a cross; None: of users and items."""
        return self.key[-1] if isinstance(self.key, tuple) else self.key

    @model_validator(mode="after")
    def _rates_are_of_aggregates(self) -> Self:
        each_once([*BUILT_IN, *(a.name for a in self.aggregates), *(r.name for r in self.rates)], "features")
        aggregates = {a.name: a for a in self.aggregates}
        for rate in self.rates:
            per_windows = rate.windows if rate.per_window is None else (rate.per_window,)
            for name, windows in ((rate.of, rate.windows), (rate.per, per_windows)):
                known = aggregates[name].windows if name in aggregates else ()
                missing = sorted(set(windows) - set(known))
                if missing:
                    raise ValueError(
                        f"rate {rate.name} needs aggregate {name} over {missing}; declare it there"
                    )
                if (agg := aggregates[name].agg) not in NUMBERS:
                    raise ValueError(
                        f"rate {rate.name} divides {name}, which is {agg}; expected one of {list(NUMBERS)}"
                    )
        return self


class Features(ConfigModel):
    """Groups of features by name: `user`, `item`, and any others, each with its key."""

    model_config = ConfigDict(extra="allow", frozen=True)

    user: FeatureGroup
    item: FeatureGroup
    __pydantic_extra__: dict[Name, FeatureGroup]

    @model_validator(mode="after")
    def _keys_are_of_further_groups(self) -> Self:
        for name, group in self.groups.items():
            is_entity = name in ("user", "item")
            if is_entity and (group.key is not None or group.split is not None):
                raise ValueError(f"group {name}: its key is {name}_id; remove `key` and `split`")
            if not is_entity and group.key is None:
                raise ValueError(
                    f"group {name}: `key` is missing, an attribute of users or items, or of context"
                )
            if not is_entity and group.attributes:
                raise ValueError(f"group {name}: attributes are those of user and item; remove them here")
            if group.is_cross:
                _require_cross(name, group)
        return self

    @property
    def keyed(self) -> dict[str, FeatureGroup]:
        """Group -> its declaration, of all groups but user and item."""
        return dict(self.__pydantic_extra__)

    @property
    def groups(self) -> dict[str, FeatureGroup]:
        """Group -> its declaration, in the order in which jobs take them; users, the main one, are last."""
        return self.keyed | {"item": self.item, "user": self.user}


def _require_cross(name: str, group: FeatureGroup) -> None:
    if not (isinstance(group.key, tuple) and len(group.key) == 2 and group.key[0] == "user_id"):
        raise ValueError(
            f"group {name}: `key` is {list(group.key or ())}; expected one column, or for a cross "
            "[user_id, COLUMN], where COLUMN is an attribute of items or item_id"
        )
    if endless := [each.name for each in group.aggregates if "all" in each.windows]:
        raise ValueError(
            f"group {name}: {endless[0]} is over `all`; a cross has windows of days only, since its tables "
            "hold the pairs with an event in the longest window; name a window such as 28d"
        )
