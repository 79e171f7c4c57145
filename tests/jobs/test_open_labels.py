"""Likes that arrive a day later: no step learns from, measures or averages a day before they are in.

The log of a day is delivered twice: at first without its likes, and a day later with them.
"""

import json
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from core.training_days import date_range
from jobs.runtime.night import run_history, run_night
from jobs.runtime.pipeline import data_steps
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject
from tests.jobs.test_bad_input import rewrite

pytestmark = pytest.mark.slow

LEARNT, BEFORE = date(2022, 5, 5), date(2022, 5, 6)
TASKS = [
    {"name": "click", "label": "is_click = 1", "kind": "binary"},
    {"name": "long_view", "label": "is_long_view = 1", "kind": "binary"},
    {"name": "like", "label": "is_like = 1", "kind": "binary", "matures_days": 1},
]
SETTINGS = (
    f"tasks={json.dumps(TASKS)}",
    "training.window_days=2",
    "training.keep_negatives=0.5",
    "training.ranks=1",
    "training.distributed=single",
    "training.reader=pyarrow",
    "examples.repeats=[is_like DESC, event_time]",
    "evaluation.min_class_count=1",
)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def nights(
    spark: SparkSession, fresh: SampleProject, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SampleProject, dict[str, str]]:
    """Three nights, each with the likes of the day before and none of its own; what their jobs noted."""
    project = replace(fresh.copy(tmp_path_factory.mktemp("open labels")), extra=SETTINGS)
    whole = {}
    for day in (LEARNT, BEFORE, FIRST_NIGHT, SECOND_NIGHT):
        whole[day] = project.log_file(day).read_bytes()
        rewrite(project.log_file(day), lambda rows: [row | {"is_like": 0} for row in rows])

    run_history(project.ask(FIRST_LOG_DATE, LEARNT))
    project.log_file(LEARNT).write_bytes(whole[LEARNT])
    run_night(
        project.ask(BEFORE), [*data_steps(), "build_pools", "score", "publish"]
    )  # lists of the group means
    project.log_file(BEFORE).write_bytes(whole[BEFORE])
    run_night(project.ask(FIRST_NIGHT, model="ple"), [*data_steps(), "pack", "train", "evaluate"])
    project.log_file(FIRST_NIGHT).write_bytes(whole[FIRST_NIGHT])
    run_night(project.ask(SECOND_NIGHT), [*data_steps(), "look_back", "report"])
    runs = [row for row in project.opened().store.rows("runs") if row["state"] == "done"]
    return project, {f"{row['job']} {row['data_date']}": row["message"] for row in runs}


def rows_of(project: SampleProject, table: str, where: str) -> list[Row]:
    return project.opened().store.rows(table, where)


def counted(project: SampleProject, first: date, last: date) -> list[Row]:
    """Events of some data dates; of repeats the one with a like, then the first."""
    kept: dict[tuple[Any, ...], Row] = {}
    events = [
        row for d in date_range(first, last) for row in rows_of(project, "events", f"data_date = '{d}'")
    ]
    for row in sorted(events, key=lambda row: (-row["is_like"], row["event_time"], row["event_id"])):
        kept.setdefault((row["user_id"], row["item_id"], row["data_date"]), row)
    return list(kept.values())


def packed(project: SampleProject, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels, (n, 3), and weights, (n,), of the rows of a split, padding left out."""
    blocks = [row for row in project.opened().store.rows("training_blocks") if row["split"] == split]
    labels = np.concatenate([np.frombuffer(row["labels"], "<f4").reshape(-1, 3) for row in blocks])
    weight = np.concatenate([np.frombuffer(row["weight"], "<f4") for row in blocks])
    return labels[weight > 0], weight[weight > 0]


def test_a_training_set_ends_before_the_first_day_that_its_night_evaluates(
    nights: tuple[SampleProject, dict[str, str]],
) -> None:
    project, notes = nights
    (pinned,) = project.opened().store.rows("training_sets")
    days = (pinned["first_data_date"], pinned["last_data_date"])

    assert days == (date(2022, 5, 4), LEARNT)
    assert pinned["data_date"] == FIRST_NIGHT
    for split, day, share in (("train", days[0], 0.5), ("validation", days[1], 1.0)):
        rows = counted(project, day, day)
        labels, weight = packed(project, split)
        positives = [sum(row[name] for row in rows) for name in ("is_click", "is_long_view", "is_like")]
        assert labels.sum(axis=0).tolist() == positives  # all of them; the likes, too
        is_negative = labels.sum(axis=1) == 0
        assert set(weight[~is_negative]) == {1.0}
        assert set(weight[is_negative]) == {1 / share}
        negatives = len(rows) - (~is_negative).sum()
        assert abs(is_negative.sum() - share * negatives) <= 6 * (share * (1 - share) * negatives) ** 0.5
        if split == "train":
            found = f"of {len(rows):,} rows of the training days {len(weight):,} are packed"
            assert found in notes[f"pack {FIRST_NIGHT}"]


def test_an_evaluation_counts_the_likes_that_arrived_the_day_after(
    nights: tuple[SampleProject, dict[str, str]],
) -> None:
    project, _ = nights
    measured = rows_of(project, "evaluations", f"last_data_date = '{FIRST_NIGHT}'")
    (like,) = {
        (row["first_data_date"], row["positives"], row["negatives"])
        for row in measured
        if (row["task"], row["cohort"], row["metric"]) == ("like", "all", "auc")
    }

    evaluated = counted(project, BEFORE, BEFORE)
    likes = sum(row["is_like"] for row in evaluated)
    assert likes > 0
    assert like == (BEFORE, likes, len(evaluated) - likes)


def test_baselines_average_no_day_whose_likes_are_open(nights: tuple[SampleProject, dict[str, str]]) -> None:
    project, _ = nights
    for night, first, last in (  # windows of two days that end the day before the night
        (FIRST_NIGHT, date(2022, 5, 5), BEFORE),
        (SECOND_NIGHT, BEFORE, FIRST_NIGHT),
    ):
        means = {
            row["task"]: (row["rows"], row["positives"])
            for row in rows_of(project, "group_means", f"data_date = '{night}'")
            if row["user_cohort"] == ""
        }
        averaged = counted(project, first, last)
        assert means["like"] == (len(averaged), sum(row["is_like"] for row in averaged))
        assert means["click"][0] == len(averaged)


def test_outcomes_are_of_the_newest_day_with_final_labels(
    nights: tuple[SampleProject, dict[str, str]],
) -> None:
    project, notes = nights
    with_list = {row["user_id"] for row in rows_of(project, "scores", f"data_date = '{BEFORE}'")}
    events = rows_of(project, "events", f"data_date = '{FIRST_NIGHT}'")
    liked = {(row["user_id"], row["item_id"]) for row in events if row["is_like"]}
    (found,) = [
        row
        for row in rows_of(project, "outcomes", f"data_date = '{SECOND_NIGHT}'")
        if (row["task"], row["cohort"], row["metric"]) == ("like", "all", "recall")
    ]

    assert found["events"] == len({pair for pair in liked if pair[0] in with_list}) > 0
    page = (project.warehouse / "reports" / "kuairand" / f"{SECOND_NIGHT}.html").read_text()
    assert "Labels of like are final 1 day after their data date: training, evaluation" in page
    assert f"What users did on {FIRST_NIGHT}, the newest data date whose labels are final" in page
    assert "are repeats, which count in no task" in notes[f"build_examples {SECOND_NIGHT}"]
