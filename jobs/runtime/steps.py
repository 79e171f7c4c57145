"""The steps of a night and what each is made from: a chain of fingerprints.

A fingerprint is a hash of our source files, of the configuration sections that a job reads, and of
the fingerprints of its input partitions, down to the sha256 of source files. Equal fingerprint,
equal content: no table is read to know whether it is up to date.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

from core.load import PROJECT_DIR
from core.schema import Config
from jobs.tables.sources import Sources

PACKAGES = ("core", "features", "models", "quality", "jobs")
SOURCE_SUFFIXES = {".py", ".j2"}  # YAML is in the resolved configuration


@dataclass(frozen=True)
class Step:
    """One job of a night.

    sections: configuration that it reads itself (what its inputs read is in their fingerprints).
    inputs: (lineage, data date) -> fingerprints of the input partitions.
    writes: tables that Spark replaces, locked from start to end.
    """

    job: str
    sections: tuple[str, ...]
    inputs: Callable[["Lineage", date], list[str]]
    writes: tuple[str, ...] = ()
    needs: tuple[tuple[str, int], ...] = ()  # (job, days before) that must be done
    is_training: bool = False  # in the bracket of training nights
    of_model: bool = False  # one state per model name


@dataclass
class Lineage:
    """Fingerprints of partitions: those given by `known`, else computed from their inputs.

    known: (job, model, data date) -> recorded fingerprint; what the ledger says is done.
    expected: jobs whose state at `dates` is to be computed rather than looked up.
    """

    config: Config
    sources: Sources
    known: Mapping[tuple[str, str, date], str]
    champions: Callable[[date, str | None], str | None]
    dates: frozenset[date] = frozenset()
    expected: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._made: dict[tuple[str, date], str] = {}

    def of(self, job: str, day: date) -> str:
        """Fingerprint of one partition; "none" where there is none yet."""
        if job in self.expected and day in self.dates:
            return self.make(job, day)
        model = self.config.model.name if STEPS[job].of_model else ""
        return self.known.get((job, model, day), "none")

    def make(self, job: str, day: date) -> str:
        """Fingerprint that the job's output for a data date has, given its inputs."""
        if (job, day) not in self._made:
            step = STEPS[job]
            parts = [code_hash(), config_hash(self.config, step.sections), *step.inputs(self, day)]
            self._made[(job, day)] = _hash([job, *parts])
        return self._made[(job, day)]

    def of_all_models(self, job: str, day: date) -> list[str]:
        """Fingerprints of one partition under every model that has it, whichever is configured."""
        found = {model: known for (name, model, at), known in self.known.items() if (name, at) == (job, day)}
        own = self.of(job, day)
        if own != "none":
            found[self.config.model.name if STEPS[job].of_model else ""] = own
        return [found[model] for model in sorted(found)]

    # --- training sets -------------------------------------------------------------------------

    def model_version(self, day: date) -> str:
        """Version that training the configured model as of a data date gives: a content hash."""
        return f"{self.config.model.name}-{self.of('train', day)[:12]}"


def training_end(config: Config, day: date) -> date | None:
    """The newest pinning date up to a data date: the set ends the day before it. None: too early."""
    training = config.training
    if day < training.anchor:
        return None
    return day - timedelta(days=(day - training.anchor).days % training.every_days)


def training_days(config: Config, pinned: date) -> list[date]:
    """Days of the training set that is pinned on a date, validation days last."""
    return [pinned - timedelta(days=back) for back in range(config.training.window_days, 0, -1)]


def evaluation_days(config: Config, day: date) -> list[date]:
    """Days after the training set, up to the data date."""
    pinned = training_end(config, day)
    if pinned is None:
        return []
    return [pinned + timedelta(days=i) for i in range((day - pinned).days + 1)]


def _ingest_inputs(lineage: Lineage, day: date) -> list[str]:
    source = lineage.config.source
    attributes = [lineage.sources.attribute_file(part).sha256 for part in (source.users, source.items)]
    return [*attributes, *(file.sha256 for file in lineage.sources.covering(day))]


def _pack_inputs(lineage: Lineage, day: date) -> list[str]:
    pinned = training_end(lineage.config, day)
    days = [] if pinned is None else training_days(lineage.config, pinned)
    return [lineage.of("build_examples", each) for each in days]


