"""Files are found at a path, and the date in their names becomes a placeholder."""

import gzip
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.dated_path import DatedPath
from core.errors import ConfigError
from jobs.onboarding.offered import offered_at
from jobs.tables.source_files import found_at


@pytest.mark.parametrize(
    ("names", "path"),
    [
        (["2022-05-07.parquet", "2022-05-08.parquet"], "log/{data_date}.parquet"),
        (["2023/0320/a.csv.gz", "2023/0321/b.csv.gz", "2023/0321/c.csv.gz"], "log/{data_date:%Y/%m%d}"),
        (["year=2022/month=05/day=07/x.csv"], "log/year={data_date:%Y/month=%m/day=%d}/x.csv"),
        (["e_20220507_00.csv", "e_20220507_01.csv", "e_20220508_10.csv"], "log/e_{data_date:%Y%m%d}_*.csv"),
        (["2022-05-07/x-2022-05-07.json"], "log/{data_date}/x-{data_date}.json"),
        (["2022/05/x-2022-05-07.orc", "2023/06/x-2023-06-08.orc"],
         "log/{data_date:%Y}/{data_date:%m}/x-{data_date}.orc"),
        (["a/2022.05.07.csv", "b/2022.05.07.csv"], "log/*/{data_date:%Y.%m.%d}.csv"),
        (["d=2022-05-07/part-00000-efdf7499-b71b.c000.parquet"] * 2, "log/d={data_date}"),
        (["data_date=2022-05-07/p1.parquet", "data_date=2022-05-08/p2.parquet"], "log/data_date={data_date}"),
    ],
)  # fmt: skip
def test_a_date_in_names_becomes_a_placeholder(tmp_path: Path, names: list[str], path: str) -> None:
    for name in names:
        file = tmp_path / "log" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")

    found = offered_at(str(tmp_path / "log"), "--events")

    assert found.path == path
    assert found.root == tmp_path
    dated = DatedPath(path)
    dated.check()
    for day, files in found.by_date.items():
        assert [dated.date_of(file.relative_to(tmp_path).as_posix()) for file in files] == [day] * len(files)
    assert sum(map(len, found.by_date.values())) == len(set(names))


@given(
    days=st.lists(st.dates(date(2001, 1, 1), date(2098, 12, 31)), min_size=2, max_size=5, unique=True),
    form=st.sampled_from(["%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%Y_%m_%d", "y=%Y/m=%m/d=%d", "%Y/%m-%d"]),
    start=st.sampled_from(["", "log-", "a/b_", "v2/x."]),
    end=st.sampled_from([".csv", "/part-0.csv", "_eu.csv.gz", "/x/y.csv"]),
)
@settings(max_examples=60)
def test_the_path_that_is_found_names_the_file_of_each_date(
    days: list[date], form: str, start: str, end: str
) -> None:
    with TemporaryDirectory() as name:
        root = Path(name) / "log"
        for day in days:
            file = root / f"{start}{day:{form}}{end}"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")

        found = offered_at(str(root), "--events")

        assert set(found.by_date) == set(days)
        for day, (file,) in found.by_date.items():
            (place,) = found_at(found.root, DatedPath(found.path).of(day))
            assert file == place or file.is_relative_to(place)


def test_names_without_a_date_are_undated(tmp_path: Path) -> None:
    for name in ("a.csv", "b20221399.csv"):
        (tmp_path / name).write_text("x")

    assert offered_at(str(tmp_path), "--events").by_date == {}
    assert offered_at(str(tmp_path / "a.csv"), "--users").path == "a.csv"


def test_a_path_may_be_a_glob_or_hold_the_date_itself(tmp_path: Path) -> None:
    for name in ("x-2022-05-07.csv", "x-2022-05-08.csv", "y-2022-05-08.csv"):
        (tmp_path / name).write_text("x")

    assert offered_at(f"{tmp_path}/x-*.csv", "--events").path == "x-{data_date}.csv"
    found = offered_at(f"{tmp_path}/x-{{data_date}}.csv", "--events")
    assert (found.path, found.dates) == ("x-{data_date}.csv", [date(2022, 5, 7), date(2022, 5, 8)])


def test_other_files_of_a_folder_are_left_out(tmp_path: Path) -> None:
    for name in ("2022-05-07.csv.gz", "2022-05-08.csv.gz", "README.md", "_SUCCESS", ".2022-05-09.csv.gz.crc"):
        (tmp_path / name).write_bytes(gzip.compress(b"x"))

    assert len(offered_at(str(tmp_path), "--events").files) == 2
    with pytest.raises(
        ConfigError, match=r"--users .*/none: no data files; expected a file, a folder or a glob"
    ):
        offered_at(str(tmp_path / "none"), "--users")
