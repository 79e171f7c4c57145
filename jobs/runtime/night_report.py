"""Collect what a night left in its tables into the values that its page shows."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from jobs.runtime.run import Run
from jobs.runtime.steps import STEPS
from jobs.tables.ledger import Finished
from jobs.tables.lists import list_of
from quality.report.model import (
    CalibrationPoint,
    CohortMove,
    CohortSize,
    Decision,
    GateBar,
    ListedItem,
    MetricCell,
    NightReport,
    OutcomeRow,
    RowsBalance,
    SampleList,
    ScoreDistribution,
    StepRow,
    VerdictRow,
)

ENTITIES: tuple[EntityName, ...] = ("user", "item")
MAIN_TABLE = {
    "ingest": "events",
    "build_features": "user_features",
    "label_cohorts": "user_cohorts",
    "build_examples": "examples",
    "pack": "training_blocks",
    "evaluate": "evaluations",
    "promote": "promotions",
    "score": "scores_staging",
    "publish": "scores",
    "look_back": "outcomes",
}
SCORE_BINS = 30
COUNTS = ("rows", "positives", "negatives", "users", "one_class_users")

Runs = dict[tuple[str, str, date], Finished]


def collect(run: Run) -> NightReport:
    """Everything that the page of the run's data date shows."""
    runs = {key: found for key, found in run.newest_runs().items() if key[2] == run.last}
    scored = runs.get(("score", "", run.last))
    decision, evaluated = _decision(run), _newest(runs, "evaluate")
    published = run.read("scores", run.last)
    return NightReport(
        data_date=run.last,
        dataset=run.config.dataset,
        run_id=run.run_id,
        champion=None if scored is None else scored.facts.get("model_version"),
        users_scored=published.where(F.col("rank") == 1).count(),
        steps=tuple(_steps(runs)),
        balance=_balance(runs.get(("ingest", "", run.last)), run.last),
        verdicts=tuple(_verdicts(run)),
        cohort_sizes=tuple(size for entity in ENTITIES for size in _sizes(run, entity)),
        cohort_moves=tuple(move for entity in ENTITIES for move in _moves(run, entity)),
        cells=tuple(_cells(run, decision)),
        decision=decision,
        calibration=tuple(_calibration(evaluated)),
        gates=tuple(_gates(run, evaluated)),
        gate_warnings=tuple([] if evaluated is None else evaluated.facts.get("gate_warnings", [])),
        scores=_score_distribution(run, published),
        outcomes=tuple(_outcomes(run)),
        samples=tuple(_samples(run)),
        notices=tuple(_notices(run)),
    )


def _newest(runs: Runs, job: str) -> Finished | None:
    """The newest run of a job tonight, of whichever model."""
    of_job = [found for key, found in runs.items() if key[0] == job and found.state == "done"]
    return max(of_job, key=lambda found: found.run_id, default=None)


def _steps(runs: Runs) -> Iterator[StepRow]:
    for job in STEPS:
        found = _newest(runs, job)
        if found is not None and job != "report":
            yield StepRow(job, found.seconds, found.rows.get(MAIN_TABLE.get(job, "")), found.state)


def _balance(ingested: Finished | None, day: date) -> RowsBalance | None:
    counts = {} if ingested is None else ingested.facts.get("balance", {}).get(str(day), {})
    if not counts:
        return None
    return RowsBalance(
        read=counts["read"],
        accepted=counts["accepted"],
        duplicates=counts["duplicate"],
        quarantined=counts["quarantined"] + counts["conflict"],
        conflicts=counts["conflict"],
        late=counts["late"],
    )


def _verdicts(run: Run) -> Iterator[VerdictRow]:
    rows = run.rows("quality_results", f"data_date = '{run.last}'")
    for row in sorted(rows, key=lambda row: (row["table"], row["rule"])):
        names = ("table", "rule", "outcome", "observed", "threshold", "severity")
        yield VerdictRow(**{name: row[name] for name in names})


def _sizes(run: Run, entity: EntityName) -> Iterator[CohortSize]:
    yesterday = run.last - timedelta(days=1)
    counts = {
        (row["data_date"], row["cohort"]): row["count"]
        for row in run.read(f"{entity}_cohorts", yesterday, run.last)
        .groupBy("data_date", "cohort")
        .count()
        .collect()
    }
    has_yesterday = any(day == yesterday for day, _ in counts)
    for cohort in getattr(run.config.cohorts, entity).names:
        before = counts.get((yesterday, cohort), 0) if has_yesterday else None
        yield CohortSize(entity, cohort, counts.get((run.last, cohort), 0), before)


def _moves(run: Run, entity: EntityName) -> Iterator[CohortMove]:
    key = f"{entity}_id"
    before = run.read(f"{entity}_cohorts", run.last - timedelta(days=1)).select(
        key, F.col("cohort").alias("before")
    )
    after = run.read(f"{entity}_cohorts", run.last).select(key, F.col("cohort").alias("after"))
    if before.isEmpty():
        return
    moves = after.join(before, on=key, how="left").groupBy("before", "after").count().collect()
    for row in sorted(moves, key=lambda row: (str(row["before"]), row["after"])):
        yield CohortMove(entity, row["before"], row["after"], row["count"])


