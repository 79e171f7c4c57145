"""The Python API: what the command line does, as functions that return values."""

import logging
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import lamplighter
from core.columns import feature_columns
from core.errors import ConfigError, LamplighterError
from jobs.runtime.plan import PlannedStep
from tests.jobs.sample_project import FIRST_NIGHT, SECOND_NIGHT, SampleProject


def opened(sample: SampleProject, *settings: str) -> lamplighter.Project:
    return lamplighter.open(settings=[*sample.settings, *settings])


def names_that_run(steps: list[PlannedStep]) -> list[str]:
    return [step.job for step in steps if step.dates]


# --- without Spark ------------------------------------------------------------------------------


def test_a_project_has_its_configuration_and_tables(fresh: SampleProject) -> None:
    project = opened(fresh)

    assert project.config.lists["home"].top_k == 5
    assert {"events", "user_features", "scores"} <= set(project.tables)
    assert project.table("scores").grain == ("user_id", "data_date", "list", "rank")
    assert project.table("user_features").columns["user_click_count_7d"].simpleString() == "bigint"


def test_an_unknown_table_is_refused_with_those_that_there_are(fresh: SampleProject) -> None:
    with pytest.raises(ConfigError, match=r"'user_feature' is no table; there are .*'user_features'"):
        opened(fresh).table("user_feature")


def test_an_unknown_job_is_refused_with_those_that_there_are(fresh: SampleProject) -> None:
    with pytest.raises(ConfigError, match=r"'ingests' is no job; there are .*'night'.*'ingest'"):
        opened(fresh).run("ingests", SECOND_NIGHT)


@pytest.mark.parametrize("what", ["score", "night", "train"])
def test_a_range_is_refused_where_one_date_is_taken(fresh: SampleProject, what: str) -> None:
    with pytest.raises(ConfigError, match="takes one data date"):
        opened(fresh).run(what, f"{FIRST_NIGHT}..{SECOND_NIGHT}")


def test_a_model_is_refused_where_none_is_trained(fresh: SampleProject) -> None:
    dates = f"{FIRST_NIGHT}..{SECOND_NIGHT}"

    with pytest.raises(ConfigError, match="model 'mfh' is for a night, and a history trains none"):
        opened(fresh).plan(dates, model="mfh")
    with pytest.raises(ConfigError, match="model 'mfh' is for a night, and a history trains none"):
        opened(fresh).run("history", dates, model="mfh")


def test_lists_are_of_one_date(fresh: SampleProject) -> None:
    with pytest.raises(ConfigError, match="lists takes one data date"):
        opened(fresh).lists(40, f"{FIRST_NIGHT}..{SECOND_NIGHT}")


def test_lists_of_a_project_without_publication_are_an_error(fresh: SampleProject) -> None:
    with pytest.raises(LamplighterError, match="nothing was published yet"):
        opened(fresh).lists(40)


def test_a_wrong_setting_is_refused_when_the_project_is_opened(fresh: SampleProject) -> None:
    with pytest.raises(ConfigError, match=r"training.epocs: unknown key"):
        opened(fresh, "training.epocs=3")


def test_another_folder_brings_its_own_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="base"):
        lamplighter.open(tmp_path)


# --- after two nights ---------------------------------------------------------------------------


