"""What a data set's YAML makes of its files, before anything is built: every expression over a sample.

Nothing is written. What is wrong is found key by key, each with the file and the line of the YAML.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import partial
from typing import NamedTuple

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.config_model import ENTITIES, EntityName
from core.errors import ConfigError, LamplighterError
from core.expressions import columns_of
from core.layers import Layers
from core.source import AttributeSource, Behaviour, EventSource, FileSource, Mapping
from features.casts import read_behaviour, read_id, read_mapping
from features.cohorts import cohort_of
from features.entities import to_described
from features.events import IDS, to_events, with_row_status
from features.expressions import readable
from features.labels import label, mask
from jobs.onboarding.zones import guess_zone
from jobs.runtime.project import Project
from jobs.tables.raw import CORRUPT, read_attributes
from jobs.tables.source_files import SourceFile
from quality.failing import failing_filters, with_failed_rules
from quality.verdicts import percent

_A = {"user": "a user", "item": "an item"}
MOST_EVENTS, MOST_ENTITIES = 200_000, 1_000_000
"""Rows that are looked at: of the newest files of the log, and of the files of users or items."""
SHOWN_OF = 500
"""Rows that the shown values are taken from."""
MOST_TIMES = 2_000
"""Times that zones are tried on."""
LEAST_ON_DATE, BETTER = 0.5, 0.02
"""Share of times that must be of the date of their file; what another zone must be better by."""


class Shown(NamedTuple):
    """What an expression makes of the sample: its key, itself, three values, the share of nulls."""

    key: str
    expr: str
    values: str
    nulls: str


class Expression(NamedTuple):
    """An expression of the configuration: its key, its text, and the column that it makes of rows."""

    key: str
    text: str
    column: Callable[[DataFrame], Column]


@dataclass
class Findings:
    """What validation found.

    Attributes:
        shown: expressions with values.
        notes: facts, one line each.
        faults: what is wrong: FILE:LINE: key: text.
    """

    shown: list[Shown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def validate(project: Project, layers: Layers, data_date: date | None) -> Findings:
    """Evaluate every expression of a data set over its files.

    Args:
        project: its configuration is loaded, so that the YAML by itself is right.
        layers: where its keys are.
        data_date: whose log files; None: the newest.
    """
    validation = _Validation(project, layers)
    events = validation.events(data_date)
    validation.actions(data_date)
    for entity in ENTITIES:
        validation.entities(entity, events)
    if events is not None:
        validation.tasks(events)
    validation.cohorts()
    return validation.found


class _Validation:
    """One validation, fault by fault."""

    def __init__(self, project: Project, layers: Layers) -> None:
        self.project = project
        self.config = project.config
        self.layers = layers
        self.found = Findings()

    def fault(self, key: str, text: str) -> None:
        self.found.faults.append(f"{self.layers.place(key)}: {key}: {text}")

    # --- events ---------------------------------------------------------------------------------

    def events(self, data_date: date | None) -> DataFrame | None:
        """Check the log; return accepted events of the sample, None where an expression is wrong."""
        source, where = self.config.source.events, "source.events"
        raw, day = self._raw_log(source, data_date)
        if raw is None or day is None:
            return None
        missing = sorted(set(source.event_id) - set(raw.columns))
        if missing:
            self.fault(f"{where}.event_id", f"{_lacks(missing, raw)}")
        expressions = [
            *(_mapped(f"{where}.columns", name, column) for name, column in source.columns.items()),
            *self._behaviours(None),
        ]
        sound = self.evaluate(raw, expressions, zone=self.config.source.time_zone)
        if missing or len(sound) < len(expressions):
            return None
        rows = to_events(_with_provenance(raw, day), self.config).localCheckpoint()
        self._times(rows, day)
        self._wheres(rows)
        return self._accepted(rows)

    def _behaviours(self, action: str | None) -> list[Expression]:
        """Return the expressions of behaviours over the columns of one log."""
        return [
            _behaved(name, behaviour)
            for name, behaviour in self.config.behaviours.items()
            if behaviour.action == action
        ]

    def actions(self, data_date: date | None) -> None:
        """Check the logs of actions."""
        for name, source in self.config.source.actions.items():
            log, where = self.project.sources.actions[name], f"source.actions.{name}"
            day = data_date or log.last_date()
            files = [] if day is None else log.of(day)
            if not files:
                self.fault(f"{where}.path", f"no files of {day or 'any date'} at {source.path!r}")
                continue
            raw = self.read(source, files, where)
            if raw is None:
                continue
            if missing := sorted(set(source.action_id) - set(raw.columns)):
                self.fault(f"{where}.action_id", f"{_lacks(missing, raw)}")
            types = {column: self.config.source.events.columns[column].type for column in source.join}
            time = Expression(
                f"{where}.action_time.from",
                source.action_time.expr,
                partial(read_mapping, source.action_time),
            )
            keys = [
                _identified(f"{where}.join.{column}", text, types[column])
                for column, text in source.join.items()
            ]
            self.evaluate(raw.limit(MOST_EVENTS), [time, *keys, *self._behaviours(name)])

    def _raw_log(self, source: EventSource, data_date: date | None) -> tuple[DataFrame | None, date | None]:
        sources = self.project.sources
        day = data_date or sources.log.last_date()
        files = [] if day is None else sources.log_files(day)
        if day is None or not files:
            last = sources.log.last_date()
            newest = "there are none at all" if last is None else f"the newest are of {last}"
            self.fault(
                "source.events.path", f"no files of {day or 'any date'} at {source.path!r}; {newest}, under "
                f"source.root {self.config.source.root}"
            )  # fmt: skip
            return None, day
        raw = self.read(source, files, "source.events")
        if raw is not None and source.date_column is not None:
            raw = raw.where(F.col(source.date_column).try_cast("date") == F.lit(day))
        if raw is None:
            return None, day
        sample = raw.limit(MOST_EVENTS).localCheckpoint()
        rows = sample.count()
        whole = "all" if rows < MOST_EVENTS else "the first"
        self.found.notes.append(f"events: {whole} {rows:,} rows of {len(files)} files of {day}")
        if not rows:
            self.fault("source.events.path", f"{files[0].path}: no rows; name another date with --data-date")
            return None, day
        return sample, day

    def _times(self, rows: DataFrame, day: date) -> None:
        """Say on which dates the events are, and what that says about zone and unit."""
        zone, key = self.config.source.time_zone, "source.events.columns.event_time"
        local = F.from_utc_timestamp("event_time", zone)
        own, late = F.col("days_late") == 0, F.col("days_late")
        horizon = self.config.source.events.lateness_days
        first, last, total, *parts = rows.agg(
            F.min(local).cast("string"),
            F.max(local).cast("string"),
            F.count(F.lit(1)),
            F.count_if(own),
            F.count_if(late.between(1, horizon)),
            F.count_if(late > horizon),
            F.count_if(late < 0),
            F.count_if(F.col("event_time").isNull()),
        ).collect()[0]
        shares = [percent(part / total) for part in parts]
        self.found.notes.append(
            f"event_time: {first} .. {last} in {zone}; {shares[0]} of the rows are of {day}, as their file, "
            f"{shares[1]} of up to {horizon} days before, {shares[2]} earlier, {shares[3]} later; "
            f"{shares[4]} are unreadable"
        )
        seconds = F.col("event_time").cast("double")  # Python would read instants as local times
        found = rows.where(seconds.isNotNull()).select(seconds).limit(MOST_TIMES).collect()
        if not found:
            return
        best = guess_zone({day: [datetime.fromtimestamp(row[0], UTC) for row in found]})
        own_share = parts[0] / (total - parts[4])
        if best.share > max(LEAST_ON_DATE, own_share + BETTER):
            self.fault(
                "source.time_zone",
                f"{percent(own_share)} of the readable times are of {day}, the date of their file, in "
                f"{zone}, and {percent(best.share)} in {best.name}: set that, if days begin there",
            )
        elif own_share < LEAST_ON_DATE:
            self.fault(
                f"{key}.from",
                f"{percent(own_share)} of the readable times are of {day}, the date of their file "
                f"({first} .. {last} in {zone}): compare the unit with the values",
            )

    def _accepted(self, rows: DataFrame) -> DataFrame:
        """Judge rows by the suite of events, and say what would become of them."""
        from quality.suites import run_suite  # Great Expectations takes 4 s to import

        verdict = run_suite(rows, "events", self.config.suites["events"])
        for result in verdict.results:
            if result.failing_rows:
                text = f"{result.rule}: {result.observed}, {percent(result.max_failing_share)} may fail"
                if result.outcome == "failed":
                    self.fault(result.source, text)
                else:
                    self.found.notes.append(f"rule {text}; those go to quarantine")
        filters = failing_filters(verdict)
        judged = with_row_status(with_failed_rules(rows, filters), self.config).localCheckpoint()
        counts = {row["row_status"]: row["count"] for row in judged.groupBy("row_status").count().collect()}
        total = sum(counts.values())
        said = ", ".join(f"{percent(counts[name] / total)} {name}" for name in sorted(counts))
        self.found.notes.append(f"event_id {list(self.config.source.events.event_id)}: {said}")
        if counts.get("conflict", 0) > 0.05 * total:
            self.fault(
                "source.events.event_id",
                f"{percent(counts['conflict'] / total)} of the rows have the event_id of another row and "
                "differ from it; name columns that make an event",
            )
        return judged.where(F.col("row_status") == "accepted")

    def _wheres(self, events: DataFrame) -> None:
        """Evaluate what aggregates read of events; what reads attributes too waits for the night's join."""
        texts = [
            (f"features.{group}.aggregates.{aggregate.name}.where", aggregate.where)
            for group, features in self.config.features.groups.items()
            for aggregate in features.aggregates
            if aggregate.where is not None
        ]
        own = [(key, text) for key, text in texts if columns_of(text, key) <= set(events.columns)]
        self.evaluate(events, [Expression(key, text, _reader(text)) for key, text in own])

    # --- users and items ------------------------------------------------------------------------

    def entities(self, entity: EntityName, events: DataFrame | None) -> None:
        """Check the files of users or items, and whether they know those of the events."""
        source: AttributeSource | None = getattr(self.config.source, f"{entity}s")
        if source is None:
            self.found.notes.append(f"{entity}s: no file; they are those that events name")
            return
        where = f"source.{entity}s"
        try:
            files = self._newest(entity)
        except LamplighterError as error:
            self.fault(f"{where}.path", str(error))
            return
        raw = self.read(source, files, where)
        if raw is None:
            return
        raw = raw.limit(MOST_ENTITIES).localCheckpoint()
        id_type = self.config.source.events.columns[f"{entity}_id"].type
        expressions = [
            _identified(f"{where}.key", source.key, id_type),
            *(_mapped(f"{where}.columns", name, column) for name, column in source.columns.items()),
        ]
        if len(self.evaluate(raw, expressions)) == len(expressions):
            self._keys(entity, to_described(raw, source, entity, id_type), raw.count(), events)

    def _newest(self, entity: EntityName) -> list[SourceFile]:
        """Return the files of an entity's attributes; of those with dates the newest."""
        offered = self.project.sources.attributes_of(entity)
        if offered is None:
            return []
        if not offered.is_by_date:
            return offered.all_files()
        offered.require(date.max)
        return offered.files_of(offered.dates()[-1])

    def _keys(self, entity: EntityName, known: DataFrame, rows: int, events: DataFrame | None) -> None:
        key, where = f"{entity}_id", f"source.{entity}s"
        described, different = known.agg(F.count(F.lit(1)), F.countDistinct(key)).collect()[0]
        note = f"{entity}s: {rows:,} rows, {rows - described:,} without a readable key"
        if described > different:
            self.fault(
                f"{where}.key", f"{described - different:,} of {rows:,} rows have the key of another row"
            )
        if events is None or not described:
            self.found.notes.append(note)
            return
        matched = events.join(known.select(key).distinct(), on=key, how="left_semi").count()
        share = matched / max(1, events.count())
        self.found.notes.append(f"{note}; {percent(share)} of the events are of {_A[entity]} in it")
        least = 1 - self.config.audits.most_unknown_share
        if share < least and rows < MOST_ENTITIES:
            self.fault(
                f"{where}.key",
                f"{percent(share)} of the events are of {_A[entity]} in this file, and a night asks for at "
                f"least {percent(least)}: compare the values of the key with those of events.columns.{key}",
            )

    # --- tasks and cohorts ----------------------------------------------------------------------

    def tasks(self, events: DataFrame) -> None:
        """Say how often labels are positive, or their range."""
        for task in self.config.tasks:
            key = f"tasks.{task.name}.label"
            texts = [(key, task.label)]
            texts += [(f"tasks.{task.name}.where", task.where)] if task.where is not None else []
            if len(self.evaluate(events, [Expression(k, t, _reader(t)) for k, t in texts])) < len(texts):
                continue
            value, inside = F.col(f"label_{task.name}"), F.col(f"mask_{task.name}")
            rows, mean, low, high, others = (
                events.select(label(task, events), mask(task, events))
                .where(inside)
                .agg(
                    F.count(F.lit(1)), F.avg(value), F.min(value), F.max(value), F.count_if(~value.isin(0, 1))
                )
                .collect()[0]
            )
            if not rows:
                self.fault(key, "no row of the sample is in its sample space with a known label")
            elif task.kind == "regression":
                self.found.notes.append(
                    f"task {task.name}: mean {mean:.4g}, {low:.4g} .. {high:.4g}, {rows:,} rows"
                )
            elif others:
                self.fault(key, f"{others:,} of {rows:,} rows have another value than 0 and 1")
            else:
                self.found.notes.append(f"task {task.name}: {percent(mean)} positive, {rows:,} rows")
                if mean in (0, 1):
                    self.fault(
                        key, f"all of {rows:,} rows have the label {mean:g}; a model learns nothing of it"
                    )

    def cohorts(self) -> None:
        """Check that the rules of cohorts fit the types of features."""
        for entity in ("user", "item"):
            schema = self.project.catalog[f"{entity}_features"].schema
            features = self.project.spark.createDataFrame([], schema)
            cohorts = getattr(self.config.cohorts, entity)
            for rule in cohorts.rules:
                one = cohorts.model_copy(update={"rules": (rule,)})
                key = f"cohorts.{entity}.rules.{rule.name}.when"
                self._analysed(features, Expression(key, rule.when, partial(cohort_of, one)))

    # --- reading and evaluating -----------------------------------------------------------------

    def read(self, source: FileSource, files: Sequence[SourceFile], where: str) -> DataFrame | None:
        """Return the rows of files with the columns that they have."""
        try:
            return read_attributes(self.project.spark, source, [*files], ())
        except (LamplighterError, AnalysisException) as error:
            self.fault(f"{where}.format", str(error).splitlines()[0])
            return None

    def evaluate(
        self, rows: DataFrame, expressions: Sequence[Expression], zone: str | None = None
    ) -> list[str]:
        """Evaluate expressions over rows, show what they make; return the keys of those that are sound."""
        columns = {each: column for each in expressions if (column := self._analysed(rows, each)) is not None}
        if not columns:
            return []
        made = rows.select(*(column.alias(f"c{n}") for n, column in enumerate(columns.values())))
        made = made.localCheckpoint()
        stats = made.agg(F.count(F.lit(1)), *(F.count(name) for name in made.columns)).collect()[0]
        texts = [_text(field, zone).alias(field.name) for field in made.schema.fields]
        head = made.limit(SHOWN_OF).select(*texts).collect()
        for number, each in enumerate(columns):
            values = dict.fromkeys(row[number] for row in head if row[number] is not None)
            nulls = percent(1 - stats[number + 1] / stats[0]) if stats[0] else "-"
            self.found.shown.append(Shown(each.key, each.text, " | ".join(list(values)[:3]), nulls))
            if stats[0] and not stats[number + 1]:
                self.fault(
                    each.key, f"{each.text!r} makes null of every row; compare the type with the values"
                )
        return [each.key for each in columns]

    def _analysed(self, rows: DataFrame, each: Expression) -> Column | None:
        """Return the column of an expression if it fits the rows' columns; else note the fault."""
        try:
            missing = sorted(columns_of(each.text, each.key) - set(rows.columns))
            if missing:
                self.fault(each.key, f"{each.text!r}: {_lacks(missing, rows)}")
                return None
            column = each.column(rows)
            rows.select(column.alias("made")).schema  # noqa: B018  # analysed, not run
        except (ConfigError, AnalysisException) as error:
            self.fault(each.key, str(error).splitlines()[0].removeprefix(f"{each.key}: "))
            return None
        return column


