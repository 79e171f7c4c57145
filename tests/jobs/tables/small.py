"""A catalog of small tables in a folder of one's own."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from jobs.tables.catalog import Catalog
from jobs.tables.locks import FileLocks
from jobs.tables.store import Store
from jobs.tables.table import Table

DAY, NEXT = date(2022, 5, 7), date(2022, 5, 8)
LONG, DATE, STRING, BOOLEAN = T.LongType(), T.DateType(), T.StringType(), T.BooleanType()

NUMBERS = Table("numbers", ("id", "data_date"), {"id": LONG, "value": LONG, "data_date": DATE})
WIDER = replace(NUMBERS, columns=NUMBERS.columns | {"clicks": LONG})
RUNS = Table(
    "runs", ("run_id",), {"run_id": T.StringType(), "state": T.StringType(), "data_date": DATE}, partition=()
)


class SmallCatalog(Catalog):
    """Some tables below a folder."""

    def __init__(self, folder: Path, *tables: Table) -> None:
        self.dataset = "small"
        self.root = (folder / "small").as_uri()
        self.tables = {table.name: table for table in tables or (NUMBERS, RUNS)}


def small_store(folder: Path, *tables: Table, wait_seconds: float = 1.0) -> Store:
    """The tables of a folder; two calls see the same ones."""
    return Store(SmallCatalog(folder, *tables), FileLocks(folder / "small" / "_locks", wait_seconds))


def numbers(spark: SparkSession, *values: tuple[int, int], day: date = DAY) -> DataFrame:
    """Rows of `numbers`: (id, value) of one data date."""
    return spark.createDataFrame([(*pair, day) for pair in values], NUMBERS.schema)


def row(run_id: str, **more: Any) -> dict[str, Any]:
    """A row of `runs`."""
    return {"run_id": run_id, "state": "done", "data_date": DAY} | more


def write_numbers(spark: SparkSession, store: Store, *values: tuple[int, int], day: date = DAY) -> None:
    """Replace one data date of `numbers`."""
    metadata = {"run_id": f"run of {day}"}
    store.replace(
        "numbers", numbers(spark, *values, day=day), f"data_date = DATE'{day}'", metadata, len(values)
    )
