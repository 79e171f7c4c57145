"""A job reads, writes and sees what it declares: no more, and no less."""

from collections.abc import Callable
from datetime import date

import pytest

from core.errors import LamplighterError
from core.load import PROJECT_DIR, load_config
from jobs.runtime.declared import DeclaredInputs
from jobs.runtime.job import ONE, RANGE, Job, job
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.reads import champion, day_before, same_day, source_files, trailing
from jobs.runtime.run import Run
from jobs.tables.catalog import Catalog
from tests.jobs.declared_use import DeclaredUse, unused
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject

FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2022, 5, day) for day in (6, 7, 8, 9))


def declare(outline: Callable[[Run], None]) -> Job:
    reads = (same_day("events"), day_before("user_features"), trailing("item_daily", lambda _: 2, "two days"))
    return job(reads=reads, writes=("user_daily",), config=(), dates=RANGE)(outline)


ELSEWHERE = {
    "build_pools": [  # by sources of what users like: tests/jobs/test_build_pools.py
        "reads events (trailing days of what users like, for pools)",
        *(f"key tasks[].{field}" for field in ("name", "label", "where")),
    ],
    "score": [  # while there is no champion: tests/jobs/test_second_data_set.py
        "reads group_means (same day)",
        "reads events (trailing days of what users have seen, for lists)",  # tests/jobs/test_build_pools.py
        *(f"key {key}" for key in ("baselines", "exposure", "tasks[].kind")),
    ],
}
"""What these two nights do not use, and where it is used."""


@declare
def example(run: Run) -> None:
    """Do nothing."""


def inputs(*dates: date, of: Job = example) -> DeclaredInputs:
    return DeclaredInputs(of, load_config(), dates)


@pytest.mark.parametrize(
    ("table", "first", "last"),
    [
        ("events", SATURDAY, None),
        ("events", SATURDAY, SUNDAY),
        ("user_features", FRIDAY, SATURDAY),  # the days before those of the run
        ("item_daily", FRIDAY, SUNDAY),
        ("user_daily", SATURDAY, SUNDAY),  # what the run itself writes
    ],
)
def test_a_run_reads_the_dates_that_its_job_declares(table: str, first: date, last: date | None) -> None:
    inputs(SATURDAY, SUNDAY).require_dates(Catalog(load_config(), PROJECT_DIR)[table], first, last)


@pytest.mark.parametrize(
    ("table", "first", "last", "what"),
    [
        ("events", FRIDAY, SUNDAY, "events of 2022-05-06"),
        ("events", SATURDAY, MONDAY, "events of 2022-05-09"),
        ("user_features", SUNDAY, None, "user_features of 2022-05-08"),
        ("user_daily", FRIDAY, None, "user_daily of 2022-05-06"),
        ("events", None, None, "events whatever the data date"),
        ("item_features", SATURDAY, None, "item_features"),
    ],
)
def test_another_date_or_table_is_refused(
    table: str, first: date | None, last: date | None, what: str
) -> None:
    with pytest.raises(LamplighterError) as error:
        inputs(SATURDAY, SUNDAY).require_dates(Catalog(load_config(), PROJECT_DIR)[table], first, last)

    assert str(error.value) == (
        f"example uses {what}, which it does not declare; add {table} to `reads=` in jobs/example.py"
    )


def test_a_table_that_belongs_to_no_data_date_is_read_whole() -> None:
    reader = job(reads=(same_day("{entity}s"),), writes=(), config=(), dates=ONE)(example.outline)

    inputs(SATURDAY, of=reader).require_dates(Catalog(load_config(), PROJECT_DIR)["users"], None, None)
    with pytest.raises(LamplighterError, match="uses encoders, which it does not declare"):
        inputs(SATURDAY, of=reader).require_dates(Catalog(load_config(), PROJECT_DIR)["encoders"], None, None)


@pytest.mark.parametrize(
    ("ask", "keyword"),
    [
        (lambda found: found.require_written("events"), "writes"),
        (lambda found: found.require_source("log"), "reads"),
        (lambda found: found.require_champion(), "reads"),
        (lambda found: found.require_flag("allow_empty"), "flags"),
    ],
)
def test_writes_sources_champion_and_flags_are_declared(
    ask: Callable[[DeclaredInputs], None], keyword: str
) -> None:
    declares_all = job(
        reads=(source_files("log"), champion()),
        writes=("events",),
        config=(),
        dates=ONE,
        flags=("allow_empty",),
    )(example.outline)

    ask(inputs(SATURDAY, of=declares_all))
    with pytest.raises(LamplighterError, match=f"to `{keyword}=` in jobs/example.py"):
        ask(inputs(SATURDAY))


@pytest.mark.parametrize("name", sorted(all_jobs()))
def test_what_a_job_declares_its_runs_use(
    name: str, declared_use: DeclaredUse, after_two_nights: SampleProject
) -> None:
    """So that to remove any declared read, write or key stops the job, with what it is to declare."""
    config = after_two_nights.opened(SECOND_NIGHT).config

    assert unused(all_jobs()[name], declared_use.by_job[name], config) == ELSEWHERE.get(name, [])
