"""The typed schema of a configuration: frozen, closed to unknown keys, checked before Spark starts.

`load.py` merges the YAML layers and reads them into `Config`. What one model can check about itself
is checked here; what relates a rule or a feature to declared columns is in `expressions.py`.
"""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from core.config_model import ConfigModel, Days, Name, Positive, Share, Window, each_once
from core.derived import Derived
from core.features import Features
from core.inputs import Inputs
from core.lists import Active, ItemList, LikedAttribute, MostLiked, MostShown, Scoring
from core.model import Model
from core.paths import StoragePath
from core.source import Behaviour, Source, require_order

WHOLE = ("tinyint", "int", "bigint")
"""Types of columns that hold whole numbers."""


# --- cohorts ------------------------------------------------------------------


class CohortRule(ConfigModel):
    """A cohort and the SQL rule over as-of features that puts an entity into it."""

    name: Name
    when: str


class Cohorts(ConfigModel):
    """Cohort of an entity: the first rule that holds, else the default."""

    version: Positive  # raise it when a rule changes its meaning
    rules: tuple[CohortRule, ...]
    default: Name
    rollups: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_are_sound(self) -> Self:
        each_once([*self.names, *self.rollups], "cohorts")
        for rollup, members in self.rollups.items():
            unknown = sorted(set(members) - set(self.names))
            if unknown:
                raise ValueError(
                    f"roll-up {rollup} names unknown cohorts {unknown}; known are {list(self.names)}"
                )
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The cohorts in the order of their rules, the default last."""
        return (*(rule.name for rule in self.rules), self.default)


class CohortAxes(ConfigModel):
    """Cohorts of both entities."""

    user: Cohorts
    item: Cohorts

    @property
    def by_column(self) -> dict[str, Cohorts]:
        """Cohort column of an example -> the cohorts that it holds."""
        return {"user_cohort": self.user, "item_cohort": self.item}


# --- tasks, training -------------------------------------------------------------------


class Task(ConfigModel):
    """What a model predicts. A row outside of `where` does not count in this task's loss and metrics."""

    name: Name
    label: str
    kind: Literal["binary", "regression"]
    where: str | None = None
    matures_days: Annotated[int, Field(ge=0, le=366)] = 0
    """Labels of a data date are final when the files of so many days later are ingested; training,
    evaluation, baselines and outcomes wait for the slowest task."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    decay: Annotated[float, Field(ge=0)] = (
        1.0  # weight at epoch (or step) t = weight * decay ** t (Tang 2020, eq. 10)
    )
    huber: Annotated[float, Field(gt=0)] | None = None  # a regression's errors above it count linearly

    @model_validator(mode="after")
    def _huber_is_of_a_regression(self) -> Self:
        if self.huber is not None and self.kind != "regression":
            raise ValueError(f"task {self.name}: huber is for regressions, and this task is {self.kind}")
        return self


class Training(ConfigModel):
    """Which days a model learns from, and when.

    A training set is pinned on `anchor` and every `every_days` after it: the `window_days` days that
    end the day before. Its last `validation_days` are for early stopping and calibration only. What
    follows, up to the data date of the night, is for evaluation. With `tasks[].matures_days` all of these
    days are as many days earlier.
    """

    first_data_date: date  # examples before are burn-in
    anchor: date
    every_days: Days
    window_days: Days
    validation_days: Days
    keep_negatives: Annotated[float, Field(ge=1e-6, le=1)] = 1.0
    """Share of the training days' rows without a positive label that are kept; each then weighs 1 / share."""
    block_rows: Positive
    shards: Positive  # least files per split, each with as many blocks; a multiple of the world size
    ranks: Positive
    distributed: Literal["horovod", "torch", "single"]
    reader: Literal["petastorm", "pyarrow"]
    seed: Positive  # Petastorm takes 0 for no seed

    @model_validator(mode="after")
    def _windows_fit(self) -> Self:
        if self.validation_days >= self.window_days:
            raise ValueError(
                f"validation_days {self.validation_days} leaves nothing of window_days "
                f"{self.window_days} to train on"
            )
        if self.shards % self.ranks:
            raise ValueError(
                f"shards {self.shards} must be a multiple of ranks {self.ranks}: equal blocks per rank"
            )
        return self


class Evaluation(ConfigModel):
    """How metrics are taken: intervals by bootstrap over users, nothing from too few rows."""

    replicates: Annotated[int, Field(ge=2)]  # one has no variance
    min_class_count: Positive


GainMetric = Literal["auc", "gauc", "mse", "mae"]


