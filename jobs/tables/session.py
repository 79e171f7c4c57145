"""The one Spark session of a process.

Static settings (Delta, time zone, driver memory) are in spark-defaults.conf, which set-up puts where
spark-submit and sessions made in Python both find it; what an environment's layer adds comes here.
Workers run the code of the driver, wherever they are: it is put first on their path.
"""

import hashlib
import logging
import os
import signal
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyspark
from pyspark.logger import PySparkLogger
from pyspark.sql import SparkSession

from core import object_store
from core.errors import ConfigError
from core.own_files import ROOT, zipped
from core.schema import Config, Runtime
from jobs.tables.machine import default_cores
from jobs.tables.partitions import LEAST, SCANS, SETTING

log = logging.getLogger("lamplighter")

FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""Settings that rows depend on: no fingerprint covers them, so they are the same in every session."""
FIXED_PREFIX = "spark.sql.legacy."


def spark_session(config: Config) -> SparkSession:
    """Return the session of this process; make it at the first call.

    Raises:
        ConfigError: `runtime.spark` sets what rows depend on, or the session would be one of Spark Connect.
    """
    _refuse_connect(config.runtime)
    settings = spark_settings(config.runtime)
    # Of workers. Sessions made in Python do not read the setting, and spark-submit of .venv names its own.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if python := settings.get("spark.pyspark.python"):
        os.environ["PYSPARK_PYTHON"] = python
    if settings.get("spark.master", "local").startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    # It would print each error as JSON with the JVM's stack trace; the exception carries the same.
    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True
    builder = SparkSession.builder.appName("lamplighter")
    for key, value in (_defaults() | settings).items():
        builder = builder.config(key, value)
    on_interrupt = signal.getsignal(signal.SIGINT)
    spark = builder.getOrCreate()
    if LEAST not in settings:  # a session that other settings began still has theirs
        for name in {LEAST, *SCANS} - settings.keys():
            spark.conf.unset(name)
    if threading.current_thread() is threading.main_thread():
        # PySpark's own handler talks to the JVM in the middle of a call to it, which ends in a stack trace.
        signal.signal(signal.SIGINT, on_interrupt)
    server: Any = spark.sparkContext._accumulatorServer
    if server is not None:  # it would print a stack trace when the JVM dies; the job's own call says so, too
        server.handle_error = lambda *_: log.debug("Spark's accumulator server lost the JVM", exc_info=True)
    _bring_code(spark.sparkContext)
    return spark


def _defaults() -> dict[str, str]:
    """Return what set-up writes into a Spark, for one that it has not seen: beside the wheel."""
    jars = Path(os.environ.get("SPARK_HOME") or pyspark.__path__[0]) / "jars"
    if any(jars.glob("*delta-spark_*.jar")):
        return {}
    text = (ROOT / "conf" / "spark" / "spark-defaults.conf").read_text(encoding="utf-8")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.startswith("spark.")]
    package = f"io.delta:delta-spark_2.13:{version('delta-spark')}"
    return {name: value.strip() for name, value in lines} | {"spark.jars.packages": package}


def _bring_code(context: Any) -> None:
    """Let Python workers import our packages, those of this process and no others of the same names.

    Executors of this machine read them where they are; others get them as a zip, once each.
    """
    if context._jsc.sc().isLocal():
        context.environment["PYTHONPATH"] = str(ROOT).rstrip("/")
        return
    content = zipped()
    file = Path(context._temp_dir) / f"lamplighter-{hashlib.sha256(content).hexdigest()[:12]}.zip"
    if not file.exists():
        file.write_bytes(content)
        context.addPyFile(str(file))


def _refuse_connect(runtime: Runtime) -> None:
    """Stop where Spark would run in another process: a job's locks end with the JVM that commits for it.

    Raises:
        ConfigError: a variable of `spark-submit --remote`, or a setting, asks for Spark Connect.
    """
    names = ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED")
    asked = next((name for name in names if os.environ.get(name)), None)
    if asked is None and "spark.remote" in runtime.spark:
        asked = "runtime.spark: spark.remote"
    if asked is not None:
        raise ConfigError(
            f"{asked}: jobs and queries cannot run through Spark Connect: locks and commits need a JVM of "
            "their own; remove it, and use spark-submit --master. Tables can be read through Spark Connect "
            "(docs/how-to/cluster.md)"
        )


def spark_settings(runtime: Runtime) -> dict[str, str]:
    """Return the settings of a session: `runtime.spark`, over what cores, memory and environment imply.

    Local mode runs on `runtime.cores` threads, and shuffles into as many partitions, or more where data are
    large (jobs/tables/partitions.py) unless `runtime.spark` gives their number. Where `cores` is null,
    spark-submit or the cluster decides. `runtime.driver_memory` counts for a JVM that Python starts; one that
    spark-submit started has its memory already (`--driver-memory`). FIXED wins over all, spark-submit's
    `--conf` included.

    Raises:
        ConfigError: `runtime.spark` names one of FIXED.
    """
    implied: dict[str, str] = {}
    if runtime.cores is not None:
        cores = default_cores() if runtime.cores == "auto" else runtime.cores
        implied |= {"spark.master": f"local[{cores}]", SETTING: str(cores)}
        if not {SETTING, *SCANS} & set(runtime.spark):
            implied[LEAST] = str(cores)
    if runtime.driver_memory is not None:
        implied["spark.driver.memory"] = runtime.driver_memory
    refused = sorted(key for key in runtime.spark if key in FIXED or key.startswith(FIXED_PREFIX))
    if refused:
        raise ConfigError(
            f"runtime.spark: {refused} cannot be set: what tables hold depends on them, so they are the same "
            "in every session; remove them"
        )
    return implied | object_store.spark_settings() | runtime.spark | FIXED
