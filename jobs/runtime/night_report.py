"""Collect what a night left in its tables into the values that its page shows."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from features.list_counts import to_list_counts
from jobs.runtime.lists import list_of, typical_users
from jobs.runtime.night_decision import calibration_of, cells_of, decision_of, gates_of, warnings_of
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.run import Run
from jobs.tables.ledger import NewestRun, RunKey
from quality.audits import ListCounts, list_warnings
from quality.report.model import (
    CohortMove,
    CohortSize,
    ListedItem,
    NightReport,
    OutcomeRow,
    RepairedDate,
    RowsBalance,
    SampleList,
    ScoreDistribution,
    StepRow,
    VerdictRow,
)

ENTITIES: tuple[EntityName, ...] = ("user", "item")
SCORE_BINS = 30

Runs = dict[RunKey, NewestRun]


def collect(run: Run) -> NightReport:
    """Return everything that the page of the run's data date shows."""
    known = run.project.newest_runs([run.data_date])
    runs = {key: found for key, found in known.items() if key.data_date == run.data_date}
    published = run.read("scores", run.data_date)
    first = published.select("model_version").first()
    decision = decision_of(run)
    return NightReport(
        data_date=run.data_date,
        dataset=run.config.dataset,
        run_id=run.record.run_id,
        champion=None if first is None else first["model_version"],
        users_scored=published.where(F.col("rank") == 1).count(),
        steps=tuple(_steps(runs)),
        balance=_balance(run),
        repaired=tuple(_repaired(run, runs)),
        verdicts=tuple(_verdicts(run)),
        cohort_sizes=tuple(size for entity in ENTITIES for size in _sizes(run, entity)),
        cohort_moves=tuple(move for entity in ENTITIES for move in _moves(run, entity)),
        cells=tuple(cells_of(run, decision)),
        decision=decision,
        calibration=tuple(calibration_of(run, decision)),
        gates=tuple(gates_of(run, decision)),
        gate_warnings=tuple(warnings_of(run, decision)),
        scores=_score_distribution(run, published),
        outcomes=tuple(_outcomes(run)),
        samples=tuple(_samples(run)),
        list_warnings=_list_warnings(run, published),
        notices=tuple(_notices(run)),
    )


def _steps(runs: Runs) -> Iterator[StepRow]:
    """Return the newest run of each job tonight, of whichever model; rows are those of its main table."""
    for job in all_jobs().values():
        of_job = [found for key, found in runs.items() if key.job == job.name and found.state == "done"]
        if of_job and job.name != "report":
            newest = max(of_job, key=lambda found: found.run_id)
            rows = newest.rows.get(job.writes[-1]) if job.writes else None
            yield StepRow(job.name, newest.seconds, rows, newest.state)


def _balance(run: Run) -> RowsBalance | None:
    rows = run.rows("row_balance", f"data_date = '{run.data_date}'")
    if not rows:
        return None
    (row,) = rows
    return RowsBalance(
        read=row["read"],
        accepted=row["accepted"],
        duplicates=row["duplicates"],
        quarantined=row["quarantined"] + row["conflicts"],
        conflicts=row["conflicts"],
        late=row["late"],
    )


def _repaired(run: Run, runs: Runs) -> Iterator[RepairedDate]:
    """Return the earlier data dates that tonight's ingest made anew, with rows that were in later files."""
    tonight = runs.get(RunKey("ingest", "", run.data_date))
    horizon = run.config.source.events.lateness_days
    for back in range(horizon, 0, -1):
        day = run.data_date - timedelta(days=back)
        found = run.project.newest_runs([day]).get(RunKey("ingest", "", day))
        (late, *_) = [*(row["late"] for row in run.rows("row_balance", f"data_date = '{day}'")), 0]
        if late and tonight is not None and found is not None and found.run_id == tonight.run_id:
            yield RepairedDate(day, late)


def _list_warnings(run: Run, published: DataFrame) -> tuple[str, ...]:
    first = run.data_date - timedelta(days=run.config.audits.days_before)
    counts = to_list_counts(published, run.read("events", first, run.data_date)).first()
    return () if counts is None else list_warnings(ListCounts(**counts.asDict()), run.config.audits)


def _verdicts(run: Run) -> Iterator[VerdictRow]:
    rows = run.rows("quality_results", f"data_date = '{run.data_date}'")
    for row in sorted(rows, key=lambda row: (row["table"], row["rule"])):
        names = ("table", "rule", "outcome", "observed", "threshold", "severity")
        yield VerdictRow(**{name: row[name] for name in names})


def _sizes(run: Run, entity: EntityName) -> Iterator[CohortSize]:
    yesterday = run.data_date - timedelta(days=1)
    counts = {
        (row["data_date"], row["cohort"]): row["count"]
        for row in run.read(f"{entity}_cohorts", yesterday, run.data_date)
        .groupBy("data_date", "cohort")
        .count()
        .collect()
    }
    has_yesterday = any(day == yesterday for day, _ in counts)
    for cohort in getattr(run.config.cohorts, entity).names:
        before = counts.get((yesterday, cohort), 0) if has_yesterday else None
        yield CohortSize(entity, cohort, counts.get((run.data_date, cohort), 0), before)


def _moves(run: Run, entity: EntityName) -> Iterator[CohortMove]:
    key = f"{entity}_id"
    before = run.read(f"{entity}_cohorts", run.data_date - timedelta(days=1)).select(
        key, F.col("cohort").alias("before")
    )
    after = run.read(f"{entity}_cohorts", run.data_date).select(key, F.col("cohort").alias("after"))
    if before.isEmpty():
        return
    moves = after.join(before, on=key, how="left").groupBy("before", "after").count().collect()
    for row in sorted(moves, key=lambda row: (str(row["before"]), row["after"])):
        yield CohortMove(entity, row["before"], row["after"], row["count"])


def _score_distribution(run: Run, tonight: DataFrame) -> ScoreDistribution | None:
    """Histograms of final scores, tonight and the night before, over the same bins."""
    before = run.read("scores", run.data_date - timedelta(days=1))
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
    rows = run.rows("outcomes", f"data_date = '{run.data_date}'")
    for row in sorted(rows, key=lambda row: (row["metric"], order[row["task"]], row["cohort"])):
        names = ("metric", "task", "cohort", "value", "users", "events")
        yield OutcomeRow(**{name: row[name] for name in names})


def _samples(run: Run) -> Iterator[SampleList]:
    """Return the lists of one user without events and of the most active one."""
    for who, user in typical_users(run.project, run.data_date):
        rows = list_of(run.project, user, run.data_date)
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
        if part is not None and part.snapshot_date == "undated":
            yield f"Attributes of {table} are one undated snapshot ({part.path}), taken as valid always."
    of_tonight = [row for row in run.rows("encoders") if row["last_data_date"] <= run.data_date]
    for row in of_tonight:  # not those that were pinned since
        notes = json.loads(row["encoder"])
        empty = [
            c["column"] for c in notes["categorical"] if c["kind"] == "vocabulary" and not c["vocabulary"]
        ]
        if empty:
            columns = ", ".join(empty)
            yield f"Training set {row['training_set']}: no value of {columns} is frequent enough to learn."
