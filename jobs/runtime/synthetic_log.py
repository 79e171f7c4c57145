"""A synthetic log, written by Spark: one task per file, and nothing that tasks tell each other."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError
from jobs.workers.synthetic.files import (
    entity_parts,
    parts_per_date,
    write_items,
    write_log_file,
    write_users,
)
from jobs.workers.synthetic.spec import HORIZON_DAYS, LogSpec

SPEC, TRUTH = "spec.json", "truth.jsonl"
COUNTS = "day int, days_late int, fate string, rows bigint"
MOST_TASKS = 10_000
Truth = dict[str, dict[str, int]]
"""Data date -> accepted, duplicates, late, too_late, and rows by way of being broken."""


def generate(spark: SparkSession, spec: LogSpec, folder: Path) -> Truth:
    """Write `log/<date>/*.parquet`, `users`, `items`, `spec.json` and `truth.jsonl` into a folder.

    The files depend on the spec alone, not on tasks and their order. Run again after it was killed, it writes
    the same files again.
    Cost: linear in events, and in users x dates; a task holds some ten thousand events at a time.

    Args:
        spark: the session.
        spec: the log.
        folder: where it is written; all tasks see it.

    Raises:
        ConfigError: the folder holds another log.
    """
    _claim(folder, spec)
    per_date = parts_per_date(spec)
    files = spec.days * per_date
    in_all = files + entity_parts(spec.users) + entity_parts(spec.items)
    task = partial(_write_files, spec=spec, folder=folder, per_date=per_date, log_files=files)
    numbers = spark.range(0, in_all, 1, min(in_all, MOST_TASKS))
    counts = (
        numbers.mapInArrow(task, COUNTS).groupBy("day", "days_late", "fate").agg(F.sum("rows").alias("rows"))
    )
    truth = to_truth(spec, {(r["day"], r["days_late"], r["fate"]): r["rows"] for r in counts.collect()})
    lines = [json.dumps({"data_date": day} | rows) for day, rows in truth.items()]
    (folder / TRUTH).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return truth


def to_truth(spec: LogSpec, counts: dict[tuple[int, int, str], int]) -> Truth:
    """Return what `ingest` must find on each data date, from rows by file's date, lateness and fate.

    A row that is too late counts on the date of its file, as it does in quarantine.
    """
    by_day: dict[int, Counter[str]] = {day: Counter() for day in range(spec.days)}
    for (day, days_late, fate), rows in counts.items():
        match fate:
            case "late" if days_late > HORIZON_DAYS:
                by_day[day]["too_late"] += rows
            case "late":
                by_day[day - days_late].update(accepted=rows, late=rows)
            case "sound":
                by_day[day]["accepted"] += rows
            case "duplicate":
                by_day[day].update(accepted=rows, duplicates=rows)
            case _:
                by_day[day][fate] += rows
    names = (
        "accepted",
        "duplicates",
        "late",
        "too_late",
        "no_user",
        "no_time",
        "wrong_click",
        "wrong_seconds",
    )
    return {str(spec.date_of(day)): {name: found[name] for name in names} for day, found in by_day.items()}


def _claim(folder: Path, spec: LogSpec) -> None:
    """Write down what the folder holds.

    Raises:
        ConfigError: it holds another log.
    """
    said = json.dumps(spec.model_dump(mode="json"), indent=1) + "\n"
    path = folder / SPEC
    if path.exists() and path.read_text(encoding="utf-8") != said:
        raise ConfigError(
            f"{path}: the folder holds a log of other values; remove it, or name another folder"
        )
    if not path.exists() and (folder / "log").exists():
        raise ConfigError(f"{folder}: holds a log that was not generated; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(said, encoding="utf-8")


def _write_files(
    batches: Iterable[pa.RecordBatch], spec: LogSpec, folder: Path, per_date: int, log_files: int
) -> Iterator[pa.RecordBatch]:
    """Write the files that some numbers stand for: those of the log, then of users, then of items."""
    for batch in batches:
        for number in batch.column(0).to_pylist():
            if number < log_files:
                day, part = divmod(number, per_date)
                found = write_log_file(spec, folder, day, part)
                rows = [
                    {"day": day, "days_late": late, "fate": fate, "rows": rows}
                    for (late, fate), rows in found.items()
                ]
                yield from pa.Table.from_pylist(rows, _SCHEMA).to_batches()
            elif number < log_files + entity_parts(spec.users):
                write_users(spec, folder, number - log_files)
            else:
                write_items(spec, folder, number - log_files - entity_parts(spec.users))


_SCHEMA = pa.schema(
    [("day", pa.int32()), ("days_late", pa.int32()), ("fate", pa.string()), ("rows", pa.int64())]
)
