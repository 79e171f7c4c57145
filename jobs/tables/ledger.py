"""The ledger: what each run was, read and left, one row a data date and state.

A run is `started`, then `done`, `failed` or `blocked`. What counts for a job and data date is its
newest run (run ids sort by time): if that is not `done`, something may be half-written.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobs.tables.locks import owner_text
from jobs.tables.store import Store, union_of_dates


def new_run_id() -> str:
    """A run id that sorts by the time of its start."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(3)}"


@dataclass(frozen=True)
class Finished:
    """The newest finished state of one job and data date."""

    run_id: str
    state: str
    fingerprint: str
    facts: Mapping[str, Any]
    seconds: float
    rows: Mapping[str, int]


@dataclass
class Entry:
    """What a run writes of itself; filled while it runs."""

    run_id: str
    job: str
    model: str
    config_hash: str
    code_revision: str
    fingerprints: dict[date, str]  # data date -> fingerprint
    rows: dict[str, int] = field(default_factory=dict)
    versions_read: dict[str, int] = field(default_factory=dict)
    versions_written: dict[str, int] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """The table `runs` of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, entry: Entry, state: str, seconds: float, message: str = "") -> None:
        """Append one state of a run, a row for each of its data dates."""
        common = {
            "run_id": entry.run_id,
            "state": state,
            "job": entry.job,
            "model": entry.model,
            "config_hash": entry.config_hash,
            "code_revision": entry.code_revision,
            "recorded_at": datetime.now(UTC),
            "seconds": seconds,
            "rows": json.dumps(entry.rows),
            "versions_read": json.dumps(entry.versions_read),
            "versions_written": json.dumps(entry.versions_written),
            "facts": json.dumps(entry.facts),
            "message": message,
        }
        rows = [
            common | {"data_date": day, "fingerprint": fingerprint}
            for day, fingerprint in entry.fingerprints.items()
        ]
        metadata = {"run_id": entry.run_id, "job": entry.job, "state": state}
        self._store.append_rows("runs", rows, owner_text(entry.run_id), metadata)

    def rows(self, dates: Iterable[date] | None = None) -> list[dict[str, Any]]:
        """Rows of the ledger, oldest run first; of some data dates, or of all."""
        predicate = None if dates is None else union_of_dates(dates)
        rows = self._store.rows("runs", predicate)
        return sorted(rows, key=lambda row: (row["run_id"], row["recorded_at"]))

    def newest(self, dates: Iterable[date]) -> dict[tuple[str, str, date], Finished]:
        """(job, model, data date) -> its newest run, whatever its state.

        `model` is "" for jobs that know no model.
        """
        newest: dict[tuple[str, str, date], Finished] = {}
        for row in self.rows(dates):
            newest[(row["job"], row["model"], row["data_date"])] = Finished(
                run_id=row["run_id"],
                state=row["state"],
                fingerprint=row["fingerprint"],
                facts=json.loads(row["facts"]),
                seconds=row["seconds"],
                rows=json.loads(row["rows"]),
            )
        return newest


def date_range(first: date, last: date) -> list[date]:
    """Every date from first to last, both included."""
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]
