"""Try a changed feature or cohort rule beside what is stored: what would differ as of one data date.

Features and cohorts of the date are computed with the configuration that is asked for and compared with the
tables; nothing is written. A measure that is not declared yet is made of all events that it needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import ENTITIES
from core.errors import ConfigError
from jobs.runtime.arguments import Arguments
from jobs.runtime.code import hash_of
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.plan import Planner
from jobs.runtime.project import Project
from jobs.runtime.readable import require_readable
from jobs.runtime.running import require_inputs
from jobs.runtime.trial import TrialRun
from jobs.tables.compare import Difference, DifferingRow, counted, differing_rows, transitions
from jobs.tables.ledger import RunKey
from jobs.tables.store import Commit
from jobs.tables.table import Table

TRIED = ("build_features", "label_cohorts")
"""The jobs that are tried, in order: the second reads what the first has made."""
SHOWN = 5  # rows that differ


@dataclass(frozen=True)
class TriedTable:
    """How a table would differ as of the data date.

    Attributes:
        difference: rows and columns that differ.
        rows: some rows that differ.
        transitions: of cohorts: (stored, tried, rows).
    """

    difference: Difference
    rows: tuple[DifferingRow, ...]
    transitions: tuple[tuple[Any, Any, int], ...] = ()


@dataclass(frozen=True)
class Tried:
    """What came of a trial: the keys that differ from what the date was made with, and each table."""

    why: str
    tables: tuple[TriedTable, ...]


class _Trial(TrialRun):
    """A trial that keeps what it makes, to be compared in other columns than the digest's."""

    def _compare(
        self, table: str, made: DataFrame, where: str | None, stored: DataFrame | None = None
    ) -> Commit:
        self.made[table] = made
        return Commit(table, self._project.store.version(table) or 0, 0)


def try_change(arguments: Arguments) -> Tried:
    """Compute features and cohorts of one data date with a changed configuration; nothing is written.

    Args:
        arguments: for one data date, with the settings to try.

    Raises:
        ConfigError: the data date was never built, or no key of features or cohorts differs from what it
            was made with.
        BlockedError: what was tried does not pass the suite of its table.
    """
    project = Project(replace(arguments, fills_in=True))
    require_readable(project)
    day = project.arguments.last
    changed = _changed(project, day)
    made: dict[str, DataFrame] = {}
    for name in TRIED[TRIED.index(changed[0]) :]:
        require_inputs(all_jobs()[name], project)
        trial = _Trial(all_jobs()[name], project, made)
        trial.job.outline(trial)
        made |= trial.made
    planner = Planner(project, [day], ())
    reasons = [reason.text for name in changed if (reason := planner.reason(name, day)) is not None]
    tables = [f"{group}_features" for group in project.config.features.groups]
    tables += [f"{entity}_cohorts" for entity in ENTITIES]
    tried = (_tried(project, project.catalog[table], made[table], day) for table in tables if table in made)
    return Tried("; ".join(reasons), tuple(tried))


def _changed(project: Project, day: date) -> list[str]:
    """Return the jobs whose configuration is another one than that which the date was made with."""
    known, lineage = project.newest_runs([day]), project.lineage([day])
    changed = []
    for name in TRIED:
        run = known.get(RunKey(name, "", day))
        if run is None or run.state != "done":
            raise ConfigError(
                f"try {day}: {name} is not done for this data date, so there is nothing to compare with; "
                f"expected a date of `lamplighter runs`; run `lamplighter night --data-date {day}` first"
            )
        if run.config_hash != hash_of(lineage.recipe(name).config):
            changed.append(name)
    if not changed:
        raise ConfigError(
            f"try {day}: features and cohorts of this data date were made with this configuration; expected "
            "a key of features, behaviours, derived or cohorts that differs: --set KEY=VALUE, or change the "
            "data set's YAML"
        )
    return changed


def _tried(project: Project, table: Table, made: DataFrame, day: date) -> TriedTable:
    stored = project.store.read(project.spark, table.name).where(F.col("data_date") == F.lit(day))
    content = _compared(table)
    found = counted(stored, made, table, content)
    rows = differing_rows(stored, made, table, content, SHOWN) if found.rows else []
    moved = transitions(stored, made, table, "cohort") if "cohort" in content and found.rows else []
    return TriedTable(found, tuple(rows), tuple(moved))


def _compared(table: Table) -> Sequence[str]:
    """Return the columns to compare: all but the key, and the number of the rules."""
    return [name for name in table.content if name not in {*table.grain, "rule_version"}]
