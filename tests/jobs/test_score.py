"""`score` in several buckets: ended after the first, continued, and then as in one."""

from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.runtime.pipeline import all_jobs
from jobs.tables.store import Store
from jobs.workers import slices
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject

BUCKETS = 3
WHERE = f"data_date = '{SECOND_NIGHT}'"


def lists_of(project: SampleProject) -> dict[tuple[int, int], tuple[int, float]]:
    rows = project.opened(SECOND_NIGHT).store.rows("scores_staging", WHERE)
    return {(row["user_id"], row["rank"]): (row["item_id"], row["score"]) for row in rows}


def buckets_written(project: SampleProject) -> list[list[int]]:
    commits = project.opened(SECOND_NIGHT).store.commits("scores_staging").values()
    return [list(metadata["bucket"]) for metadata in commits if "bucket" in metadata]


def test_a_run_that_was_ended_early_goes_on_with_the_buckets_that_it_has_left(
    spark: SparkSession, used_project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_one = lists_of(used_project)
    before = len(buckets_written(used_project))
    users = len({user for user, _ in in_one})
    monkeypatch.setattr(slices, "USERS_PER_BUCKET", -(-users // BUCKETS))
    replace = Store.replace

    def replace_and_end(store: Store, table: str, *arguments: Any) -> Any:
        done = replace(store, table, *arguments)
        if table == "scores_staging":
            raise KeyboardInterrupt
        return done

    ask, score = used_project.ask(SECOND_NIGHT), all_jobs()["score"]
    with monkeypatch.context() as ending:
        ending.setattr(Store, "replace", replace_and_end)
        with pytest.raises(KeyboardInterrupt):
            score(ask)
    assert buckets_written(used_project)[before:] == [[0, BUCKETS]]
    score(ask)

    assert buckets_written(used_project)[before:] == [[bucket, BUCKETS] for bucket in range(BUCKETS)]
    runs = used_project.opened(SECOND_NIGHT).newest_runs([SECOND_NIGHT])
    [run] = [run for key, run in runs.items() if (key.job, key.data_date) == ("score", SECOND_NIGHT)]
    assert "1 of 3 buckets were there before" in run.message
    found = lists_of(used_project)
    assert {key: item for key, (item, _) in found.items()} == {key: item for key, (item, _) in in_one.items()}
    assert [score for _, score in found.values()] == pytest.approx(
        [in_one[key][1] for key in found], rel=1e-6
    )
    rows = used_project.opened(SECOND_NIGHT).store.rows("scores_staging", WHERE)
    assert {row["bucket"] for row in rows} == set(range(BUCKETS))

    monkeypatch.undo()
    score(ask)  # again in one: it takes the other buckets away
    rows = used_project.opened(SECOND_NIGHT).store.rows("scores_staging", WHERE)
    assert {row["bucket"] for row in rows} == {0}
    assert lists_of(used_project) == in_one
