"""The flags that every job takes, parsed once."""

from dataclasses import dataclass
from datetime import date

from core.errors import ConfigError
from core.load import DEFAULT_DATASET, DEFAULT_MODEL


@dataclass(frozen=True)
class Arguments:
    """What a run was asked for.

    first, last: the data dates, both included; equal for a single one. model: name of a model YAML,
    None where none was given.
    """

    first: date
    last: date
    dataset: str = DEFAULT_DATASET
    where: str = "local"
    settings: tuple[str, ...] = ()
    model: str | None = None
    allow_empty: bool = False

    @property
    def model_name(self) -> str:
        """The model YAML in force."""
        return self.model or DEFAULT_MODEL


def parse_dates(text: str) -> tuple[date, date]:
    """Read `--data-date`: one date, or a range A..B.

    Raises:
        ConfigError: no date, or a range that runs backwards.
    """
    first_text, _, last_text = text.partition("..")
    try:
        first = date.fromisoformat(first_text)
        last = date.fromisoformat(last_text) if last_text else first
    except ValueError as error:
        raise ConfigError(
            f"--data-date {text!r} is no date; expected YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD"
        ) from error
    if last < first:
        raise ConfigError(f"--data-date {text!r} runs backwards; expected the earlier date first")
    return first, last
