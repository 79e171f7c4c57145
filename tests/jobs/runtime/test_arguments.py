"""What `--data-date` takes, for every job and for the commands of many jobs."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from core.errors import ConfigError
from jobs.runtime.arguments import Arguments, one_date, parse_dates
from jobs.runtime.job import ONE
from jobs.runtime.pipeline import all_jobs

DAY, NEXT = date(2022, 5, 7), date(2022, 5, 8)


def test_one_date_or_a_range() -> None:
    assert parse_dates("2022-05-07") == (DAY, DAY)
    assert parse_dates("2022-05-07..2022-05-08") == (DAY, NEXT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2022-13-01",
        "2022-02-30",
        "2023-02-29",
        "20220507",
        "2022-W18-6",
        "2022-5-7",
        " 2022-05-07",
        "2022-05-07T00:00",
        "..",
        "2022-05-07..",
        "..2022-05-07",
        "2022-05-07..x",
        "2022-05-07..2022-02-30",
        "2022-05-07..2022-05-08..2022-05-09",
        "2022-05-07...2022-05-08",
    ],
)
def test_what_is_no_date_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="is no date; expected YYYY-MM-DD"):
        parse_dates(text)


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(ConfigError, match="runs backwards"):
        parse_dates("2022-05-08..2022-05-07")


@pytest.mark.parametrize("text", ["0001-01-01", "9999-12-31", "1970-01-01..2999-12-31"])
def test_a_date_whose_neighbours_are_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        parse_dates(text)


@pytest.mark.parametrize("name", sorted(all_jobs()))
def test_a_job_takes_a_range_only_if_it_declares_one(name: str) -> None:
    job = all_jobs()[name]

    if job.dates is ONE:
        with pytest.raises(ConfigError, match=f"{name} takes one data date, not the range") as error:
            job(Arguments(DAY, NEXT))
        assert error.value.exit_code == 2
    else:
        job.check_dates(Arguments(DAY, NEXT))


def test_commands_of_one_date_refuse_a_range() -> None:
    with pytest.raises(ConfigError, match="night takes one data date"):
        one_date("2022-05-07..2022-05-08", "night")


@pytest.mark.parametrize("command", ["score", "night"])
def test_a_range_for_one_date_ends_with_2_before_anything_starts(command: str, tmp_path: Path) -> None:
    lamplighter = str(Path(sys.executable).parent / "lamplighter")
    flags = ["--data-date", "2022-05-07..2022-05-08", "--set", f"paths.warehouse={tmp_path / 'w'}"]

    done = subprocess.run([lamplighter, command, *flags], capture_output=True, text=True, check=False)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "takes one data date" in done.stdout
    assert not (tmp_path / "w").exists()
