"""Spark Connect: tables can be read through it; a job says that it cannot run there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from core.load import PROJECT_DIR
from tools.cluster.process import Service, free_port, is_listening
from tools.cluster.spark import spark_home

pytestmark = pytest.mark.slow

# A process that has a session of Spark Connect can have no other one.
READ = """
import sys
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
spark = SparkSession.builder.remote(sys.argv[1]).getOrCreate()
lists = spark.read.format("delta").load(sys.argv[2])
print([tuple(row) for row in lists.where(F.col("rank") == 1).orderBy("user_id").collect()])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of Spark Connect."""
    port = free_port()
    service = Service(
        "Spark Connect",
        [
            *(str(spark_home() / "bin" / "spark-submit"), "--master", "local[1]", "--driver-memory", "1g"),
            *("--conf", f"spark.connect.grpc.binding.port={port}"),
            *("--conf", "spark.connect.grpc.binding.address=127.0.0.1"),
            *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"),
        ],
        tmp_path_factory.mktemp("connect") / "server.log",
        lambda: is_listening(port),
        {"SPARK_HOME": str(spark_home()), "SPARK_LOCAL_IP": "127.0.0.1"},
    )
    yield f"sc://127.0.0.1:{port}"
    service.stop()


def test_tables_are_read_through_spark_connect(server: str, tmp_path: Path) -> None:
    table = tmp_path / "scores"
    rows = {"user_id": ["a", "a", "b"], "rank": [1, 2, 1], "item_id": ["x", "y", "z"]}
    write_deltalake(table, pa.table(rows))

    read = subprocess.run(
        [sys.executable, "-c", READ, server, str(table)], check=False, capture_output=True, text=True
    )

    assert read.returncode == 0, read.stderr
    assert read.stdout.strip() == "[('a', 1, 'x'), ('b', 1, 'z')]"


def test_a_job_says_that_it_needs_a_driver(server: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "jobs.cli.main", "scan_sources", "--data-date", "2022-05-07"),
            *("--set", f"paths.warehouse={tmp_path}"),
        ],
        check=False,
        cwd=PROJECT_DIR,
        env=os.environ | {"SPARK_REMOTE": server},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    assert ended.returncode == 2, ended.stdout
    assert "cannot run through Spark Connect" in ended.stdout.replace("\n", " ")
    assert "Traceback" not in ended.stdout
