"""MLflow mirrors the bundles: what is lost there is written again, what is broken there is one line.

MLflow keeps its databases open, so what another process would find is looked at in a folder of its own.
"""

import json
from pathlib import Path

import pytest

from core.errors import LamplighterError
from jobs.tables.registry import CHAMPION, mirror_champion, register, registered
from jobs.tables.store import Store
from jobs.tables.table import Table
from tests.jobs.tables.small import BOOLEAN, DATE, DAY, LONG, STRING, small_store

pytestmark = pytest.mark.spark  # no session, but MLflow takes seconds: not for `make check`
TAGS = {"training_set": "set", "model": "ple", "code_revision": "r1"}


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
        (bundle / "manifest.json").write_text(json.dumps({"training_set": "set", "code_revision": "r1"}))
        history = bundle.with_suffix(".history.json")
        history.write_text(json.dumps([{"validation_loss": 0.6}, {"validation_loss": 0.5}]))
    return store


def decide(store: Store, number: int, champion: str) -> None:
    row = {"data_date": DAY, "decision_no": number, "candidate": champion, "promoted": True}
    store.append_rows("promotions", [row], "test", {})


def database(store: Store) -> Path:
    return store.catalog.bundle("registry.db")


def champions(store: Store) -> list[str]:
    """Versions with the alias."""
    from mlflow import MlflowClient

    versions = {version.version: version.tags["model_version"] for version in registered(store)}
    client = MlflowClient(tracking_uri=store.catalog.registry, registry_uri=store.catalog.registry)
    aliases = client.get_registered_model(store.catalog.dataset).aliases
    return [versions[number] for alias, number in aliases.items() if alias == CHAMPION]


def test_versions_are_mirrored_once_with_their_tags(tmp_path: Path) -> None:
    store = store_with(tmp_path, "ple-a", "mfh-b")
    for name in ("ple-a", "mfh-b", "ple-a"):
        register(store, store.catalog.bundle(name), TAGS, {"validation_loss": 0.5})

    found = {version.tags["model_version"]: version for version in registered(store)}
    assert set(found) == {"ple-a", "mfh-b"}
    assert found["ple-a"].tags == TAGS | {"model_version": "ple-a"}
    assert found["ple-a"].source == str(store.catalog.bundle("ple-a"))


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
        register(broken, broken.catalog.bundle("ple-a"), TAGS, {})
