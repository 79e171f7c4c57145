"""A session follows the machine and the configuration, and prints no stack traces of its own."""

import os
import subprocess
import sys

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from core.load import load_config
from jobs.tables import session
from jobs.tables.partitions import LEAST, SETTING
from jobs.tables.session import spark_session, spark_settings


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "default_cores", lambda: 12)
    for name in ("LAMPLIGHTER_CORES", "LAMPLIGHTER_DRIVER_MEMORY"):
        monkeypatch.delenv(name, raising=False)


def settings(*overrides: str) -> dict[str, str]:
    return spark_settings(load_config(overrides=overrides).runtime)


def test_cores_follow_the_machine_and_partitions_the_cores() -> None:
    found = settings()

    assert found["spark.master"] == "local[12]"
    assert found["spark.sql.shuffle.partitions"] == "12"
    assert "spark.driver.memory" not in found  # what set-up wrote counts


@pytest.mark.parametrize("key", ["spark.sql.session.timeZone", "spark.sql.legacy.timeParserPolicy"])
def test_a_setting_that_rows_depend_on_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"runtime.spark: .*{key}.* cannot be set"):
        settings(f"runtime.spark={{{key}: x}}")


def test_every_session_has_the_settings_that_rows_depend_on() -> None:
    assert settings().items() >= session.FIXED.items()


def test_settings_override_the_machine() -> None:
    found = settings("runtime.cores=3", "runtime.driver_memory=6g")

    assert (found["spark.master"], found["spark.sql.shuffle.partitions"]) == ("local[3]", "3")
    assert found["spark.driver.memory"] == "6g"


def test_a_setting_of_spark_wins_over_what_cores_imply() -> None:
    found = settings("runtime.cores=3", "runtime.spark={spark.sql.shuffle.partitions: '64'}")

    assert (found["spark.master"], found["spark.sql.shuffle.partitions"]) == ("local[3]", "64")


def test_without_cores_the_cluster_decides() -> None:
    of_machine = {"spark.master", "spark.sql.shuffle.partitions", LEAST}
    assert not of_machine & set(settings("runtime.cores=null"))


def test_partitions_grow_with_the_data_unless_they_are_given() -> None:
    assert settings("runtime.cores=3")[LEAST] == "3"
    for given in ("spark.sql.shuffle.partitions", "spark.sql.files.maxPartitionBytes"):
        assert LEAST not in settings("runtime.cores=3", f"runtime.spark={{{given}: '64'}}")


@pytest.mark.parametrize(
    ("setting", "key"),
    [("runtime.cores=0", "runtime.cores"), ("runtime.driver_memory=lots", "runtime.driver_memory")],
)
def test_nonsense_is_refused_by_its_key(setting: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        settings(setting)


FAIL_IN_A_WORKER = """
from pyspark.sql import functions as F
from core.load import load_config
from jobs.tables.session import spark_session

spark = spark_session(load_config())
print(spark.sparkContext.master, spark.conf.get("spark.sql.shuffle.partitions"))
fail = F.udf(lambda n: 1 // 0, "long")
for broken in (
    lambda: spark.range(2).select(fail("id")).collect(),  # in a Python worker
    lambda: spark.sql("SELECT raise_error('no')").collect(),  # in the JVM
):
    try:
        broken()
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.mark.spark
def test_an_error_in_a_worker_reaches_the_job_and_not_the_console() -> None:
    environment = os.environ | {"LAMPLIGHTER_CORES": "2", "LAMPLIGHTER_DRIVER_MEMORY": "1g"}
    found = subprocess.run(
        [sys.executable, "-c", FAIL_IN_A_WORKER], capture_output=True, text=True, check=True, env=environment
    )

    assert found.stdout.splitlines() == ["local[2] 2", "PythonException", "SparkRuntimeException"]
    lines = [line for line in found.stderr.splitlines() if "incubator modules" not in line]  # the JVM's
    assert lines == []


@pytest.mark.spark
def test_a_session_that_goes_on_has_the_partitions_that_are_given_now(spark: SparkSession) -> None:
    before = spark.conf.get(SETTING)
    fitted = load_config(overrides=["runtime.cores=2"])
    given = load_config(overrides=["runtime.cores=2", f"runtime.spark={{{SETTING}: '3'}}"])

    found = [
        (session.conf.get(SETTING), session.conf.get(LEAST, None))
        for session in map(spark_session, (fitted, given, fitted))
    ]
    spark.conf.set(SETTING, before)
    spark.conf.unset(LEAST)

    assert found == [("2", "2"), ("3", None), ("2", "2")]


def test_a_session_of_spark_connect_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://elsewhere/;token=secret")

    with pytest.raises(ConfigError, match="SPARK_REMOTE: jobs and queries cannot run through Spark Connect"):
        spark_session(load_config())
