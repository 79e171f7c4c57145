"""All that is guessed of a data set, before it is written as YAML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from core.layers import NOT_FILLED_IN
from jobs.onboarding.attribute_guesses import AttributeGuess, EntityGuesses
from jobs.onboarding.behaviour_guesses import BehaviourGuess
from jobs.onboarding.event_guesses import EventGuesses
from jobs.onboarding.samples import Format

UNKNOWN = BehaviourGuess(
    "is_wanted", NOT_FILLED_IN, "binary", "none: no column holds 0 and 1, a duration or a rating; write an "
    "expression over the file's columns that is 1 for what users should do, else 0", 0.5,
)  # fmt: skip


@dataclass(frozen=True)
class SourceGuess:
    """Where files are and how they are read.

    Attributes:
        path: under the root, or absolute; None: no date is spelled in the names of a log's files.
        reason: why.
        form: the format.
        null_texts: texts that mean null -> how often they occur.
        date_column: of a log in a Delta table.
    """

    path: str | None
    reason: str
    form: Format
    null_texts: Mapping[str, int]
    date_column: str | None = None


@dataclass(frozen=True)
class DatasetGuess:
    """All that is guessed of a data set.

    Attributes:
        name: of the data set.
        root: folder of the files.
        zone: time zone, and why.
        lateness: days, and why.
        log: files of events.
        events: their columns.
        attributes: entity -> its files and columns.
        dates: that there are files of; else those of the times in the sample.
        rows: of the newest date.
    """

    name: str
    root: str
    zone: tuple[str, str]
    lateness: tuple[int, str]
    log: SourceGuess
    events: EventGuesses
    attributes: Mapping[str, tuple[SourceGuess, EntityGuesses]]
    dates: Sequence[date]
    rows: int

    @property
    def behaviours(self) -> Sequence[BehaviourGuess]:
        """What users do; where nothing looks like it, one to be filled in."""
        return self.events.behaviours or [UNKNOWN]

    def attributes_of(self, entity: str) -> list[AttributeGuess]:
        """Return the attributes of users or items."""
        return self.attributes[entity][1].attributes if entity in self.attributes else []
