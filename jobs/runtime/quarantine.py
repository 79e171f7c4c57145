"""Rows in quarantine: how many there are, what they look like, and letting them in again.

A re-admission is a row of the table `readmissions`: it names a file's content and a rule, or one row of the
file. Fingerprints of `ingest` hold it, for the data date that the rows leave and for those that they go to:
`lamplighter backfill` makes again what it changes.
"""

import getpass
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import ConfigError, LamplighterError
from core.rule_words import TOO_LATE
from features.events import to_events
from jobs.runtime.project import Project
from jobs.tables.ledger import new_run_id
from jobs.tables.locks import owner_text
from jobs.tables.raw import read_log
from jobs.tables.source_files import SourceFile


@dataclass(frozen=True)
class QuarantineCount:
    """Rows in quarantine of one data date and rule.

    Attributes:
        data_date: under which they are kept.
        rule: that they failed.
        rows: all of them.
        only: those that failed no other rule.
        readmitted: those that were re-admitted and still fail a rule.
    """

    data_date: date
    rule: str
    rows: int
    only: int
    readmitted: int


@dataclass(frozen=True)
class Readmitted:
    """What a re-admission has recorded.

    Attributes:
        run_id: of the re-admission.
        rows: data date -> rows that go to it.
        first: first data date that changes: where a backfill has to begin.
        is_new: whether anything was recorded; False: all of it had been re-admitted before.
    """

    run_id: str
    rows: dict[date, int]
    first: date
    is_new: bool


def count_quarantine(project: Project) -> list[QuarantineCount]:
    """Return the rows in quarantine by data date and rule; a row counts with each rule that it failed.

    Cost: one scan of the table's rules.
    """
    rows = project.store.read(project.spark, "quarantine")
    counted = (
        rows.select("data_date", "failed_rules", "readmitted_by", F.explode("failed_rules").alias("rule"))
        .groupBy("data_date", "rule")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.count_if(F.size("failed_rules") == 1).alias("only"),
            F.count_if(F.col("readmitted_by").isNotNull()).alias("readmitted"),
        )
        .orderBy("data_date", "rule")
    )
    return [QuarantineCount(**row.asDict()) for row in counted.collect()]


def rows_in_quarantine(project: Project, data_date: date, rule: str, limit: int) -> list[dict[str, Any]]:
    """Return rows of a data date as they were received, in the order of their ids.

    Args:
        project: whose.
        data_date: under which they are kept.
        rule: that they failed; "": any.
        limit: of the number of rows.

    Raises:
        LamplighterError: there are none.
    """
    found = _failed(project, data_date, rule).orderBy("source_row_id").limit(limit).collect()
    if not found:
        raise _none_found(project, data_date, rule)
    return [row.asDict() for row in found]


def readmit(project: Project, data_date: date, rule: str, reason: str) -> Readmitted:
    """Re-admit the rows of a data date that failed a rule; doing so again changes nothing.

    Args:
        project: whose.
        data_date: under which they are kept.
        rule: that they failed.
        reason: why, for the audit trail.

    Raises:
        ConfigError: no reason.
        LamplighterError: there are none, or the file that held them is not offered any more.
    """
    _require_reason(reason)
    rows = _failed(project, data_date, rule)
    if rows.isEmpty():
        raise _none_found(project, data_date, rule)
    return _record(project, rows.withColumn("selected", F.lit(f"rule {rule}")), rule == TOO_LATE, reason)


def readmit_rows(project: Project, row_ids: Sequence[str], reason: str) -> Readmitted:
    """Re-admit single rows by their source_row_id; see `readmit`.

    Raises:
        ConfigError: no reason.
        LamplighterError: one is not in quarantine, or the file that held it is not offered any more.
    """
    _require_reason(reason)
    rows = project.store.read(project.spark, "quarantine").where(F.col("source_row_id").isin(*row_ids))
    found = {row["source_row_id"] for row in rows.select("source_row_id").collect()}
    if missing := sorted(set(row_ids) - found):
        raise LamplighterError(
            f"quarantine: no row {', '.join(missing)}; expected ids as `lamplighter quarantine show` prints "
            "them"
        )
    position = F.substring_index("source_row_id", ":", -1)
    selected = rows.withColumn("selected", F.concat(F.lit("row "), position))
    return _record(project, selected, True, reason)


