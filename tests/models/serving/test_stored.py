"""A bundle in an object store is there as a whole or not at all, and is copied once per machine."""

import tempfile
from pathlib import Path

import pytest

from core.errors import LamplighterError
from core.paths import place
from models.serving.bundle import read_bundle
from models.serving.stored import MANIFEST, is_stored, local_bundle, store
from tests.models.serving.test_bundle import MANIFEST as WRITTEN
from tests.models.serving.test_bundle import write
from tests.object_store import BUCKET, ObjectStore

URI = f"s3a://{BUCKET}/w/_models/ple-1234"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_what_is_written_there_is_read_back_directly_and_through_a_copy(
    object_store: ObjectStore, temporary: Path, tmp_path: Path
) -> None:
    here = write(tmp_path)
    there = write(tmp_path, place(URI))

    copy = local_bundle(URI)
    assert read_bundle(copy).manifest == there.manifest == here.manifest
    assert [file.name for file in sorted(copy.iterdir())] == sorted(f.name for f in here.path.iterdir())
    assert there.manifest.model_version == WRITTEN.model_version
    assert local_bundle(URI) == copy
    assert len([*copy.parent.iterdir()]) == 1


def test_without_its_manifest_there_is_no_bundle_and_it_is_written_again(
    object_store: ObjectStore, temporary: Path, tmp_path: Path
) -> None:
    """As a process that was killed in the middle leaves it: the manifest comes last."""
    bundle = place(URI)
    write(tmp_path, bundle)
    (bundle / MANIFEST).unlink()

    assert not is_stored(bundle)
    with pytest.raises(LamplighterError, match=f"bundle {URI}: manifest.json is missing"):
        local_bundle(URI)

    write(tmp_path, bundle)
    assert is_stored(bundle)


def test_the_manifest_is_written_last(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for name in ("weights.safetensors", MANIFEST, "a.json"):
        (made / name).write_text(name)
    written: list[str] = []

    class Noted:
        def __init__(self, name: str = "") -> None:
            self.name = name

        def __truediv__(self, name: str) -> "Noted":
            return Noted(name)

        def write_bytes(self, content: bytes) -> None:
            written.append(content.decode())

    store(made, Noted())  # type: ignore[arg-type]

    assert written == ["a.json", "weights.safetensors", MANIFEST]


def test_a_bundle_that_was_made_anew_is_copied_anew(
    object_store: ObjectStore, temporary: Path, tmp_path: Path
) -> None:
    write(tmp_path, place(URI))
    first = local_bundle(URI)
    (place(URI) / MANIFEST).unlink()

    write(tmp_path, place(URI), WRITTEN.model_copy(update={"code_revision": "another"}))

    second = local_bundle(URI)
    assert second != first
    assert read_bundle(second).manifest.code_revision == "another"


def test_a_local_bundle_is_where_it_is() -> None:
    assert local_bundle("/w/_models/ple-1") == Path("/w/_models/ple-1")
    assert local_bundle("file:///w/my%20models/ple-1") == Path("/w/my models/ple-1")


@pytest.mark.spark  # no session, but MLflow takes seconds: not for `make check`
def test_mlflow_loads_a_bundle_from_there(object_store: ObjectStore, temporary: Path, tmp_path: Path) -> None:
    """With what is installed, by the variables that all others read; it takes the `s3://` URI of a bundle."""
    import mlflow

    here = write(tmp_path)
    write(tmp_path, place(URI))

    there = mlflow.pyfunc.load_model(URI.replace("s3a://", "s3://"))

    local = mlflow.pyfunc.load_model(str(here.path))
    rows = local.input_example
    assert len(rows) == 1
    assert there.predict(rows).equals(local.predict(rows))
