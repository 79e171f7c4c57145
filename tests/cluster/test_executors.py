"""What executors do that run out of memory or are lost is one line: real executors and workers, small plans.

`local-cluster` is Spark's own standalone cluster within one command. Its session needs a process of its own.
"""

import subprocess
import sys

import pytest

from core.load import PROJECT_DIR

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

PROGRAM = """
import os, sys
import psutil, pyspark
from pyspark.sql import SparkSession
from jobs.tables.faults import explain

os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
os.environ["SPARK_HOME"] = pyspark.__path__[0]
spark = (
    SparkSession.builder.master("local-cluster[2,1,1024]")
    .config("spark.executor.memory", "512m")
    .config("spark.executor.pyspark.memory", "400m")
    .config("spark.task.maxFailures", "1")  # each fault comes again at every try
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
numbers = spark.range(0, 10, 1, 2)

def loses_its_rows():
    kept = numbers.localCheckpoint()
    for each in psutil.Process().children(recursive=True):
        if each.status() != "zombie" and "CoarseGrainedExecutorBackend" in " ".join(each.cmdline()):
            each.kill()
    kept.count()

def is_killed(batches):
    os.kill(os.getpid(), 9)  # as the kernel does when memory is short
    yield from batches

def takes_memory(batches):
    bytearray(600 << 20)
    yield from batches

def maps_libraries(batches):
    import torch
    yield from batches

for fault in (
    loses_its_rows,
    lambda: numbers.mapInArrow(takes_memory, "id bigint").count(),
    lambda: numbers.mapInArrow(maps_libraries, "id bigint").count(),
    lambda: numbers.mapInArrow(is_killed, "id bigint").count(),
    lambda: numbers.selectExpr("sum(size(array_repeat(id, 400000000)))").collect(),
):
    try:
        fault()
        print("-> no error")
    except Exception as error:
        print("->", explain(error, "scores"))
"""


def test_each_fault_of_an_executor_is_one_line() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        check=True,
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        text=True,
        timeout=600,
    )

    said = [line.split(";") for line in ended.stdout.splitlines() if line.startswith("-> ")]
    assert [first for first, *_ in said] == [
        "-> scores: an executor was lost, and the rows that it kept (killed, its machine gone, or out of "
        "memory: its worker's log says which)",
        "-> scores: a Python worker ran out of memory",
        "-> scores: a Python worker ran out of memory",
        "-> scores: a Python worker was killed, or crashed (for lack of memory: see the kernel's log there)",
        "-> scores: an executor ran out of memory",
    ]
    assert all(" nothing was committed" in rest[0] and "un again" in rest[-1] + rest[0] for _, *rest in said)
