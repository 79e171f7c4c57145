"""`lamplighter runs --json`: what a scheduler asks for after a job has failed."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.cli.main import app
from jobs.runtime.arguments import LATEST, Arguments
from jobs.runtime.project import Project
from jobs.tables.ledger import DateRecord, Entry, Ledger

DAY, NEXT = date(2022, 5, 7), date(2022, 5, 8)
RECORD = DateRecord("fingerprint", "code", "config", ())


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    settings = (f"paths.warehouse={tmp_path}",)
    return Project(Arguments(LATEST, LATEST, dataset="kuairand", settings=settings)).ledger


def entry(run_id: str, job: str, *days: date, model: str = "") -> Entry:
    return Entry(run_id, job, model, "revision", dict.fromkeys(days, RECORD))


def asked(folder: Path, *flags: str) -> list[dict[str, Any]]:
    command = ["runs", "--json", *flags, "--dataset", "kuairand", "--set", f"paths.warehouse={folder}"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.output)
    return found


def test_a_run_is_printed_with_its_exit_code_and_its_message(ledger: Ledger, tmp_path: Path) -> None:
    run = entry("20220508T020304000005-abcdef", "check", DAY, NEXT)
    why = 'events [0]: 3 rows, "40" expected; ' + "one of many words " * 20
    ledger.write(run, "started", 0.0)
    ledger.write(replace(run, rows={"events": 3}), "blocked", 1.5, why)

    assert asked(tmp_path) == [
        {
            "run_id": "20220508T020304000005-abcdef",
            "job": "check",
            "model": "",
            "data_date": "2022-05-07..2022-05-08",
            "state": "blocked",
            "exit_code": 3,
            "started_at": datetime(2022, 5, 8, 2, 3, 4, 5, tzinfo=UTC).isoformat(),
            "seconds": 1.5,
            "rows": {"events": 3},
            "message": why,
        }
    ]


def test_runs_of_a_job_a_date_and_a_model_come_newest_first(ledger: Ledger, tmp_path: Path) -> None:
    for number, (job, day, model) in enumerate(
        [("train", DAY, "ple"), ("train", DAY, "mfh"), ("score", DAY, ""), ("train", NEXT, "ple")]
    ):
        ledger.write(entry(f"20220508T02030400000{number}-abcdef", job, day, model=model), "started", 0.0)

    def found(*flags: str) -> list[str]:
        return [f"{run['job']} {run['model']} {run['data_date']}" for run in asked(tmp_path, *flags)]

    of_train = ["train ple 2022-05-08", "train mfh 2022-05-07", "train ple 2022-05-07"]
    assert found("--job", "train") == of_train
    assert found("--job", "train", "--last", "1") == of_train[:1]
    assert found("--job", "train", "--data-date", "2022-05-07") == of_train[1:]
    assert found("--job", "train", "--data-date", "2022-05-07", "--model", "ple") == of_train[2:]
    assert found("--job", "publish") == []


def test_a_run_that_was_cut_off_has_no_exit_code(ledger: Ledger, tmp_path: Path) -> None:
    ledger.write(entry("20220508T020304000005-abcdef", "check", DAY), "started", 0.0)

    assert [(run["state"], run["exit_code"]) for run in asked(tmp_path)] == [("started", None)]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--job", "bake"), "--job bake: no such job"),
        (("--model", "nope"), "models/nope.yaml does not exist"),
        (("--set", "a.b=1"), "unknown key"),
    ],
)
def test_what_a_job_would_refuse_ends_with_2(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], message: str
) -> None:
    done = CliRunner().invoke(app, ["runs", "--json", "--dataset", "kuairand", *flags])

    assert done.exit_code == 2
    assert message in (done.output + capsys.readouterr().out).strip().splitlines()[-1]
