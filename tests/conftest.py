"""Fixtures that all tests share."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import settings
from pyspark.sql import SparkSession

# How long an example takes depends on what else the machine does; a property says what holds.
settings.register_profile("lamplighter", deadline=None)
settings.load_profile("lamplighter")

pytest_plugins = ["tests.jobs.fixtures", "tests.object_store"]  # fixtures of all folders


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One small local session for all tests."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session = (
        SparkSession.builder.master("local[2]")
        .appName("lamplighter-tests")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a session (not in `make check`), two nights, or a copy of them (slow).

    With several processes, tests that share two nights run in one of them, and those of a file together.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "spark" in fixtures or "after_two_nights" in fixtures:
            item.add_marker("spark")
            if "after_two_nights" in fixtures:
                item.add_marker("nights")
            group = "two nights" if "after_two_nights" in fixtures else item.path.name
            item.add_marker(pytest.mark.xdist_group(group))
        if "used_project" in fixtures:
            item.add_marker("slow")
