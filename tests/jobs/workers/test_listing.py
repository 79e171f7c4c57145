"""Cutting users into whole forward passes, wherever the batches of Arrow end."""

from itertools import groupby, pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from jobs.workers.listing import whole_passes

runs = st.lists(st.integers(1, 12), max_size=6)
cuts = st.lists(st.integers(0, 60), max_size=8)


def to_users(sizes: list[int]) -> pa.Table:
    """Runs of some sizes: every second one is of the next slice, each of another cohort than that before."""
    owner = [run for run, size in enumerate(sizes) for _ in range(size)]
    columns = ("user_id", pa.int64()), ("slice", pa.int32()), ("user_cohort", pa.string())
    rows = [
        {"user_id": user, "slice": run // 2, "user_cohort": f"c{run % 2}"} for user, run in enumerate(owner)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))


@given(sizes=runs, ends=cuts, users_at_once=st.integers(1, 5))
def test_passes_do_not_depend_on_the_batches(sizes: list[int], ends: list[int], users_at_once: int) -> None:
    users = to_users(sizes)
    edges = sorted({0, len(users), *(min(end, len(users)) for end in ends)})
    batches = [
        batch for start, stop in pairwise(edges) for batch in users.slice(start, stop - start).to_batches()
    ]

    found = [table.to_pylist() for table in whole_passes(batches, users_at_once)]

    assert [row for table in found for row in table] == users.to_pylist()
    keys = [{(row["slice"], row["user_cohort"]) for row in table} for table in found]
    assert all(len(key) == 1 for key in keys)
    for _, tables in groupby(zip(keys, found, strict=True), key=lambda pair: pair[0]):
        assert all(len(table) % users_at_once == 0 for _, table in [*tables][:-1])


def test_empty_batches_are_no_users() -> None:
    users = to_users([3])
    nothing = pa.RecordBatch.from_pylist([], schema=users.schema)

    passes = whole_passes([nothing, *users.to_batches(), nothing], 2)

    assert [len(table) for table in passes] == [2, 1]
