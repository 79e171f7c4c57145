"""Since when a table has a column: the first data date from which on every commit names it."""

import json
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from jobs.tables.since import columns_since
from tests.jobs.tables.small import DAY, LONG, NUMBERS, small_store

TABLE = replace(
    NUMBERS, columns=NUMBERS.columns | {"clicks": LONG}, column_fingerprints={"value": "a", "clicks": "b"}
)
LAST = DAY + timedelta(days=2)


def write(folder: Path, first: date, days: int, *columns: str) -> None:
    """Write dates in one commit that carries these columns, as Spark's commits of a job do."""
    dates = [first + timedelta(days=number) for number in range(days)]
    rows = pa.table({"id": [1] * days, "value": [1] * days, "clicks": [1] * days, "data_date": dates})
    said = {
        "partitions": {str(day): "fingerprint" for day in dates},
        "columns": dict.fromkeys(columns, "hash"),
    }
    write_deltalake(
        folder / "small" / "numbers",
        rows,
        mode="overwrite",
        predicate=f"data_date >= '{dates[0]}' AND data_date <= '{dates[-1]}'",
        partition_by=["data_date"],
        commit_properties=CommitProperties(custom_metadata={"userMetadata": json.dumps(said)}),
    )


def test_a_column_is_there_since_the_first_date_without_a_gap_after_it(tmp_path: Path) -> None:
    store = small_store(tmp_path, TABLE)
    assert columns_since(store, "numbers") == {}

    write(tmp_path, DAY, 2, "value")
    assert columns_since(store, "numbers") == {"value": DAY}

    write(tmp_path, LAST, 1, "value", "clicks")
    assert columns_since(store, "numbers") == {"value": DAY, "clicks": LAST}

    write(tmp_path, DAY, 1, "value", "clicks")  # a gap on the date between
    assert columns_since(store, "numbers") == {"value": DAY, "clicks": LAST}

    write(tmp_path, DAY, 2, "value", "clicks")
    assert columns_since(store, "numbers") == {"value": DAY, "clicks": DAY}

    write(tmp_path, LAST, 1, "clicks")
    assert columns_since(store, "numbers") == {"clicks": DAY}
