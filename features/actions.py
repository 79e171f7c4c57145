"""Actions from a log of their own: each belongs to the impression that it follows.

What is decided of the actions of a file follows from files of no later date: an action is never moved to an
impression that was delivered after it. So it does not matter how many later files are known.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.schema import Config
from core.source import ActionSource
from features.casts import read_as, read_behaviour, read_id, read_mapping
from features.events import IDS
from features.received import as_received, id_of

UNREADABLE, AFTER_ITS_FILE, TOO_LATE = "unreadable_action", "action_after_its_file", "too_late"
NO_IMPRESSION = "no_impression"


def to_actions(raw: DataFrame, name: str, config: Config) -> DataFrame:
    """Read rows of a log of actions; every row stays, whatever is wrong with it.

    Grain: source_row_id = "<sha256 of the file>:<position in it>".
    Data date: that of the file, under which a rejected row is kept. `action_date` is the date of the action
    in `source.time_zone`. failed_rules: what is wrong with the row by itself.
    Cost: one narrow pass.

    Args:
        raw: the source's columns, and source_path, source_sha256, file_date, row_index of each row.
        name: of the log in `source.actions`.
        config: its `source` and `behaviours`.
    """
    source = config.source.actions[name]
    types = {column: config.source.events.columns[column].type for column in source.join}
    keys = {
        column: read_id(text, types[column], raw) if column in IDS else read_as(text, types[column], raw)
        for column, text in source.join.items()
    }
    values = {n: read_behaviour(b, raw) for n, b in config.behaviours.items() if b.action == name}
    rows = raw.select(
        *as_received(raw),
        id_of(source.action_id, raw).alias("action_id"),
        read_mapping(source.action_time, raw).alias("action_time"),
        *(column.alias(n) for n, column in (keys | values).items()),
    )
    action_date = F.to_date(F.from_utc_timestamp("action_time", config.source.time_zone))
    return (
        rows.withColumn("action_date", action_date)
        .withColumn("data_date", F.col("file_date"))
        .withColumn("failed_rules", _failed_rules(config, [*keys], [*values]))
    )


def _failed_rules(config: Config, keys: list[str], values: list[str]) -> Column:
    is_unreadable = F.lit(False)
    for name in ("action_id", "action_time", *keys):
        is_unreadable |= F.col(name).isNull()
    oldest = F.date_sub("file_date", config.source.events.lateness_days)
    failed = {
        UNREADABLE: is_unreadable,
        AFTER_ITS_FILE: F.col("action_date") > F.col("file_date"),
        TOO_LATE: F.col("action_date") < oldest,
    }
    for name in values:
        low, high = config.behaviours[name].bounds
        is_outside = F.col(name) < F.lit(low)
        failed[f"{name}_out_of_range"] = (
            is_outside if high is None else is_outside | (F.col(name) > F.lit(high))
        )
    return F.array_compact(F.array(*(F.when(is_it, F.lit(rule)) for rule, is_it in failed.items())))


def with_impression(
    actions: DataFrame, impressions: DataFrame, source: ActionSource, config: Config
) -> DataFrame:
    """Add `row_status`, and event_id and event_date of the impression that an action belongs to.

    attributed: to the latest impression with equal keys, not after the action, within the horizon, in no
    later file (at the same instant the one with the larger event_id). duplicate: its id came before, within
    `lateness_days`, or another file of its date has the same content. failed: a rule of `to_actions`,
    `no_impression`, or `too_late` where the horizon reaches further back than files may change.

    Grain: source_row_id, as it came. Cost: a shuffle by action_id, and one of both sides by the keys.

    Args:
        actions: rows of `to_actions`; those of a file need those of `lateness_days` before it.
        impressions: sound rows of `to_events` of the same dates, and of `lateness_days` before.
        source: the log of actions.
        config: its `source`.
    """
    lateness = config.source.events.lateness_days
    keys = [*source.join]
    is_sound = F.size("failed_rules") == 0
    same_id = Window.partitionBy(is_sound, F.coalesce("action_id", "source_row_id")).orderBy(
        "file_date", "source_row_id"
    )
    came_before = F.lag("file_date").over(same_id) >= F.date_sub("file_date", lateness)
    is_copy = (F.lag("source_row_id").over(same_id) == F.col("source_row_id")) & (
        F.lag("file_date").over(same_id) == F.col("file_date")
    )
    is_again = (is_sound & came_before) | is_copy
    known = actions.withColumn("_is_again", F.coalesce(is_again, F.lit(False)))

    horizon = F.make_dt_interval(hours=F.lit(source.horizon_hours))
    oldest = F.date_sub("file_date", lateness)
    # What came in several files, or several times with other values, is one impression of its first file.
    shown = impressions.groupBy("event_id", "data_date", "event_time", *keys).agg(
        F.min("file_date").alias("_delivered")
    )
    shown = shown.select(
        *(F.col(n).alias(f"_{n}") for n in ("event_id", "data_date", "event_time", *keys)), "_delivered"
    )
    is_its = F.lit(True)
    for name in keys:
        is_its &= F.col(name) == F.col(f"_{name}")
    is_before = F.col("_event_time").between(F.col("action_time") - horizon, F.col("action_time"))
    is_in_time = (F.col("_delivered") <= F.col("file_date")) & (F.col("_data_date") >= oldest)
    found = (
        known.where(is_sound & ~F.col("_is_again"))
        .join(shown, on=is_its & is_before & is_in_time, how="inner")
        .groupBy("source_row_id")
        .agg(F.max(F.struct("_event_time", "_event_id", "_data_date")).alias("_shown"))
    )
    zone = config.source.time_zone
    reaches_back_to = F.to_date(F.from_utc_timestamp(F.col("action_time") - horizon, zone))
    missing = F.when(reaches_back_to < oldest, TOO_LATE).otherwise(NO_IMPRESSION)
    is_lost = is_sound & ~F.col("_is_again") & F.col("_shown").isNull()
    return (
        known.join(found, on="source_row_id", how="left")
        .withColumn(
            "row_status",
            F.when(F.col("_is_again"), "duplicate")
            .when(is_lost | ~is_sound, "failed")
            .otherwise("attributed"),
        )
        .withColumn("failed_rules", F.when(is_lost, F.array(missing)).otherwise(F.col("failed_rules")))
        .withColumn("event_id", F.col("_shown._event_id"))
        .withColumn("event_date", F.col("_shown._data_date"))
        .drop("_is_again", "_shown")
    )


def with_actions(events: DataFrame, actions: DataFrame, name: str, config: Config) -> DataFrame:
    """Set the behaviours of impressions to what their actions say together; rows stay as they are.

    binary: whether the value of one action is 1. seconds, number: the sum. 0 without an action.

    Grain: that of `events`. Cost: one shuffle by event_id.

    Args:
        events: accepted rows of `to_events`.
        actions: rows of `with_impression`.
        name: of the log in `source.actions`.
        config: its `behaviours`.
    """
    declared = {n: b for n, b in config.behaviours.items() if b.action == name}
    said = (
        actions.where(F.col("row_status") == "attributed")
        .groupBy("event_id", F.col("event_date").alias("data_date"))
        .agg(
            *(
                (F.max(n) if b.kind == "binary" else F.sum(n)).cast(b.data_type).alias(f"_{n}")
                for n, b in declared.items()
            )
        )
    )
    joined = events.join(said, on=["event_id", "data_date"], how="left")
    return joined.withColumns(
        {n: F.coalesce(F.col(f"_{n}"), F.col(n)) for n in declared}  # to_events has set them to 0
    ).drop(*(f"_{n}" for n in declared))
