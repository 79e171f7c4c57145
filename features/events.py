"""From rows of a log file to events: typed columns, an identity, a data date, a row status."""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.rule_words import TOO_LATE
from core.schema import Config
from features.casts import read_behaviour, read_id, read_mapping
from features.received import as_received, id_of

IDS = ("user_id", "item_id")
CONFLICT = "conflicting_event"


def to_events(raw: DataFrame, config: Config) -> DataFrame:
    """Read rows of log files as events; every row stays, whatever is wrong with it.

    Grain: source_row_id = "<sha256 of the file>:<position in it>".
    Data date: the event's date in `source.time_zone` where it lies in the file's range (its date and
    `lateness_days` before), else the file's date, under which the row goes to quarantine. A log without
    times has events of the midnight with which the file's date begins.
    Units: binary behaviours are tinyint (a 2 stays a 2), seconds are decimal(12,3); null where the
    source cannot be read as such, 0 where it is of a log of actions; days_late = file's date - event's date,
    negative for the future.
    Cost: one narrow pass.

    Args:
        raw: the source's columns, and source_path, source_sha256, file_date, row_index of each row.
        config: its `source` and `behaviours`.
    """
    source = config.source.events
    mapped = {
        name: read_id(column.expr, column.type, raw) if name in IDS else read_mapping(column, raw)
        for name, column in source.columns.items()
    }
    if "event_time" not in mapped:
        midnight = F.col("file_date").cast("timestamp")
        mapped["event_time"] = F.to_utc_timestamp(midnight, config.source.time_zone)
    behaved = {
        name: F.lit(0).cast(behaviour.data_type) if behaviour.action else read_behaviour(behaviour, raw)
        for name, behaviour in config.behaviours.items()
    }

    events = raw.select(
        *as_received(raw),
        id_of(source.event_id, raw).alias("event_id"),
        *(column.alias(name) for name, column in (mapped | behaved).items()),
    )
    event_date = F.to_date(F.from_utc_timestamp("event_time", config.source.time_zone))
    oldest = F.date_sub("file_date", source.lateness_days)
    is_of_this_file = F.col("event_date").between(oldest, F.col("file_date"))
    return (
        events.withColumn("event_date", event_date)
        .withColumn("days_late", F.datediff("file_date", "event_date"))
        .withColumn("data_date", F.when(is_of_this_file, F.col("event_date")).otherwise(F.col("file_date")))
    )


def with_readmissions(events: DataFrame, readmissions: DataFrame, config: Config) -> DataFrame:
    """Add `readmissions` (which people have decided on for a row), and let re-admitted late rows in.

    A row that is later than the horizon, and re-admitted by the rule `too_late` or by itself, belongs to the
    data date of its event, and its days_late is null: nobody judges them again. All other rules stay.

    Grain: source_row_id, as it came; `let_in_by` is the run that let a late row in, else null.
    Cost: one narrow pass.

    Args:
        events: rows of `to_events`.
        readmissions: grain source_sha256; `readmissions`, map<string,string>: `rule NAME` or `row POSITION`
            -> run that re-admitted it.
        config: its `source.events.lateness_days`.
    """
    is_late = F.col("days_late") > config.source.events.lateness_days
    let_in_by = F.when(is_late, F.coalesce(_readmission_of_row(), _readmission_of_rule(TOO_LATE)))
    is_let_in = F.col("let_in_by").isNotNull()
    sha256 = F.regexp_extract("source_row_id", "^(.*):[0-9]+$", 1)
    return (
        events.withColumn("source_sha256", sha256)
        .join(F.broadcast(readmissions), on="source_sha256", how="left")
        .drop("source_sha256")
        .withColumn("let_in_by", let_in_by)
        .withColumn("data_date", F.when(is_let_in, F.col("event_date")).otherwise(F.col("data_date")))
        .withColumn("days_late", F.when(~is_let_in, F.col("days_late")))
    )


def readmitted_by() -> Column:
    """Return the run that re-admitted a row of `with_readmissions`; null: none has.

    By itself, as a late row, or by one of the rules that it still fails.
    """
    of_rules = F.transform("failed_rules", _readmission_of_rule)
    return F.coalesce(_readmission_of_row(), F.col("let_in_by"), F.get(F.array_compact(of_rules), F.lit(0)))


def _readmission_of_row() -> Column:
    position = F.substring_index("source_row_id", ":", -1)
    return F.try_element_at("readmissions", F.concat(F.lit("row "), position))


def _readmission_of_rule(rule: Column | str) -> Column:
    name = F.lit(rule) if isinstance(rule, str) else rule
    return F.try_element_at("readmissions", F.concat(F.lit("rule "), name))


def with_row_status(events: DataFrame, config: Config) -> DataFrame:
    """Add `row_status`: accepted, duplicate, conflict, or failed.

    Of the sound rows of one event_id and data date, the first in the order of `source.events.keep` is
    accepted (ties by source_row_id). A row equal to it in all declared columns is a duplicate; another is a
    conflict and gets `conflicting_event` among its failed rules. Rows with failed rules are not compared.
    A file that is offered twice brings each row twice, with one source_row_id: the copy is a duplicate,
    whatever is wrong with it.

    Data dates do not see each other, so that a range gives what date by date gives: an event_id that comes
    again on another data date is another event.

    Grain: (source_row_id, source_path), as it came. Cost: one shuffle by event_id.

    Args:
        events: rows of `to_events` and failed_rules, array<string>, empty for a sound row.
        config: its `source` and `behaviours`.
    """
    declared = F.struct(*config.source.events.columns, *config.behaviours)
    has_failed = F.size("failed_rules") > 0
    event = F.coalesce("event_id", "source_row_id")  # rows without an id are no duplicates
    order = [*map(order_term, config.source.events.keep), F.asc("source_row_id"), F.asc("source_path")]
    ordered = Window.partitionBy(has_failed, "data_date", event).orderBy(*order)
    rivals = ordered.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    is_copy = F.lag("source_row_id").over(ordered) == F.col("source_row_id")
    row_status = (
        F.when(F.col("_is_copy"), "duplicate")
        .when(has_failed, "failed")
        .when(F.col("_place") == 1, "accepted")
        .when(F.col("_is_like_the_kept"), "duplicate")
        .otherwise("conflict")
    )
    is_conflict = F.col("row_status") == "conflict"
    failed_rules = F.when(is_conflict, F.array_append("failed_rules", F.lit(CONFLICT))).otherwise(
        F.col("failed_rules")
    )
    return (
        events.withColumn("_place", F.row_number().over(rivals))
        .withColumn("_is_copy", is_copy)
        .withColumn(
            "_is_like_the_kept", declared.eqNullSafe(F.first(declared, ignorenulls=False).over(rivals))
        )
        .withColumn("row_status", row_status)
        .withColumn("failed_rules", failed_rules)
        .drop("_place", "_is_copy", "_is_like_the_kept")
    )


def order_term(term: str) -> Column:
    """Return one ORDER BY term of a configuration; nulls are last in both directions."""
    column_name, *direction = term.split()
    column = F.col(column_name)
    is_descending = [word.lower() for word in direction] == ["desc"]
    return column.desc_nulls_last() if is_descending else column.asc_nulls_last()
