"""A night's values arranged as the tables of its page: in groups, in order, with counts."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from quality.report.model import (
    CalibrationPoint,
    CohortMove,
    CohortSize,
    Decision,
    DecisionCell,
    GateBar,
    MetricCell,
    NightReport,
    OutcomeRow,
    Role,
    VerdictRow,
)
from quality.report.words import counted
from quality.served import SERVED_WITHOUT_MODEL

NEWLY_KNOWN = "newly known"
METRIC_NAMES = {
    "auc": "AUC",
    "auc_gain": "AUC gain",
    "gauc": "AUC within users (GAUC)",
    "log_loss": "Log loss",
    "normalised_entropy": "Normalised entropy",
    "observed_over_predicted": "Observed / predicted",
    "ece": "Expected calibration error",
    "mse": "Mean squared error",
    "mae": "Mean absolute error",
    "hit_rate": "Hit rate",
    "recall": "Recall",
}

COUNTS_OF_ERRORS = (("Rows", "rows"),)
COUNTS = {
    "gauc": (("Users with both classes", "users"), ("Skipped users", "one_class_users")),
    "mse": COUNTS_OF_ERRORS,
    "mae": COUNTS_OF_ERRORS,
}
"""Metric -> heading and attribute of the counts that are shown; of the others, positives and negatives."""

ROLES: tuple[Role, ...] = ("champion", "candidate", "popularity", "group_mean")
MODELS: tuple[Role, ...] = ("champion", "candidate")


@dataclass(frozen=True)
class TableVerdict:
    """How one table met its suite."""

    table: str
    passed: int
    warned: int
    failed: int

    @property
    def outcome(self) -> str:
        """The worst outcome of a rule."""
        return "failed" if self.failed else "warned" if self.warned else "passed"


@dataclass(frozen=True)
class MetricLine:
    """A metric of one task and cohort, models and baselines side by side."""

    task: str
    cohort: str
    by_role: Mapping[Role, MetricCell]
    gain: MetricCell | None

    @property
    def counts(self) -> MetricCell:
        """Any of the cells, for its counts: all are measured on the same rows."""
        return next(iter(self.by_role.values()))


OUTCOMES = ("hit_rate", "recall", "pool_recall")


@dataclass(frozen=True)
class OutcomeLine:
    """What a list has in one task and cohort: the metrics of OUTCOMES, in their order."""

    task: str
    cohort: str
    metrics: tuple[OutcomeRow | None, ...]
    users: int
    events: int


Line = TypeVar("Line", MetricLine, OutcomeLine)


@dataclass(frozen=True)
class Movement:
    """Members of one entity by the cohort of the day before, one line each, and by that of today."""

    after: tuple[str, ...]
    lines: tuple[tuple[str, tuple[int, ...]], ...]


def table_verdicts(verdicts: Iterable[VerdictRow]) -> list[TableVerdict]:
    """Return one line per table, in the given order."""
    by_table: dict[str, list[str]] = {}
    for verdict in verdicts:
        by_table.setdefault(verdict.table, []).append(verdict.outcome)
    return [
        TableVerdict(table, outcomes.count("passed"), outcomes.count("warned"), outcomes.count("failed"))
        for table, outcomes in by_table.items()
    ]


def roles(rows: Iterable[MetricCell | CalibrationPoint]) -> list[Role]:
    """Return the models and baselines that have rows: champion, candidate, then baselines."""
    present = {row.role for row in rows}
    return [role for role in ROLES if role in present]


def of_models(cells: Iterable[MetricCell]) -> list[MetricCell]:
    """Return the cells of champion and candidate, without those of the baselines."""
    return [cell for cell in cells if cell.role in MODELS]


def replicates_of(night: NightReport, cell: DecisionCell) -> int | None:
    """Return how many replicates a cell of the decision rests on; None if its metric is not on the page."""
    key = (cell.task, cell.cohort, cell.metric, "candidate")
    found = (each for each in night.cells if (each.task, each.cohort, each.metric, each.role) == key)
    return next((each.replicates for each in found), None)


def metric_lines(cells: Sequence[MetricCell], metric: str) -> list[MetricLine]:
    """Return one line per task and cohort of a metric, in the given order, task by task."""
    found = {(cell.task, cell.cohort, cell.metric, cell.role): cell for cell in cells}
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    keys = dict.fromkeys((cell.task, cell.cohort) for cell in cells if cell.metric == metric)
    return [
        MetricLine(
            task,
            cohort,
            {role: cell for role in ROLES if (cell := found.get((task, cohort, metric, role))) is not None},
            found.get((task, cohort, f"{metric}_gain", "candidate")),
        )
        for task, cohort in sorted(keys, key=lambda key: tasks.index(key[0]))
    ]


def in_order(night: NightReport) -> NightReport:
    """Return the night with its rows ordered: all users first, then cohorts as their table orders them."""
    names = [f"{size.entity}:{size.cohort}" for size in night.cohort_sizes]
    places = {name: place for place, name in enumerate(names)}

    def place(row: MetricCell | OutcomeRow | GateBar) -> list[int]:
        parts = row.cohort.split("|")
        return [cohort_rank(row.cohort), *(places.get(part, len(places)) for part in parts)]

    def place_after(move: CohortMove) -> int:
        return places.get(f"{move.entity}:{move.after}", len(places))

    return replace(
        night,
        cells=tuple(sorted(night.cells, key=place)),
        outcomes=tuple(sorted(night.outcomes, key=place)),
        gates=tuple(
            sorted(night.gates, key=lambda bar: (_natural(bar.gate), _natural(bar.expert), place(bar)))
        ),
        cohort_moves=tuple(sorted(night.cohort_moves, key=place_after)),
    )


def cohort_rank(cohort: str) -> int:
    """Return the place of a cohort's kind: all, of users, of items, of both."""
    if "|" in cohort:
        return 3
    return 0 if cohort == "all" else 2 if cohort.startswith("item:") else 1


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which numbers in names are compared as numbers: click.2 before click.10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


