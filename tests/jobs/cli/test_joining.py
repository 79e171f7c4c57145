"""`lamplighter join`: a file of rows becomes a file of rows with features."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.cli.main import app
from tests.jobs.sample_project import SampleProject

SPINE = "item_id,user_id,data_date,note\n7,40,2022-05-08,a\n7,40,2022-05-08,a\n,41,2022-05-05,\n"


def said(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(command))
    return done.exit_code, done.output + capsys.readouterr().out


def test_a_file_is_joined_and_unknown_keys_are_counted(
    spark: SparkSession,
    after_two_nights: SampleProject,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "spine.csv").write_text(SPINE)
    out = tmp_path / "joined.csv"
    files = ("--spine", str(tmp_path / "spine.csv"), "--out", str(out))
    settings = [part for setting in after_two_nights.settings for part in ("--set", setting)]

    code, output = said(
        capsys, "join", *files, "--features", "user.user_like_count_7d,item.cohort,user.cohort", *settings
    )

    assert code == 0, output
    header, *lines = out.read_text().splitlines()
    assert header == "item_id,user_id,data_date,note,user_like_count_7d,item_cohort,user_cohort"
    assert len(lines) == 3
    assert ",41,2022-05-05,,0,new,new" in lines  # neither is known: as without events
    assert len(set(lines)) == 2
    assert [line.split() for line in output.splitlines()[-2:]] == [["item", "3", "1"], ["user", "3", "1"]]


@pytest.mark.parametrize(
    ("features", "out", "message"),
    [
        ("user.clicks", "out.csv", "user.clicks: user has no feature 'clicks'; it has user_is_never_seen"),
        ("user.cohort", "out.txt", "out.txt: its extension is .txt; expected .parquet, .csv or .csv.gz"),
    ],
)
def test_wrong_usage_ends_with_2_before_spark_starts(
    features: str, out: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("--spine", str(tmp_path / "spine.csv"), "--out", str(tmp_path / out))

    code, output = said(capsys, "join", *files, "--features", features)

    assert code == 2
    assert message in output
