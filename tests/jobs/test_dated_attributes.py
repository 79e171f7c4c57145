"""Attributes with dates, through whole jobs: a night sees what was valid then, whatever arrives later."""

import shutil
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError
from jobs.ingest import ingest
from jobs.runtime.arguments import Arguments
from jobs.runtime.attributes import refresh_entities
from jobs.runtime.night import plan_night, run_history, run_night
from jobs.runtime.pipeline import data_steps
from jobs.runtime.project import Project
from jobs.runtime.run import Run
from jobs.tables.digest import digests
from tests.second_data_set import FIRST, NAME, READERS, write_csv, write_second_data_set

DAYS = tuple(FIRST + timedelta(days=number) for number in range(3))
SPARK = (
    "runtime.spark={spark.master: 'local[2]', spark.sql.shuffle.partitions: '2', "
    "spark.sql.adaptive.enabled: 'false'}"
)
SNAPSHOTS = (
    "source.users.path=readers/{data_date:%Y%m%d}.csv.gz",
    "source.users.format=csv",
    "source.users.options={sep: ';'}",
    "source.users.snapshot_date=path",
    "source.events.lateness_days=0",  # so that no late row repairs a date
    "source.events.max_failing_share=0.5",
)
FIRST_READER, SECOND_READER = READERS[:2]


@dataclass(frozen=True)
class Library:
    """The library's project, whose readers come in some other way."""

    folder: Path
    settings: tuple[str, ...]

    def ask(self, first: date, last: date | None = None) -> Arguments:
        return Arguments(
            first, last or first, dataset=NAME, settings=(SPARK, *self.settings), project=self.folder
        )

    def opened(self, day: date = DAYS[-1]) -> Project:
        return Project(self.ask(day))

    def users(self) -> set[tuple[Any, ...]]:
        rows = self.opened().store.rows("users")
        return {(r["user_id"], r["valid_from"], r["valid_to"], r["user_born"]) for r in rows}

    def deliver(self, day: date, readers: dict[str, int | None]) -> None:
        rows = [{"reader": reader, "born": born} for reader, born in readers.items()]
        write_csv(self.folder / "data" / NAME / "readers" / f"{day:%Y%m%d}.csv.gz", rows)


def born(project: Library, day: date) -> dict[str, int | None]:
    rows = project.opened().store.rows("user_features", f"data_date = '{day}'")
    return {row["user_id"]: row["user_born"] for row in rows}


def contents(spark: SparkSession, project: Library) -> dict[tuple[str, str], str]:
    found = digests(spark, project.opened().store)
    return {
        (e.table, e.data_date): e.digest for e in found if e.table in ("users", "user_features", "examples")
    }


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(write_second_data_set(tmp_path / "one", rows_per_day=20), SNAPSHOTS)


EVERYBODY: dict[str, int | None] = dict.fromkeys(READERS, 1990)


@pytest.mark.slow
def test_a_night_sees_the_snapshot_of_its_date_whatever_arrives_later(
    spark: SparkSession, library: Library, tmp_path: Path
) -> None:
    library.deliver(DAYS[0], EVERYBODY | {FIRST_READER: 1950})
    run_night(library.ask(DAYS[0]), data_steps())
    as_it_was = born(library, DAYS[0])
    last = {reader: born for reader, born in EVERYBODY.items() if reader != SECOND_READER}
    library.deliver(DAYS[2], last | {FIRST_READER: 1952})
    run_night(library.ask(DAYS[1]), data_steps())  # the snapshot of its date is late
    library.deliver(DAYS[1], EVERYBODY | {FIRST_READER: 1951})
    run_night(library.ask(DAYS[2]), data_steps())

    assert (FIRST_READER, DAYS[0], DAYS[1], 1950) in library.users()
    assert (FIRST_READER, DAYS[1], DAYS[2], 1951) in library.users()
    assert (FIRST_READER, DAYS[2], None, 1952) in library.users()
    assert (SECOND_READER, DAYS[0], DAYS[2], 1990) in library.users()  # not in the last snapshot
    assert born(library, DAYS[0]) == as_it_was
    assert born(library, DAYS[1])[FIRST_READER] == 1950  # as it was known in that night
    assert born(library, DAYS[2])[FIRST_READER] == 1952
    examples = library.opened().store.rows("examples", f"data_date = '{DAYS[2]}'")
    assert {row["user_born"] for row in examples if row["user_id"] == SECOND_READER} <= {1990}

    ask = library.ask(DAYS[0])
    assert next(step for step in plan_night(ask) if step.job == "ingest").why == "up to date"
    reason = next(step for step in plan_night(library.ask(DAYS[1])) if step.job == "ingest").why
    assert reason == "source readers/{data_date:%Y%m%d}.csv.gz changed"

    run_history(library.ask(DAYS[1], DAYS[2]))
    at_once = Library(
        shutil.copytree(library.folder, tmp_path / "two", ignore=shutil.ignore_patterns("warehouse")),
        SNAPSHOTS,
    )
    run_history(at_once.ask(DAYS[0], DAYS[2]))
    assert contents(spark, library) == contents(spark, at_once)


