"""A slice of the embedded log in a folder of its own, with a warehouse, to be broken at will."""

import json
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.load import PROJECT_DIR, load_config
from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project

EMBEDDED = PROJECT_DIR / "data" / "kuairand_pure"
FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT = date(2022, 5, 3), date(2022, 5, 7), date(2022, 5, 8)
ONE_USER_IN = 10


@dataclass(frozen=True)
class SampleProject:
    """A source folder and a warehouse, and how to ask for jobs on them."""

    source: Path
    warehouse: Path
    extra: tuple[str, ...] = ()  # settings of one test

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings that fit the slice: few rows, few epochs, few replicates."""
        return (
            f"source.root={self.source}",
            f"paths.warehouse={self.warehouse}",
            f"paths.reports={self.warehouse}/reports",
            "runtime.spark={spark.master: 'local[2]', spark.sql.shuffle.partitions: '2', "
            "spark.sql.adaptive.enabled: 'false'}",
            f"inputs.categorical={json.dumps(_with_cohorts())}",
            "training.first_data_date=2022-05-04",
            "training.window_days=3",
            "training.block_rows=256",
            "training.shards=2",
            "model.optimiser.max_epochs=4",
            "model.optimiser.patience=4",
            "model.optimiser.batch_rows=128",
            "promotion.primary_tasks=[click]",  # the only one with enough positives in a slice
            "evaluation.replicates=20",
            "evaluation.min_class_count=10",
            "lists.home.pool=[{source: most_shown, items: 25, window: 7d}, {source: newest, items: 5}]",
            "lists.home.seen_days=0",
            "lists.home.top_k=5",
            *self.extra,
        )

    def ask(
        self, first: date, last: date | None = None, model: str | None = None, allow_empty: bool = False
    ) -> Arguments:
        """Arguments of a job on this project."""
        return Arguments(first, last or first, settings=self.settings, model=model, allow_empty=allow_empty)

    def opened(self, day: date = SECOND_NIGHT) -> Project:
        """What there is on a date."""
        return Project(self.ask(day))

    def log_file(self, day: date) -> Path:
        """A file of the log."""
        return self.source / "log" / f"{day}.parquet"

    def copy(self, folder: Path) -> "SampleProject":
        """The same, to be broken at will."""
        copied = SampleProject(folder / "source", folder / "warehouse", self.extra)
        shutil.copytree(self.source, copied.source)
        if self.warehouse.exists():
            shutil.copytree(self.warehouse, copied.warehouse)
        return copied


def _with_cohorts() -> list[dict[str, Any]]:
    """The inputs of the log's configuration, and both cohorts among them."""
    declared = load_config().inputs.categorical
    cohorts = [{"column": column, "dim": 2} for column in ("user_cohort", "item_cohort")]
    return [*(column.model_dump(exclude_defaults=True) for column in declared), *cohorts]


def cut_slice(folder: Path) -> SampleProject:
    """Every 10th user of the embedded log, from 05-03 on, with a folder for a warehouse."""
    source = folder / "source"
    (source / "log").mkdir(parents=True)
    for file in sorted((EMBEDDED / "log").glob("*.parquet")):
        if date.fromisoformat(file.stem) >= FIRST_LOG_DATE:
            _filter_users(file, source / "log" / file.name)
    _filter_users(EMBEDDED / "user_features.parquet", source / "user_features.parquet")
    shutil.copy(EMBEDDED / "video_features_basic.parquet", source)
    return SampleProject(source, folder / "warehouse")


def _filter_users(file: Path, to: Path) -> None:
    rows = pq.read_table(file)
    user = rows["user_id"]
    kept = pc.equal(pc.subtract(user, pc.multiply(pc.divide(user, ONE_USER_IN), ONE_USER_IN)), 0)
    pq.write_table(rows.filter(kept), to)
