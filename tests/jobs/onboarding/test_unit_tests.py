"""`lamplighter test` runs the jobs of a history on rows of a file, and says cell by cell what differs."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from core.load import PROJECT_DIR
from jobs.onboarding.differences import is_equal
from jobs.onboarding.unit_tests import files_of_tests, read_test, run_test
from tests.second_data_set import write_second_data_set

KUAIRAND = PROJECT_DIR / "conf" / "tests" / "kuairand.yaml"
pytestmark = pytest.mark.usefixtures("session_as_it_was")
LIBRARY = """
dataset: library
events:
  2023-03-26:
    - {reader: "Leser:ä", book: Büch, opened_at: "2023-03-26 08:00:00", shelf: 1, device: Phone, borrowed: "yes", reading_minutes: 2, stars: 4.5}
    - {reader: "Leser:ä", book: Büch, opened_at: "2023-03-25 08:00:00", shelf: 1, borrowed: "no", reading_minutes: 0, stars: NA}
expect:
  events:
    2023-03-26:
      - {user_id: "Leser:ä", item_id: Büch, event_time: 2023-03-26 06:00:00, user_device: phone, reading_seconds: 120, stars: 4.5}
  quarantine:
    2023-03-25: [{failed_rules: [stars_not_null]}]
  user_cohorts:
    2023-03-26: [{user_id: "Leser:ä", cohort: guest}]
"""  # noqa: E501  # as a file holds it


@pytest.mark.slow
def test_the_test_of_the_demo_passes(spark: SparkSession) -> None:
    assert run_test(KUAIRAND, None) == []


@pytest.mark.slow
def test_actions_find_their_rows_and_attributes_have_dates(spark: SparkSession) -> None:
    assert run_test(PROJECT_DIR / "conf" / "tests" / "awkward.yaml", None) == []


def test_differences_are_named_cell_by_cell(spark: SparkSession, tmp_path: Path) -> None:
    text = KUAIRAND.read_text()
    for old, new in (
        ("user_like_count_all: 1}", "user_like_count_all: 3}"),
        ("2022-05-06: []", "2022-05-05: []"),
        ("{item_id: 10, item_impression_count_all: 2,", "{item_id: 99, item_impression_count_all: 2,"),
    ):
        assert old in text
        text = text.replace(old, new)
    text = text.replace("    2022-05-05:\n      - {source_path: log/2022-05-05.parquet, failed_rules", "    2022-05-04:\n      - {failed_rules")  # fmt: skip  # noqa: E501
    file = tmp_path / "broken.yaml"
    file.write_text(text)

    differences = run_test(file, None)

    lines = text.splitlines()
    (line,) = (number for number, each in enumerate(lines, 1) if "user_like_count_all: 3}" in each)
    assert (
        f"{file}:{line}: user_features 2022-05-06 user_id=1: user_like_count_all is 1, expected 3"
        in differences
    )
    said = "\n".join(differences)
    assert "quarantine 2022-05-05: 1 rows, expected none; the first is {'source_row_id'" in said
    assert "quarantine 2022-05-04 : 0 rows, expected one; there are []" in said
    assert "item_features 2022-05-05 item_id=99: 0 rows, expected one; there are [{'item_id': 10}" in said
    assert len(differences) == 4


def test_rows_are_written_in_the_format_of_the_data_set(spark: SparkSession, tmp_path: Path) -> None:
    write_second_data_set(tmp_path, rows_per_day=10)
    folder = tmp_path / "conf" / "tests"
    folder.mkdir(exist_ok=True)
    (folder / "library.yaml").write_text(LIBRARY, encoding="utf-8")

    (file,) = (each for each in files_of_tests(tmp_path, ()) if each.name == "library.yaml")

    assert run_test(file, tmp_path) == []


@pytest.mark.parametrize(
    ("found", "expected", "same"),
    [
        (1, 1, True),
        (1, 2, False),
        (None, None, True),
        (None, 0, False),
        (0, None, False),
        (True, True, True),
        (1, True, True),
        (True, 1, True),
        ("1", True, False),
        (Decimal("12.500"), 12.5, True),
        (Decimal("0.100"), 0.1, True),
        (Decimal("12.500"), 12.4, False),
        (0.1 + 0.2, 0.3, True),
        (0.4571428571, 0.457143, True),
        (0.4571428571, 0.4572, False),
        ("2022-05-04 16:00:00", datetime(2022, 5, 4, 16), True),
        (date(2022, 5, 4), date(2022, 5, 4), True),
        (["a", "b"], ["a", "b"], True),
        (["a", "b"], ["b", "a"], False),
        (["a"], "a", False),
        ("a", "a", True),
    ],
)
def test_a_value_is_equal_to_what_yaml_says(found: Any, expected: Any, same: bool) -> None:
    assert is_equal(found, expected) == same


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: kuairand\nevents: {2022-05-05: []}\n", r":1: expect: Field required"),
        ("dataset: kuairand\nevents: {2022-05-05: []}\nexpect:\n  users: 3\n", r":4: expect\.users"),
        ("dataset: kuairand\nevents: {soon: []}\nexpect: {}\n", r":2: events\.soon"),
        (
            "dataset: kuairand\nevents: {}\nexpect: {}\n",
            r":2: events: Dictionary should have at least 1 item",
        ),
        ("dataset: [", "is no YAML"),
    ],
)
def test_a_file_that_is_no_test_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.yaml").write_text(text)

    with pytest.raises(ConfigError, match=message):
        read_test(tmp_path / "t.yaml")


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        (
            "{none: {2022-05-05: []}}",
            r":3: none: no such table; expected one of \['current_scores', ",
        ),
        ("{events: [{user_id: 1}]}", r":3: events: expected rows by data date"),
        ("\n  events:\n    2022-05-05:\n      - {usr: 1}", r":6: events has no columns \['usr'\]; it has"),
    ],
)
def test_expected_rows_are_checked_before_anything_runs(tmp_path: Path, expect: str, message: str) -> None:
    (tmp_path / "t.yaml").write_text(f"dataset: kuairand\nevents: {{2022-05-05: []}}\nexpect: {expect}\n")

    with pytest.raises(ConfigError, match=message):
        run_test(tmp_path / "t.yaml", None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "users: {2022-05-05: [{user_id: 1}]}",
            "t.yaml: users: expected rows without dates: it is one file, as source.users is declared",
        ),
        (
            "actions: {order: {2022-05-05: [{user_id: 1}]}}",
            "t.yaml: actions.order: the data set declares no source.actions.order; leave the rows out",
        ),
    ],
)
def test_rows_of_a_source_that_is_declared_otherwise_are_refused(
    tmp_path: Path, rows: str, message: str
) -> None:
    text = f"dataset: kuairand\nevents: {{2022-05-05: []}}\n{rows}\nexpect: {{events: {{2022-05-05: []}}}}\n"
    (tmp_path / "t.yaml").write_text(text)

    with pytest.raises(ConfigError, match=message):
        run_test(tmp_path / "t.yaml", None)


def test_a_project_without_tests_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"conf/tests holds no tests; expected YAML files"):
        files_of_tests(tmp_path, ())
