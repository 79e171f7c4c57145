"""`lamplighter night`, `history`, `plan` and their like: wrong usage is one line and exit code 2."""

import json
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable, Schema
from typer.testing import CliRunner

from core.load import load_config
from jobs.cli.main import app
from jobs.runtime.arguments import Arguments
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.project import Project

RANGE = "2022-05-07..2022-05-08"
MANY = ("history", "plan")


def said(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    """Return exit code and output of a command; what it logs goes around typer's runner."""
    done = CliRunner().invoke(app, list(command))
    return done.exit_code, done.output + capsys.readouterr().out


@pytest.mark.parametrize("command", [*sorted(all_jobs()), "night", *MANY])
@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ("2022-02-30", "--data-date '2022-02-30' is no date; expected YYYY-MM-DD"),
        (
            "0001-01-01",
            "--data-date '0001-01-01' is out of range; expected dates of 1970-01-01 .. 2999-12-31",
        ),
        ("9999-12-31", "--data-date '9999-12-31' is out of range"),
        ("2022-05-08..2022-05-07", "--data-date '2022-05-08..2022-05-07' runs backwards"),
    ],
)
def test_a_wrong_date_ends_with_2(
    command: str, dates: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = said(capsys, command, "--data-date", dates)

    assert code == 2
    assert message in output


@pytest.mark.parametrize("command", [*sorted(all_jobs()), "night", *MANY])
def test_a_uri_as_warehouse_ends_with_2_and_makes_no_folder(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    code, output = said(capsys, command, "--data-date", "2022-05-07", "--set", "paths.warehouse=gs://b/w")

    assert code == 2
    assert "paths.warehouse: gs://b/w: scheme gs is not supported" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", MANY)
def test_a_model_is_for_whole_nights(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = said(capsys, command, "--data-date", RANGE, "--model", "mfh")

    assert code == 2
    assert "--model is for " in output


def test_the_folder_of_a_project_is_a_local_one_that_exists(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    ask = ("plan", "--data-date", "2022-05-07", "--project")

    assert said(capsys, *ask, "s3a://b/p") == (
        2,
        "s3a://b/p: scheme s3a has no local path; expected a local folder\n",
    )
    code, output = said(capsys, *ask, str(tmp_path / "none"))
    assert code == 2
    assert f"{tmp_path}/none holds no conf/base.yaml" in output


@pytest.mark.parametrize("command", ["build_features", "build_examples", "score", "plan", "night"])
def test_a_new_aggregate_ends_with_2_before_the_ledger_has_an_entry(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    warehouse = f"paths.warehouse={tmp_path}"
    project = Project(Arguments(date(2022, 5, 7), date(2022, 5, 7), settings=(warehouse,)))
    made = Schema.from_json(project.catalog["user_daily"].schema.json())
    DeltaTable.create(project.catalog.path("user_daily"), made, partition_by=["data_date"])
    aggregates = [a.model_dump() for a in load_config().features.user.aggregates]
    added = {"name": "night_count", "agg": "count", "where": "hour < 6", "windows": ["7d"]}
    setting = f"features.user.aggregates={json.dumps([*aggregates, added])}"

    code, output = said(capsys, command, "--data-date", "2022-05-07", "--set", warehouse, "--set", setting)

    assert code == 2
    assert "user_daily: column night_count (bigint) is declared but not in the table; fill in with" in output
    assert "`lamplighter backfill --from 2022-05-07`" in output
    assert project.store.version("runs") is None


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("plan",), "plan: expected --data-date, or --from with or without --to"),
        (("plan", "--data-date", "2022-05-07", "--from", "2022-05-07"), "plan: expected --data-date, or"),
        (("plan", "--to", "2022-05-07"), "plan: expected --data-date, or --from"),
        (("plan", "--from", "2022-05-32"), "--from '2022-05-32' is no date; expected YYYY-MM-DD"),
        (("backfill", "--from", RANGE), f"--from {RANGE}: each takes one data date, not a range"),
        (("backfill", "--from", "2022-05-07", "--to", "2022-05-06"), "runs backwards"),
        (
            ("quarantine", "readmit", "--reason", "x", "--rule", "too_late"),
            "quarantine readmit: name either --data-date and --rule, or rows with --row",
        ),
        (
            ("quarantine", "readmit", "--reason", "x", "--row", "a:1", "--data-date", "2022-05-07"),
            "quarantine readmit: name either --data-date and --rule, or rows with --row",
        ),
    ],
)
def test_a_backfill_begins_with_one_date_and_a_readmission_names_rows(
    command: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = said(capsys, *command)

    assert code == 2
    assert message in output


@pytest.mark.parametrize("command", ["plan", "backfill"])
def test_a_backfill_of_a_project_that_was_never_built_says_what_to_run(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, output = said(capsys, command, "--from", "2022-05-07", "--set", f"paths.warehouse={tmp_path}")

    assert code == 2
    assert "--from 2022-05-07: no data date since then was ever built (newest: None)" in output