def _decision(run: Run) -> Decision | None:
    rows = run.rows("promotions", f"data_date = '{run.last}'")
    if not rows:
        return None
    row = max(rows, key=lambda row: row["decision_no"])
    return Decision(
        candidate=row["candidate"],
        champion_before=row["champion_before"],
        champion_after=row["champion_after"],
        promoted=row["promoted"],
        reasons=tuple(row["reasons"]),
    )


def _cells(run: Run, decision: Decision | None) -> Iterator[MetricCell]:
    if decision is None:
        return
    order = {task.name: number for number, task in enumerate(run.config.tasks)}
    rows = run.rows("evaluations", f"last_data_date = '{run.last}'")
    for row in sorted(rows, key=lambda row: (order[row["task"]], row["cohort"], row["metric"])):
        names = ("task", "cohort", "metric", "value", "low", "high", *COUNTS)
        if row["model_version"] in (decision.candidate, decision.champion_before):
            role = "candidate" if row["model_version"] == decision.candidate else "champion"
            yield MetricCell(role=role, **{name: row[name] for name in names})  # type: ignore[arg-type]


def _calibration(evaluated: Finished | None) -> Iterator[CalibrationPoint]:
    if evaluated is None:
        return
    curves: dict[str, Any] = evaluated.facts.get("calibration_curves", {})
    for version, by_task in curves.items():
        role = "candidate" if version == evaluated.facts["candidate"] else "champion"
        for task, points in by_task.items():
            for predicted, observed, weight in points:
                yield CalibrationPoint(task, role, predicted, observed, round(weight))  # type: ignore[arg-type]


def _gates(run: Run, evaluated: Finished | None) -> Iterator[GateBar]:
    """What the gates of tonight's candidate do."""
    if evaluated is None:
        return
    for row in run.rows("gate_weights", f"last_data_date = '{run.last}'"):
        if row["model_version"] == evaluated.facts.get("candidate"):
            names = ("gate", "expert", "cohort", "rows", "mean", "std", "active_share")
            yield GateBar(**{name: row[name] for name in names})


def _score_distribution(run: Run, tonight: DataFrame) -> ScoreDistribution | None:
    """Histograms of final scores, tonight and the night before, over the same bins."""
    before = run.read("scores", run.last - timedelta(days=1))
    largest = tonight.unionByName(before).agg(F.max("score").alias("largest")).first()
    if largest is None or not largest["largest"]:
        return None  # no list, or no score above 0
    edges = np.linspace(0.0, float(largest["largest"]), SCORE_BINS + 1)
    shares = _histogram(tonight, edges)
    if shares is None:
        return None
    return ScoreDistribution(tuple(edges.tolist()), shares, _histogram(before, edges))


def _histogram(scores: DataFrame, edges: "np.ndarray[Any, Any]") -> tuple[float, ...] | None:
    width = float(edges[1])
    bin_no = F.least(F.floor(F.col("score") / F.lit(width)), F.lit(SCORE_BINS - 1)).alias("bin")
    counts = {row["bin"]: row["count"] for row in scores.groupBy(bin_no).count().collect()}
    total = sum(counts.values())
    return tuple(counts.get(i, 0) / total for i in range(SCORE_BINS)) if total else None


def _outcomes(run: Run) -> Iterator[OutcomeRow]:
    order = {task.name: number for number, task in enumerate(run.config.tasks)}
    rows = run.rows("outcomes", f"data_date = '{run.last}'")
    for row in sorted(rows, key=lambda row: (row["metric"], order[row["task"]], row["cohort"])):
        names = ("metric", "task", "cohort", "value", "users", "events")
        yield OutcomeRow(**{name: row[name] for name in names})


def _samples(run: Run) -> Iterator[SampleList]:
    """The lists of one user who was never seen and of the most active one, ties by id."""
    users = run.read("user_features", run.last)
    never_seen = users.where("user_is_never_seen").orderBy("user_id").select("user_id").first()
    most_active = (
        users.orderBy(F.col("user_impression_count_all").desc(), "user_id").select("user_id").first()
    )
    for who, user in (("a user who was never seen", never_seen), ("the most active user", most_active)):
        rows = [] if user is None else list_of(run, str(user["user_id"]), run.last)
        if rows:
            items = tuple(
                ListedItem(
                    row["rank"],
                    str(row["item_id"]),
                    tuple((name.removeprefix("p_"), row[name]) for name in row if name.startswith("p_")),
                    row["score"],
                )
                for row in rows
            )
            yield SampleList(who, str(rows[0]["user_id"]), rows[0]["cohort"], items)


def _notices(run: Run) -> Iterator[str]:
    source = run.config.source
    for table, part in (("users", source.users), ("items", source.items)):
        if part.snapshot_date == "undated":
            yield f"Attributes of {table} are one undated snapshot ({part.path}), taken as valid since ever."
    for row in run.rows("encoders"):
        notes = json.loads(row["encoder"])
        empty = [
            c["column"] for c in notes["categorical"] if c["kind"] == "vocabulary" and not c["vocabulary"]
        ]
        if empty:
            columns = ", ".join(empty)
            yield f"Training set {row['training_set']}: no value of {columns} is frequent enough to learn."
