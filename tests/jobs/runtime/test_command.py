"""A command line takes the flags that its job declares; an error is one line and an exit code."""

import inspect
import logging
from datetime import date
from pathlib import Path

import pytest

from core.errors import BlockedError, ConfigError, LamplighterError
from jobs.runtime.arguments import Arguments
from jobs.runtime.command import arguments_for, arguments_of, command_of, exit_codes
from jobs.runtime.job import RANGE
from jobs.runtime.pipeline import all_jobs

COMMON = {"data_date", "dataset", "env", "settings", "project", "night_step"}
DAY, NEXT = date(2022, 5, 7), date(2022, 5, 8)


@pytest.mark.parametrize("name", sorted(all_jobs()))
def test_a_command_takes_the_common_flags_and_those_that_its_job_declares(name: str) -> None:
    job = all_jobs()[name]

    assert set(inspect.signature(command_of(job)).parameters) == COMMON | set(job.flags)


@pytest.mark.parametrize("name", sorted(all_jobs()))
def test_a_range_is_for_jobs_that_declare_it(name: str) -> None:
    job = all_jobs()[name]

    if job.dates is RANGE:
        assert arguments_of(job, f"{DAY}..{NEXT}") == Arguments(DAY, NEXT)
    else:
        assert arguments_of(job, f"{DAY}") == Arguments(DAY, DAY)
        with pytest.raises(ConfigError, match=f"{name} takes one data date, not the range {DAY}..{NEXT}"):
            arguments_of(job, f"{DAY}..{NEXT}")


def test_values_of_flags_become_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert arguments_for(DAY, DAY, model="", project="", settings=[]) == Arguments(DAY, DAY)
    assert arguments_for(DAY, DAY, model="mfh", project="my project", settings=["a=1"]) == Arguments(
        DAY, DAY, model="mfh", project=tmp_path.resolve() / "my project", settings=("a=1",)
    )


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigError("a.b: unknown key"), 2, "a.b: unknown key"),
        (BlockedError("events blocked"), 3, "events blocked"),
        (LamplighterError("no file"), 1, "no file"),
        (
            ZeroDivisionError("by zero\nsecond line"),
            1,
            "ZeroDivisionError: by zero; unexpected: the stack trace is in the log file",
        ),
        (ValueError(), 1, "ValueError: ; unexpected: the stack trace is in the log file"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, code: int, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("lamplighter")
    log.addHandler(caplog.handler)
    try:
        with pytest.raises(SystemExit) as ended, exit_codes():
            raise error
    finally:
        log.removeHandler(caplog.handler)

    assert ended.value.code == code
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    assert said == [line]
    assert any("Traceback" in record.getMessage() for record in caplog.records)


def test_a_command_that_ends_well_has_nothing_to_say(caplog: pytest.LogCaptureFixture) -> None:
    with exit_codes():
        pass

    assert caplog.records == []
