"""Lists of a model made by Spark, against the scorer on all users at once."""

from datetime import date

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from core.schema import Config
from jobs.workers.scoring import to_model_lists
from jobs.workers.slices import Slices
from models.serving.bundle import Bundle
from models.serving.scorer import PairScorer
from tests.features.small import small_config
from tests.models.small_bundle import bundle as small_bundle
from tests.models.small_bundle import pool
from tests.models.training_set import GROUPS, MFH

USERS, DAY, TOP_K = 400, date(2022, 5, 3), 5
SCHEMA = """user_id bigint, data_date date, rank int, item_id bigint, p_click double, score double,
    cohort string, model_version string, bucket int"""
BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("bundle"), MFH)


@pytest.fixture(scope="module")
def config() -> Config:
    found = small_config()
    return found.model_copy(update={"ranking": found.ranking.model_copy(update={"top_k": TOP_K})})


def to_users(spark: SparkSession, partitions: int) -> DataFrame:
    rng = np.random.default_rng(1)
    rows = [(user, DAY, GROUPS[user % 3], "abc"[user % 3], float(rng.normal())) for user in range(USERS)]
    columns = (
        "user_id bigint, data_date date, user_cohort string, user_range string, user_click_rate_all double"
    )
    return spark.createDataFrame(rows, columns).repartition(partitions)


def lists_of(users: DataFrame, of: Bundle, config: Config, slices: Slices) -> list[tuple[object, ...]]:
    lists = to_model_lists(users, pool(), of, slices, config, T.StructType.fromDDL(SCHEMA)).collect()
    return sorted(tuple(row) for row in lists)


def test_lists_do_not_depend_on_partitions_and_batches(
    spark: SparkSession, of: Bundle, config: Config
) -> None:
    slices, found = Slices(2, 2), []
    for partitions, batch in ((1, 10_000), (2, 7), (4, 50)):
        spark.conf.set(BATCH, batch)
        found.append(lists_of(to_users(spark, partitions), of, config, slices))
    spark.conf.unset(BATCH)

    assert len(found[0]) == USERS * TOP_K
    assert found[0] == found[1] == found[2]  # to the last bit


def test_a_list_is_that_of_the_scorer_and_buckets_together_are_all_users(
    spark: SparkSession, of: Bundle, config: Config
) -> None:
    users, slices = to_users(spark, 2), Slices(3, 1)

    by_bucket = [lists_of(slices.of_bucket(users, bucket), of, config, slices) for bucket in range(3)]

    assert [{row[-1] for row in rows} for rows in by_bucket] == [{0}, {1}, {2}]
    lists = sorted(row for rows in by_bucket for row in rows)
    assert lists == lists_of(users, of, config, slices)
    found = {(row[0], row[2]): (row[3], row[4], row[5], row[6]) for row in lists}
    scorer = PairScorer(of, pool(), config.ranking.weights)
    for row in users.where("user_id < 30").collect():
        place = GROUPS.index(row["user_cohort"])
        encoded = np.array([["abc".index(row["user_range"]) + 1]])
        top = scorer.top_k(encoded, np.array([[row["user_click_rate_all"]]], np.float32), place, TOP_K)
        for rank in range(TOP_K):
            item, click, score, cohort = found[row["user_id"], rank + 1]
            assert (item, cohort) == (pool().item_ids[top.item[0, rank]], row["user_cohort"])
            assert (click, score) == (top.probabilities[0, rank, 0], top.score[0, rank])
