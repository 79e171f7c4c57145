"""An S3-compatible object store: versitygw over a folder (Apache-2.0; set-up builds it from its Go module).

    python -m tools.cluster.object_store FOLDER     prints its variables, serves until Ctrl-C

An object is a file of FOLDER, so that what is on the store can be looked at; its metadata are files, too.
"""

import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs

from tools.cluster.process import Service, ServiceError, free_port, is_listening

REGION = "us-east-1"


@dataclass(frozen=True)
class ObjectStore:
    """A running store: where it is, and who may use it."""

    endpoint: str  # http://127.0.0.1:PORT
    access_key: str
    secret_key: str
    objects: Path  # a file per object: BUCKET/KEY
    service: Service

    def environment(self, endpoint: str | None = None) -> dict[str, str]:
        """Return the variables that AWS's own clients, delta-rs and Lamplighter read."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ALLOW_HTTP": "true",  # delta-rs refuses plain HTTP without it
        }

    def files(self) -> pyarrow.fs.S3FileSystem:
        """Return a client."""
        return pyarrow.fs.S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            endpoint_override=self.endpoint,
            region=REGION,
            allow_bucket_creation=True,
        )


def versitygw() -> str:
    """Return the program's path.

    Raises:
        ServiceError: set-up has not built it.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lamplighter" / "versitygw"
    found = os.environ.get("VERSITYGW") or shutil.which("versitygw")
    built = sorted(cache.glob("*/versitygw"))
    if not found and not built:
        raise ServiceError(f"versitygw is not in {cache} and not on PATH: run tools/setup.sh cluster")
    return found or str(built[-1])


@contextmanager
def object_store(folder: Path, *buckets: str) -> Iterator[ObjectStore]:
    """Serve a folder by S3 while the block runs; make the buckets that are missing.

    Raises:
        ServiceError: the program is missing or does not start.
    """
    data, metadata = folder / "objects", folder / "metadata"
    data.mkdir(parents=True, exist_ok=True)
    metadata.mkdir(exist_ok=True)
    port = free_port()
    access_key, secret_key = "lamplighter", secrets.token_hex(16)
    service = Service(
        "object store",
        # Metadata beside the objects: not every file system has extended attributes.
        [
            versitygw(),
            "--port",
            f"127.0.0.1:{port}",
            "--keep-alive",
            "posix",
            "--sidecar",
            str(metadata),
            str(data),
        ],
        folder / "versitygw.log",
        lambda: is_listening(port),
        {"ROOT_ACCESS_KEY": access_key, "ROOT_SECRET_KEY": secret_key, "VGW_REGION": REGION},
    )
    try:
        store = ObjectStore(f"http://127.0.0.1:{port}", access_key, secret_key, data, service)
        for bucket in buckets:
            store.files().create_dir(bucket)
        yield store
    finally:
        service.stop()


if __name__ == "__main__":
    with object_store(Path(sys.argv[1]).absolute(), "lamplighter") as running:
        for name, value in running.environment().items():
            print(f"export {name}={value}", flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            pass