class Promotion(ConfigModel):
    """What a candidate must show to become champion (quality/promotion.py, docs/adr/0012).

    Gains of AUC and GAUC are differences, gains of errors are shares of the error: thresholds are by metric.
    """

    primary_tasks: Annotated[tuple[Name, ...], Field(min_length=1)]
    metric: Literal["auc", "gauc"]  # of binary tasks
    regression_metric: Literal["mse", "mae"]
    margin: dict[GainMetric, Annotated[float, Field(ge=0)]]  # the mean gain's interval must lie above it
    cell_margin: dict[GainMetric, Annotated[float, Field(gt=0)]]  # a larger loss in a cell must be excluded
    min_users: Positive  # of each class in a cell; fewer: undecided
    seed_std: dict[GainMetric, Annotated[float, Field(ge=0)]]
    """Standard deviation of a cell's gain over trainings that differ in the seed; of tasks without one."""
    task_seed_std: dict[Name, dict[GainMetric, Annotated[float, Field(ge=0)]]] = Field(default_factory=dict)
    """The same of a task and metric; that of AUC as `python -m bench.promotion` measures it."""

    @model_validator(mode="after")
    def _thresholds_are_known(self) -> Self:
        for name in ("margin", "cell_margin", "seed_std"):
            missing = sorted({self.metric, self.regression_metric} - set(getattr(self, name)))
            if missing:
                raise ValueError(f"{name} lacks {missing}; set one for each metric")
        return self

    def metric_of(self, kind: Literal["binary", "regression"]) -> GainMetric:
        """Return the metric that decides of tasks of a kind."""
        return self.metric if kind == "binary" else self.regression_metric

    def seed_std_of(self, task: str, metric: GainMetric) -> float:
        """Return the standard deviation over seeds of a task's gain in one cell."""
        of_task = self.task_seed_std.get(task, {})
        return of_task[metric] if metric in of_task else self.seed_std[metric]


class Audits(ConfigModel):
    """What committed events and published lists must look like across days (quality/audits.py)."""

    days_before: Days
    least_of_mean: Share  # events of a date, as a share of the mean of the days before
    most_unknown_share: Share  # of events whose user or item has no attributes
    most_same_top_share: Share  # of lists with one and the same item on top
    most_seen_share: (
        Share  # of listed items that their user met in the days_before + 1 days up to the data date
    )


class Baselines(ConfigModel):
    """What a model has to beat: means per user cohort and value of an item attribute.

    Computed in features/group_means.py.
    """

    group: Name  # an attribute of items, or item_id
    strength: Annotated[float, Field(gt=0)]  # rows that a mean is smoothed with
    window: Window  # that impressions of items are counted in, to tell which are shown often


