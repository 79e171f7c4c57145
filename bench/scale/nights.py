"""Logs with their warehouses, and what is timed on them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bench.scale.tasks import Phases
from bench.scale.window_sql import features_sql
from core.config_model import ENTITIES, EntityName
from features.entities import to_known_keys
from features.events import to_events
from features.tiles import to_daily_tiles
from features.windows import longest_window_days, to_features
from jobs.runtime.arguments import Arguments
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.project import Project
from jobs.runtime.synthetic_log import generate
from jobs.workers.synthetic.spec import LogSpec

FEATURES = ("scan_sources", "ingest", "build_features")


@dataclass(frozen=True)
class Warehouse:
    """One log, and the tables that are made of it.

    Attributes:
        spec: of the log.
        folder: that holds both.
        phases: where time is counted.
        spark: settings of the session.
    """

    spec: LogSpec
    folder: Path
    phases: Phases
    spark: dict[str, str]

    def project(self, first: int, last: int) -> Project:
        """Return the project for dates by their numbers, from 1."""
        return Project(self._ask(first, last))

    def write_log(self) -> None:
        """Generate the log."""
        generate(self.project(1, 1).spark, self.spec, self.folder / "source")

    def run(self, jobs: Sequence[str], first: int, last: int, phase: str) -> None:
        """Run jobs over some dates as a run of a phase each, `PHASE JOB`."""
        for name in jobs:
            with self.phases.phase(f"{phase} {name}"):
                all_jobs()[name](self._ask(first, last))

    def build_history(self, last: int, states: Sequence[int], phase: str) -> None:
        """Fill tables up to a date as the jobs would, without suites, checks of grain and ledger.

        Features are stored as of some dates only: those that nights after them continue.

        Args:
            last: number of the last date.
            states: numbers of the dates that features are stored of; of these by `features_sql`.
            phase: its name.
        """
        self.run(FEATURES, 1, 1, phase)  # makes the tables, and users and items
        project = self.project(2, last)
        dates = F.col("data_date").between(project.arguments.first, project.arguments.last)
        with self.phases.phase(f"{phase} events"):
            self._append(project, "events", self.to_events_of(project).where(dates))
        with self.phases.phase(f"{phase} tiles"):
            for entity in ENTITIES:
                features = getattr(project.config.features, entity)
                events = self._read(project, "events").where(dates)
                tiles = to_daily_tiles(events, entity, features, project.config.behaviours)
                self._append(project, f"{entity}_daily", tiles)
        with self.phases.phase(f"{phase} states"):
            for entity in ENTITIES:
                for state in states:
                    self._append(project, f"{entity}_features", self._by_sql(project, entity, state))

    def build_alone(self, number: int, phase: str) -> None:
        """Make tiles and features of a date as build_features does, without suites and checks of grain."""
        project = self.project(number, number)
        day = project.arguments.last
        for entity in ENTITIES:
            features = getattr(project.config.features, entity)
            with self.phases.phase(phase):
                events = self._read(project, "events").where(F.col("data_date") == F.lit(day))
                tiles = to_daily_tiles(events, entity, features, project.config.behaviours)
                self._write(tiles, f"{entity}_daily")

                first = day - timedelta(days=longest_window_days(features) - 1)
                window = self._read(project, f"{entity}_daily").where(F.col("data_date").between(first, day))
                stored = self._read(project, f"{entity}_features")
                state = stored.where(F.col("data_date") == F.lit(day - timedelta(days=1)))
                entities = self._read(project, f"{entity}s")
                keys = to_known_keys(entities, window, state, entity, day, day)
                rows = to_features(keys, window, state, entities, features, entity, day, day)
                self._write(rows, f"{entity}_features")

    def window_sql(self, number: int, phase: str) -> None:
        """Compute the features of a date from all raw events."""
        project = self.project(number, number)
        for entity in ENTITIES:
            with self.phases.phase(phase):
                self._write(self._by_sql(project, entity, number), f"{entity}_sql")

    def differing_rows(self, number: int) -> int:
        """Return how many rows of a date only the stored features or only one of the others has."""
        project = self.project(number, number)
        differing = 0
        for entity in ENTITIES:
            stored = self._read(project, f"{entity}_features").where(
                F.col("data_date") == F.lit(project.arguments.last)
            )
            for other in (f"{entity}_features", f"{entity}_sql"):
                rows = project.spark.read.format("delta").load(str(self.folder / "bench" / other))
                rows = rows.select(*stored.columns)
                differing += stored.exceptAll(rows).count() + rows.exceptAll(stored).count()
        return differing

    def _by_sql(self, project: Project, entity: EntityName, number: int) -> DataFrame:
        for name in ("events", f"{entity}s"):
            self._read(project, name).createOrReplaceTempView(name)
        types = dict(self._read(project, f"{entity}_features").dtypes)
        day = self.spec.date_of(number - 1)
        return project.spark.sql(features_sql(project.config, entity, day, types))

    def to_events_of(self, project: Project) -> DataFrame:
        """Return all rows of the log as events."""
        files = project.spark.read.parquet(str(self.folder / "source" / "log" / "*"))
        path = F.col("_metadata.file_path")
        raw = files.select(
            "*",
            path.alias("source_path"),
            F.sha2(path, 256).alias("source_sha256"),
            F.regexp_extract(path, "/log/([^/]+)/", 1).cast("date").alias("file_date"),
            F.col("_metadata.row_index").alias("row_index"),
        )
        return to_events(raw, project.config)

    def _append(self, project: Project, table: str, rows: DataFrame) -> None:
        declared = project.catalog[table]
        writer = rows.select(*declared.columns).write.format("delta").mode("append")
        writer = writer.partitionBy(*declared.partition)
        metadata = json.dumps({"run_id": "bench.scale", "partitions": {}})
        writer.option("userMetadata", metadata).save(str(project.catalog.path(table)))

    def _read(self, project: Project, table: str) -> DataFrame:
        return project.store.read(project.spark, table)

    def _write(self, rows: DataFrame, name: str) -> None:
        rows.write.format("delta").mode("overwrite").save(str(self.folder / "bench" / name))

    def _ask(self, first: int, last: int) -> Arguments:
        spark = ", ".join(f"{key}: '{value}'" for key, value in self.spark.items())
        return Arguments(
            self.spec.date_of(first - 1),
            self.spec.date_of(last - 1),
            dataset="synthetic",
            settings=(
                f"source.root={self.folder / 'source'}",
                f"paths.warehouse={self.folder / 'warehouse'}",
                f"runtime.spark={{{spark}}}",
            ),
        )
