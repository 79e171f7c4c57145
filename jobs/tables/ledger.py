"""The ledger: what each run was, read and wrote; one row per data date and state.

A run is `started`, then `done`, `failed`, `misconfigured` or `blocked`; it stays `started` if it was killed.
What counts for a job and data date is its newest run (run ids sort by time): if that is not `done`, something
may be half-written.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from jobs.tables.locks import owner_text
from jobs.tables.store import Store, key_where

State = Literal["started", "done", "failed", "misconfigured", "blocked"]
EXIT_CODES: Mapping[State, int] = MappingProxyType({"done": 0, "failed": 1, "misconfigured": 2, "blocked": 3})
"""State of a run that has ended -> exit code of its process, as in core/errors.py."""
_STARTED_AT = "%Y%m%dT%H%M%S%f"


class RunKey(NamedTuple):
    """What has one newest run: a job for a data date; `model` is "" for jobs without a state per model."""

    job: str
    model: str
    data_date: date


@dataclass(frozen=True)
class NewestRun:
    """The newest state of one job and data date, as the ledger records it.

    Attributes:
        inputs: `label=hash` of each input of the fingerprint.
        rows: table -> rows written.
        versions_written: table -> version of the run's last commit.
        message: how it ended: why it failed, or what a person may want to know.
    """

    run_id: str
    state: State
    fingerprint: str
    code_hash: str
    config_hash: str
    inputs: tuple[str, ...]
    seconds: float
    rows: Mapping[str, int]
    versions_written: Mapping[str, int]
    message: str


@dataclass(frozen=True)
class DateRecord:
    """The fingerprint of one data date of a run, with its parts."""

    fingerprint: str
    code_hash: str
    config_hash: str
    inputs: tuple[str, ...]


@dataclass
class Entry:
    """What a run writes of itself; filled while it runs."""

    run_id: str
    job: str
    model: str
    code_revision: str
    dates: dict[date, DateRecord]
    rows: dict[str, int] = field(default_factory=dict)
    versions_read: dict[str, int] = field(default_factory=dict)
    versions_written: dict[str, int] = field(default_factory=dict)


def new_run_id() -> str:
    """Return a run id that sorts by the time of its start."""
    return f"{datetime.now(UTC):{_STARTED_AT}}-{secrets.token_hex(3)}"


def started_at(run_id: str) -> datetime:
    """Return when a run began, by the clock of the machine that ran it."""
    return datetime.strptime(run_id.partition("-")[0], _STARTED_AT).replace(tzinfo=UTC)


class Ledger:
    """The table `runs` of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, entry: Entry, state: State, seconds: float, message: str = "") -> None:
        """Append one state of a run: a row for each of its data dates."""
        common = {
            "run_id": entry.run_id,
            "state": state,
            "job": entry.job,
            "model": entry.model,
            "code_revision": entry.code_revision,
            "recorded_at": datetime.now(UTC),
            "seconds": seconds,
            "rows": json.dumps(entry.rows),
            "versions_read": json.dumps(entry.versions_read),
            "versions_written": json.dumps(entry.versions_written),
            "message": message,
        }
        rows = [
            common
            | {"data_date": day, "fingerprint": record.fingerprint, "code_hash": record.code_hash}
            | {"config_hash": record.config_hash, "inputs": list(record.inputs)}
            for day, record in entry.dates.items()
        ]
        metadata = {"run_id": entry.run_id, "job": entry.job, "state": state}
        self._store.append_rows("runs", rows, owner_text(entry.run_id), metadata)

    def rows(self, dates: Iterable[date] | None = None) -> list[dict[str, Any]]:
        """Return rows of the ledger, oldest run first; of some data dates, or of all."""
        predicate = None if dates is None else key_where({"data_date": list(dates)})
        rows = self._store.rows("runs", predicate)
        return sorted(rows, key=lambda row: (row["run_id"], row["recorded_at"]))

    def newest(self, dates: Iterable[date]) -> dict[RunKey, NewestRun]:
        """Return the newest run of every job and data date, whatever its state."""
        return self._newest_of(self.rows(dates))

    def newest_of_all(self) -> dict[RunKey, NewestRun]:
        """Return the newest run of every job and data date that there is."""
        return self._newest_of(self.rows())

    @staticmethod
    def _newest_of(rows: Iterable[Mapping[str, Any]]) -> dict[RunKey, NewestRun]:
        newest: dict[RunKey, NewestRun] = {}
        for row in rows:
            newest[RunKey(row["job"], row["model"], row["data_date"])] = NewestRun(
                run_id=row["run_id"],
                state=row["state"],
                fingerprint=row["fingerprint"],
                code_hash=row["code_hash"],
                config_hash=row["config_hash"],
                inputs=tuple(row["inputs"] or ()),
                seconds=row["seconds"],
                rows=json.loads(row["rows"]),
                versions_written=json.loads(row["versions_written"]),
                message=row["message"],
            )
        return newest
