from dataclasses import replace

import pytest

from quality.report import words
from quality.report.model import DecisionCell, MetricCell


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (119.4, "119 s"), (303.0, "5 min 03 s")],
)
def test_durations_have_the_unit_that_people_read(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_counts_have_thousands_and_nothing_is_a_dash() -> None:
    assert [words.count(27285), words.count(0), words.count(None)] == ["27,285", "0", "\N{EN DASH}"]


def test_whole_numbers_have_all_digits_and_others_four() -> None:
    numbers = (0.0, 12345.0, 0.44123, -1.5, 1234.56, 2e-7)

    assert [words.number(value) for value in numbers] == ["0", "12,345", "0.4412", "-1.5", "1,235", "2e-07"]


def test_a_change_has_its_sign() -> None:
    assert [words.change(12, 10), words.change(9, 1209), words.change(5, 5), words.change(5, None)] == [
        "+2",
        "\N{MINUS SIGN}1,200",
        "0",
        "\N{EN DASH}",
    ]


def test_the_scarcer_class_is_the_one_that_is_named() -> None:
    cell = MetricCell("like", "all", "auc", "champion", None, None, None, 12, 3)

    assert words.not_enough(cell) == "not enough negatives (3)"


def test_what_is_short_depends_on_the_metric() -> None:
    cell = MetricCell("like", "all", "gauc", "champion", None, None, None, None, None, rows=90, users=12)

    assert words.not_enough(cell) == "not enough users with both classes (12)"
    assert words.not_enough(replace(cell, metric="mse", users=None)) == "not enough rows (90)"


def test_a_value_without_interval_stands_alone() -> None:
    cell = MetricCell("like", "all", "log_loss", "champion", 0.1234, None, None, 12, 3)

    assert words.interval(cell) == "0.1234"


@pytest.mark.parametrize(
    ("replicates", "text"),
    [  # an interval of .05 has a standard deviation of .0128; the error of its ends is 2.67 of it / sqrt(R)
        (None, "0.7123 [0.6900, 0.7400]"),
        (400, "0.71 [0.69, 0.74]"),
        (10_000, "0.712 [0.690, 0.740]"),
    ],
)
def test_an_interval_has_the_digits_that_its_replicates_carry(replicates: int | None, text: str) -> None:
    cell = MetricCell("like", "all", "auc", "champion", 0.7123, 0.69, 0.74, 12, 3, replicates=replicates)

    assert words.interval(cell) == text


@pytest.mark.parametrize(
    ("replicates", "text"),
    [  # of a normal interval: 1.39 of the standard deviation .0153 / sqrt(R)
        (None, "+0.0123 [-0.0177, +0.0423]"),
        (400, "+0.01 [-0.02, +0.04]"),
        (2000, "+0.012 [-0.018, +0.042]"),
    ],
)
def test_a_gain_has_the_digits_that_its_replicates_carry(replicates: int | None, text: str) -> None:
    cell = DecisionCell("like", "user:new", "auc", "undecided", 0.0123, -0.0177, 0.0423, 0.1, 61)

    assert words.gain(cell, replicates).replace(words.MINUS, "-") == text
