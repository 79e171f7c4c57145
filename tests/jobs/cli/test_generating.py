"""`lamplighter generate`: values that make no log are one line and exit code 2, before Spark starts."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.main import app

SIZE = {"--events-per-day": "5000", "--days": "36", "--users": "8000", "--items": "50", "--seed": "1"}


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--users", "10", "5000 events per day, 5 per active user and day, need at least 1801 users"),
        ("--late", "2", "--late: Input should be less than or equal to 0.5, found 2.0"),
        ("--first-date", "2024-02-30", "--first-date: Input should be a valid date"),
        ("--time-zone", "Berlin", "time zone 'Berlin' is unknown; name one as Asia/Shanghai is"),
    ],
)
def test_a_log_that_cannot_be_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str, message: str
) -> None:
    flags = [text for pair in (SIZE | {flag: value}).items() for text in pair]

    done = CliRunner().invoke(app, ["generate", str(tmp_path / "log"), *flags])

    assert done.exit_code == 2
    assert f"generate: {message}" in done.output + capsys.readouterr().out
    assert not (tmp_path / "log").exists()
