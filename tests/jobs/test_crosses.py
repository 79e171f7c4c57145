"""A data set with crosses through a night: tables, examples, a model, lists, and rows of one's own."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import feature_columns
from features.encoding import encoded
from features.windows import to_cross_features
from jobs.runtime.arguments import Arguments
from jobs.runtime.night import plan_night, run_history, run_night
from jobs.runtime.project import Project
from jobs.runtime.spine import join_spine
from jobs.score import score
from jobs.workers.inference import calibrated_logits
from models.serving.bundle import read_bundle
from tests.features.small import rows_of
from tests.jobs.small_settings import SMALL
from tests.second_data_set import FIRST, LAST, NAME, write_second_data_set

NIGHT = LAST - timedelta(days=1)  # of training
GROUPS = ("taste", "again")
MEASURES = (
    "aggregates: [{name: offer_count, agg: count, windows: [2d, 4d]}, "
    "{name: borrowed_count, agg: sum, of: has_borrowed, windows: [4d]}, "
    "{name: mean_stars, agg: mean, of: stars, windows: [4d]}], "
    "rates: [{name: borrowing_rate, of: borrowed_count, per: offer_count, windows: [4d]}]"
)
SETTINGS = (
    *SMALL,
    "lists.home.top_k=18",  # the whole pool
    f"features.taste={{key: [user_id, item_authors], split: ';', {MEASURES}}}",
    f"features.again={{key: [user_id, item_id], {MEASURES}}}",
    "inputs.dense=[{column: user_offer_count_all, transform: log1p}, {column: taste_offer_count_4d}, "
    "{column: again_offer_count_2d, transform: quantile}, {column: taste_borrowing_rate_4d}, "
    "{column: again_mean_stars_4d}, {column: taste_mean_stars_4d}, {column: item_pages}]",
)


def of_day(project: Project, spark: SparkSession, table: str, day: date) -> DataFrame:
    return project.store.read(spark, table).where(F.col("data_date") == F.lit(day))


@pytest.mark.slow
def test_a_night_scores_pairs_by_what_examples_hold(spark: SparkSession, tmp_path: Path) -> None:
    folder = write_second_data_set(tmp_path, rows_per_day=150)
    ask = Arguments(FIRST, NIGHT - timedelta(days=1), dataset=NAME, settings=SETTINGS, project=folder)
    night = replace(ask, first=NIGHT, last=NIGHT)
    run_history(ask)
    run_night(night)
    assert [step.job for step in plan_night(night) if step.dates] == []
    run_history(replace(ask, first=LAST, last=LAST))  # repairs the night's features, by late rows
    score(replace(night, model="ple"))
    project = Project(replace(ask, first=LAST, last=LAST))

    for group in GROUPS:
        tiles = project.store.read(spark, f"{group}_daily")
        at_once = to_cross_features(tiles, project.config.features.groups[group], group, FIRST, LAST)
        declared = project.catalog[f"{group}_features"]
        for day in (NIGHT, LAST):
            stored = of_day(project, spark, f"{group}_features", day)
            made = at_once.where(F.col("data_date") == F.lit(day)).select(*declared.columns)
            assert rows_of(stored, *declared.grain) == rows_of(made, *declared.grain) != []
    examples = of_day(project, spark, "examples", LAST)
    check_probabilities(project, spark, examples)
    check_spine(project, examples)


def check_probabilities(project: Project, spark: SparkSession, examples: DataFrame) -> None:
    """Examples of the last date, moved to the context of lists, have the probabilities of its lists."""
    lists = of_day(project, spark, "scores_staging", NIGHT)
    (version,) = (row["model_version"] for row in lists.select("model_version").distinct().collect())
    bundle = read_bundle(project.catalog.bundle(version))
    assert [d.column for d in bundle.encoder.side("pair").dense] == [
        "taste_offer_count_4d",
        "again_offer_count_2d",
        "taste_borrowing_rate_4d",
        "again_mean_stars_4d",
        "taste_mean_stars_4d",
    ]
    listed = examples.join(lists.select("user_id", "item_id", "p_borrow"), on=["user_id", "item_id"])
    context = {name: F.lit(value) for name, value in project.config.lists["home"].context.items()}
    rows = listed.withColumns(context).select(
        "p_borrow", "user_cohort", "item_cohort", *encoded(listed.withColumns(context), bundle.encoder)
    )
    frame = rows.toPandas()
    logits = torch.from_numpy(calibrated_logits(str(bundle.path), frame)[:, 0])
    np.testing.assert_allclose(frame["p_borrow"], torch.sigmoid(logits), rtol=1e-4)
    assert (frame["dense_taste_offer_count_4d"] > 0).sum() > 5
    assert (frame["dense_again_offer_count_2d"] > 0).sum() > 0


def check_spine(project: Project, examples: DataFrame) -> None:
    """Rows of one's own get what examples have: of crosses, of other further groups, of users and items."""
    features = project.config.features.groups
    columns = {group: feature_columns(features[group], group) for group in (*GROUPS, "author", "item")}
    keys = ["user_id", "item_id", "data_date"]
    named = [f"{group}.{column}" for group, own in columns.items() for column in own]

    joined = join_spine(project, examples.select(keys), named)

    wanted = examples.select(*keys, *(column for own in columns.values() for column in own))
    assert joined.missing.keys() == {"author", "item"}
    assert joined.missing["item"] == 0
    assert joined.frame.columns == wanted.columns
    assert joined.frame.exceptAll(wanted).isEmpty()
    assert wanted.exceptAll(joined.frame).isEmpty()
