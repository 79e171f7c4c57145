"""Paths that hold a date are written and read back."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.dated_path import DatedPath

DAY = date(2024, 2, 29)


@pytest.mark.parametrize(
    ("text", "path", "pattern"),
    [
        ("log/{data_date}.parquet", "log/2024-02-29.parquet", "log/*-*-*.parquet"),
        ("log/{data_date:%Y%m%d}/*.csv.gz", "log/20240229/*.csv.gz", "log/*/*.csv.gz"),
        ("{data_date:%Y}/{data_date:%m}/{data_date:%d}", "2024/02/29", "*/*/*"),
        ("day={data_date}", "day=2024-02-29", "day=*-*-*"),
        ("log.{data_date:%Y-%j}.json", "log.2024-060.json", "log.*-*.json"),
    ],
)
def test_a_date_is_spelled_as_the_path_says(text: str, path: str, pattern: str) -> None:
    assert (DatedPath(text).of(DAY), DatedPath(text).pattern) == (path, pattern)
    assert DatedPath(text).date_of(path.replace("*", "part-0")) == DAY


@pytest.mark.parametrize(
    ("text", "path", "found"),
    [
        ("day={data_date}", "day=2024-02-29/part-0.parquet", DAY),  # a file of the folder
        ("log/{data_date}.csv", "log/2024-02-30.csv", None),  # no date
        ("log/{data_date}.csv", "log/readme.csv", None),
        ("log/{data_date}.csv", "log/2024-02-29.csv.tmp", None),
        ("{data_date:%Y}/{data_date}.csv", "2024/2024-02-29.csv", DAY),
        ("{data_date:%Y}/{data_date}.csv", "2023/2024-02-29.csv", None),  # its parts do not agree
        ("a*/{data_date}.csv", "a/b/2024-02-29.csv", None),  # * is no /
    ],
)
def test_a_path_is_of_a_date_or_none_of_ours(text: str, path: str, found: date | None) -> None:
    assert DatedPath(text).date_of(path) == found


def test_dates_may_have_names_in_place_of_figures() -> None:
    path = DatedPath("log/{data_date}.csv", names={DAY: "train", date(2024, 3, 1): "test"})

    assert path.of(DAY) == "log/train.csv"
    assert path.pattern == "log/*.csv"
    assert [path.date_of(text) for text in ("log/test.csv", "log/train.csv", "log/2024-03-01.csv")] == [
        date(2024, 3, 1),
        DAY,
        None,
    ]
    assert path.of(date(2024, 3, 2)) == "log/2024-03-02.csv"  # has no name, and no file
    with pytest.raises(ValueError, match="dates have names"):
        DatedPath("{data_date:%Y%m%d}.csv", names={DAY: "train"}).check()


@given(
    day=st.dates(date(1970, 1, 1), date(2999, 12, 31)),
    text=st.sampled_from(
        ["{data_date}", "x{data_date:%Y%m%d}y", "{data_date:%Y/%j}/a", "{data_date:%d.%m.%Y}.gz"]
    ),
)
def test_every_date_is_read_back(day: date, text: str) -> None:
    assert DatedPath(text).date_of(DatedPath(text).of(day)) == day


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("log.parquet", "must hold a whole date"),
        ("{data_date:%Y%m}.csv", "must hold a whole date"),
        ("{data_date:%Y%m%d%H}.csv", "%H is no part of a date"),
        ("{day}/x.csv", r"\{day\} is unknown; expected \{data_date\}"),
    ],
)
def test_a_path_without_a_whole_date_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DatedPath(text).check()
