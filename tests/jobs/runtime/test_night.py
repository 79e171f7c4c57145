"""A whole night on a slice of the real log: everybody is scored, everything adds up, nothing leaks."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.paths import local_path
from features.encoding import encoded
from jobs.build_features import build_features
from jobs.ingest import ingest
from jobs.publish import publish
from jobs.runtime.night import plan_night, run_history, run_night
from jobs.score import score
from jobs.tables.decisions import champion_as_of
from jobs.tables.digest import digests
from jobs.tables.registry import registered
from jobs.workers.bundles import to_arrays
from models.serving.bundle import read_bundle
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject
from tests.jobs.test_bad_input import rewrite

LAST_OF_HISTORY = date(2022, 5, 6)


def digest_of(spark: SparkSession, project: SampleProject) -> set[tuple[str, str, str]]:
    """(table, data date, digest) of everything."""
    return {(d.table, d.data_date, d.digest) for d in digests(spark, project.opened().store)}


def test_every_user_has_a_full_list_also_who_was_never_seen(after_two_nights: SampleProject) -> None:
    store = after_two_nights.opened().store
    users = {row["user_id"] for row in store.rows("users")}
    never_seen = {
        row["user_id"]
        for row in store.rows("user_features", f"data_date = '{SECOND_NIGHT}'")
        if row["user_is_never_seen"]
    }

    for night in (FIRST_NIGHT, SECOND_NIGHT):
        ranks: dict[int, list[int]] = {}
        for row in store.rows("scores", f"data_date = '{night}'"):
            ranks.setdefault(row["user_id"], []).append(row["rank"])
        assert set(ranks) == users >= never_seen != set()
        assert all(sorted(found) == [1, 2, 3, 4, 5] for found in ranks.values())


def test_every_row_that_was_read_is_accounted_for(after_two_nights: SampleProject) -> None:
    rows = {row["data_date"]: row for row in after_two_nights.opened().store.rows("row_balance")}
    for day in (FIRST_NIGHT, SECOND_NIGHT):
        parts = ("accepted", "duplicates", "conflicts", "failed")
        assert rows[day]["read"] == sum(rows[day][part] for part in parts) > 0


def test_feature_tables_are_dense(after_two_nights: SampleProject) -> None:
    store = after_two_nights.opened().store
    users = {row["user_id"] for row in store.rows("users")}
    for day in (LAST_OF_HISTORY, SECOND_NIGHT):
        for table in ("user_features", "user_cohorts"):
            keys = [row["user_id"] for row in store.rows(table, f"data_date = '{day}'")]
            assert len(keys) == len(set(keys))
            assert set(keys) == users


def check_lists(spark: SparkSession, project: SampleProject, table: str, night: date) -> set[str]:
    """Some users' lists are those of a plain forward over all cells; gives the cohorts of their items."""
    found = project.opened(night)
    lists = found.store.read(spark, table).where(
        (F.col("data_date") == F.lit(night)) & (F.col("user_id") % 300 == 0)
    )

    def as_of(table: str) -> DataFrame:
        return found.store.read(spark, table).where(F.col("data_date") == F.lit(night)).drop("data_date")

    item_cohorts = as_of("item_cohorts").select("item_id", F.col("cohort").alias("item_cohort"))
    pairs = lists.join(as_of("user_features"), on="user_id").join(as_of("item_features"), on="item_id")
    pairs = pairs.join(item_cohorts, on="item_id").withColumn("user_cohort", F.col("cohort"))
    pairs = pairs.withColumns(
        {name: F.lit(value) for name, value in found.config.lists["home"].context.items()}
    )
    bundle = read_bundle(found.catalog.bundle(lists.first()["model_version"]))
    rows = pairs.select(*lists.columns, "item_cohort", *encoded(pairs, bundle.encoder))
    frame = rows.orderBy("user_id", "rank").toPandas()
    categorical, dense = to_arrays(frame, bundle.encoder)
    user_group = frame["cohort"].map({"new": 0, "low": 1, "high": 2}).to_numpy()
    item_group = frame["item_cohort"].map({"new": 0, "old": 1}).to_numpy()
    with torch.inference_mode():
        cells = bundle.model().all_cells(torch.from_numpy(categorical), torch.from_numpy(dense)).numpy()
    column = {1: 0 * user_group, 3: user_group, 6: 2 * user_group + item_group}[cells.shape[2]]
    probabilities = bundle.calibration.apply(cells[np.arange(len(frame)), :, column], user_group)

    assert len(frame) >= 10
    assert len(set(user_group)) > 1
    place = {task.name: number for number, task in enumerate(bundle.manifest.tasks)}
    for task in found.config.lists["home"].ranking:
        np.testing.assert_allclose(frame[f"p_{task}"], probabilities[:, place[task]], rtol=1e-4)
    weights = found.config.lists["home"].ranking
    score = np.prod([probabilities[:, place[task]] ** w for task, w in weights.items()], axis=0)
    np.testing.assert_allclose(frame["score"], score, rtol=1e-4)
    return set(frame["item_cohort"])


