"""MLflow mirrors the bundles: what is lost there is written again, what is broken there is one line.

MLflow keeps its databases open, so what another process would find is looked at in a folder of its own.
"""

import json
from pathlib import Path

import pytest

from core.errors import LamplighterError
from jobs.tables.registry import mirror_champion, register, registered
from tests.jobs.tables.small import SmallCatalog

pytestmark = pytest.mark.spark  # no session, but MLflow takes seconds: not for `make check`
TAGS = {"training_set": "set", "model": "ple", "code_revision": "r1"}


def catalog_with(folder: Path, *names: str) -> SmallCatalog:
    """A catalog and the files of bundles that the registry reads."""
    catalog = SmallCatalog(folder)
    for name in names:
        catalog.bundle(name).mkdir(parents=True)
        (catalog.bundle(name) / "manifest.json").write_text(
            json.dumps({"training_set": "set", "code_revision": "r1"})
        )
        history = catalog.bundle(name).with_suffix(".history.json")
        history.write_text(json.dumps([{"validation_loss": 0.6}, {"validation_loss": 0.5}]))
    return catalog


def database(catalog: SmallCatalog) -> Path:
    return catalog.bundle("registry.db")


def test_versions_are_mirrored_once_with_their_tags(tmp_path: Path) -> None:
    catalog = catalog_with(tmp_path, "ple-a", "mfh-b")
    for name in ("ple-a", "mfh-b", "ple-a"):
        register(catalog, catalog.bundle(name), TAGS, {"validation_loss": 0.5})
    mirror_champion(catalog, "ple-a")

    found = {version.tags["model_version"]: version for version in registered(catalog)}
    assert set(found) == {"ple-a", "mfh-b"}
    assert found["ple-a"].tags == TAGS | {"model_version": "ple-a"}
    assert found["ple-a"].source == str(catalog.bundle("ple-a"))


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_lost_registry_is_written_again_from_the_bundles(tmp_path: Path, is_empty: bool) -> None:
    catalog = catalog_with(tmp_path, "ple-a", "mfh-b")
    if is_empty:
        database(catalog).touch()

    found = {version.tags["model_version"]: version.tags for version in registered(catalog)}
    assert found["ple-a"] == TAGS | {"model_version": "ple-a"}
    assert set(found) == {"ple-a", "mfh-b"}


def test_a_registry_that_is_no_database_is_one_line(tmp_path: Path) -> None:
    catalog = catalog_with(tmp_path, "ple-a")
    database(catalog).write_bytes(b"garbage" * 1000)

    with pytest.raises(LamplighterError) as error:
        registered(catalog)
    assert str(error.value) == (
        f"model registry: {database(catalog)}: no database; expected MLflow's SQLite database. It only "
        "mirrors the bundles: move the file away, and the next command writes it again"
    )


def test_a_registry_that_is_cut_off_is_one_line(tmp_path: Path) -> None:
    whole, broken = catalog_with(tmp_path / "whole", "ple-a"), catalog_with(tmp_path / "broken", "ple-a")
    registered(whole)
    content = database(whole).read_bytes()
    database(broken).write_bytes(content[: len(content) // 16])

    with pytest.raises(LamplighterError, match="the database is cut off or overwritten; expected MLflow's"):
        register(broken, broken.bundle("ple-a"), TAGS, {})
