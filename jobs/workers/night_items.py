"""The items of a night's lists: numbered once, with what every list makes of them.

Letters: I items of all pools together, of all cohorts and of single users; K tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import LamplighterError
from core.lists import LikedAttribute
from core.schema import Config
from jobs.workers.listing import WorkerList
from models.serving.selection import NO_VALUE, Cap, Rules, item_keys


@dataclass(frozen=True)
class NightItems:
    """Items in places, and the lists that are made of them.

    Attributes:
        rows: a row per item, in the order of places: item_id, item_cohort, what was asked for.
        lists: of items.
    """

    rows: pa.Table
    lists: tuple[WorkerList, ...]

    @property
    def ids(self) -> NDArray[Any]:
        """item_id by place, (I,)."""
        ids: NDArray[Any] = self.rows["item_id"].to_pandas().to_numpy()
        return ids

    def places(self, spark: SparkSession) -> DataFrame:
        """Return item_id and place."""
        place = pa.array(np.arange(len(self.rows), dtype=np.int32))
        return spark.createDataFrame(pa.table({"item_id": self.rows["item_id"], "place": place}))


def to_night_items(
    items: DataFrame,
    pools: DataFrame,
    user_pools: DataFrame | None,
    columns: list[Column],
    order: list[Column],
    config: Config,
    data_date: date,
) -> NightItems:
    """Return the items of all pools, which are bounded by the sources that `lists` declares.

    Args:
        items: features of items and of their groups, with item_cohort.
        pools: `pools` of the data date.
        user_pools: `user_pools` of the data date; None: no list has items for single users.
        columns: what is wanted of an item, beside item_id, item_cohort and what caps read.
        order: of the places: equal scores are listed in this order.
        config: its lists.
        data_date: of the features.

    Raises:
        LamplighterError: a list has no item.
    """
    ids = pools.select("item_id").distinct()
    if user_pools is not None:
        ids = ids.unionByName(user_pools.select("item_id")).distinct()
    capped = sorted({name for each in config.lists.values() for name in each.at_most})
    values = [F.col(name).cast("string").alias(f"_cap_{name}") for name in capped]
    found = items.join(F.broadcast(ids), on="item_id", how="left_semi").orderBy(*order)
    rows = found.select("item_id", "item_cohort", *columns, *values).toArrow()
    members = _members(pools, rows, config, data_date)
    lists = tuple(
        WorkerList(
            name=name,
            weights=each.ranking,
            members=members[name],
            has_own=any(isinstance(source, LikedAttribute) for source in each.pool),
            seen_days=each.seen_days,
            rules=Rules(
                key=f"{data_date} {name}",
                length=each.length,
                caps=tuple(Cap(_numbers(rows[f"_cap_{a}"]), most) for a, most in each.at_most.items()),
                new_places=each.new_places,
                is_new=_is_of(rows, None if each.new_items is None else each.new_items.cohort),
                item_keys=item_keys(rows["item_id"].to_pylist()),
            ),
        )
        for name, each in config.lists.items()
        if each.has_items
    )
    return NightItems(rows.drop_columns([f"_cap_{name}" for name in capped]), lists)


def without_items(config: Config) -> tuple[WorkerList, ...]:
    """Return the lists of probabilities alone, as lists of one item that is for everybody."""
    one = np.ones(1, bool)
    nothing_new = Rules("", 1, (), 0, ~one, np.zeros(1, np.uint64))
    cohorts = config.cohorts.user.names
    return tuple(
        WorkerList(name, {}, dict.fromkeys(cohorts, one), False, 0, nothing_new)
        for name, each in config.lists.items()
        if not each.has_items
    )


def _members(
    pools: DataFrame, rows: pa.Table, config: Config, data_date: date
) -> dict[str, Mapping[str, NDArray[np.bool_]]]:
    """Return list -> user cohort -> which items are for all of its users, (I,)."""
    place = {item: number for number, item in enumerate(rows["item_id"].to_pylist())}
    found: dict[tuple[str, str], list[int]] = {}
    for row in pools.select("list", "user_cohort", "item_id").toArrow().to_pylist():
        found.setdefault((row["list"], row["user_cohort"]), []).append(place[row["item_id"]])
    members: dict[str, Mapping[str, NDArray[np.bool_]]] = {}
    for name, each in config.lists.items():
        if not each.has_items:
            continue
        of_list = {cohort: np.zeros(len(place), bool) for cohort in config.cohorts.user.names}
        for cohort, is_in in of_list.items():
            is_in[found.get((name, cohort), [])] = True
        has_own = any(isinstance(source, LikedAttribute) for source in each.pool)
        if not has_own and not any(is_in.any() for is_in in of_list.values()):
            raise LamplighterError(
                f"pools: list {name} has no item as of {data_date}; build features first, or look at "
                "`lists` in the configuration: its sources and `where`"
            )
        members[name] = of_list
    return members


def _numbers(values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a number for each value, NO_VALUE for null."""
    codes = values.combine_chunks().dictionary_encode().indices
    numbers: NDArray[np.int64] = codes.fill_null(NO_VALUE).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def _is_of(rows: pa.Table, cohort: str | None) -> NDArray[np.bool_]:
    is_of: NDArray[np.bool_] = rows["item_cohort"].to_pandas().to_numpy() == cohort
    return is_of
