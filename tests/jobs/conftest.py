"""A slice of the embedded log, and a warehouse in which history and two nights have run on it."""

import os
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.cli.night import run_history, run_night
from tests.jobs.house import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, House, cut_slice


@pytest.fixture(scope="session", autouse=True)
def logs_outside_of_the_project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests leave no log in the project."""
    os.environ["LAMPLIGHTER_LOGS"] = str(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The slice, and nothing run yet. Copy it before you write."""
    return cut_slice(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="session")
def lived_in(spark: SparkSession, fresh: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """History, then a night with PLE and one with MFH. Copy it before you write."""
    house = fresh.copy(tmp_path_factory.mktemp("lived_in"))
    run_history(house.ask(FIRST_LOG_DATE, date(2022, 5, 6)))
    run_night(house.ask(FIRST_NIGHT, model="ple"))
    run_night(house.ask(SECOND_NIGHT, model="mfh"))
    return house


@pytest.fixture
def house(fresh: House, tmp_path: Path) -> House:
    """A fresh house of one's own."""
    return fresh.copy(tmp_path)


@pytest.fixture
def old_house(lived_in: House, tmp_path: Path) -> House:
    """A lived-in house of one's own."""
    return lived_in.copy(tmp_path)
