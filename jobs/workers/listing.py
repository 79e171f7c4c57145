"""Lists inside Spark workers: users, batch by batch -> the rows of each of their lists."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.workers.predictors import Predictor
from models.serving.selection import Rules, Selected, select

OWN = "_own_"
"""What the columns of places begin with that a list has for single users, and no declared column does."""

SEEN = "_seen"
"""Column of the items that a user has seen: place -> days since."""

RUN = ("slice", "user_cohort")
"""Columns whose values users of one call share."""

USERS_AT_ONCE = 512
"""Users of one call: what each has of every item is in memory at once."""


@dataclass(frozen=True)
class WorkerList:
    """One list, as workers make it.

    Attributes:
        name: of the list.
        weights: binary task -> exponent of its probability in the score; empty: no items, and no score.
        members: user cohort -> which items are for all of its users, (I,).
        has_own: whether single users have further items.
        seen_days: items that a user has seen in so many days are left out.
        rules: what makes a list of scores.
    """

    name: str
    weights: Mapping[str, float]
    members: Mapping[str, NDArray[np.bool_]]
    has_own: bool
    seen_days: int
    rules: Rules


@dataclass(frozen=True)
class Unit:
    """Lists that share predictions: those of one context.

    Attributes:
        predictor: of all users for the items of all these lists.
        lists: by which they are made.
    """

    predictor: Predictor
    lists: tuple[WorkerList, ...]


@dataclass(frozen=True)
class NightLists:
    """All lists of a night.

    Attributes:
        model_version: what scores.
        item_ids: of the places that are counted in `lists`, (I,).
        units: with items first; those without have one place, which is no item.
        tasks: whose predictions are published, in order.
    """

    model_version: str
    item_ids: NDArray[Any]
    units: tuple[Unit, ...]
    tasks: tuple[str, ...]


def to_lists(
    night: NightLists, schema: pa.Schema
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a function of mapInArrow: users -> the rows of their lists, in the order of the users.

    The batches hold user_id, data_date, user_cohort, bucket, slice, what the predictors read, and the maps
    and arrays of crosses, OWN and SEEN; rows are sorted by slice, user_cohort and user_id. Memory: a batch of
    users, and USERS_AT_ONCE times all items.
    """

    def lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for users in whole_passes(batches, USERS_AT_ONCE):
            for unit in night.units:
                for part in _lists_of(users, unit, night):
                    yield from part.select(schema.names).cast(schema).to_batches()

    return lists


def whole_passes(batches: Iterable[pa.RecordBatch], users_at_once: int) -> Iterator[pa.Table]:
    """Cut users anew into tables of one slice and cohort, each of whole passes, wherever Arrow cut.

    So a user's place in a pass depends on the other users of its slice and cohort alone. The last
    pass of a slice and cohort may be incomplete.
    """
    held: pa.Table | None = None
    for batch in batches:
        rows = pa.Table.from_batches([batch])
        rows = rows if held is None else pa.concat_tables([held, rows])
        *ended, open_run = _runs(rows)
        yield from ended
        passes = len(open_run) - len(open_run) % users_at_once
        if passes:
            yield open_run.slice(0, passes)
        held = open_run.slice(passes)
    if held is not None and len(held):
        yield held


def _runs(rows: pa.Table) -> list[pa.Table]:
    """Split rows where the slice or the cohort changes; no rows are one run."""
    keys = [rows[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in RUN]
    is_new = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    cuts = [0, *(np.flatnonzero(is_new) + 1), len(rows)]
    return [rows.slice(start, stop - start) for start, stop in pairwise(cuts)]


def _lists_of(users: pa.Table, unit: Unit, night: NightLists) -> Iterator[pa.Table]:
    """Yield rows of the lists of users of one cohort."""
    cohort = users["user_cohort"][0].as_py()
    ids = users["user_id"].to_pylist()
    items = len(unit.lists[0].rules.is_new)
    for_all = np.any([each.members[cohort] for each in unit.lists], axis=0)
    has_items = any(each.weights for each in unit.lists)
    own = {each.name: _places(users[f"{OWN}{each.name}"], items) for each in unit.lists if each.has_own}
    of_anybody = np.any([*own.values()], axis=0) if own else None
    seen = _days_since(users[SEEN], items) if has_items and SEEN in users.column_names else None
    scorer = unit.predictor.scorer(for_all)
    order = [scorer.tasks.index(task) for task in night.tasks]
    for part, predictions in scorer.predictions(users, of_anybody):
        for each in unit.lists:
            allowed = np.broadcast_to(each.members[cohort], predictions.shape[:2])
            if each.has_own:
                allowed = allowed | own[each.name][part]
            if seen is not None and each.seen_days:
                allowed = allowed & (seen[part] >= each.seen_days)
            exponents = np.array([each.weights.get(task, 0.0) for task in scorer.tasks])
            score = scores(predictions, exponents)
            found = select(score, allowed, ids[part], each.rules)
            published = predictions[found.owner, found.item][:, order]
            of_rows = score[found.owner, found.item]
            yield _table(
                users.slice(part.start, part.stop - part.start), each, found, published, of_rows, night
            )


def scores(predictions: NDArray[np.float64], exponents: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the product of probability ** exponent over tasks, (..., K) -> (...)."""
    used = exponents != 0
    with np.errstate(divide="ignore"):
        score: NDArray[np.float64] = np.exp(np.log(predictions[..., used]) @ exponents[used])
    return score


def _table(
    users: pa.Table,
    of: WorkerList,
    found: Selected,
    predictions: NDArray[np.float64],
    score: NDArray[np.float64],
    night: NightLists,
) -> pa.Table:
    owner, count = found.owner, len(found.owner)
    items = pa.array(night.item_ids[found.item]) if of.weights else pa.nulls(count)
    columns = {
        "user_id": users["user_id"].take(owner),
        "data_date": users["data_date"].take(owner),
        "list": pa.array([of.name] * count),
        "rank": pa.array(found.rank),
        "item_id": items,
        **{f"p_{task}": pa.array(predictions[:, place]) for place, task in enumerate(night.tasks)},
        "score": pa.array(score) if of.weights else pa.nulls(count),
        "placement_probability": pa.array(found.probability) if of.weights else pa.nulls(count),
        "cohort": users["user_cohort"].take(owner),
        "model_version": pa.array([night.model_version] * count),
        "bucket": users["bucket"].take(owner),
    }
    return pa.table(columns)


def _places(arrays: pa.ChunkedArray, items: int) -> NDArray[np.bool_]:
    """Return which places are in the arrays of some users, null for none, (U, I)."""
    whole = arrays.combine_chunks()
    is_in = np.zeros((len(whole), items), bool)
    lengths = np.diff(whole.offsets.to_numpy())
    is_in[np.repeat(np.arange(len(whole)), lengths), whole.flatten().to_numpy()] = True
    return is_in


def _days_since(maps: pa.ChunkedArray, items: int) -> NDArray[np.int32]:
    """Return days since some users saw each item, from maps, null for none; a number too large for never."""
    whole = maps.combine_chunks()
    days = np.full((len(whole), items), np.iinfo(np.int32).max, np.int32)
    offsets = whole.offsets.to_numpy()
    rows = slice(offsets[0], offsets[-1])
    owner = np.repeat(np.arange(len(whole)), np.diff(offsets))
    days[owner, whole.keys[rows].to_numpy()] = whole.items[rows].to_numpy()
    return days