def _mapped(where: str, name: str, mapping: Mapping) -> Expression:
    if name in IDS:
        return _identified(f"{where}.{name}.from", mapping.expr, mapping.type)
    return Expression(f"{where}.{name}.from", mapping.expr, partial(read_mapping, mapping))


def _identified(key: str, text: str, id_type: str) -> Expression:
    return Expression(key, text, partial(read_id, text, id_type))


def _behaved(name: str, behaviour: Behaviour) -> Expression:
    return Expression(f"behaviours.{name}.from", behaviour.expr, partial(read_behaviour, behaviour))


def _reader(text: str) -> Callable[[DataFrame], Column]:
    return partial(readable, text)


def _lacks(missing: Sequence[str], rows: DataFrame) -> str:
    known = [name for name in rows.columns if name != CORRUPT]
    return f"columns {[*missing]} are missing; the files have {known}"


def _with_provenance(raw: DataFrame, day: date) -> DataFrame:
    """Add what rows of a log carry: here they are all of one file."""
    return raw.withColumns(
        {
            "source_path": F.lit(""),
            "source_sha256": F.lit(""),
            "file_date": F.lit(day),
            "row_index": F.monotonically_increasing_id(),
        }
    )


def _text(field: T.StructField, zone: str | None) -> Column:
    column = F.col(field.name)
    if isinstance(field.dataType, T.TimestampType) and zone is not None:
        column = F.from_utc_timestamp(column, zone)
    return column.cast("string")
