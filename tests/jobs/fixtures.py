"""Fixtures: a slice of the embedded log, and a warehouse in which history and two nights have run on it."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.runtime.night import run_history, run_night
from tests.jobs.declared_use import DeclaredUse
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject, cut_slice

DECLARED_USE = DeclaredUse()


@pytest.fixture(scope="session", autouse=True)
def logs_outside_of_the_project(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests leave no log in the project."""
    os.environ["LAMPLIGHTER_LOGS"] = str(tmp_path_factory.mktemp("logs"))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> SampleProject:
    """The slice, and nothing run yet. Copy it before you write."""
    return cut_slice(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="session")
def after_two_nights(
    spark: SparkSession, fresh: SampleProject, tmp_path_factory: pytest.TempPathFactory
) -> SampleProject:
    """History, then a night with PLE and one with MFH. Copy it before you write."""
    project = fresh.copy(tmp_path_factory.mktemp("after two nights"))  # paths may hold spaces
    with DECLARED_USE.recording():
        run_history(project.ask(FIRST_LOG_DATE, date(2022, 5, 6)))
        run_night(project.ask(FIRST_NIGHT, model="ple"))
        run_night(project.ask(SECOND_NIGHT, model="mfh"))
    return project


@pytest.fixture
def declared_use(after_two_nights: SampleProject) -> DeclaredUse:
    """What the jobs of these nights used of what they declare."""
    return DECLARED_USE


@pytest.fixture
def project(fresh: SampleProject, tmp_path: Path) -> SampleProject:
    """A fresh project of one's own."""
    return fresh.copy(tmp_path)


@pytest.fixture
def used_project(after_two_nights: SampleProject, tmp_path: Path) -> SampleProject:
    """A copy of `after_two_nights` of one's own."""
    return after_two_nights.copy(tmp_path)


@pytest.fixture
def session_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Put options of the session back that `lamplighter test` sets, since other tests share it."""
    yield
    if "spark" in request.fixturenames:
        session: SparkSession = request.getfixturevalue("spark")
        for name in ("spark.sql.codegen.wholeStage", "spark.sql.codegen.factoryMode"):
            session.conf.unset(name)
        session.conf.set("spark.sql.shuffle.partitions", "2")