def refreshed(library: Library, day: date) -> set[tuple[Any, ...]]:
    """Bring the tables up to what is offered, as `ingest` does; return the users."""
    refresh_entities(Run(ingest, library.opened(day)))
    return library.users()


def test_a_withdrawn_snapshot_leaves_the_table_and_an_archived_one_stays(
    spark: SparkSession, library: Library
) -> None:
    for number, day in enumerate(DAYS):
        library.deliver(day, {FIRST_READER: 1950 + number})
    everything = refreshed(library, DAYS[2])
    folder = library.folder / "data" / NAME / "readers"
    (folder / f"{DAYS[1]:%Y%m%d}.csv.gz").unlink()
    withdrawn = refreshed(library, DAYS[2])
    (folder / f"{DAYS[0]:%Y%m%d}.csv.gz").unlink()
    archived = refreshed(library, DAYS[2])

    assert {row[1:] for row in everything} == {
        (DAYS[0], DAYS[1], 1950), (DAYS[1], DAYS[2], 1951), (DAYS[2], None, 1952)
    }  # fmt: skip
    assert (
        withdrawn == archived == {(FIRST_READER, DAYS[0], DAYS[2], 1950), (FIRST_READER, DAYS[2], None, 1952)}
    )


def test_changes_in_files_per_date_count_from_the_date_of_their_file_at_the_earliest(
    spark: SparkSession, library: Library
) -> None:
    changing = replace(
        library,
        settings=(
            *SNAPSHOTS[:3],
            "source.users.snapshot_date=null",
            "source.users.changed_at={from: at, type: timestamp, zone: Europe/Berlin}",
        ),
    )

    def deliver(day: date, *rows: tuple[str, int, str]) -> None:
        written: list[dict[str, object]] = [{"reader": r, "born": b, "at": at} for r, b, at in rows]
        write_csv(library.folder / "data" / NAME / "readers" / f"{day:%Y%m%d}.csv.gz", written)

    deliver(
        DAYS[0], (FIRST_READER, 1950, f"{DAYS[0]} 00:30:00"), (SECOND_READER, 1990, "2001-01-01 12:00:00")
    )
    deliver(DAYS[1], (FIRST_READER, 1951, f"{DAYS[0]} 09:00:00"), (FIRST_READER, 1952, f"{DAYS[2]} 09:00:00"))

    assert refreshed(changing, DAYS[1]) == {
        (FIRST_READER, DAYS[0], DAYS[1], 1950),
        (FIRST_READER, DAYS[1], DAYS[2], 1951),
        (FIRST_READER, DAYS[2], None, 1952),
        (SECOND_READER, DAYS[0], None, 1990),
    }
    deliver(DAYS[2], (FIRST_READER, 1953, "soon"))
    with pytest.raises(
        LamplighterError, match=r"readers/.*: 1 rows have no readable changed_at; expected a date"
    ):
        refreshed(changing, DAYS[2])


def test_snapshots_in_a_table_of_the_catalog_and_since_when_an_undated_user_is_known(
    spark: SparkSession, library: Library
) -> None:
    table = library.folder / "data" / NAME / "people"
    rows = [
        {"reader": FIRST_READER, "born": "1950", "day": DAYS[0], "opened": "2023-03-20T23:30:00Z"},
        {"reader": FIRST_READER, "born": "1951", "day": DAYS[1], "opened": "2023-03-20T23:30:00Z"},
    ]
    write_deltalake(str(table), pa.Table.from_pylist(rows), partition_by=["day"])
    spark.sql(f"CREATE TABLE IF NOT EXISTS people USING delta LOCATION '{table}'")
    spark.sql("CREATE TABLE IF NOT EXISTS plain (reader string) USING parquet")
    named = ("source.users.format=table", "source.users.path=people")
    dated = replace(library, settings=(*named, "source.users.snapshot_date={from: day, type: date}"))
    undated = replace(
        library,
        settings=(
            "source.users.format=delta",
            "source.users.path=people",
            "source.users.version=1",
            "source.users.snapshot_date=undated",
            "source.users.valid_from={from: opened, type: timestamp}",
        ),
    )
    try:
        assert refreshed(dated, DAYS[0]) == {(FIRST_READER, DAYS[0], None, 1950)}  # not those after the date
        before = dated.opened().sources.hashes("attributes", DAYS[0])
        write_deltalake(str(table), pa.Table.from_pylist([rows[0]]), partition_by=["day"], mode="overwrite")
        assert dated.opened().sources.hashes("attributes", DAYS[0]).keys() == before.keys()

        assert refreshed(undated, DAYS[0]) == {(FIRST_READER, date(2023, 3, 21), None, 1950)}  # in Berlin

        plain = replace(library, settings=("source.users.format=table", "source.users.path=plain"))
        plain = replace(plain, settings=(*plain.settings, "source.users.snapshot_date=undated"))
        with pytest.raises(ConfigError, match="plain: a table of format parquet, whose changes cannot be"):
            plain.opened().sources.hashes("attributes", DAYS[0])
    finally:
        spark.sql("DROP TABLE people")
        spark.sql("DROP TABLE plain")
