"""A real S3-compatible server for tests: that of the cluster demo, with the environment that finds it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.cluster import object_store as server
from tools.cluster.object_store import ObjectStore
from tools.cluster.process import ServiceError
from tools.cluster.servers import BUCKET

__all__ = ["BUCKET", "ObjectStore", "object_store", "spark_reads_s3a"]


def spark_reads_s3a() -> bool:
    """Whether Spark's own folder holds hadoop-aws (`tools/setup.sh s3`)."""
    import pyspark

    return any(Path(pyspark.__path__[0]).glob("jars/*hadoop-aws-*.jar"))


@pytest.fixture
def object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A server with an empty bucket, which the environment of the test names; skipped where none is built."""
    try:
        server.versitygw()
    except ServiceError as error:
        pytest.skip(str(error))
    with server.object_store(tmp_path / "object store", BUCKET) as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store
