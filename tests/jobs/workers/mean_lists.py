"""Lists by means of cohorts, from the features of items and users to the rows of `scores_staging`."""

from datetime import date

from pyspark.sql import DataFrame

from core.schema import Config
from jobs.tables.declarations.serving import serving_tables
from jobs.workers.mean_lists import best_first, to_mean_lists
from jobs.workers.night_items import to_night_items
from jobs.workers.scoring import to_night_lists
from jobs.workers.slices import Slices


def mean_lists(
    users: DataFrame, items: DataFrame, pools: DataFrame, means: DataFrame, config: Config, data_date: date
) -> DataFrame:
    """Return the lists of users as of a data date; no list has items of single users or leaves out seen ones.

    Args:
        users: user_id, data_date, user_cohort.
        items: features of items with item_cohort.
        pools: `pools` of the data date.
        means: `group_means` as of the data date.
        config: its lists and baselines.
        data_date: of the features.
    """
    [staged] = [table for table in serving_tables(config) if table.name == "scores_staging"]
    night_items = to_night_items(items, pools, None, [], best_first(config), config, data_date)
    night = to_mean_lists(night_items, items, means, config)
    return to_night_lists(users, night, [], Slices(1, 2), staged.schema)