OneCohort = TypeVar("OneCohort", MetricCell, GateBar)


def of_one_axis(cells: Iterable[OneCohort]) -> list[OneCohort]:
    """Return the cells without those of user cohort x item cohort, too many for a plot."""
    return [cell for cell in cells if cohort_rank(cell.cohort) < 3]


def other_metrics(cells: Iterable[MetricCell]) -> list[str]:
    """Return the metrics that have no section of their own on the page."""
    names = dict.fromkeys(cell.metric for cell in cells)
    return [name for name in names if name != "auc" and not name.endswith("_gain")]


def counts_of(metric: str) -> tuple[tuple[str, str], ...]:
    """Return heading and attribute of the counts that are shown beside a metric."""
    return COUNTS.get(metric, (("Positives", "positives"), ("Negatives", "negatives")))


def by_gate(bars: Iterable[GateBar]) -> list[tuple[str, list[GateBar]]]:
    """Return the bars in groups of their gate, in the given order."""
    return [(gate, list(own)) for gate, own in groupby(bars, key=lambda bar: bar.gate)]


def by_expert(bars: Iterable[GateBar]) -> list[tuple[str, dict[str, GateBar]]]:
    """Return the bars of one gate: expert -> cohort -> bar."""
    return [
        (expert, {bar.cohort: bar for bar in own})
        for expert, own in groupby(bars, key=lambda bar: bar.expert)
    ]


def sizes(night: NightReport, entity: str) -> list[CohortSize]:
    """Return the cohort sizes of one entity."""
    return [size for size in night.cohort_sizes if size.entity == entity]


def movement(moves: Iterable[CohortMove], entity: str) -> Movement | None:
    """Return the matrix of moves of one entity; None if there is no earlier night."""
    own = [move for move in moves if move.entity == entity]
    if not own:
        return None
    after = tuple(dict.fromkeys(move.after for move in own))
    before = list(dict.fromkeys(move.before for move in own))
    known = [cohort for cohort in (*after, *before) if cohort is not None and cohort in before]
    starts: list[str | None] = [*dict.fromkeys(known), *([None] if None in before else [])]
    counts = {(move.before, move.after): move.count for move in own}
    return Movement(
        after,
        tuple(
            (start or NEWLY_KNOWN, tuple(counts.get((start, end), 0) for end in after)) for start in starts
        ),
    )


def outcome_lines(outcomes: Sequence[OutcomeRow]) -> list[OutcomeLine]:
    """Return one line per list, task and cohort, in the given order, list by list and task by task."""
    found = {(row.list, row.task, row.cohort, row.metric): row for row in outcomes}
    lists = list(dict.fromkeys(row.list for row in outcomes))
    tasks = list(dict.fromkeys(row.task for row in outcomes))
    ordered = sorted(outcomes, key=lambda row: (lists.index(row.list), tasks.index(row.task)))
    lines = {
        (row.list, row.task, row.cohort): OutcomeLine(
            row.task if len(lists) == 1 else f"{row.list}: {row.task}",
            row.cohort,
            tuple(found.get((row.list, row.task, row.cohort, metric)) for metric in OUTCOMES),
            row.users,
            row.events,
        )
        for row in ordered
    }
    return list(lines.values())


def by_task(lines: Iterable[Line]) -> list[tuple[str, list[Line]]]:
    """Return the lines in groups of their task, in the given order."""
    return [(task, list(own)) for task, own in groupby(lines, key=lambda line: line.task)]


def decision_name(decision: Decision) -> str:
    """Return what the decision was, in two words."""
    if decision.promoted:
        return "Promoted"
    return "Stays champion" if decision.champion_before == decision.candidate else "Not promoted"


def in_short(night: NightReport) -> list[str]:
    """Return the night in a few sentences."""
    sentences = []
    if night.balance is not None:
        sentences.append(
            f"{night.balance.read:,} source rows were read: {night.balance.accepted:,} accepted, "
            f"{night.balance.duplicates:,} duplicates, {night.balance.quarantined:,} quarantined."
        )
    if night.repaired:
        late = sum(repaired.late_rows for repaired in night.repaired)
        dates = counted(len(night.repaired), "earlier data date")
        sentences.append(f"{counted(late, 'late row')} repaired {dates}.")
    if night.verdicts:
        tables = table_verdicts(night.verdicts)
        blocked = [table.table for table in tables if table.failed]
        outcome = f"{', '.join(blocked)} did not pass" if blocked else f"all {len(tables)} tables passed"
        warned = sum(table.warned for table in tables)
        warnings = f", {counted(warned, 'rule')} with warnings" if warned else ""
        sentences.append(f"{counted(len(night.verdicts), 'rule')}: {outcome}{warnings}.")
    if night.decision is not None:
        name = decision_name(night.decision).lower()
        verb = name if name.startswith("stays") else f"was {name}"
        sentences.append(f"{night.decision.candidate} {verb}.")
    if night.users_scored is not None and night.champion is not None:
        sentences.append(f"{night.users_scored:,} users have lists by {served(night.champion)}.")
    return sentences


def served(champion: str) -> str:
    """Return what makes the lists, and says so where it is no model."""
    if champion == SERVED_WITHOUT_MODEL:
        return f"{champion}, since no model is champion"
    return champion
