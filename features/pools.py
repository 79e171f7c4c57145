"""Pools of lists: which items the users of each cohort are scored against, and each user for itself."""

from collections.abc import Mapping
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from core.lists import Active, ItemList, LikedAttribute, MostLiked, MostShown, Newest, OwnFile
from core.schema import Config, Task
from features.expressions import readable
from features.labels import label, mask

POOL = ("list", "user_cohort", "item_id")
USER_POOL = ("list", "user_id", "item_id")


def event_days(config: Config) -> int:
    """Return the days of events that pools are made of, up to the data date; 0: none."""
    pools = [source for each in config.lists.values() for source in each.pool]
    return max((s.days for s in pools if isinstance(s, MostLiked | LikedAttribute)), default=0)


def to_pools(
    items: DataFrame,
    events: DataFrame,
    user_cohorts: DataFrame,
    own: Mapping[str, DataFrame],
    config: Config,
    data_date: date,
) -> DataFrame:
    """Return the items of each list for the users of each cohort, with the sources that name them.

    Grain: POOL. Columns: POOL, item_cohort, sources (sorted). As of: the one data date of `items`.
    Cost: items, of which only those of a pool are sorted; of `most_liked` the events of its days, shuffled by
    item and cohort.

    Args:
        items: `item_features` of one data date with item_cohort, also of items that nobody has seen.
        events: of `event_days` up to the data date.
        user_cohorts: user_id and cohort as of the data date.
        own: path of a file of one's own -> its item_id.
        config: its lists, tasks, exposure and user cohorts.
        data_date: of the items.
    """
    parts = [
        part.select(F.lit(name).alias("list"), "user_cohort", "item_id", F.lit(source.source).alias("source"))
        for name, declared in config.lists.items()
        for source in declared.pool
        if not isinstance(source, LikedAttribute)
        for part in [
            _of_source(source, _allowed(items, declared), events, user_cohorts, own, config, data_date)
        ]
    ]
    if not parts:  # no list has items
        return items.select(
            F.lit("").alias("list"), F.lit("").alias("user_cohort"), "item_id", "item_cohort",
            F.array(F.lit("")).alias("sources"),
        ).where(F.lit(False))  # fmt: skip
    named = reduce(DataFrame.unionByName, parts).groupBy(*POOL)
    found = named.agg(F.array_sort(F.collect_set("source")).alias("sources"))
    return found.join(items, on="item_id", how="inner").select(*POOL, "item_cohort", "sources")


def to_user_pools(items: DataFrame, events: DataFrame, config: Config, data_date: date) -> DataFrame:
    """Return the items that lists have for single users, beside those of everybody.

    Grain: USER_POOL. Columns: USER_POOL, item_cohort. As of: the one data date of `items`.
    Cost: the events of the days, shuffled by user; then per user the liked values x the items of a value
    among the most shown.

    Args:
        items: as of `to_pools`.
        events: as of `to_pools`.
        config: as of `to_pools`.
        data_date: of the items.
    """
    parts = [
        _of_liked(source, items, _allowed(items, declared), events, config, data_date).select(
            F.lit(name).alias("list"), "user_id", "item_id"
        )
        for name, declared in config.lists.items()
        for source in declared.pool
        if isinstance(source, LikedAttribute)
    ]
    found = reduce(DataFrame.unionByName, parts).distinct()
    return found.join(items, on="item_id", how="inner").select(*USER_POOL, "item_cohort")


def _allowed(items: DataFrame, declared: ItemList) -> DataFrame:
    """Return the items that may be on a list."""
    if declared.where is None:
        return items
    return items.where(F.coalesce(readable(declared.where, items), F.lit(False)))


def _of_source(
    source: MostShown | Newest | Active | MostLiked | OwnFile,
    items: DataFrame,
    events: DataFrame,
    user_cohorts: DataFrame,
    own: Mapping[str, DataFrame],
    config: Config,
    data_date: date,
) -> DataFrame:
    """Return user_cohort and item_id of one source."""
    match source:
        case MostLiked():
            return _most_liked(source, items, events, user_cohorts, config, data_date)
        case MostShown():
            found = _best(items, _shown(source.window, config), source.items)
        case Newest():
            first_seen = F.col("item_first_event_time_all")
            found = _best(items.where(first_seen.isNotNull()), first_seen, source.items)
        case Active():
            found = items.where(_shown(source.window, config) > 0)
        case OwnFile():
            found = items.join(own[source.path], on="item_id", how="left_semi")
    cohorts = F.explode(F.lit(list(config.cohorts.user.names))).alias("user_cohort")
    return found.select(cohorts, "item_id")


def _shown(window: str, config: Config) -> Column:
    return F.coalesce(F.col(f"item_{config.exposure}_{window}"), F.lit(0))


def _best(items: DataFrame, by: Column, count: int) -> DataFrame:
    return items.orderBy(by.desc(), F.col("item_id").asc()).limit(count)


def _most_liked(
    source: MostLiked,
    items: DataFrame,
    events: DataFrame,
    user_cohorts: DataFrame,
    config: Config,
    data_date: date,
) -> DataFrame:
    cohorts = user_cohorts.select("user_id", F.col("cohort").alias("user_cohort"))
    counts = (
        _positives(events, _task(config, source.task), source.days, data_date)
        .join(cohorts, on="user_id", how="inner")
        .groupBy("user_cohort", "item_id")
        .count()
        .join(items, on="item_id", how="left_semi")
    )
    best_first = Window.partitionBy("user_cohort").orderBy(F.col("count").desc(), F.col("item_id").asc())
    return counts.withColumn("_rank", F.row_number().over(best_first)).where(F.col("_rank") <= source.items)


def _of_liked(
    source: LikedAttribute,
    items: DataFrame,
    allowed: DataFrame,
    events: DataFrame,
    config: Config,
    data_date: date,
) -> DataFrame:
    """Return user_id and item_id of allowed items of liked values."""
    shown = _shown(source.window, config)
    values = items.select("item_id", F.col(source.attribute).alias("_value")).where(
        F.col("_value").isNotNull()
    )
    liked = (
        _positives(events, _task(config, source.task), source.days, data_date)
        .join(values, on="item_id", how="inner")
        .groupBy("user_id", "_value")
        .agg(F.count(F.lit(1)).alias("_likes"))
    )
    offered = _best(allowed, shown, source.among).select(
        "item_id", F.col(source.attribute).alias("_value"), shown.alias("_shown")
    )
    best_first = Window.partitionBy("user_id").orderBy(
        F.col("_likes").desc(), F.col("_shown").desc(), F.col("item_id").asc()
    )
    found = liked.join(F.broadcast(offered), on="_value", how="inner")
    ranked = found.withColumn("_rank", F.row_number().over(best_first))
    return ranked.where(F.col("_rank") <= source.items)


def _positives(events: DataFrame, task: Task, days: int, data_date: date) -> DataFrame:
    """Return user_id and item_id of the events of the last days that have label 1."""
    of_days = events.where(F.col("data_date") > F.date_sub(F.lit(data_date), days))
    judged = of_days.select("user_id", "item_id", label(task, of_days), mask(task, of_days))
    is_positive = F.col(f"mask_{task.name}") & (F.col(f"label_{task.name}") == 1)
    return judged.where(is_positive).select("user_id", "item_id")


def _task(config: Config, name: str) -> Task:
    return next(task for task in config.tasks if task.name == name)