class Examples(ConfigModel):
    """Which impressions count as examples."""

    repeats: tuple[str, ...] = ()
    """ORDER BY terms over columns of events: of a user's impressions of one item on one data date, the first
    in this order counts in tasks, the others do not; default: all do."""

    @field_validator("repeats")
    @classmethod
    def _is_an_order(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        return require_order(terms)


# --- where and how ------------------------------------------------------------------------------


class Paths(ConfigModel):
    """Where tables and reports are: folders, or URIs (`s3a://`, `hdfs://`). Not part of any fingerprint."""

    warehouse: StoragePath
    reports: StoragePath


class Runtime(ConfigModel):
    """How Spark runs here. Not part of any fingerprint; what rows depend on cannot be set here."""

    cores: Positive | Literal["auto"] | None = None  # threads of local mode; null: spark-submit decides
    driver_memory: Annotated[str, Field(pattern=r"^[1-9][0-9]*[mg]$")] | None = None  # null: as set-up wrote
    spark: dict[str, str] = Field(default_factory=dict)  # any other setting of Spark; wins over the above
    lock_wait_seconds: Annotated[float, Field(ge=0)]  # on tables that several jobs append to
    locks: str | None = None  # postgresql:// URI for writers on several machines; null: lock files


class Expectation(ConfigModel):
    """One Great Expectations rule: its type, its arguments, the severity of its failure."""

    type: str
    name: Name | None = None  # in messages and quarantine; default: made of column and type
    kwargs: dict[str, Any] = Field(default_factory=dict)
    severity: Literal["critical", "warning"] = "critical"
    max_failing_share: Share = 0.0
    source: str = ""  # what it follows from: a key of the configuration, or a file; set by the loader


class Suite(ConfigModel):
    """Rules of one table. At ingest a failing row goes to quarantine; elsewhere it is kept.

    A file of conf/suites adds rules to those that follow from the data set (core/suites.py). One of the
    same name replaces a rule, and `without` names rules that do not hold for this data set.
    """

    rules: tuple[Expectation, ...] = ()
    without: tuple[Name, ...] = ()


class Config(ConfigModel):
    """One whole configuration."""

    dataset: Name
    paths: Paths
    runtime: Runtime
    source: Source
    behaviours: dict[Name, Behaviour]
    derived: dict[Name, Derived] = Field(default_factory=dict)
    exposure: Name  # the count aggregate of both entities that means "shown"
    features: Features
    cohorts: CohortAxes
    inputs: Inputs
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    examples: Examples = Field(default_factory=Examples)
    training: Training
    evaluation: Evaluation
    promotion: Promotion
    audits: Audits
    baselines: Baselines
    lists: Annotated[dict[Name, ItemList], Field(min_length=1)]
    scoring: Scoring = Field(default_factory=Scoring)
    suites: dict[Name, Suite] = Field(default_factory=dict)
    model: Model

    @model_validator(mode="after")
    def _exposure_is_counted(self) -> Self:
        counting = (MostShown, Active, LikedAttribute)
        for entity, features, window, reader in (
            ("item", self.features.item, self.baselines.window, "baselines.window"),
            *(
                ("item", self.features.item, source.window, f"lists.{name}.pool")
                for name, declared in self.lists.items()
                for source in declared.pool
                if isinstance(source, counting)
            ),
            ("user", self.features.user, "all", "the report"),
        ):
            counts = {a.name: a.windows for a in features.aggregates if a.agg == "count"}
            if window not in counts.get(self.exposure, ()):
                raise ValueError(
                    f"exposure: {self.exposure} over {window} is needed for {entity}s ({reader}), and "
                    f"features.{entity}.aggregates has no such count; declare it there, or name one of "
                    f"{sorted(counts)}"
                )
        return self

    @model_validator(mode="after")
    def _what_arrives_later_is_waited_for(self) -> Self:
        horizon = self.source.events.lateness_days
        if slow := {task.name: task.matures_days for task in self.tasks if task.matures_days > horizon}:
            name, days = max(slow.items(), key=lambda each: each[1])
            raise ValueError(
                f"tasks.{name}.matures_days is {days}, but nights repair the last "
                f"source.events.lateness_days = {horizon} days only: what arrives later is in no label; "
                f"raise lateness_days to {days}, or lower matures_days"
            )
        actions = {b.action for b in self.behaviours.values() if b.action is not None}
        if unknown := sorted(actions - set(self.source.actions)):
            raise ValueError(
                f"behaviours name actions {unknown}, which are not declared; source.actions has "
                f"{sorted(self.source.actions)}"
            )
        if unused := sorted(set(self.source.actions) - actions):
            raise ValueError(f"source.actions: no behaviour is of {unused}; declare one, or leave them out")
        return self

    @model_validator(mode="after")
    def _names_refer_to_declared_things(self) -> Self:
        tasks = [task.name for task in self.tasks]
        each_once(tasks, "tasks")
        binary = {task.name for task in self.tasks if task.kind == "binary"}
        for where, names, known, kind in (
            *(
                (f"lists.{name}.ranking", set(each.ranking), binary, "binary tasks")
                for name, each in self.lists.items()
            ),
            *(
                (f"lists.{name}.pool", {source.task}, binary, "binary tasks")
                for name, each in self.lists.items()
                for source in each.pool
                if isinstance(source, MostLiked | LikedAttribute)
            ),
            *(
                (
                    f"lists.{name}.new_items.cohort",
                    {each.new_items.cohort},
                    set(self.cohorts.item.names),
                    "cohorts of items",
                )
                for name, each in self.lists.items()
                if each.new_items is not None
            ),
            ("promotion.primary_tasks", set(self.promotion.primary_tasks), set(tasks), "tasks"),
            ("promotion.task_seed_std", set(self.promotion.task_seed_std), set(tasks), "tasks"),
        ):
            unknown = sorted(names - known)
            if unknown:
                raise ValueError(f"{where} names {unknown}, which are no {kind}; those are {sorted(known)}")
        hashed = {c.column for c in self.inputs.categorical if c.hash_size is not None}
        if dropped := sorted(hashed & set(self.model.input.id_dropout)):
            raise ValueError(
                f"model.input.id_dropout names {dropped}, which are hashed: what training has never seen "
                "reads a row that others share there, and not row 0; leave out their `hash_size`"
            )
        for name, each in self.lists.items():
            self._check_context(each.context, f"lists.{name}.context")
        return self

    def _check_context(self, values: dict[str, int | float | str], where: str) -> None:
        """Refuse the context of a list unless it has a value of the type of each context column."""
        context = set(self.source.events.columns) - {"user_id", "item_id", "event_time"}
        if set(values) != context:
            raise ValueError(
                f"{where} sets {sorted(values)}, but the context columns of an impression "
                f"are {sorted(context)}; set each of them once"
            )
        for name, value in values.items():
            kind = self.source.events.columns[name].type
            if kind in WHOLE and not isinstance(value, int):
                raise ValueError(f"{where}.{name} is {value!r}; expected a whole number, as of type {kind}")
            if (kind == "double" or kind.startswith("decimal")) and isinstance(value, str):
                raise ValueError(f"{where}.{name} is {value!r}; expected a number, as of type {kind}")

    @property
    def listed_tasks(self) -> tuple[Task, ...]:
        """The tasks whose predictions are published: those that a list ranks by; without items all."""
        ranked = {task for each in self.lists.values() for task in each.ranking}
        everything = any(not each.has_items for each in self.lists.values())
        return tuple(task for task in self.tasks if everything or task.name in ranked)

    @property
    def has_user_pools(self) -> bool:
        """Whether a list has a source of its own for each user."""
        return any(isinstance(s, LikedAttribute) for each in self.lists.values() for s in each.pool)
