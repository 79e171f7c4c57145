"""A real S3-compatible server for tests: versitygw over a folder, with the environment that finds it."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs
import pytest

BUCKET = "lamplighter"


@dataclass(frozen=True)
class ObjectStore:
    """A running server: an object is a file of `folder`/BUCKET."""

    endpoint: str
    folder: Path
    environment: dict[str, str]

    @property
    def bucket(self) -> Path:
        """The folder of the bucket's objects."""
        return self.folder / BUCKET


def versitygw() -> str | None:
    """The program, if there is one: VERSITYGW, on PATH, or where set-up leaves what it builds."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lamplighter" / "versitygw"
    built = sorted(cache.glob("*/versitygw"))
    return os.environ.get("VERSITYGW") or shutil.which("versitygw") or (str(built[-1]) if built else None)


def spark_reads_s3a() -> bool:
    """Whether Spark's own folder holds hadoop-aws (`tools/setup.sh s3`)."""
    import pyspark

    return any(Path(pyspark.__path__[0]).glob("jars/*hadoop-aws-*.jar"))


@contextmanager
def serving(folder: Path) -> Iterator[ObjectStore]:
    """Serve a folder while the block runs, with one empty bucket."""
    program = versitygw()
    assert program is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    objects, metadata = folder / "objects", folder / "metadata"
    objects.mkdir(parents=True)
    metadata.mkdir()
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "lamplighter",
        "AWS_SECRET_ACCESS_KEY": secrets.token_hex(16),
        "AWS_REGION": "us-east-1",
    }
    root = {
        "ROOT_ACCESS_KEY": environment["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": environment["AWS_SECRET_ACCESS_KEY"],
    }
    with (folder / "versitygw.log").open("wb") as log:
        command = [program, "--port", f"127.0.0.1:{port}", "--keep-alive", "posix"]
        command += ["--sidecar", str(metadata), str(objects)]
        process = subprocess.Popen(
            command, env=os.environ | root, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        _wait_for(port, process, folder / "versitygw.log")
        store = ObjectStore(environment["AWS_ENDPOINT_URL"], objects, environment)
        _make_bucket(store)
        yield store
    finally:
        process.kill()
        process.wait()


def _make_bucket(store: ObjectStore) -> None:
    pyarrow.fs.S3FileSystem(
        access_key=store.environment["AWS_ACCESS_KEY_ID"],
        secret_key=store.environment["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=store.endpoint,
        region=store.environment["AWS_REGION"],
        allow_bucket_creation=True,
    ).create_dir(BUCKET)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"versitygw does not answer: {log.read_text(errors='replace')[-2000:]}")


@pytest.fixture
def object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server with an empty bucket, which the environment of the test names; skipped where none is built."""
    if versitygw() is None:
        pytest.skip("versitygw is not here; `tools/setup.sh cluster` builds it")
    with serving(tmp_path / "object store") as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        yield store
