"""How a bundle gets to executors; tests/jobs/test_cluster.py does it for real."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.workers import bundles
from jobs.workers.bundles import bring_bundle, bundle_in_worker
from models.serving.bundle import MANIFEST


class Context:
    """What `bring_bundle` asks of Spark's context, and the archives that it was given."""

    def __init__(self, folder: Path, is_local: bool) -> None:
        self._temp_dir = str(folder)
        self._jsc = SimpleNamespace(sc=lambda: SimpleNamespace(isLocal=lambda: is_local))
        self.archives: list[str] = []

    def addArchive(self, path: str) -> None:  # noqa: N802  # the name is Spark's
        self.archives.append(path)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "ple-1"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text('{"files": {"weights.safetensors": "a hash"}}')
    (folder / "weights.safetensors").write_bytes(b"weights")
    return folder


def test_executors_of_this_machine_read_the_folder(bundle: Path, tmp_path: Path) -> None:
    context = Context(tmp_path, is_local=True)

    assert bring_bundle(context, bundle) == str(bundle)
    assert context.archives == []


def test_others_get_an_archive_of_all_files_once(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Context(tmp_path, is_local=False)
    name = bring_bundle(context, bundle)

    assert bring_bundle(context, bundle) == name
    (archive,) = context.archives
    assert archive == f"{tmp_path}/{name}.zip#{name}"

    on_executor = tmp_path / "executor" / name  # as Spark unpacks it
    zipfile.ZipFile(archive.partition("#")[0]).extractall(on_executor)
    monkeypatch.setattr(bundles.SparkFiles, "get", lambda asked: str(tmp_path / "executor" / asked))
    monkeypatch.setattr(bundles, "read_bundle", lambda folder: sorted(file.name for file in folder.iterdir()))
    assert bundle_in_worker.__wrapped__(name) == sorted(file.name for file in bundle.iterdir())


def test_a_version_with_other_files_goes_by_another_name(bundle: Path, tmp_path: Path) -> None:
    context = Context(tmp_path, is_local=False)
    before = bring_bundle(context, bundle)
    (bundle / MANIFEST).write_text('{"files": {"weights.safetensors": "another hash"}}')

    assert bring_bundle(context, bundle) != before