def _evaluate_inputs(lineage: Lineage, day: date) -> list[str]:
    examples = [lineage.of("build_examples", each) for each in evaluation_days(lineage.config, day)]
    champion = lineage.champions(day, lineage.model_version(day))
    return [lineage.of("train", day), str(champion), *examples]


def _before(day: date) -> date:
    return day - timedelta(days=1)


STEPS: dict[str, Step] = {
    step.job: step
    for step in (
        Step(
            "ingest",
            ("source", "behaviours", "suites.events"),
            _ingest_inputs,
            ("events", "quarantine", "users", "items"),
        ),
        Step("check", (), lambda x, d: [x.of("ingest", d)], needs=(("ingest", 0),)),
        Step(
            "build_features",
            ("features", "suites.user_features", "suites.item_features"),
            lambda x, d: [x.of("ingest", d), x.of("build_features", _before(d))],
            ("user_daily", "item_daily", "user_features", "item_features"),
            needs=(("ingest", 0),),
        ),
        Step(
            "label_cohorts",
            ("cohorts", "suites.user_cohorts", "suites.item_cohorts"),
            lambda x, d: [x.of("build_features", d)],
            ("user_cohorts", "item_cohorts"),
            needs=(("build_features", 0),),
        ),
        Step(
            "build_examples",
            ("tasks", "cohorts", "suites.examples"),
            lambda x, d: [
                x.of("ingest", d),
                x.of("build_features", _before(d)),
                x.of("label_cohorts", _before(d)),
            ],
            ("examples",),
            needs=(("ingest", 0), ("build_features", 1), ("label_cohorts", 1)),
        ),
        Step("pack", ("inputs", "training"), _pack_inputs, ("training_blocks",), is_training=True),
        Step(
            "train",
            ("model", "training"),
            lambda x, d: [x.of("pack", d)],
            needs=(("pack", 0),),
            is_training=True,
            of_model=True,
        ),
        Step(
            "evaluate",
            ("evaluation", "promotion"),
            _evaluate_inputs,
            needs=(("train", 0), ("build_examples", 0)),
            is_training=True,
            of_model=True,
        ),
        Step(
            "promote",
            ("promotion", "suites.evaluations"),
            lambda x, d: [x.of("evaluate", d)],
            needs=(("evaluate", 0),),
            is_training=True,
            of_model=True,
        ),
        Step(
            "score",
            ("candidates", "ranking", "list_context"),
            lambda x, d: [x.of("build_features", d), x.of("label_cohorts", d), str(x.champions(d, None))],
            ("scores_staging",),
            needs=(("build_features", 0), ("label_cohorts", 0)),
        ),
        Step(
            "publish",
            ("ranking", "suites.scores"),
            lambda x, d: [x.of("score", d)],
            ("scores",),
            needs=(("score", 0),),
        ),
        Step(
            "look_back",
            ("tasks",),
            lambda x, d: [x.of("publish", _before(d)), x.of("ingest", d)],
            needs=(("ingest", 0),),
        ),
        Step(
            "report",
            (),
            lambda x, d: [made for job in STEPS if job != "report" for made in x.of_all_models(job, d)],
        ),
    )
}
DATA_STEPS = ("ingest", "check", "build_features", "label_cohorts", "build_examples")


def config_hash(config: Config, sections: tuple[str, ...] | None = None) -> str:
    """Hash of configuration sections (default: all) without paths and ways of running."""
    values = config.model_dump(mode="json", exclude={"paths": True, "runtime": True, "source": {"root"}})
    for suite, rules in values["suites"].items():
        values[f"suites.{suite}"] = rules
    kept = values if sections is None else {name: values.get(name) for name in sections}
    return _hash([json.dumps(kept, sort_keys=True)])


def attributes_fingerprint(config: Config, sha256: str) -> str:
    """Fingerprint of a table of entities that is made of one attribute file."""
    return _hash([code_hash(), config_hash(config, ("source",)), sha256])


@cache
def code_hash() -> str:
    """Hash of the source files of our packages: a change of docs or tests changes nothing."""
    files = sorted(
        file
        for package in PACKAGES
        for file in (PROJECT_DIR / package).rglob("*")
        if file.suffix in SOURCE_SUFFIXES
    )
    return _hash(
        [f"{file.relative_to(PROJECT_DIR)}:{hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    )


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
