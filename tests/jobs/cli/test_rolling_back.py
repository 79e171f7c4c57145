"""`lamplighter rollback` after two nights."""

import shutil

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.cli.main import app
from jobs.runtime.lists import served_date
from tests.jobs.sample_project import FIRST_NIGHT, SECOND_NIGHT, SampleProject


def test_readers_are_served_earlier_lists_until_the_next_night(
    spark: SparkSession, used_project: SampleProject, capsys: pytest.CaptureFixture[str]
) -> None:
    store = used_project.opened(SECOND_NIGHT).store
    settings = [part for setting in used_project.settings for part in ("--set", setting)]

    def run(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["rollback", *words, *settings])
        return done.exit_code, " ".join((done.output + capsys.readouterr().out).split())

    assert served_date(store) == SECOND_NIGHT
    assert run("--to-data-date", str(FIRST_NIGHT), "--reason", " ")[0] == 2
    code, output = run("--to-data-date", str(FIRST_NIGHT), "--reason", "wrong prices")

    assert (code, f"readers are served {FIRST_NIGHT} (" in output) == (0, True)
    assert served_date(store) == FIRST_NIGHT
    newest = max(store.rows("publications"), key=lambda row: row["seq"])
    assert (newest["action"], newest["reason"]) == ("roll back", "wrong prices")
    code, output = run("--to-data-date", str(FIRST_NIGHT), "--reason", "again")
    assert (code, "already" in output) == (1, True)

    [folder] = used_project.warehouse.glob(f"*/scores/data_date={SECOND_NIGHT}")
    shutil.rmtree(folder)
    code, output = run("--to-data-date", str(SECOND_NIGHT), "--reason", "mended")
    assert (code, "data files are lost" in output) == (1, True)
    assert served_date(store) == FIRST_NIGHT
