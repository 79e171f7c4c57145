"""Fingerprints: what the content of a partition follows from, as a chain of hashes.

A fingerprint covers the code that a job can reach, the keys of the configuration that it declares, and
the fingerprints of the partitions that it reads, down to the SHA-256 of source files. Equal fingerprint,
equal content: no table is read to know whether it is up to date. See docs/adr/0006.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from core.declared_config import hashes_of_keys
from core.schema import Config
from core.training_days import pinned_date
from jobs.runtime.architectures import architectures_of
from jobs.runtime.code import code_of, hash_of
from jobs.runtime.job import Job
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.reads import Read
from jobs.tables.ledger import NewestRun, RunKey

NONE = "none"
"""The fingerprint of a partition that was never made."""


@dataclass(frozen=True)
class Fingerprint:
    """The fingerprint of one partition, with its parts.

    Attributes:
        code: hash of the code, or of the older code that `lamplighter adopt` found equal to it.
        config: hash of the declared configuration.
        inputs: `label=hash` of each input, in the order of the declared reads.
    """

    code: str
    config: str
    inputs: tuple[str, ...]

    @property
    def value(self) -> str:
        """The fingerprint itself."""
        return _hash([self.code, self.config, *self.inputs])


@dataclass(frozen=True)
class Recipe:
    """How a job makes its tables, whatever data there are: hashes of files, and of configuration keys."""

    code: Mapping[str, str]
    config: Mapping[str, str]


@dataclass(frozen=True)
class Champion:
    """The version that serves as of a data date, and the architectures that its model is made of."""

    version: str | None
    architectures: tuple[str, ...] = ()


@dataclass
class Lineage:
    """Fingerprints of partitions: recorded ones, and what they would be now.

    Attributes:
        config: the whole configuration.
        source_hashes: (what, data date) -> label -> SHA-256 of the files that the source offers.
        known: (job, model, data date) -> newest run.
        champion: (data date, candidate) -> who serves, the candidate's own decision left out.
        table_hashes: table -> hash of its declaration.
        pinned: (pinning date, recipe) -> the inputs of a training set that was pinned before.
        equal_code: (job, hash of code) -> hash of older code with the same results.
        dates: the data dates that a plan or a run is for.
        expected: jobs whose state at `dates` is computed rather than looked up.
        first_dates: job -> the first of `dates` that it is built for; what is before is looked up.
    """

    config: Config
    source_hashes: Callable[[str, date], Mapping[str, str]]
    known: Mapping[RunKey, NewestRun]
    champion: Callable[[date, str | None], Champion]
    table_hashes: Mapping[str, str]
    pinned: Mapping[tuple[date, str], tuple[str, ...]] = field(default_factory=dict)
    equal_code: Mapping[tuple[str, str], str] = field(default_factory=dict)
    dates: frozenset[date] = frozenset()
    expected: frozenset[str] = frozenset()
    first_dates: Mapping[str, date] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._producers = {
            table: job.name for job in all_jobs().values() for table in job.tables(self.config)
        }
        self._made: dict[tuple[str, date], Fingerprint] = {}
        self._done = {run.fingerprint for run in self.known.values() if run.state == "done"}
        self._computed: set[str] = set()
        self._recipes: dict[tuple[str, tuple[str, ...]], Recipe] = {}

    # --- what a job makes of what --------------------------------------------------------------

    def make(self, job: str, data_date: date) -> Fingerprint:
        """Return the fingerprint that a job's partition has, given its inputs."""
        if (job, data_date) not in self._made:
            declared = all_jobs()[job]
            inputs = [text for read in declared.reads for text in self._inputs_of(declared, read, data_date)]
            recipe = self.recipe(job, data_date)
            self._made[job, data_date] = Fingerprint(
                self.code_hash(job, data_date), hash_of(recipe.config), tuple(inputs)
            )
            self._computed.add(self._made[job, data_date].value)
        return self._made[job, data_date]

    def recipe(self, job: str, data_date: date | None = None) -> Recipe:
        """Return the job's code by file and its configuration by key.

        Args:
            job: its name.
            data_date: says whose architectures a job runs that scores by the champion; None: nobody's.
        """
        declared = all_jobs()[job]
        is_of_model = any(key == "model" or key.startswith("model.") for key in declared.config)
        architectures = architectures_of(self.config.model) if is_of_model else ()
        if data_date is not None and self._runs_champion(declared):
            architectures = tuple(
                sorted({*architectures, *self.champion_of(declared, data_date).architectures})
            )
        if (job, architectures) not in self._recipes:
            keys = [*declared.config, *(f"suites.{table}" for table in declared.tables(self.config))]
            code = code_of(declared.module, declared.entry_points, declared.templates, architectures)
            tables = {f"table {table}": self.table_hashes[table] for table in declared.tables(self.config)}
            self._recipes[job, architectures] = Recipe(code | tables, hashes_of_keys(self.config, keys))
        return self._recipes[job, architectures]

    def code_hash(self, job: str, data_date: date | None = None) -> str:
        """Return the hash of a job's code, or that of the oldest code known to have the same results."""
        found = hash_of(self.recipe(job, data_date).code)
        seen = {found}
        while (older := self.equal_code.get((job, found))) is not None and older not in seen:
            seen.add(older)
            found = older
        return found

    def recipe_hash(self, job: str) -> str:
        """Return a hash of the recipes of a job and of all jobs before it, whatever data there are."""
        declared = all_jobs()[job]
        reads = [read for read in declared.reads if read.is_of_tonight]  # else evaluate waits for promote
        producers = {self._producers.get(table) for read in reads for table in read.names(self.config)}
        before = sorted(name for name in producers if name is not None and name != job)
        own = [self.code_hash(job), hash_of(self.recipe(job).config)]
        return _hash([*own, *(self.recipe_hash(name) for name in before)])

    def is_to_be_made(self, fingerprint: str) -> bool:
        """Return whether a fingerprint is of a partition that is computed here, and that no run has made."""
        return fingerprint in self._computed and fingerprint not in self._done

    # --- inputs --------------------------------------------------------------------------------

    def of(self, job: str, data_date: date) -> str:
        """Return the fingerprint of a partition; "none" where it was never made."""
        is_built = data_date in self.dates and data_date >= self.first_dates.get(job, data_date)
        if job in self.expected and is_built:
            return self.make(job, data_date).value
        return self._recorded(job, self.config.model.name if all_jobs()[job].is_per_model else "", data_date)

    def pinned_inputs(self, job: str, data_date: date) -> tuple[str, ...] | None:
        """Return the inputs of the training set that is current as of a data date, if it is pinned."""
        pinned = pinned_date(self.config.training, data_date)
        return None if pinned is None else self.pinned.get((pinned, self.recipe_hash(job)))

    def model_version(self, data_date: date) -> str:
        """Return the version that training the configured model as of a data date gives."""
        return f"{self.config.model.name}-{self.of('train', data_date)[:12]}"

    def champion_of(self, job: Job, data_date: date) -> Champion:
        """Return who serves as of a data date; for a job that judges a candidate, before its own decision."""
        candidate = self.model_version(data_date) if job.is_per_model else None
        return self.champion(data_date, candidate)

    def fingerprint_of_table(self, table: str, data_date: date) -> str:
        """Return the fingerprint of a table's partition; "none" where it was never made."""
        return self.of(self._producers[table], data_date)

    def _inputs_of(self, job: Job, read: Read, data_date: date) -> list[str]:
        if read.kind == "source":
            return [f"{label}={sha}" for label, sha in self.source_hashes(read.table, data_date).items()]
        if read.kind == "champion":
            return [f"champion={self.champion_of(job, data_date).version}"]
        if read.is_pinned and (pinned := self.pinned_inputs(job.name, data_date)) is not None:
            return list(pinned)
        return [
            f"{label}={made}"
            for table in read.names(self.config)
            for each in read.dates(self.config, data_date)
            for label, made in self._partition(job, table, each, data_date)
        ]

    @staticmethod
    def _runs_champion(job: Job) -> bool:
        """Whether a job runs the champion's model, rather than only reading its name."""
        reads_decisions = any(read.kind == "champion" for read in job.reads)
        return reads_decisions and "models/model.py" in code_of(job.module)

    def _partition(self, job: Job, table: str, each: date, data_date: date) -> list[tuple[str, str]]:
        """Return the fingerprints of a partition that a job reads; one per model if it knows no model."""
        producer = self._producers.get(table)
        if producer is None or (producer == job.name and each != data_date - timedelta(days=1)):
            return []  # of a job's own output only the day before counts: what is older is in its fingerprint
        if all_jobs()[producer].is_per_model and not job.is_per_model:
            models = {model for name, model, at in self.known if (name, at) == (producer, each)}
            made = {model: self._recorded(producer, model, each) for model in models}
            if (own := self.of(producer, each)) != NONE:
                made[self.config.model.name] = own
            return [(f"{table} as of {each} of {model}", made[model]) for model in sorted(made)]
        # Without a date where it is the same day: a pinned training set is the same on each night.
        return [(table if each == data_date else f"{table} as of {each}", self.of(producer, each))]

    def _recorded(self, job: str, model: str, data_date: date) -> str:
        run = self.known.get(RunKey(job, model, data_date))
        return run.fingerprint if run is not None and run.state == "done" else NONE


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
