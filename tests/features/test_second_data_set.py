"""The pure functions do not depend on KuaiRand: they accept a data set of other names, types and shapes."""

from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.columns import input_sides
from core.config_model import EntityName
from core.load import load_config
from core.schema import Config
from core.training_days import date_range
from features.encoding import encoded, fit_encoder
from features.entities import to_entities
from features.events import to_events, with_row_status
from features.group_means import to_daily_sums, to_group_means
from features.outcomes import to_outcomes
from features.packing import to_blocks
from features.pools import to_pools
from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project
from jobs.tables.raw import read_attributes, read_log
from jobs.tables.sources import Sources
from tests.features.small import Tables, build
from tests.jobs.workers.mean_lists import mean_lists
from tests.second_data_set import BOOKS, FIRST, LAST, NAME, READERS, write_second_data_set


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_second_data_set(tmp_path_factory.mktemp("library"), rows_per_day=60)


@pytest.fixture(scope="module")
def library(project: Path) -> Config:
    return load_config(NAME, folder=project)


@pytest.fixture(scope="module")
def judged(spark: SparkSession, project: Path, library: Config) -> DataFrame:
    """All rows of all files, each with its status; null where something could not be read."""
    sources = sources_of(project)
    files = [file for day in date_range(FIRST, LAST) for file in sources.log.of(day)]
    events = to_events(read_log(spark, library.source.events, files, sources.log.columns), library)
    needed = ("user_id", "item_id", "event_time", "has_borrowed", "reading_seconds", "stars")
    unreadable = F.array_compact(F.array(*(F.when(F.col(name).isNull(), F.lit(name)) for name in needed)))
    return with_row_status(events.withColumn("failed_rules", unreadable), library).localCheckpoint()


def sources_of(project: Path) -> Sources:
    return Project(Arguments(FIRST, LAST, dataset=NAME, project=project)).sources


@pytest.fixture(scope="module")
def tables(spark: SparkSession, project: Path, judged: DataFrame, library: Config) -> Tables:
    sources = sources_of(project)
    accepted = judged.where(F.col("row_status") == "accepted")

    def entities(entity: EntityName) -> DataFrame:
        offered = sources.attributes_of(entity)
        assert offered is not None
        raw = read_attributes(spark, offered.source, offered.all_files(), offered.columns())
        return to_entities(raw, offered.source, entity, "string")

    users, items = entities("user"), entities("item")
    return build(accepted, users, items, library, FIRST, LAST - timedelta(days=1))


def test_unreadable_values_are_null_and_the_others_are_read(judged: DataFrame) -> None:
    rows = judged.collect()

    assert {row["row_status"] for row in rows} == {"accepted", "duplicate", "failed"}
    bad = [row for row in rows if row["row_status"] == "failed"]
    assert {rule for row in bad for rule in row["failed_rules"]} == {
        "user_id", "event_time", "has_borrowed", "reading_seconds"
    }  # fmt: skip
    assert all("" not in (row["user_id"], row["item_id"]) for row in rows)
    assert any(float(row["reading_seconds"] or 0) > 0 for row in rows)
    assert {row["days_late"] for row in rows if row["row_status"] == "accepted"} == {0, 1}


def test_every_user_has_features_and_a_cohort(tables: Tables) -> None:
    users = tables.user_features.where(F.col("data_date") == LAST - timedelta(days=1)).collect()

    assert {row["user_id"] for row in users} == {*READERS, "Nie:gesehen"}
    assert {row["user_is_never_seen"] for row in users if row["user_id"] == "Nie:gesehen"} == {True}
    assert {row["cohort"] for row in tables.user_cohorts.collect()} == {"guest", "regular"}
    assert {row["item_id"] for row in tables.item_features.collect()} == set(BOOKS)


def test_examples_are_encoded_and_packed(tables: Tables, library: Config) -> None:
    encoder = fit_encoder(tables.examples, library.inputs, input_sides(library))
    blocks = to_blocks(tables.examples, encoder, library, "set", "train").collect()

    device = next(c for c in encoder.categorical if c.column == "user_device")
    assert (device.side, set(device.vocabulary)) == ("context", {"phone", "desk"})
    assert [c.column for c in encoder.side("context").categorical] == ["user_device", "shelf"]
    assert sum(block["rows"] for block in blocks) == tables.examples.count()
    labels = tables.examples.agg(F.max("label_borrow"), F.max("label_minutes")).first()
    assert labels is not None
    assert (labels[0], labels[1] > 1) == (1.0, True)
    assert tables.examples.select(*encoded(tables.examples, encoder)).first() is not None


def test_lists_are_made_without_a_model_and_looked_back_at(
    tables: Tables, judged: DataFrame, library: Config
) -> None:
    day = LAST - timedelta(days=1)
    by_day = to_daily_sums(tables.examples, library.baselines, library.tasks)
    means = to_group_means(by_day, library.baselines, library.tasks, day, day, 4)
    items = tables.item_features.where(F.col("data_date") == day).join(
        tables.item_cohorts.withColumnRenamed("cohort", "item_cohort"), on=["item_id", "data_date"]
    )
    cohorts = tables.user_cohorts.where(F.col("data_date") == day)
    users = tables.user_features.where(F.col("data_date") == day).join(
        cohorts.withColumnRenamed("cohort", "user_cohort"), on=["user_id", "data_date"]
    )

    accepted = judged.where(F.col("row_status") == "accepted")
    pools = to_pools(items, accepted, cohorts, {}, library, day).localCheckpoint()
    lists = mean_lists(users, items, pools, means, library, day).localCheckpoint()
    events = accepted.where(F.col("data_date") == LAST)
    outcomes = to_outcomes(lists, pools, None, events, library).collect()

    assert lists.count() == 5 * (len(READERS) + 1)
    assert lists.where("p_borrow IS NULL OR p_borrow NOT BETWEEN 0 AND 1").isEmpty()
    assert 15 <= pools.select("item_id").distinct().count() <= 15 + 3
    assert {(row["list"], row["task"], row["cohort"]) for row in outcomes} == {
        ("home", "borrow", cohort) for cohort in ("all", "user:guest", "user:regular")
    }
    recalls = {row["metric"]: row["value"] for row in outcomes if row["cohort"] == "all"}
    assert 0 < recalls["recall"] < recalls["pool_recall"] <= 1
