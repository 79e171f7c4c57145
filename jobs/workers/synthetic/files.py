"""Files of a synthetic log: rows of one date and some users, users, items; and how many rows of what kind.

A file is written under a hidden name and then renamed, so that a task that is run again replaces it.

Letters: m events.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.workers.synthetic.dials import LATENT, Dials
from jobs.workers.synthetic.hashing import Floats, Ints
from jobs.workers.synthetic.spec import BUSIEST, LATEST_DAYS, LogSpec
from jobs.workers.synthetic.truth import (
    cohort_of,
    item_of,
    to_events,
    to_world,
    user_attributes,
    user_vectors,
)
from jobs.workers.synthetic.visits import (
    DUPLICATE,
    FATE_NAMES,
    NO_TIME,
    NO_USER,
    WRONG_CLICK,
    WRONG_SECONDS,
    Visits,
    join_days,
    to_visits,
)

ROWS_AT_ONCE = 65_536
ROWS_PER_FILE = 1_000_000
STREAM = "past"
"""Events of this log are those that bench.cohorts draws as the past of the same users."""
TIME = pa.timestamp("us", tz="UTC")
LOG_SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("item_id", pa.int64()),
        ("event_time", TIME),
        ("is_click", pa.int32()),
        ("is_long_view", pa.int32()),
        ("is_like", pa.int32()),
        ("play_ms", pa.int64()),
    ]
)
RowCounts = Counter[tuple[int, str]]
"""Rows by number of days that they are late, and name of their fate."""


def write_log_file(spec: LogSpec, folder: Path, day: int, part: int) -> RowCounts:
    """Write one file of a date, `log/<date>/part-<part>.parquet`; return its rows by lateness and fate.

    Args:
        spec: the log.
        folder: of the log's files.
        day: number of the date that the file is of.
        part: which of `parts_per_date`, each of which is of other users.
    """
    counts: RowCounts = Counter()
    path = folder / "log" / str(spec.date_of(day)) / f"part-{part:05d}.parquet"
    _write(path, LOG_SCHEMA, _log_rows(spec, day, part, counts))
    return counts


def parts_per_date(spec: LogSpec) -> int:
    """Return how many files a date of the log has: it follows from the size alone."""
    return -(-spec.events_per_day // ROWS_PER_FILE)


def _log_rows(spec: LogSpec, day: int, part: int, counts: RowCounts) -> Iterator[pa.Table]:
    first, last = (spec.users * n // parts_per_date(spec) for n in (part, part + 1))
    most_per_user = max(spec.events_per_day * BUSIEST / spec.users, 1e-6)
    step = max(1, int(ROWS_AT_ONCE / most_per_user))
    for begin in range(first, last, step):
        ids = np.arange(begin, min(begin + step, last))
        for days_late in range(LATEST_DAYS + 1 if spec.late else 1):
            if day >= days_late:
                visits = to_visits(spec, ids, day - days_late, days_late)
                twice = visits.fate == DUPLICATE
                for fate, rows in enumerate(np.bincount(visits.fate, minlength=len(FATE_NAMES))):
                    counts[days_late, FATE_NAMES[fate]] += int(rows)
                yield to_rows(spec, _repeated(visits, 1 + twice))


def _repeated(visits: Visits, times: Ints) -> Visits:
    return Visits(*(np.repeat(v, times) for v in (visits.user, visits.number, visits.micros, visits.fate)))


def to_rows(spec: LogSpec, visits: Visits) -> pa.Table:
    """Return what happened in some visits as rows of the log, (m,) of LOG_SCHEMA, broken by their fate."""
    users, place = np.unique(visits.user, return_inverse=True)
    vectors = user_vectors(spec.seed, users, explained=0.5)[place]
    numbers = visits.number[:, None]
    shown = item_of(spec.seed, STREAM, visits.user[:, None], numbers, spec.items, spec.hot_item)
    items, index = np.unique(shown, return_inverse=True)
    world = to_world(spec.seed, Dials(spec.difference), items)
    index = index.reshape(shown.shape)
    events = to_events(world, STREAM, visits.user, vectors, numbers, index, cohort_of(numbers))
    labels = events.labels[:, 0].astype(np.int32)
    click = np.where(visits.fate == WRONG_CLICK, 7, labels[:, 0])
    play_ms = np.rint(events.play_seconds[:, 0] * 1000).astype(np.int64)
    columns = [
        pa.array(visits.user, mask=visits.fate == NO_USER),
        pa.array(shown[:, 0]),
        pa.array(visits.micros, TIME, mask=visits.fate == NO_TIME),
        pa.array(click, pa.int32()),
        pa.array(labels[:, 1]),
        pa.array(labels[:, 2]),
        pa.array(np.where(visits.fate == WRONG_SECONDS, -1, play_ms)),
    ]
    return pa.table(columns, schema=LOG_SCHEMA)


def write_users(spec: LogSpec, folder: Path, part: int) -> None:
    """Write one file of users: id, seen attributes, the date on which the user joined."""
    ids = _part_of(spec.users, part)
    joined = (join_days(spec, ids) + (spec.first_date - date(1970, 1, 1)).days).astype(np.int32)
    columns = {"user_id": ids, **_numbered("user", user_attributes(spec.seed, ids))}
    table = pa.table(columns | {"joined": pa.array(joined).cast(pa.date32())})
    _write(folder / "users" / f"part-{part:05d}.parquet", table.schema, [table])


def write_items(spec: LogSpec, folder: Path, part: int) -> None:
    """Write one file of items: id, seen attributes, duration in milliseconds."""
    ids = _part_of(spec.items, part)
    world = to_world(spec.seed, Dials(spec.difference), ids)
    duration_ms = np.rint(world.duration_seconds * 1000).astype(np.int64)
    columns = {"item_id": ids, **_numbered("item", world.item_attributes), "duration_ms": duration_ms}
    table = pa.table(columns)
    _write(folder / "items" / f"part-{part:05d}.parquet", table.schema, [table])


def entity_parts(count: int) -> int:
    """Return how many files so many users or items have."""
    return -(-count // ROWS_PER_FILE)


def _part_of(count: int, part: int) -> Ints:
    return np.arange(part * ROWS_PER_FILE, min((part + 1) * ROWS_PER_FILE, count))


def _numbered(entity: str, attributes: Floats) -> dict[str, Floats]:
    return {f"{entity}_a{d + 1}": attributes[:, d] for d in range(LATENT)}


def _write(path: Path, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    with pq.ParquetWriter(hidden, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
    hidden.replace(path)
