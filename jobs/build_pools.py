"""Choose the items that the users of each cohort, and single users, are scored against on each list.

spark-submit jobs/build_pools.py --data-date 2022-05-07

Cost: items, of which only those of a pool are sorted; of sources by what users like (`most_liked`,
`liked_attribute`) also the events of their days.
"""

from collections.abc import Iterator

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import LamplighterError
from core.expressions import columns_of
from core.lists import LikedAttribute
from features.pools import event_days, to_pools, to_user_pools
from jobs.runtime.cohort_features import read_last_events, read_with_cohort
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import USER_POOLS, same_day, source_files, trailing
from jobs.runtime.run import Run
from jobs.tables.raw import read_attributes


def columns_read(run: Run) -> Iterator[str]:
    """Yield the features of items that lists name."""
    for name, each in run.config.lists.items():
        if each.where is not None:
            yield from columns_of(each.where, f"lists.{name}.where") - {"item_id", "item_cohort"}
        yield from (source.attribute for source in each.pool if isinstance(source, LikedAttribute))


def require_features(run: Run) -> None:
    """Stop where a list reads a feature that was declared after the features of our date were made.

    Raises:
        ConfigError: with the columns and the date.
    """
    run.require_filled_in("item_features", {*columns_read(run)}, run.dates, "lists")


@job(
    reads=(
        same_day("item_features"),
        same_day("{entity}_cohorts"),
        trailing("events", event_days, "days of what users like, for pools"),
        source_files("pools"),
    ),
    writes=(USER_POOLS, "pools"),
    config=(
        *("cohorts.user", "exposure", "lists[].pool", "lists[].where"),
        *("tasks[].name", "tasks[].label", "tasks[].where"),
    ),
    dates=ONE,
    requires=require_features,
)
def build_pools(run: Run) -> None:
    """Replace the data date of `pools`, and of `user_pools` where a list has items for single users."""
    items = read_with_cohort(run, "item")
    events = read_last_events(run, event_days(run.config))
    cohorts = run.read("user_cohorts", run.data_date)
    day = F.lit(run.data_date).alias("data_date")
    if run.config.has_user_pools:
        own = to_user_pools(items, events, run.config, run.data_date)
        run.commit(USER_POOLS, own.select(day, "*"))
    pools = to_pools(items, events, cohorts, files_of_items(run), run.config, run.data_date)
    run.commit("pools", pools.select(day, "*"))


def files_of_items(run: Run) -> dict[str, DataFrame]:
    """Return path -> item_id of the files that lists name.

    Raises:
        LamplighterError: one is missing, or is not readable.
    """
    sources, found = run.sources("pools"), {}
    kind = run.catalog["item_features"].columns["item_id"]
    for source in sources.pools:
        files = sources.pool_files(source, run.data_date)
        if not files:
            raise LamplighterError(
                f"{source.path}: a pool's file is missing in {sources.root.name}/; expected {source.format} "
                f"with {source.item} per item; put it there, then run again"
            )
        rows = read_attributes(run.spark, source, files, columns_of(source.item, "lists"))
        found[source.path] = rows.select(F.expr(source.item).try_cast(kind).alias("item_id"))
    return found


if __name__ == "__main__":
    build_pools.main()
