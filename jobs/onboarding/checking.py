"""Expressions of a data set evaluated over rows of its files: three values each, and what is wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.errors import ConfigError, LamplighterError
from core.expressions import columns_of
from core.layers import Layers
from core.schema import Config
from core.source import FileSource, Mapping
from features.casts import read_behaviour, read_id, read_mapping
from features.events import IDS
from features.expressions import readable
from jobs.runtime.project import Project
from jobs.tables.raw import CORRUPT, read_attributes
from jobs.tables.source_files import SourceFile
from quality.verdicts import percent

SHOWN_OF = 500
"""Rows that the shown values are taken from."""


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


class Checks:
    """What all checks of one validation share: the project, where its keys are, and what was found.

    Attributes:
        project: its configuration is loaded.
        config: the configuration.
        found: what was found so far.
    """

    def __init__(self, project: Project, layers: Layers) -> None:
        self.project = project
        self.config = project.config
        self.found = Findings()
        self._layers = layers

    def fault(self, key: str, text: str) -> None:
        """Add a fault of a key, with its place in the YAML."""
        self.found.faults.append(f"{self._layers.place(key)}: {key}: {text}")

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
        columns = {each: column for each in expressions if (column := self.analysed(rows, each)) is not None}
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

    def analysed(self, rows: DataFrame, each: Expression) -> Column | None:
        """Return the column of an expression if it fits the rows' columns; else note the fault."""
        try:
            missing = sorted(columns_of(each.text, each.key) - set(rows.columns))
            if missing:
                self.fault(each.key, f"{each.text!r}: {lacks(missing, rows)}")
                return None
            column = each.column(rows)
            rows.select(column.alias("made")).schema  # noqa: B018  # analysed, not run
        except (ConfigError, AnalysisException) as error:
            self.fault(each.key, str(error).splitlines()[0].removeprefix(f"{each.key}: "))
            return None
        return column


def mapped(where: str, name: str, mapping: Mapping) -> Expression:
    """Return the expression of a declared column."""
    if name in IDS:
        return identified(f"{where}.{name}.from", mapping.expr, mapping.type)
    return Expression(f"{where}.{name}.from", mapping.expr, partial(read_mapping, mapping))


def identified(key: str, text: str, id_type: str) -> Expression:
    """Return the expression of an id."""
    return Expression(key, text, partial(read_id, text, id_type))


def behaviours_of(config: Config, action: str | None) -> list[Expression]:
    """Return the expressions of behaviours over the columns of one log; None: that of impressions."""
    return [
        Expression(f"behaviours.{name}.from", behaviour.expr, partial(read_behaviour, behaviour))
        for name, behaviour in config.behaviours.items()
        if behaviour.action == action
    ]


def reader_of(text: str) -> Callable[[DataFrame], Column]:
    """Return what reads an expression over our columns."""
    return partial(readable, text)


def lacks(missing: Sequence[str], rows: DataFrame) -> str:
    """Say which columns are missing, and which there are."""
    known = [name for name in rows.columns if name != CORRUPT]
    return f"columns {[*missing]} are missing; the files have {known}"


def _text(field: T.StructField, zone: str | None) -> Column:
    column = F.col(field.name)
    if isinstance(field.dataType, T.TimestampType) and zone is not None:
        column = F.from_utc_timestamp(column, zone)
    return column.cast("string")
