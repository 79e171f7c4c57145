"""A project, opened from Python."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any, cast

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from pyspark.sql.pandas.functions import pandas_udf

from core.errors import ConfigError, LamplighterError
from core.load import DEFAULT_DATASET
from core.paths import name_of
from core.schema import Config
from jobs.runtime import backfill, night
from jobs.runtime.arguments import EARLIEST, LATEST, Arguments, one_date, parse_dates
from jobs.runtime.backfill import BackfillPlan
from jobs.runtime.lists import list_of, served_date
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.plan import PlannedStep
from jobs.runtime.project import Project as JobProject
from jobs.runtime.spine import join_spine
from jobs.runtime.trying import Tried, try_change
from jobs.tables.table import Table
from jobs.workers.row_scores import to_probabilities
from models.serving.bundle import read_bundle

log = logging.getLogger("lamplighter")

DataDate = str | date
NIGHT, HISTORY = "night", "history"


def open(  # noqa: A001  # read as lamplighter.open(...)
    folder: str | PathLike[str] | None = None,
    *,
    dataset: str = DEFAULT_DATASET,
    env: str = "local",
    settings: Sequence[str] = (),
) -> "Project":
    """Open a data set of a project folder.

    Args:
        folder: folder that holds conf/; None: the one that holds the installed code.
        dataset: name of a file in conf/datasets.
        env: name of a file in conf: local, cluster.
        settings: `key=value` each, as `--set` takes them.

    Raises:
        ConfigError: the configuration is missing or wrong.
    """
    project = None if folder is None else Path(folder).resolve()
    return Project(Arguments(EARLIEST, LATEST, dataset, env, tuple(settings), project=project))


class Project:
    """One data set of a project folder in one environment.

    A Spark session is started when a table is first read, and is shared by the process.
    """

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._project = JobProject(arguments)

    @property
    def config(self) -> Config:
        """The whole configuration, frozen."""
        return self._project.config

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of all tables."""
        return tuple(self._project.catalog.tables)

    def table(self, name: str) -> Table:
        """Return the declaration of a table: grain, partitioning, columns, constraints.

        Raises:
            ConfigError: there is no such table.
        """
        if name not in self._project.catalog.tables:
            raise ConfigError(f"{name!r} is no table; there are {sorted(self.tables)}")
        return self._project.catalog[name]

    def read(self, name: str, data_date: DataDate | None = None, version: int | None = None) -> DataFrame:
        """Return a table as a DataFrame; a table that was never written has no rows.

        Args:
            name: of the table.
            data_date: one data date, or a range "A..B"; None: all rows.
            version: Delta version; None: the newest.

        Raises:
            ConfigError: there is no such table, or it has no data dates.
        """
        declared = self.table(name)
        rows = self._project.store.read(self._project.spark, name, version)
        if data_date is None:
            return rows
        if "data_date" not in declared.columns:
            raise ConfigError(f"{name} has no column data_date; its grain is {list(declared.grain)}")
        first, last = parse_dates(str(data_date))
        return rows.where(F.col("data_date").between(F.lit(first), F.lit(last)))

    def join(self, spine: DataFrame | pd.DataFrame, features: Sequence[str]) -> DataFrame:
        """Join features as of the day before each row's date, exactly those that an example would get.

        Nothing is written. A key that is not known, or missing, has the features of a user (item) without
        events; a warning says how many rows have such a key.

        Args:
            spine: rows with user_id, item_id or a context column, the keys of the features, and data_date or
                event_time for the date in the data set's time zone. Other columns are kept. It is evaluated
                twice before the result is, so cache one that is expensive.
            features: "GROUP.COLUMN" each, such as "user.user_click_count_7d" or "item.cohort".

        Raises:
            ConfigError: no such feature, a key or a date is missing, a feature has the name of a column of
                the spine, or features of some of its dates are not built.
            LamplighterError: rows have no readable date.
        """
        rows = spine if isinstance(spine, DataFrame) else self._project.spark.createDataFrame(spine)
        joined = join_spine(self._project, rows, features)
        for group, missing in joined.missing.items():
            if missing:
                log.warning(
                    "%s: %s of %s rows have a key that is not known",
                    group,
                    f"{missing:,}",
                    f"{joined.rows:,}",
                )
        return joined.frame

    def plan(self, data_date: DataDate, *, model: str | None = None) -> list[PlannedStep]:
        """Return what a night (for a range: a history) would run, with the reason of each step.

        Raises:
            ConfigError: a model for a range: a history trains none.
        """
        arguments = self._asked(data_date, model)
        is_night = arguments.first == arguments.last
        if not is_night:
            _require_no_model(model)
        return night.plan_night(arguments) if is_night else night.plan_history(arguments)

    def run(
        self,
        what: str,
        data_date: DataDate,
        *,
        model: str | None = None,
        allow_empty: bool = False,
    ) -> list[PlannedStep]:
        """Run a job, a night or a history; return the steps with the data dates that ran.

        Args:
            what: name of a job, "night" or "history".
            data_date: one data date; a range "A..B" for jobs that take one, and for "history".
            model: name of a file in conf/models; None: the default.
            allow_empty: accept data dates without events.

        Raises:
            ConfigError: an unknown job, a range where one date is expected, or a model for a history.
            LamplighterError: the run failed; the message says what to do.
        """
        arguments = replace(self._asked(data_date, model), allow_empty=allow_empty)
        if what == NIGHT:
            one_date(str(data_date), "a night")
            return night.run_night(arguments)
        if what == HISTORY:
            _require_no_model(model)
            return night.run_history(arguments)
        if what not in all_jobs():
            raise ConfigError(f"{what!r} is no job; there are {[NIGHT, HISTORY, *all_jobs()]}")
        run = all_jobs()[what](arguments)
        return [PlannedStep(what, tuple(run.dates), "; ".join(run.record.notes) or "done")]

    def plan_backfill(self, first: DataDate, last: DataDate | None = None) -> BackfillPlan:
        """Return what a backfill would run, with reasons and estimates; nothing is written.

        Args:
            first: the first data date to look at.
            last: the last one; None: the newest that was ever ingested.

        Raises:
            ConfigError: nothing was built since the first date.
        """
        return backfill.plan_backfill(self._asked_since(first, last))

    def backfill(
        self,
        first: DataDate,
        last: DataDate | None = None,
        *,
        allow_empty: bool = False,
        rescore: bool = False,
    ) -> list[PlannedStep]:
        """Make again what late, corrected, withdrawn or re-admitted rows have changed; return the steps.

        Args:
            first: the first data date to look at.
            last: the last one; None: the newest that was ever ingested.
            allow_empty: accept data dates without events.
            rescore: also make published lists of these dates again, by the champion as of each.

        Raises:
            ConfigError: nothing was built since the first date.
            LamplighterError: a step failed; the message says what to do.
        """
        asked = replace(self._asked_since(first, last), allow_empty=allow_empty)
        return backfill.run_backfill(asked, rescore)

    def try_(self, data_date: DataDate, settings: Sequence[str] = ()) -> Tried:
        """Compute features and cohorts of a data date with other settings, beside the stored ones.

        Nothing is written.

        Args:
            data_date: one data date that was built.
            settings: `key=value` each, beside those that the project was opened with.

        Raises:
            ConfigError: the data date was never built, or no key of features or cohorts differs from what it
                was made with.
            BlockedError: what was tried does not pass the suite of its table.
        """
        day = one_date(str(data_date), "try")
        asked = replace(self._arguments, settings=(*self._arguments.settings, *settings))
        return try_change(replace(asked, first=day, last=day))

    def score_udf(self, model_version: str | None = None) -> Callable[..., Column]:
        """Return a function of Spark that scores rows, and register it in SQL as `lamplighter_score`.

            score = project.score_udf()
            rows.select("*", score(F.struct("*")).alias("p")).select("user_id", "item_id", "p.click")
            spark.sql("SELECT user_id, lamplighter_score(struct(*)).click FROM rows")

        It takes a struct with the columns that the model reads, as the feature tables hold them (`join` makes
        them), with user_cohort and item_cohort, and returns a struct of calibrated probabilities by task,
        those of `score`; of a regression the prediction.

        Args:
            model_version: None: the champion.

        Raises:
            LamplighterError: no model is champion, or there is no such version.
        """
        version = model_version or self._project.champion(LATEST).version
        if version is None:
            raise LamplighterError("promotions: no model is champion yet; name a model_version")
        bundle = read_bundle(self._project.catalog.bundle(version))
        made = T.StructType([T.StructField(task.name, T.DoubleType()) for task in bundle.manifest.tasks])
        score = pandas_udf(to_probabilities(name_of(bundle.path)), made)  # type: ignore[call-overload]
        self._project.spark.udf.register("lamplighter_score", score)
        return cast(Callable[..., Column], score)

    def lists(self, user: str | int, data_date: DataDate | None = None) -> list[dict[str, Any]]:
        """Return a user's published list by rank; empty for a user who is not known.

        Args:
            user: id.
            data_date: None: what readers are served.

        Raises:
            ConfigError: a range of data dates.
            LamplighterError: nothing was published yet.
        """
        day = served_date(self._project.store) if data_date is None else one_date(str(data_date), "lists")
        return list_of(self._project, str(user), day)

    def _asked_since(self, first: DataDate, last: DataDate | None) -> Arguments:
        begin, _ = parse_dates(str(first))
        asked = replace(self._arguments, first=begin, last=parse_dates(str(last or first))[1], model=None)
        return backfill.up_to_newest(asked) if last is None else asked

    def _asked(self, data_date: DataDate, model: str | None) -> Arguments:
        first, last = parse_dates(str(data_date))
        return replace(self._arguments, first=first, last=last, model=model)


def _require_no_model(model: str | None) -> None:
    if model is not None:
        raise ConfigError(f"model {model!r} is for a night, and a history trains none; leave it out")
