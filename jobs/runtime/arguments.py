"""What a run is asked for: the values of the command line's flags, parsed once."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from core.errors import ConfigError
from core.load import DEFAULT_DATASET, DEFAULT_MODEL

EARLIEST, LATEST = date(1970, 1, 1), date(2999, 12, 31)
"""Data dates that can be asked for: windows before and horizons after them are still dates."""


@dataclass(frozen=True)
class Arguments:
    """What a run is asked for.

    Attributes:
        first: first data date.
        last: last data date, included; equal to `first` for a single one.
        dataset: name of a file in conf/datasets.
        env: name of a file in conf.
        settings: `a.b=c` each.
        model: name of a model YAML; None where none was given.
        allow_empty: whether a data date without events is accepted.
        project: folder of the project; None: the one that holds the code.
        fills_in: whether columns are added that are declared and existing tables lack, as a backfill does.
    """

    first: date
    last: date
    dataset: str = DEFAULT_DATASET
    env: str = "local"
    settings: tuple[str, ...] = ()
    model: str | None = None
    allow_empty: bool = False
    project: Path | None = None
    fills_in: bool = False

    @property
    def model_name(self) -> str:
        """The model YAML in force."""
        return self.model or DEFAULT_MODEL

    @property
    def span(self) -> str:
        """The data dates as `--data-date` takes them."""
        return span_of(self.first, self.last)


def span_of(first: date, last: date) -> str:
    """Return `D`, or `A..B` for a range."""
    return str(first) if first == last else f"{first}..{last}"


def parse_dates(text: str, flag: str = "--data-date") -> tuple[date, date]:
    """Read the value of a flag: one date, or a range A..B.

    Raises:
        ConfigError: no date, a range that runs backwards, or a date outside of EARLIEST .. LATEST.
    """
    first_text, dots, last_text = text.partition("..")
    try:
        first = _date_of(first_text)
        last = _date_of(last_text) if dots else first
    except ValueError as error:
        raise ConfigError(
            f"{flag} {text!r} is no date; expected YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD"
        ) from error
    if last < first:
        raise ConfigError(f"{flag} {text!r} runs backwards; expected the earlier date first")
    if first < EARLIEST or last > LATEST or last - first > timedelta(days=36_525):
        raise ConfigError(
            f"{flag} {text!r} is out of range; expected dates of {EARLIEST} .. {LATEST}, at most a "
            "hundred years"
        )
    return first, last


def _date_of(text: str) -> date:
    """Read YYYY-MM-DD; other forms of ISO 8601, such as 20220507 and 2022-W18-6, are refused."""
    if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(text)
    return date.fromisoformat(text)


def one_date(text: str, command: str) -> date:
    """Read `--data-date` of a command that takes one date.

    Raises:
        ConfigError: no date, or a range.
    """
    first, last = parse_dates(text)
    if first != last:
        raise ConfigError(
            f"{command} takes one data date, not the range {span_of(first, last)}; run it once per date, or "
            f"`lamplighter history --data-date {span_of(first, last)} --nights` for whole nights"
        )
    return first
