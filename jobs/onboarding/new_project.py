"""Guesses about a data set that is new here: files are looked at, and what they say put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from os.path import commonpath
from pathlib import Path
from zoneinfo import ZoneInfo

from core.config_model import EntityName
from core.layers import NOT_FILLED_IN
from jobs.onboarding.attribute_guesses import guess_entity
from jobs.onboarding.dataset_guess import DatasetGuess, SourceGuess
from jobs.onboarding.event_guesses import EventGuesses, guess_events
from jobs.onboarding.facts import Column, columns_of_samples
from jobs.onboarding.names import words
from jobs.onboarding.offered import Offered, offered_at
from jobs.onboarding.samples import Format, Sample, format_of, sample_of
from jobs.onboarding.zones import guess_zone
from quality.verdicts import percent

MOST_TIMES = 3_000
"""Times of a file that zones are tried on."""
LATEST_SHARE = 0.001
"""Share of rows that must be as late for a horizon of so many days."""


@dataclass(frozen=True)
class Looked:
    """Files that were looked at.

    Attributes:
        offered: all of them.
        form: their format.
        samples: file -> rows; of a log the newest date's first file, the oldest's and one between.
        columns: of all samples.
    """

    offered: Offered
    form: Format
    samples: Mapping[Path, Sample]
    columns: Sequence[Column]

    def source(self, root: Path, path: str | None, reason: str, date_column: str | None) -> SourceGuess:
        """Return where the files are as a configuration names it."""
        nulls: dict[str, int] = {}
        for column in self.columns:
            for text, count in column.null_texts.items():
                nulls[text] = nulls.get(text, 0) + count
        if path is not None:
            whole = self.offered.root / path
            path = whole.relative_to(root).as_posix() if whole.is_relative_to(root) else str(whole)
        return SourceGuess(path, reason, self.form, nulls, date_column)


def look_at(text: str, flag: str) -> Looked:
    """Look at the files at a path.

    Raises:
        ConfigError: there are none, or they cannot be read.
    """
    offered = offered_at(text, flag)
    files = [offered.newest]
    if flag == "--events" and offered.by_date:
        days = offered.dates
        files = [offered.by_date[day][0] for day in dict.fromkeys((days[-1], days[0], days[len(days) // 2]))]
    form = format_of(files[0])
    samples = {file: sample_of(file, form) for file in files}
    return Looked(offered, form, samples, columns_of_samples([*samples.values()]))


def guess_dataset(name: str, events: str, users: str | None, items: str | None) -> DatasetGuess:
    """Look at all files and guess what they are.

    Raises:
        ConfigError: files are missing or cannot be read.
    """
    log = look_at(events, "--events")
    given: dict[EntityName, str | None] = {"user": users, "item": items}
    looked = {entity: look_at(text, f"--{entity}s") for entity, text in given.items() if text is not None}
    entities = {entity: guess_entity(each.columns, log.columns, entity) for entity, each in looked.items()}
    keys = {entity: found.key for entity, found in entities.items()}
    names = {attribute.name for found in entities.values() for attribute in found.attributes}
    found = guess_events(log.columns, [*log.samples.values()], keys, names)

    root = _root([log, *looked.values()])
    zone, why_zone = _zone(log, found)
    return DatasetGuess(
        name=name,
        root=str(root),
        zone=(zone, why_zone),
        lateness=_lateness(log, found, zone),
        log=_log_source(log, root),
        events=found,
        attributes={entity: (_file_source(looked[entity], root), entities[entity]) for entity in looked},
        dates=log.offered.dates or _dates_of_times(found),
        rows=_rows_of_a_date(log),
    )


# --- one guess each -----------------------------------------------------------------------------


def _root(looked: Sequence[Looked]) -> Path:
    """Return the folder that holds all files, unless that is nearly the whole disk; else that of the log."""
    common = Path(commonpath([each.offered.root for each in looked]))
    return common if len(common.parts) > 2 else looked[0].offered.root


def _log_source(log: Looked, root: Path) -> SourceGuess:
    offered = log.offered
    if offered.is_delta:
        dated = [
            c.name for c in log.columns if c.kind == "date" or {"date", "day", "dt"} & set(words(c.name))
        ]
        return log.source(root, offered.path, "a Delta table", dated[0] if dated else NOT_FILLED_IN)
    if not offered.by_date:
        return log.source(
            root,
            None,
            f"none: no date is spelled in the names of {len(offered.files)} files, such as "
            f"{offered.newest.name}; `lamplighter split {offered.newest} DIR` writes the log per date; then "
            "name DIR as --events of a new init",
            None,
        )
    days, count = offered.dates, len(offered.files)
    more = "" if count == len(days) else f" in {count:,} files"
    gaps = (days[-1] - days[0]).days + 1 - len(days)
    missing = f", {gaps} dates between are missing" if gaps else ""
    return log.source(root, offered.path, f"{len(days)} dates{more}, {days[0]} .. {days[-1]}{missing}", None)


def _file_source(looked: Looked, root: Path) -> SourceGuess:
    offered, days = looked.offered, looked.offered.dates
    if len(days) > 1:
        reason = (
            f"{len(days)} full snapshots, {days[0]} .. {days[-1]}; if a file holds only what changed, say "
            "when by `changed_at` in place of snapshot_date"
        )
        return looked.source(root, offered.path, reason, None)
    path = offered.newest.relative_to(offered.root).as_posix() if days else offered.path
    return looked.source(root, path, "", None)


def _zone(log: Looked, found: EventGuesses) -> tuple[str, str]:
    if found.time is None:
        return "UTC", "unknown without a time; days begin in this zone"
    times = _times_by_date(log, found)
    if not times:
        return "UTC", "unknown without dates in names of files; days begin in this zone"
    zone = guess_zone(times)
    is_local = not found.time.times.has_zone
    reason = f"in it {percent(zone.share)} of the sampled rows are of the date of their file"
    if zone.name != "UTC":
        reason += f", in UTC {percent(zone.in_utc)}"
    if zone.others:
        reason += f"; {', '.join(zone.others[:4])} would fit as well"
    if is_local:
        reason += (
            "; the times name no zone and are read as UTC. If they are local times, set `zone` of event_time "
            "and this key to that zone"
        )
    return zone.name, reason


def _times_by_date(log: Looked, found: EventGuesses) -> dict[date, Sequence[datetime]]:
    if found.time is None:
        return {}
    times: dict[date, Sequence[datetime]] = {}
    for day, files in log.offered.by_date.items():
        samples = [log.samples[file] for file in files if file in log.samples]
        if not samples:
            continue
        (column,) = (c for c in columns_of_samples(samples) if c.name == found.time.column.name)
        if column.times is not None:
            values = column.times.values
            times[day] = values[:: max(1, len(values) // MOST_TIMES)]
    return times


def _lateness(log: Looked, found: EventGuesses, zone: str) -> tuple[int, str]:
    late: list[int] = []
    for day, times in _times_by_date(log, found).items():
        late += [(day - each.astimezone(ZoneInfo(zone)).date()).days for each in times]
    days = [n for n in range(1, 8) if sum(each == n for each in late) > LATEST_SHARE * len(late)]
    horizon = max(days, default=1)
    if not late:
        return 1, "unknown; rows later than this go to quarantine"
    share = sum(1 <= each <= horizon for each in late) / len(late)
    which = f"{percent(share)} of the sampled rows are" if share else "no sampled row is"
    return horizon, f"{which} of a date before that of the file; rows later than this go to quarantine"


def _dates_of_times(found: EventGuesses) -> list[date]:
    if found.time is None or not found.time.times.values:
        return [date(2024, 1, 1), date(2024, 1, 8)]
    days = sorted({each.date() for each in found.time.times.values})
    return days


def _rows_of_a_date(log: Looked) -> int:
    newest = log.samples[log.offered.newest]
    files = log.offered.by_date[log.offered.dates[-1]] if log.offered.by_date else (log.offered.newest,)
    return newest.rows * len(files)
