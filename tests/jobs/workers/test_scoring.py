"""Lists of all users made by Spark, against a plain forward over every pair."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from features.encoding import encoded
from jobs.workers.listing import NightLists, Unit, WorkerList
from jobs.workers.night_items import NightItems
from jobs.workers.predictors import MeanPredictor, ModelPredictor
from jobs.workers.scoring import to_night_lists, with_own_items, with_seen_items
from jobs.workers.slices import Slices
from models.serving.bundle import Bundle
from models.serving.scorer import Pool
from models.serving.selection import Rules, item_keys
from tests.models.small_bundle import CONTEXT_ROW, ITEM_GROUP, ITEM_IDS, ITEM_ROWS, ITEMS
from tests.models.small_bundle import bundle as small_bundle
from tests.models.training_set import GROUPS, MFH

USERS, DAY, TOP_K = 400, date(2022, 5, 3), 5
KEY = T.StructType().add("user_id", "long").add("data_date", "date").add("list", "string")
SCHEMA = KEY.add("rank", "integer").add("item_id", "long").add("p_click", "double").add("p_like", "double")
SCHEMA = SCHEMA.add("score", "double").add("placement_probability", "double").add("cohort", "string")
SCHEMA = SCHEMA.add("model_version", "string").add("bucket", "integer").add("fingerprint", "string")
BATCH = "spark.sql.execution.arrow.maxRecordsPerBatch"
ORDER = np.argsort(ITEM_IDS)
IDS = ITEM_IDS[ORDER]
EVERYTHING = dict.fromkeys(GROUPS, np.ones(ITEMS, bool))
NOTHING = dict.fromkeys(GROUPS, np.zeros(ITEMS, bool))


def in_order(context: tuple[np.ndarray, np.ndarray]) -> Pool:
    items = ITEM_ROWS[0][ORDER], ITEM_ROWS[1][ORDER]
    return Pool(IDS, ITEM_GROUP[ORDER], items, (context[0][0], context[1][0]))


def worker_list(
    name: str = "home", weights: dict[str, float] | None = None, new_places: int = 0, **changes: Any
) -> WorkerList:
    rules = Rules(f"{DAY} {name}", TOP_K, (), new_places, ITEM_GROUP[ORDER] == 0, item_keys([*IDS]))
    parts = {"members": EVERYTHING, "has_own": False, "seen_days": 0, "rules": rules}
    return WorkerList(name=name, weights=weights or {"click": 0.5, "like": 2.0}, **(parts | changes))


@pytest.fixture(scope="module")
def of(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return small_bundle(tmp_path_factory.mktemp("bundle"), MFH)


def night(of: Bundle, *lists: WorkerList) -> NightLists:
    unit = Unit(ModelPredictor(str(of.path), in_order(CONTEXT_ROW)), lists)
    return NightLists("m", IDS, (unit,), ("click", "like"))


def to_users(spark: SparkSession, partitions: int) -> DataFrame:
    rng = np.random.default_rng(1)
    rows = [(user, DAY, GROUPS[user % 3], "abc"[user % 3], float(rng.normal())) for user in range(USERS)]
    columns = (
        "user_id bigint, data_date date, user_cohort string, user_range string, user_click_rate_all double"
    )
    return spark.createDataFrame(rows, columns).repartition(partitions)


def rows_of(users: DataFrame, by: NightLists, of: Bundle, slices: Slices) -> list[tuple[Any, ...]]:
    columns = encoded(users, of.encoder.side("user"))
    lists = to_night_lists(users, by, columns, slices, SCHEMA).collect()
    return sorted((tuple(row) for row in lists), key=lambda row: (row[0], row[2], row[3]))


def plain(of: Bundle, user: Any) -> np.ndarray:
    """Calibrated probabilities of one user for all items, in order of item_id, by a plain forward."""
    group = GROUPS.index(user["user_cohort"])
    categorical, dense = np.zeros((ITEMS, 3), np.int64), np.zeros((ITEMS, 3), np.float32)
    categorical[:, 0], dense[:, 0] = "abc".index(user["user_range"]) + 1, user["user_click_rate_all"]
    categorical[:, 1], dense[:, 1:] = ITEM_ROWS[0][ORDER][:, 0], ITEM_ROWS[1][ORDER]
    categorical[:, 2] = CONTEXT_ROW[0][0]
    model = of.model()
    groups = model.group_of(np.full(ITEMS, group), ITEM_GROUP[ORDER])
    with torch.inference_mode():
        logits = model(*map(torch.from_numpy, (categorical, dense, groups))).numpy()
    return of.calibration.apply(logits, np.full(ITEMS, group))


def test_lists_do_not_depend_on_partitions_batches_and_buckets(spark: SparkSession, of: Bundle) -> None:
    by = night(of, worker_list(), worker_list("shorts", {"like": 1.0}, new_places=2))
    found, slices = [], Slices(2, 2)
    for partitions, batch in ((1, 10_000), (2, 7), (4, 50)):
        spark.conf.set(BATCH, batch)
        found.append(rows_of(to_users(spark, partitions), by, of, slices))
    spark.conf.unset(BATCH)
    users = to_users(spark, 2)
    by_bucket = [row for b in range(2) for row in rows_of(slices.of_bucket(users, b), by, of, slices)]

    assert len(found[0]) == USERS * TOP_K * 2
    assert found[0] == found[1] == found[2]  # to the last bit
    assert sorted(by_bucket, key=lambda row: (row[0], row[2], row[3])) == found[0]


def test_scores_are_those_of_a_plain_forward(spark: SparkSession, of: Bundle) -> None:
    users = to_users(spark, 2).where("user_id < 30")
    by = night(of, worker_list(), worker_list("shorts", {"like": 1.0}))

    lists = {(row[0], row[2], row[3]): row for row in rows_of(users, by, of, Slices(1, 2))}

    for user in users.collect():
        p = plain(of, user)
        for name, score in (("home", p[:, 0] ** 0.5 * p[:, 1] ** 2), ("shorts", p[:, 1])):
            best = np.argsort(-score, kind="stable")[:TOP_K]
            for rank, place in enumerate(best, start=1):
                row = lists[user["user_id"], name, rank]
                assert row[4] == IDS[place]
                np.testing.assert_allclose(row[5:8], [*p[place], score[place]], atol=1e-6)
                assert row[8:11] == (1.0, user["user_cohort"], "m")


def test_users_own_items_come_beside_those_of_their_cohort_and_seen_ones_are_left_out(
    spark: SparkSession, of: Bundle
) -> None:
    members = {**NOTHING, GROUPS[0]: np.arange(ITEMS) < 3}
    lists = (
        worker_list("mine", members=members, has_own=True),
        worker_list("unseen", seen_days=2),
    )
    items = NightItems(rows=_table(IDS), lists=lists)
    users = to_users(spark, 2).where("user_id < 6")
    own = spark.createDataFrame(
        [
            ("mine", 0, int(IDS[9])),
            ("mine", 1, int(IDS[4])),
            ("mine", 1, int(IDS[5])),
            ("other", 2, int(IDS[6])),
        ],
        "list string, user_id bigint, item_id bigint",
    )
    best = {user["user_id"]: np.argsort(-_score(plain(of, user)), kind="stable") for user in users.collect()}
    top = {user: [int(IDS[place]) for place in places] for user, places in best.items()}
    events = spark.createDataFrame(
        [
            (0, top[0][0], DAY),
            (0, top[0][2], DAY - timedelta(days=1)),
            (0, top[0][1], DAY - timedelta(days=2)),  # long enough ago
            (1, top[1][0], DAY),
            (1, top[1][0], DAY - timedelta(days=5)),  # the last time counts
            (2, 10**6, DAY),  # of no pool
        ],
        "user_id bigint, item_id bigint, data_date date",
    )
    users = with_seen_items(with_own_items(users, own, items), events, items, DAY)

    found: dict[tuple[int, str], list[int]] = {}
    rows = rows_of(users, night(of, *lists), of, Slices(1, 2))
    for row in rows:
        found.setdefault((row[0], row[2]), []).append(row[4])

    def ranked(user: int, places: set[int]) -> list[int]:
        return [int(IDS[place]) for place in best[user] if place in places]

    assert found[0, "mine"] == ranked(0, {0, 1, 2, 9})
    assert found[1, "mine"] == ranked(1, {4, 5})
    assert (2, "mine") not in found  # its cohort has nothing for all
    assert found[3, "mine"] == ranked(3, {0, 1, 2})  # of the cohort of user 0
    assert found[0, "unseen"] == [top[0][1], *top[0][3 : TOP_K + 2]]
    assert found[1, "unseen"] == top[1][1 : TOP_K + 1]
    assert found[2, "unseen"] == top[2][:TOP_K]
    of_user_0 = {row[4]: row[5:7] for row in rows if row[:1] + row[2:3] == (0, "mine")}
    np.testing.assert_allclose(of_user_0[IDS[9]], plain(of, users.where("user_id = 0").first())[9], atol=1e-6)


def test_a_list_without_items_is_one_row_of_probabilities(spark: SparkSession, of: Bundle) -> None:
    one, cohorts = np.ones(1, bool), dict.fromkeys(GROUPS, np.ones(1, bool))
    rules = Rules("", 1, (), 0, ~one, np.zeros(1, np.uint64))
    means = {group: np.array([[0.1 + n, 0.5]]) for n, group in enumerate(GROUPS)}
    churn = WorkerList("churn", {}, cohorts, False, 0, rules)
    by = NightLists(
        "group_mean", IDS, (Unit(MeanPredictor(("click", "like"), means), (churn,)),), ("like", "click")
    )
    users = to_users(spark, 1).where("user_id < 3")

    schema = T.StructType([field for field in SCHEMA.fields if field.name not in ("p_click", "p_like")])
    schema = schema.add("p_like", "double").add("p_click", "double")
    lists = to_night_lists(users, by, [], Slices(1, 1), schema).orderBy("user_id").collect()

    assert [
        (row["list"], row["rank"], row["item_id"], row["score"], row["placement_probability"])
        for row in lists
    ] == [("churn", 1, None, None, None)] * 3
    assert [(row["p_click"], row["p_like"]) for row in lists] == [(0.1 + n, 0.5) for n in range(3)]


def _score(p: np.ndarray) -> np.ndarray:
    return p[:, 0] ** 0.5 * p[:, 1] ** 2


def _table(ids: np.ndarray) -> Any:
    return pa.table({"item_id": pa.array(ids)})
