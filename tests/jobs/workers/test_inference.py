"""What runs in Spark's workers, without Spark."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from jobs.workers.inference import whole_users


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