def test_published_probabilities_are_a_plain_forward_of_the_bundle(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    for night in (FIRST_NIGHT, SECOND_NIGHT):
        check_lists(spark, after_two_nights, "scores", night)


def test_a_model_of_user_and_item_cohorts_is_trained_measured_and_scores(
    spark: SparkSession, used_project: SampleProject
) -> None:
    ask, found = used_project.ask(SECOND_NIGHT, model="mfh_item"), used_project.opened()
    run_night(ask, ["train", "evaluate"])
    score(ask)

    (trained,) = (r["model_version"] for r in found.store.rows("models") if r["model"] == "mfh_item")
    manifest = read_bundle(found.catalog.bundle(trained)).manifest
    assert manifest.cohorts == {"user_cohort": ("new", "low", "high"), "item_cohort": ("new", "old")}
    measured = found.store.rows("evaluations", f"last_data_date = '{SECOND_NIGHT}'")
    assert any(row["model_version"] == trained and row["metric"] == "auc" for row in measured)
    staged = found.store.rows("scores_staging", f"data_date = '{SECOND_NIGHT}'")
    assert {row["model_version"] for row in staged} == {trained}
    assert {row["user_id"] for row in staged} == {row["user_id"] for row in found.store.rows("users")}
    assert check_lists(spark, used_project, "scores_staging", SECOND_NIGHT) == {"new", "old"}


def test_a_bundle_knows_item_cohorts_only_where_its_model_tells_them_apart(
    after_two_nights: SampleProject,
) -> None:
    found = after_two_nights.opened()
    for version in registered(found.store):
        manifest = read_bundle(found.catalog.bundle(version.tags["model_version"])).manifest
        assert manifest.cohorts == {"user_cohort": ("new", "low", "high")}


def test_scoring_and_examples_see_the_same_vector(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    found = after_two_nights.opened(SECOND_NIGHT)
    bundle = read_bundle(found.catalog.bundle(str(champion_as_of(found.store, SECOND_NIGHT))))
    examples = found.store.read(spark, "examples").where(F.col("data_date") == F.lit(SECOND_NIGHT))
    for entity in ("user", "item"):
        side = bundle.encoder.side(entity)
        features, cohorts = (
            found.store.read(spark, f"{entity}_{what}").where(F.col("data_date") == F.lit(FIRST_NIGHT))
            for what in ("features", "cohorts")
        )
        cohorts = cohorts.select(f"{entity}_id", F.col("cohort").alias(f"{entity}_cohort"))
        known = features.join(cohorts, on=f"{entity}_id")
        served = known.select(f"{entity}_id", *encoded(known, side))
        trained = examples.select("event_id", f"{entity}_id", *encoded(examples, side))
        matched = trained.join(served.withColumn("is_served", F.lit(True)), on=[*served.columns[:1]])

        assert trained.select(served.columns).distinct().exceptAll(served).isEmpty()
        assert matched.count() == trained.count() > 100


def test_a_second_time_everything_is_up_to_date(after_two_nights: SampleProject) -> None:
    steps = run_night(after_two_nights.ask(SECOND_NIGHT, model="mfh"))

    assert [step.job for step in steps if step.dates] == []
    assert {"train", "promote", "report"} <= {step.job for step in steps}


def test_a_history_is_up_to_date_once_it_ran(after_two_nights: SampleProject) -> None:
    steps = run_history(after_two_nights.ask(FIRST_LOG_DATE, LAST_OF_HISTORY))

    assert [(step.job, step.dates, step.why) for step in steps if step.dates] == []


def test_a_plan_says_what_a_changed_setting_brings_about(after_two_nights: SampleProject) -> None:
    ask = after_two_nights.ask(SECOND_NIGHT, model="mfh")
    changed = replace(ask, settings=(*ask.settings, "lists.home.top_k=4"))

    runs = {step.job: step.why for step in plan_night(changed) if step.dates}

    assert set(runs) == {"score", "publish", "report"}
    assert runs["score"] == "configuration: lists.home.top_k changed"
    assert runs["publish"] == "configuration: suites.scores.rules[8: lists].kwargs.max_value changed"
    assert runs["report"].startswith("scores will change")


def test_a_night_after_training_has_no_training_steps(after_two_nights: SampleProject) -> None:
    assert "train" not in {step.job for step in plan_night(after_two_nights.ask(SECOND_NIGHT, model="ple"))}
    assert "train" in {step.job for step in plan_night(after_two_nights.ask(SECOND_NIGHT, model="mfh"))}


def test_a_job_run_again_changes_no_digest(spark: SparkSession, used_project: SampleProject) -> None:
    before = digest_of(spark, used_project)
    ingest(used_project.ask(SECOND_NIGHT))
    build_features(used_project.ask(SECOND_NIGHT))

    assert digest_of(spark, used_project) == before


def test_a_model_of_choice_scores_in_place_of_the_champion(used_project: SampleProject) -> None:
    found = used_project.opened()
    versions = {version.tags["model_version"] for version in registered(found.store)}
    (mfh,) = (version for version in versions if version.startswith("mfh-"))

    score(used_project.ask(SECOND_NIGHT, model="mfh"))

    staged = found.store.rows("scores_staging", f"data_date = '{SECOND_NIGHT}'")
    assert {row["model_version"] for row in staged} == {mfh}
    assert {row["user_id"] for row in staged} == {row["user_id"] for row in found.store.rows("users")}

    publish(used_project.ask(SECOND_NIGHT))

    newest = max(found.store.rows("publications"), key=lambda row: row["seq"])
    assert newest["model_version"] == mfh
    assert "score" in {step.job for step in plan_night(used_project.ask(SECOND_NIGHT)) if step.dates}


def test_events_of_a_day_change_nothing_that_was_known_before_it(
    spark: SparkSession, used_project: SampleProject
) -> None:
    before = digest_of(spark, used_project)
    examples = used_project.opened().store.rows("examples", f"data_date = '{SECOND_NIGHT}'")
    rewrite(
        used_project.log_file(SECOND_NIGHT),
        lambda rows: [row | {"is_click": 1 - row["is_click"], "play_time_ms": 7} for row in rows[::2]],
    )
    run_night(
        used_project.ask(SECOND_NIGHT, model="mfh"), ["ingest", "check", "build_features", "label_cohorts"]
    )
    run_night(used_project.ask(SECOND_NIGHT, model="mfh"), ["build_examples"])

    changed = {(table, day) for table, day, _ in before ^ digest_of(spark, used_project)}
    assert ("user_features", str(SECOND_NIGHT)) in changed
    assert {day for table, day in changed if table in ("user_features", "user_cohorts", "events")} == {
        str(SECOND_NIGHT)
    }
    known = {row["event_id"]: row for row in examples}
    for row in used_project.opened().store.rows("examples", f"data_date = '{SECOND_NIGHT}'"):
        was = known[row["event_id"]]
        as_of = [name for name in row if name.startswith(("user_", "item_"))]
        assert {name: row[name] for name in as_of} == {name: was[name] for name in as_of}


def test_models_are_registered_and_the_champion_is_among_them(after_two_nights: SampleProject) -> None:
    found = after_two_nights.opened()
    versions = {version.tags["model_version"] for version in registered(found.store)}
    champion = champion_as_of(found.store, SECOND_NIGHT)

    assert champion in versions
    assert {version.split("-")[0] for version in versions} == {"ple", "mfh"}


def test_candidate_and_champion_are_measured_on_the_same_rows(after_two_nights: SampleProject) -> None:
    found = after_two_nights.opened()
    rows = found.store.rows("evaluations", f"last_data_date = '{SECOND_NIGHT}'")
    counts = {
        (row["model_version"], row["task"], row["cohort"]): (row["positives"], row["negatives"])
        for row in rows
        if row["metric"] == "auc"
    }
    versions = {version for version, _, _ in counts}
    assert {version.split("-")[0] for version in versions} == {"ple", "mfh", "popularity", "group_mean"}
    of_version = [{k[1:]: v for k, v in counts.items() if k[0] == version} for version in versions]
    assert all(other == of_version[0] for other in of_version)
    assert all(row["first_data_date"] == FIRST_NIGHT for row in rows)


def test_gauc_tells_how_many_users_count_and_how_many_are_skipped(after_two_nights: SampleProject) -> None:
    rows = after_two_nights.opened().store.rows("evaluations", f"last_data_date = '{SECOND_NIGHT}'")

    of_click = [
        row for row in rows if (row["metric"], row["task"], row["cohort"]) == ("gauc", "click", "all")
    ]
    of_click = [row for row in of_click if row["model_version"] not in ("popularity", "group_mean")]
    assert len(of_click) == 2  # candidate and champion
    for row in of_click:
        assert 0 < row["low"] < row["value"] < row["high"] < 1
        assert row["users"] >= 10
        assert row["one_class_users"] > 0
        assert row["positives"] is None


def test_the_gates_of_each_candidate_are_there_by_cohort_and_on_the_page(
    after_two_nights: SampleProject,
) -> None:
    found = after_two_nights.opened()
    for night, model in ((FIRST_NIGHT, "ple"), (SECOND_NIGHT, "mfh")):
        rows = found.store.rows("gate_weights", f"last_data_date = '{night}'")
        assert {row["model_version"].split("-")[0] for row in rows} == {model}
        assert {"all", "user:new", "user:old", "item:new"} <= {row["cohort"] for row in rows}
        means: dict[tuple[str, str], float] = {}
        for row in rows:
            means[row["gate"], row["cohort"]] = means.get((row["gate"], row["cohort"]), 0.0) + row["mean"]
        assert all(total == pytest.approx(1, abs=1e-4) for total in means.values())
        assert "Mean and standard deviation of" in local_path(found.report_uri(f"{night}.html")).read_text()


def test_from_a_score_one_can_walk_back_to_the_raw_file(after_two_nights: SampleProject) -> None:
    found = after_two_nights.opened(SECOND_NIGHT)
    (row, *_) = [r for r in found.store.rows("models") if r["model"] == "mfh"]
    bundle = read_bundle(found.catalog.bundle(row["model_version"]))

    assert bundle.manifest.training_set == row["training_set"]
    assert row["training_set"] in {r["training_set"] for r in found.store.rows("training_sets")}
    assert row["architectures"] == ["mfh", "ple"]
    assert bundle.manifest.table_versions["training_blocks"] >= 0
    assert {r["path"] for r in found.store.rows("source_files")} >= {f"log/{SECOND_NIGHT}.parquet"}


def test_the_report_of_each_night_and_the_index_are_there(after_two_nights: SampleProject) -> None:
    found = after_two_nights.opened()
    pages = [local_path(found.report_uri(f"{day}.html")) for day in (FIRST_NIGHT, SECOND_NIGHT)]

    assert "no earlier night" in pages[0].read_text().lower()
    assert all(page.name in (page.parent / "index.html").read_text() for page in pages)
    assert str(champion_as_of(found.store, SECOND_NIGHT)) in pages[1].read_text()


@pytest.mark.parametrize("night", [FIRST_NIGHT, SECOND_NIGHT])
def test_readers_are_served_the_newest_publication(after_two_nights: SampleProject, night: date) -> None:
    rows = sorted(after_two_nights.opened().store.rows("publications"), key=lambda row: row["seq"])

    assert [row["data_date"] for row in rows] == [FIRST_NIGHT, SECOND_NIGHT]
    assert [row["seq"] for row in rows] == [1, 2]
    assert night in {row["data_date"] for row in rows}
