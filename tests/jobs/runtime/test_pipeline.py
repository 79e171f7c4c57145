"""The order of the night follows from what jobs declare; so do the edges that other programs read."""

import json
from dataclasses import replace

import pytest

from core.errors import LamplighterError
from core.load import PROJECT_DIR, load_config
from jobs.runtime.declared import SHARED_TABLES
from jobs.runtime.job import ONE, RANGE, Job, job
from jobs.runtime.pipeline import all_jobs, data_steps, description, jobs_before, night_order
from jobs.runtime.reads import day_before, rival, same_day
from jobs.tables.catalog import Catalog


def declared(name: str, reads: tuple[str, ...] = (), writes: tuple[str, ...] = (), **more: object) -> Job:
    def outline(run: object) -> None: ...

    outline.__name__ = name
    made = job(reads=tuple(map(same_day, reads)), writes=writes, config=(), dates=ONE)(outline)
    return replace(made, **more)


def order(*jobs: Job) -> tuple[str, ...]:
    return night_order({each.name: each for each in jobs})


def test_a_job_comes_after_those_that_write_what_it_reads() -> None:
    last = declared("a", reads=("y",))
    first = declared("c", writes=("x",))

    assert order(last, first, declared("b", reads=("x",), writes=("y",))) == ("c", "b", "a")


def test_a_job_comes_after_those_that_it_names() -> None:
    assert order(declared("build", after=("check",)), declared("check")) == ("check", "build")


def test_what_earlier_nights_have_left_orders_nothing() -> None:
    decide = declared("decide", reads=("measures",), writes=("promotions",))
    measure = replace(declared("measure", writes=("measures",)), reads=(rival(),))

    assert order(decide, measure) == ("measure", "decide")


def test_a_read_of_the_day_before_orders_a_night_like_a_range() -> None:
    reader = replace(declared("a"), reads=(day_before("x"),))

    assert order(reader, declared("b", writes=("x",))) == ("b", "a")


def test_two_writers_of_a_table_are_refused() -> None:
    with pytest.raises(LamplighterError, match="x is written by a and b"):
        order(declared("a", writes=("x",)), declared("b", writes=("x",)))


def test_jobs_that_wait_for_each_other_are_refused() -> None:
    with pytest.raises(LamplighterError, match="jobs wait for each other"):
        order(declared("a", ("y",), ("x",)), declared("b", ("x",), ("y",)))


def test_the_night_has_this_order() -> None:
    assert tuple(all_jobs()) == (
        *("scan_sources", "ingest", "check", "build_features", "label_cohorts", "build_examples"),
        *("build_pools", "fit_group_means", "pack", "train", "evaluate", "promote"),
        *("score", "publish", "look_back", "profile_features", "report"),
    )


def test_a_history_runs_the_jobs_that_take_a_range() -> None:
    assert data_steps() == tuple(each.name for each in all_jobs().values() if each.dates is RANGE)
    assert data_steps()[-1] == "fit_group_means"


@pytest.mark.parametrize("name", sorted(all_jobs()))
def test_a_job_declares_tables_of_the_catalog_and_keys_of_the_configuration(name: str) -> None:
    from core.declared_config import declared_part

    config, each = load_config(), all_jobs()[name]
    tables = {table for read in each.reads if read.kind != "source" for table in read.names(config)}

    assert tables | set(each.tables(config)) <= set(Catalog(config, PROJECT_DIR).tables)
    assert not (tables | set(each.tables(config))) & SHARED_TABLES
    declared_part(config, each.config)


@pytest.mark.parametrize("name", sorted(all_jobs()))
def test_the_file_of_a_job_is_an_outline(name: str) -> None:
    lines = (PROJECT_DIR / "jobs" / f"{name}.py").read_text().splitlines()

    assert len(lines) <= 120


def test_every_table_has_a_writer_and_says_what_it_holds() -> None:
    config = load_config()
    written = {table for each in all_jobs().values() for table in each.tables(config)}
    tables = Catalog(config, PROJECT_DIR).tables

    assert set(tables) == written | SHARED_TABLES | {"code_equivalences", "readmissions"}
    assert [name for name, table in tables.items() if not table.holds] == []


def test_the_file_that_airflow_reads_is_current() -> None:
    """`make docs` writes it. A read, write, key or flag that is added or removed shows here."""
    written = json.loads((PROJECT_DIR / "dags" / "jobs.json").read_text())

    assert written == description()


def test_jobs_of_the_file_come_in_the_order_of_the_night() -> None:
    seen: set[str] = set()
    for each in description():
        assert set(each["after"]) <= seen
        seen.add(each["name"])
    assert jobs_before(all_jobs()).keys() == seen
