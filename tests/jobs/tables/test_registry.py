"""MLflow mirrors the bundles: what is lost there is written again, what is broken there is one line.

MLflow keeps its databases open, so what another process would find is looked at in a folder of its own.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import LamplighterError
from jobs.tables.registry import CHAMPION, mirror_champion, register, registered
from jobs.tables.store import Store
from jobs.tables.table import Table
from tests.jobs.tables.small import BOOLEAN, DATE, DAY, LONG, STRING, small_store

pytestmark = pytest.mark.spark  # no session, but MLflow takes seconds: not for `make check`
TAGS = {"training_set": "set", "model": "ple", "code_revision": "r1"}
MANIFEST = {
    "training_set": "set",
    "code_revision": "r1",
    "tasks": [{"name": "click"}, {"name": "like"}],
    "columns": {"tab": "int", "hour": "int"},
    "table_versions": {"training_blocks": 3, "encoders": 2},
    "seed": 7,
}
EPOCHS = [
    {
        "epoch": epoch,
        "train_loss": loss + 0.1,
        "validation_loss": loss,
        "rows_per_second": 1000.0,
        "validation_metrics": {"click": {"auc": 1 - loss}, "click|new": {"auc": None, "log_loss": loss}},
    }
    for epoch, loss in ((1, 0.6), (2, 0.4), (3, 0.5))
]


PROMOTIONS = Table(
    "promotions",
    ("data_date", "decision_no"),
    {"data_date": DATE, "decision_no": LONG, "candidate": STRING, "promoted": BOOLEAN},
)


def store_with(folder: Path, *names: str) -> Store:
    """A store, and the files of bundles that the registry reads."""
    store = small_store(folder, PROMOTIONS)
    for name in names:
        bundle = store.catalog.bundle(name)
        bundle.mkdir(parents=True)
        (bundle / "manifest.json").write_text(json.dumps(MANIFEST))
        (bundle / "model.yaml").write_text("{name: ple, tower: [32], optimiser: {learning_rate: 0.01}}")
        bundle.with_suffix(".history.json").write_text(json.dumps(EPOCHS))
    return store


def decide(store: Store, number: int, champion: str) -> None:
    row = {"data_date": DAY, "decision_no": number, "candidate": champion, "promoted": True}
    store.append_rows("promotions", [row], "test", {})


def database(store: Store) -> Path:
    return store.catalog.bundle("registry.db")


def client_of(store: Store) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=store.catalog.registry, registry_uri=store.catalog.registry)


def champions(store: Store) -> list[str]:
    """Versions with the alias."""
    versions = {version.version: version.tags["model_version"] for version in registered(store)}
    aliases = client_of(store).get_registered_model(store.catalog.dataset).aliases
    return [versions[number] for alias, number in aliases.items() if alias == CHAMPION]


def test_versions_are_mirrored_once_with_their_tags(tmp_path: Path) -> None:
    store = store_with(tmp_path, "ple-a", "mfh-b")
    for name in ("ple-a", "mfh-b", "ple-a"):
        register(store, store.catalog.bundle(name))

    found = {version.tags["model_version"]: version for version in registered(store)}
    assert set(found) == {"ple-a", "mfh-b"}
    assert found["ple-a"].tags == TAGS | {"model_version": "ple-a"}
    assert found["ple-a"].source == str(store.catalog.bundle("ple-a"))


def runs_of(store: Store) -> list[Any]:
    client = client_of(store)
    experiment = client.get_experiment_by_name(store.catalog.dataset)
    return list(client.search_runs([experiment.experiment_id]))


def test_a_run_shows_parameters_a_curve_per_metric_and_the_table_versions(tmp_path: Path) -> None:
    store = store_with(tmp_path, "ple-a")
    register(store, store.catalog.bundle("ple-a"))

    (version,), (run,) = registered(store), runs_of(store)
    assert (version.run_id, run.info.run_name, run.info.status) == (run.info.run_id, "ple-a", "FINISHED")
    assert version.description == "validation loss 0.4000 at epoch 2 of 3"
    assert run.data.params == {
        "name": "ple", "tower": "[32]", "optimiser.learning_rate": "0.01",
        "training_set": "set", "tasks": "click, like", "inputs": "2", "seed": "7",
    }  # fmt: skip
    client = client_of(store)

    def curve(name: str) -> list[tuple[int, float]]:
        return [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]

    assert curve("validation_loss") == [(1, 0.6), (2, 0.4), (3, 0.5)]
    assert curve("click/auc") == [(1, 0.4), (2, 0.6), (3, 0.5)]
    assert curve("click/new/log_loss") == [(1, 0.6), (2, 0.4), (3, 0.5)]
    assert (curve("best_epoch"), curve("best_validation_loss")) == ([(2, 2.0)], [(2, 0.4)])
    assert "click/new/auc" not in run.data.metrics
    found = {each.dataset.name: json.loads(each.dataset.source) for each in run.inputs.dataset_inputs}
    assert {name: source["delta_table_version"] for name, source in found.items()} == {
        "training_blocks": 3,
        "encoders": 2,
    }
    assert found["encoders"]["path"] == f"{store.catalog.root}/encoders"


def test_what_a_killed_process_had_begun_to_write_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    store = store_with(tmp_path, "ple-a")
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            register(store, store.catalog.bundle("ple-a"))
    assert registered(store) != []  # whatever asks next finds the bundle that is not there

    register(store, store.catalog.bundle("ple-a"))
    (run,) = runs_of(store)
    assert [version.run_id for version in registered(store)] == [run.info.run_id]


def test_the_newest_champion_has_the_alias(tmp_path: Path) -> None:
    store = store_with(tmp_path, "ple-a", "mfh-b")
    mirror_champion(store)
    assert champions(store) == []

    for number, champion in ((1, "ple-a"), (2, "mfh-b")):
        decide(store, number, champion)
        mirror_champion(store)
        assert champions(store) == [champion]


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_lost_registry_is_written_again_from_the_bundles_and_decisions(
    tmp_path: Path, is_empty: bool
) -> None:
    store = store_with(tmp_path, "ple-a", "mfh-b")
    decide(store, 1, "mfh-b")
    if is_empty:
        database(store).touch()

    found = {version.tags["model_version"]: version.tags for version in registered(store)}
    assert found["ple-a"] == TAGS | {"model_version": "ple-a"}
    assert set(found) == {"ple-a", "mfh-b"}
    assert champions(store) == ["mfh-b"]


def test_a_registry_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    store = store_with(tmp_path, "ple-a")
    database(store).write_bytes(b"garbage" * 1000)

    with pytest.raises(LamplighterError) as error:
        registered(store)
    assert str(error.value) == (
        f"model registry: {database(store)}: no database; expected MLflow's SQLite database. It only "
        "mirrors the bundles: move the file away, and the next command writes it again"
    )


def test_a_registry_that_is_cut_off_is_one_line(tmp_path: Path) -> None:
    whole, broken = store_with(tmp_path / "whole", "ple-a"), store_with(tmp_path / "broken", "ple-a")
    registered(whole)
    content = database(whole).read_bytes()
    database(broken).write_bytes(content[: len(content) // 16])

    with pytest.raises(LamplighterError, match="the database is cut off or overwritten; expected MLflow's"):
        register(broken, broken.catalog.bundle("ple-a"))
