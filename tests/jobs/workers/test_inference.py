"""What runs in Spark's workers, without Spark."""

import tracemalloc

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from jobs.workers.inference import STATES_AT_ONCE, merge_states, merged, whole_users
from models.metrics.binary import CellState
from models.metrics.bootstrap import user_weights


@given(st.lists(st.integers(1, 9), max_size=12), st.lists(st.integers(0, 4), min_size=60, max_size=60))
def test_batches_are_cut_between_users_and_no_row_is_lost(rows_of_user: list[int], sizes: list[int]) -> None:
    users = [f"u{user:02}" for user, count in enumerate(rows_of_user) for _ in range(count)]
    rows = pd.DataFrame({"user_id": users, "row": range(len(users))})
    starts = [0, *pd.Series(sizes).cumsum()]
    ends = [*starts[1:], len(rows)]
    batches = [rows.iloc[start:end] for start, end in zip(starts, ends, strict=True)]

    found = list(whole_users(batches))

    assert [row for batch in found for row in batch["row"]] == list(range(len(rows)))
    assert sum(batch["user_id"].nunique() for batch in found) == len(rows_of_user)
    assert all(len(batch) for batch in found)


def states_of(batch: int, rows: int = 50) -> pd.DataFrame:
    """Return the states of two cells of one batch; weights are such that sums are exact."""
    rng = np.random.default_rng(batch)
    found = []
    for cohort in ("all", "user:new"):
        labels, drawn = rng.integers(0, 2, rows), user_weights(rng.integers(0, 9, rows), 20)
        state = CellState.of(rng.normal(size=rows), labels, np.full(rows, 0.5), drawn)
        found.append(("v", "click", cohort, "binary", state.to_bytes()))
    return pd.DataFrame(found, columns=["model_version", "task", "cohort", "kind", "state"])


def test_a_partition_of_many_batches_has_one_state_of_each_cell() -> None:
    batches = [states_of(number) for number in range(2 * STATES_AT_ONCE + 3)]

    found = pd.concat(merged(iter(batches)))

    assert len(found) == 2  # of two cells
    for cohort, of_cell in pd.concat(batches).groupby("cohort"):
        one, other = (merge_states("binary", rows) for rows in (found[found["cohort"] == cohort], of_cell))
        assert one.counts() == other.counts()
        np.testing.assert_array_equal(one.sums, other.sums)
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-12)


def test_few_states_come_as_they_are() -> None:
    """So sums of some ten thousand rows are added up in one order, as they were before states were merged."""
    batches = [states_of(number) for number in range(STATES_AT_ONCE - 1)]

    pd.testing.assert_frame_equal(pd.concat(merged(iter(batches))), pd.concat(batches))


def test_merging_holds_few_states_at_a_time() -> None:
    states = pd.concat([states_of(number, rows=2000) for number in range(40)])
    of_cell = states[states["cohort"] == "all"]
    one = CellState.from_bytes(of_cell["state"].iloc[0])

    tracemalloc.start()
    merge_states("binary", of_cell)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 25 * one.sums.nbytes  # of their union, which has 2.5 times the bins of one, four or five