def test_a_table_is_read_by_date_by_range_and_as_a_whole(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    project = opened(after_two_nights)
    one, both = (
        project.read("user_features", data_date=dates)
        for dates in (SECOND_NIGHT, f"{FIRST_NIGHT}..{SECOND_NIGHT}")
    )

    users = project.read("users").count()
    assert one.count() == users
    assert both.count() == 2 * users
    assert {row["data_date"] for row in both.select("data_date").distinct().collect()} == {
        FIRST_NIGHT,
        SECOND_NIGHT,
    }
    assert one.columns == list(project.table("user_features").columns)


def test_a_table_is_read_as_of_an_older_version(spark: SparkSession, after_two_nights: SampleProject) -> None:
    project = opened(after_two_nights)

    assert project.read("publications", version=0).count() < project.read("publications").count() == 2


def test_a_table_without_data_dates_is_not_read_by_date(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    with pytest.raises(ConfigError, match="users has no column data_date; its grain is"):
        opened(after_two_nights).read("users", data_date=SECOND_NIGHT)


def test_a_list_is_what_readers_are_served_or_that_of_a_date(after_two_nights: SampleProject) -> None:
    project = opened(after_two_nights)
    served, older = project.lists(40), project.lists("40", data_date=FIRST_NIGHT)

    assert [row["rank"] for row in served] == [row["rank"] for row in older] == [1, 2, 3, 4, 5]
    assert {row["data_date"] for row in served} == {SECOND_NIGHT}
    assert {row["data_date"] for row in older} == {FIRST_NIGHT}
    assert project.lists(41) == []  # not in the slice


def test_a_plan_says_what_a_changed_setting_makes_again(after_two_nights: SampleProject) -> None:
    assert names_that_run(opened(after_two_nights).plan(SECOND_NIGHT, model="mfh")) == []

    steps = opened(after_two_nights, "lists.home.top_k=4").plan(str(SECOND_NIGHT), model="mfh")

    assert names_that_run(steps)[:2] == ["score", "publish"]
    assert {step.job: step.why for step in steps}["score"] == "configuration: lists.home.top_k changed"


def test_a_plan_of_a_range_is_that_of_a_history(after_two_nights: SampleProject) -> None:
    steps = opened(after_two_nights).plan(f"{FIRST_NIGHT}..{SECOND_NIGHT}")

    assert [step.job for step in steps][-1] == "fit_group_means"
    assert {step.why for step in steps} == {"up to date"}


def test_a_spine_made_of_examples_gets_their_features(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    project = opened(after_two_nights)
    examples = project.read("examples", data_date=f"{FIRST_NIGHT}..{SECOND_NIGHT}")
    config = project.config.features
    features = [*feature_columns(config.user, "user"), *feature_columns(config.item, "item")]
    named = [f"{name.partition('_')[0]}.{name}" for name in features]
    spine = examples.select("user_id", "item_id", "event_time", F.lit("kept").alias("note"))

    joined = project.join(spine, [*named, "user.cohort", "item.cohort"])

    columns = ["user_id", "item_id", "event_time", *features, "user_cohort", "item_cohort"]
    assert joined.columns == ["user_id", "item_id", "event_time", "note", *columns[3:]]
    expected, found = examples.select(columns), joined.select(columns)
    assert expected.count() > 100
    assert expected.exceptAll(found).count() == found.exceptAll(expected).count() == 0


def test_a_spine_of_pandas_is_joined_and_unknown_keys_are_counted(
    spark: SparkSession,
    after_two_nights: SampleProject,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = opened(after_two_nights)
    # A night sets the logger up for itself, and what it says then does not reach pytest.
    monkeypatch.setattr(logging.getLogger("lamplighter"), "propagate", True)
    spine = pd.DataFrame({"user_id": ["40", "41", "40"], "data_date": [str(SECOND_NIGHT)] * 3})

    joined = project.join(spine, ["user.user_is_video_author", "user.cohort"]).toPandas()

    assert sorted(joined["user_id"]) == ["40", "40", "41"]  # 41 is not in the slice
    assert set(joined[joined["user_id"] == "41"]["user_cohort"]) == {"new"}
    assert "user: 1 of 3 rows have a key that is not known" in caplog.text


def test_a_spine_is_refused_where_features_are_not_built_or_names_are_taken(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    project = opened(after_two_nights)

    def spine(day: str, **columns: str) -> pd.DataFrame:
        return pd.DataFrame([{"user_id": 40, "data_date": day, **columns}])

    with pytest.raises(
        ConfigError,
        match="user_features: no rows as of 2022-05-09, the days before dates of the spine; run "
        "`lamplighter history --data-date 2022-05-09`",
    ):
        project.join(spine("2022-05-10"), ["user.cohort"])
    with pytest.raises(LamplighterError, match="1 of 1 rows have no readable data_date"):
        project.join(spine("10.5.2022"), ["user.cohort"])
    with pytest.raises(ConfigError, match="it has columns user_cohort already, and features of these names"):
        project.join(spine("2022-05-08", USER_COHORT="new"), ["user.cohort"])


def test_a_udf_gives_pairs_the_probabilities_of_their_lists(
    spark: SparkSession, after_two_nights: SampleProject
) -> None:
    project = opened(after_two_nights)
    config = project.config
    lists = project.read("scores", data_date=SECOND_NIGHT).where("user_id % 3 = 0")
    [version] = [row["model_version"] for row in lists.select("model_version").distinct().collect()]
    types = project._project.catalog.input_types()
    context = {name: F.lit(value).cast(types[name]) for name, value in config.lists["home"].context.items()}
    spine = lists.withColumn("data_date", F.date_add("data_date", 1)).withColumns(context)
    features = [
        f"{group}.{name}"
        for group in ("user", "item")
        for name in (*feature_columns(config.features.groups[group], group), "cohort")
    ]
    rows = project.join(spine, features)

    score = project.score_udf(version)
    tasks = sorted(config.lists["home"].ranking)
    found = rows.withColumn("found", score(F.struct("*")))
    rows.createOrReplaceTempView("pairs")
    by_sql = spark.sql("SELECT user_id, item_id, lamplighter_score(struct(*)).click AS p FROM pairs")

    pairs = found.select(*(f"p_{task}" for task in tasks), *(f"found.{task}" for task in tasks)).collect()
    assert len(pairs) > 50
    for row in pairs:
        assert list(row)[len(tasks) :] == pytest.approx(list(row)[: len(tasks)], rel=1e-5)
    clicks = {(row["user_id"], row["item_id"]): row["p_click"] for row in lists.collect()}
    assert {(row["user_id"], row["item_id"]): row["p"] for row in by_sql.collect()} == pytest.approx(
        clicks, rel=1e-5
    )
    project.score_udf()  # of the champion
    mlflow.set_tracking_uri(project._project.catalog.registry)  # also where models are registered
    loaded = mlflow.pyfunc.load_model(f"models:/{config.dataset}@champion")
    probabilities = "SELECT p.* FROM (SELECT lamplighter_score(struct(*)) AS p FROM pairs)"
    example = mlflow.models.Model.load(f"models:/{config.dataset}@champion").load_input_example(
        f"models:/{config.dataset}@champion"
    )
    assert set(loaded.predict(example).columns) == set(config.lists["home"].ranking)
    by_champion = spark.sql(probabilities).toPandas()
    assert loaded.predict(rows.toPandas()).to_numpy() == pytest.approx(by_champion.to_numpy(), rel=1e-5)


def test_a_job_and_a_night_are_run(spark: SparkSession, used_project: SampleProject) -> None:
    project = opened(used_project, "lists.home.top_k=4")
    (step,) = project.run("score", SECOND_NIGHT)
    assert step.dates == (SECOND_NIGHT,)
    assert len(project.lists(40)) == 5  # not published yet

    ran = project.run("night", str(SECOND_NIGHT), model="mfh")

    assert "publish" in names_that_run(ran)
    assert "score" not in names_that_run(ran)
    assert len(project.lists(40)) == 4
