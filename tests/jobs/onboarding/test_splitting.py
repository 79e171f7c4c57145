"""A log in one file is written per date: every row once, a row without a time with the last date."""

import gzip
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError
from jobs.onboarding.new_project import guess_dataset
from jobs.onboarding.splitting import split_log

ROWS = [
    # reader; book; seconds since 1970
    *((f"r{n}", f"b{n % 3}", str(1_710_046_800 + 600 * n)) for n in range(300)),  # 2024-03-10 00:00 New York
    ("r9", "b1", "soon"),
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "loans.csv.gz"
    lines = ["reader;book;lent_at", *(";".join(row) for row in ROWS)]
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    return file


def test_each_row_is_in_the_folder_of_its_local_date(spark: SparkSession, log: Path, tmp_path: Path) -> None:
    done = split_log(spark, str(log), tmp_path / "loans", "America/New_York")

    found = {
        folder.name: sorted(tuple(row.values()) for file in folder.glob("*.parquet") for row in rows_of(file))
        for folder in (tmp_path / "loans").glob("data_date=*")
    }
    # The day on which clocks go forward has 23 hours, and ten minutes lie between two rows.
    first, second = 23 * 6, 24 * 6
    assert found == {
        "data_date=2024-03-10": sorted(ROWS[:first]),
        "data_date=2024-03-11": sorted(ROWS[first : first + second]),
        "data_date=2024-03-12": sorted(ROWS[first + second :]),
    }
    assert (done.first, done.last, done.dates) == (date(2024, 3, 10), date(2024, 3, 12), 3)
    assert (done.rows, done.undated) == (301, 1)
    guess = guess_dataset("loans", str(tmp_path / "loans"), None, None)
    assert guess.log.path == "loans/data_date={data_date}"


def rows_of(file: Path) -> list[dict[str, str]]:
    return list(pq.ParquetFile(file).read().to_pylist())


def test_what_cannot_be_split_is_refused(spark: SparkSession, log: Path, tmp_path: Path) -> None:
    dated = tmp_path / "loans-2024-03-10.csv.gz"
    dated.write_bytes(log.read_bytes())
    new = tmp_path / "new"

    with pytest.raises(ConfigError, match="exists; expected a new folder"):
        split_log(spark, str(log), tmp_path, "UTC")
    with pytest.raises(ConfigError, match=r"the names spell dates \(loans-{data_date}.csv.gz\); nothing is"):
        split_log(spark, str(dated), new, "UTC")
    with pytest.raises(ConfigError, match=r"no column day; there are \['reader', 'book', 'lent_at'\]"):
        split_log(spark, str(log), new, "UTC", "day")
    with pytest.raises(ConfigError, match=r"no column looks like a time among \['book'\]"):
        split_log(spark, str(log), new, "UTC", "book")
    assert not new.exists()
