"""`lamplighter features`: what is printed of a feature."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.cli.features import lines
from jobs.cli.main import app
from quality.report.model import FeatureRow

UNKNOWN = FeatureRow("user", "user_click_count_7d", "user_id", "7d", "sum(is_click)", "events", "never")
KNOWN = replace(
    UNKNOWN,
    since=date(2022, 5, 3),
    rows=40,
    nulls=1,
    is_number=True,
    values=(("0", 20), ("1 to 9", 19)),
    models=("ple-1", "mfh-2"),
)


def test_a_feature_is_printed_with_what_is_known() -> None:
    assert lines(KNOWN) == [
        "",
        "user_click_count_7d",
        "  is     sum(is_click) over 7d",
        "  unit   events; null never",
        "  since  2022-05-03; models: ple-1, mfh-2",
        "  null   2.50 % of 40 rows",
        "  values 0: 50.00 %; 1 to 9: 47.50 %",
    ]
    assert lines(replace(UNKNOWN, window="", unit="")) == [
        "",
        "user_click_count_7d",
        "  is     sum(is_click)",
        "  unit   not declared; null never",
        "  since  no data date; models: none",
    ]


def test_features_are_printed_before_anything_has_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = ("--set", f"paths.warehouse={tmp_path}")
    done = CliRunner().invoke(app, ["features", "--group", "item", *setting])
    output = done.output + capsys.readouterr().out

    assert done.exit_code == 0
    assert "group item, key item_id; not profiled yet" in output
    assert "item_click_rate_1d" in output
    assert "user_" not in output

    tags = "{key: [user_id, item_tag], aggregates: [{name: shown, agg: count, windows: [7d]}]}"
    done = CliRunner().invoke(
        app, ["features", "--group", "taste", *setting, "--set", f"features.taste={tags}"]
    )
    output = done.output + capsys.readouterr().out
    assert "group taste, key user_id, taste_id; not profiled yet" in output
    assert "taste_shown_7d\n  is     count(*) over 7d" in output

    wrong = CliRunner().invoke(app, ["features", "--group", "author", *setting])
    assert wrong.exit_code == 2
    assert "there is no such group; expected one of" in wrong.output + capsys.readouterr().out
