"""The one Spark session of a process.

Static settings (Delta, time zone, memory) are in conf/spark/spark-defaults.conf, which set-up puts
where spark-submit and sessions made in Python both find it; what a `where` layer adds comes here.
"""

import os
import signal
import sys
import threading

from pyspark.sql import SparkSession

from core.schema import Config


def spark_session(config: Config) -> SparkSession:
    """Get or make the session of this process."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYTHONHASHSEED", "0")
    builder = SparkSession.builder.appName("lamplighter")
    for key, value in config.runtime.spark.items():
        builder = builder.config(key, value)
    on_interrupt = signal.getsignal(signal.SIGINT)
    spark = builder.getOrCreate()
    if threading.current_thread() is threading.main_thread():
        # PySpark's own handler talks to the JVM in the middle of a call to it, which ends in a stack trace.
        signal.signal(signal.SIGINT, on_interrupt)
    spark.sparkContext.setLogLevel("ERROR")
    return spark
