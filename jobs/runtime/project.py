"""A project: one data set of a project folder in one environment, and all that can be known of it.

Nothing here starts Spark or writes a table; `Run` does.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from pyspark.sql import SparkSession

from core.load import default_project, load_config
from core.paths import join, resolve_uri
from core.schema import Config
from core.training_days import date_range, pinned_date
from jobs.runtime.arguments import Arguments
from jobs.runtime.fingerprints import Champion, Lineage
from jobs.runtime.pipeline import all_jobs
from jobs.tables.catalog import Catalog
from jobs.tables.decisions import champion_as_of
from jobs.tables.ledger import Ledger, NewestRun, RunKey
from jobs.tables.locks import locks_of
from jobs.tables.session import spark_session
from jobs.tables.sources import Sources
from jobs.tables.store import Store


class Project:
    """One data set of a project folder: configuration, tables, sources, and what the ledger says.

    Attributes:
        arguments: what was asked for.
        config: the whole configuration.
        catalog: declarations of the tables.
        store: reads and writes of the tables.
        ledger: the runs.
        sources: files that the data set's source offers.
        assumed_equal: (job, hash of code) -> hash of older code that a trial takes to be equal.
    """

    def __init__(self, arguments: Arguments) -> None:
        self.arguments = arguments
        self.assumed_equal: Mapping[tuple[str, str], str] = MappingProxyType({})
        self.config: Config = load_config(
            arguments.dataset, arguments.env, arguments.model_name, arguments.settings, arguments.project
        )
        self.catalog = Catalog(self.config, self.folder)
        self.locks = locks_of(self.catalog.root, self.config.runtime)
        self.store = Store(self.catalog, self.locks)
        self.ledger = Ledger(self.store)
        self.sources = Sources(self.config, self.store, self.folder)

    @property
    def dates(self) -> list[date]:
        """The data dates that were asked for."""
        return date_range(self.arguments.first, self.arguments.last)

    @property
    def folder(self) -> Path:
        """The project's folder: relative paths of the configuration begin there."""
        return self.arguments.project or default_project()

    @cached_property
    def spark(self) -> SparkSession:
        """The session of this process; made at the first use."""
        return spark_session(self.config)

    def report_uri(self, page: str) -> str:
        """Return where a page of the data set's report is: `2022-05-07.html`, `index.html`."""
        root = resolve_uri(self.config.paths.reports, self.folder, "paths.reports")
        return join(join(root, self.config.dataset), page)

    # --- what is recorded -----------------------------------------------------------------------

    def newest_runs(self, dates: Sequence[date]) -> dict[RunKey, NewestRun]:
        """Return the newest run of each job, for data dates that a run of `dates` may depend on."""
        return self.ledger.newest(self._dates_in_reach(dates))

    def champion(self, data_date: date, candidate: str | None = None) -> Champion:
        """Return who serves as of a data date; see `champion_as_of`."""
        version = champion_as_of(self.store, data_date, candidate)
        if version is None:
            return Champion(None)
        found = [row for row in self.store.rows("models") if row["model_version"] == version]
        return Champion(version, tuple(found[-1]["architectures"]) if found else ())

    def newest_of_model(self, data_date: date) -> Champion:
        """Return the version that the configured model was last trained to, up to a data date."""
        name = self.config.model.name
        rows = [r for r in self.store.rows("models") if r["model"] == name and r["data_date"] <= data_date]
        newest = max(rows, key=lambda row: row["data_date"], default=None)
        return Champion(None) if newest is None else Champion(
            newest["model_version"], tuple(newest["architectures"])
        )  # fmt: skip

    def recorded_fingerprint(self, job: str, data_date: date) -> str:
        """Return the fingerprint of the newest run of a job for a data date; "none" where it is not done."""
        return self.lineage([data_date]).of(job, data_date)

    # --- fingerprints ---------------------------------------------------------------------------

    def lineage(
        self,
        dates: Sequence[date],
        expected: Sequence[str] = (),
        model_of_choice: str | None = None,
        first_dates: Mapping[str, date] = MappingProxyType({}),
    ) -> Lineage:
        """Return the fingerprints of what is recorded; of `expected` jobs at `dates`, of what would be.

        Args:
            dates: the data dates that a plan or a run is for.
            expected: names of jobs.
            model_of_choice: the model YAML whose newest version scores in place of the champion, if a run
                is asked for one.
            first_dates: job -> the first of the dates that it is built for, where that is not the first one.
        """

        def champion(data_date: date, candidate: str | None) -> Champion:
            if model_of_choice is not None and candidate is None:
                return self.newest_of_model(data_date)
            return self.champion(data_date, candidate)

        pinned = {
            (row["data_date"], row["recipe"]): tuple(row["inputs"])
            for row in self.store.rows("training_sets")
        }
        equal = {
            (row["job"], row["code_hash"]): row["equal_to"] for row in self.store.rows("code_equivalences")
        } | dict(self.assumed_equal)
        return Lineage(
            config=self.config,
            source_hashes=self.sources.hashes,
            known=self.newest_runs(dates),
            champion=champion,
            table_hashes={name: table.declaration_hash for name, table in self.catalog.tables.items()},
            pinned=pinned,
            equal_code=equal,
            dates=frozenset(dates),
            expected=frozenset(expected),
            first_dates=first_dates,
        )

    def no_training(self, data_date: date) -> str | None:
        """Return why a data date is no training night for the configured model; None if it is one.

        When an earlier night trained the model on the current training set, there is nothing to train, to
        evaluate or to decide. The expected fingerprint counts: another recipe makes another model.
        """
        training = self.config.training
        if pinned_date(training, data_date) is None:
            return f"no training set yet: the first is pinned on {training.anchor} (training.anchor)"
        wanted = self.lineage([data_date], expected=tuple(all_jobs())).make("train", data_date).value
        nights = [
            key.data_date
            for key, run in self.newest_runs([data_date]).items()
            if (key.job, key.model, run.state) == ("train", self.config.model.name, "done")
            and key.data_date < data_date
            and run.fingerprint == wanted
        ]
        name = self.config.model.name
        return f"not a training night: {name} was trained on {min(nights)}" if nights else None

    def _dates_in_reach(self, dates: Sequence[date]) -> list[date]:
        """Return the data dates whose state a job of these dates, or a repair before them, may depend on."""
        first, last = min(dates), max(dates)
        horizon = first - timedelta(days=self.config.source.events.lateness_days)
        read = [
            each
            for job in all_jobs().values()
            for declared in job.reads
            for day in (horizon, first, last)
            for each in declared.dates(self.config, day)
        ]
        return date_range(min([horizon, *read]), last)