def _record(project: Project, rows: DataFrame, is_of_lateness: bool, reason: str) -> Readmitted:
    """Append what is new to `readmissions`. `rows`: rows of quarantine, with `selected`."""
    counted = _to_readmissions(project, rows, is_of_lateness)
    declared = project.catalog["readmissions"]
    run_id = new_run_id()
    entry: dict[str, Any] = {"reason": reason.strip(), "readmitted_by": _person(), "run_id": run_id}
    entry["readmitted_at"] = datetime.now(UTC)
    known = {tuple(row[name] for name in declared.grain) for row in project.store.rows("readmissions")}
    new = [row for row in counted if tuple(row[name] for name in declared.grain) not in known]
    if new:
        metadata = {"run_id": run_id, "job": "readmit"}
        entries = [row | entry for row in new]
        project.store.append_rows("readmissions", entries, owner_text(run_id), metadata)
    by_date: dict[date, int] = {}
    for row in counted:
        by_date[row["data_date"]] = by_date.get(row["data_date"], 0) + row["rows"]
    first = min(min(row["data_date"], row["file_date"]) for row in counted)
    return Readmitted(run_id, dict(sorted(by_date.items())), first, bool(new))


def _to_readmissions(project: Project, rows: DataFrame, is_of_lateness: bool) -> list[dict[str, Any]]:
    """Read the rows again from their files; return how many go to which data date, per file and selection."""
    paths = sorted(row["source_path"] for row in rows.select("source_path").distinct().collect())
    files = _offered(project, paths)
    config = project.config
    read = to_events(
        read_log(project.spark, config.source.events, files, project.sources.log.columns), config
    )
    again = read.select("source_row_id", "source_path", "file_date", "event_date", "days_late")
    is_let_in = F.lit(is_of_lateness) & (F.col("days_late") > config.source.events.lateness_days)
    counted = (
        rows.select("source_row_id", "source_path", "selected", F.col("data_date").alias("kept_under"))
        .join(again, on=["source_row_id", "source_path"], how="left")
        .select(
            "source_path",
            F.regexp_extract("source_row_id", "^(.*):[0-9]+$", 1).alias("source_sha256"),
            "file_date",
            "selected",
            F.when(is_let_in, F.col("event_date")).otherwise(F.col("kept_under")).alias("data_date"),
        )
        .groupBy("source_path", "source_sha256", "file_date", "selected", "data_date")
        .agg(F.count(F.lit(1)).alias("rows"))
        .collect()
    )
    if lost := sorted({row["source_path"] for row in counted if row["file_date"] is None}):
        raise LamplighterError(
            f"quarantine: rows of {', '.join(lost)} are of a content that the file no longer has; expected "
            "rows of the files that are offered: run `lamplighter backfill`, then look at quarantine again"
        )
    return [row.asDict() for row in counted]


def _offered(project: Project, paths: Sequence[str]) -> list[SourceFile]:
    dates = {row["path"]: row["file_date"] for row in project.sources.manifest}
    files = [
        file
        for day in sorted({dates[path] for path in paths if path in dates})
        for file in project.sources.log_files(day)
        if file.path in paths
    ]
    if gone := sorted(set(paths) - {file.path for file in files}):
        raise LamplighterError(
            f"quarantine: {', '.join(gone)} is not offered any more; expected the file that held the rows, "
            "since ingest reads them from it: deliver it again, then run again"
        )
    return files


def _failed(project: Project, data_date: date, rule: str) -> DataFrame:
    rows = project.store.read(project.spark, "quarantine").where(F.col("data_date") == F.lit(data_date))
    return rows.where(F.array_contains("failed_rules", rule)) if rule else rows


def _none_found(project: Project, data_date: date, rule: str) -> LamplighterError:
    there = [each.rule for each in count_quarantine(project) if each.data_date == data_date]
    of_rule = f" that failed {rule}" if rule else ""
    return LamplighterError(
        f"quarantine {data_date}: no row{of_rule}; expected one of the rules {there}, or a data date of "
        "`lamplighter quarantine list`"
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise ConfigError("--reason is empty; expected why the rows are let in: it stays in `readmissions`")


def _person() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"
