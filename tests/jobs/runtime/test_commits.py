"""What commits carry: the run, and the fingerprint of each partition that they replace."""

from collections.abc import Mapping
from datetime import date

import pytest

from core.load import PROJECT_DIR, load_config
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.reads import USER_POOLS
from jobs.runtime.record import WHOLE_TABLE
from jobs.tables.catalog import Catalog
from jobs.tables.ledger import RunKey
from tests.jobs.sample_project import SampleProject

TABLES = sorted(
    {table for job in all_jobs().values() for table in job.writes if "{" not in table and table != USER_POOLS}
    | {f"{entity}{kind}" for entity in ("user", "item") for kind in ("s", "_daily", "_features", "_cohorts")}
)


@pytest.mark.parametrize("table", TABLES)
def test_the_newest_commit_of_a_data_date_carries_the_fingerprint_of_the_ledger(
    table: str, after_two_nights: SampleProject
) -> None:
    project = after_two_nights.opened()
    ledger = project.ledger.newest_of_all()
    newest = {
        (commit["model"], partition): (commit, fingerprint)
        for commit in project.store.commits(table).values()
        if commit
        for partition, fingerprint in commit["partitions"].items()
    }

    assert newest or not project.store.rows(table)  # Delta makes no commit of no rows in place of no rows
    for (model, partition), (commit, fingerprint) in newest.items():
        assert set(commit) - {"columns", "made_of", "bucket"} == {"run_id", "job", "model", "partitions"}
        if is_date(partition):
            run = ledger[RunKey(commit["job"], model, date.fromisoformat(partition))]
            assert (commit["run_id"], fingerprint) == (run.run_id, run.fingerprint)
        elif partition != WHOLE_TABLE:  # a training set: its name ends with the fingerprint
            assert partition.endswith(f"_{fingerprint[:12]}")


def is_date(text: str) -> bool:
    return len(text) == 10 and text[4] == "-"


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        *((table, "training set") for table in ("encoders", "training_blocks", "training_sets")),
        *((table, WHOLE_TABLE) for table in ("users", "items")),
        *((table, "data date") for table in ("events", "user_features", "models", "promotions", "scores")),
    ],
)
def test_a_commit_names_the_partition_that_it_replaces(
    table: str, kind: str, after_two_nights: SampleProject
) -> None:
    store = after_two_nights.opened().store
    names = {name for commit in store.commits(table).values() if commit for name in commit["partitions"]}

    assert {
        "data date" if is_date(name) else WHOLE_TABLE if name == WHOLE_TABLE else "training set"
        for name in names
    } == {kind}


def test_a_commit_of_features_carries_a_hash_per_column(after_two_nights: SampleProject) -> None:
    project = after_two_nights.opened()
    commit = project.store.newest_metadata("user_features")
    keys = {"user_id", "data_date"}

    assert set(commit["columns"]) == set(project.catalog["user_features"].columns) - keys


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        (
            "behaviours.is_like.from=is_follow",
            {"user_like_count_7d", "user_like_count_all", "user_like_rate_all"},
        ),
        ("features.user.attributes=[user_fans_range]", set()),
        ("source.events.columns.tab.from=tab + 1", set()),  # no feature reads it
    ],
)
def test_the_hash_of_a_column_follows_what_it_reads(setting: str, changed: set[str]) -> None:
    before = user_columns()
    after = user_columns("inputs.categorical=[{column: tab, dim: 2}]", "inputs.dense=[]", setting)

    assert {name for name in after if before[name] != after[name]} == changed


def user_columns(*settings: str) -> Mapping[str, str]:
    config = load_config(overrides=settings)
    return Catalog(config, PROJECT_DIR)["user_features"].column_fingerprints
