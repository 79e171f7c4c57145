"""Collect what a night left in its tables into the values that its page shows."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from core.config_model import ENTITIES, EntityName
from core.training_days import labelled_date
from features.list_counts import to_list_counts
from jobs.runtime.lists import typical_users
from jobs.runtime.night_decision import calibration_of, cells_of, decision_of, gates_of, warnings_of
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.reads import USER_POOLS
from jobs.runtime.run import Run
from jobs.tables.ledger import NewestRun, RunKey
from quality.audits import ListCounts, list_warnings
from quality.report.model import (
    CohortMove,
    CohortSize,
    ListedItem,
    NightReport,
    OutcomeRow,
    PoolRow,
    RepairedDate,
    RowsBalance,
    SampleList,
    ScoreDistribution,
    StepRow,
    VerdictRow,
)

SCORE_BINS = 30

Runs = dict[RunKey, NewestRun]


def collect(run: Run) -> NightReport:
    """Return everything that the page of the run's data date shows."""
    runs = run.newest_runs()
    late = _late_rows(run)
    published = run.read("scores", run.data_date)
    first = published.select("model_version").first()
    decision = decision_of(run)
    labelled = labelled_date(run.config.tasks, run.data_date)
    return NightReport(
        data_date=run.data_date,
        dataset=run.config.dataset,
        run_id=run.record.run_id,
        champion=None if first is None else first["model_version"],
        users_scored=published.select("user_id").distinct().count(),
        steps=tuple(_steps(runs)),
        balance=_balance(run),
        repaired=tuple(each for each in late if _is_built(run, each.data_date)),
        verdicts=tuple(_verdicts(run)),
        cohort_sizes=tuple(size for entity in ENTITIES for size in _sizes(run, entity)),
        cohort_moves=tuple(move for entity in ENTITIES for move in _moves(run, entity)),
        cells=tuple(cells_of(run, decision)),
        decision=decision,
        calibration=tuple(calibration_of(run, decision)),
        gates=tuple(gates_of(run, decision)),
        model_warnings=tuple(warnings_of(run, decision)),
        scores=_score_distribution(run, published),
        pools=tuple(_pools(run)),
        outcomes=tuple(_outcomes(run)),
        samples=tuple(_samples(run, published)),
        list_warnings=_list_warnings(run, published),
        notices=(*_notices(run), *_waiting(labelled, run), *_unbuilt(run, late)),
        labelled_date=labelled if labelled < run.data_date else None,
    )


def _steps(runs: Runs) -> Iterator[StepRow]:
    """Return the newest run of each job tonight, of whichever model; rows are those of its main table."""
    for job in all_jobs().values():
        of_job = [found for key, found in runs.items() if key.job == job.name and found.state == "done"]
        if of_job and job.name != "report":
            newest = max(of_job, key=lambda found: found.run_id)
            rows = next(reversed(list(newest.rows.values())), None)  # the main table is committed last
            yield StepRow(job.name, newest.seconds, rows, newest.state)


def _balance(run: Run) -> RowsBalance | None:
    rows = run.rows("row_balance", data_date=run.data_date)
    if not rows:
        return None
    (row,) = rows
    return RowsBalance(
        read=row["read"],
        accepted=row["accepted"],
        duplicates=row["duplicates"],
        quarantined=row["failed"] + row["conflicts"],
        conflicts=row["conflicts"],
        late=row["late"],
    )


def _late_rows(run: Run) -> list[RepairedDate]:
    """Return the earlier data dates that tonight's files hold rows of, with the number of these rows."""
    late: Counter[date] = Counter()
    for row in run.rows("source_file_dates"):
        if row["file_date"] == run.data_date and row["data_date"] < run.data_date:
            late[row["data_date"]] += row["rows"]
    return [RepairedDate(data_date, late[data_date]) for data_date in sorted(late)]


def _is_built(run: Run, data_date: date) -> bool:
    """Whether a night or a history has ingested a data date, so that a night repairs it."""
    return bool(run.rows("row_balance", data_date=data_date))


def _unbuilt(run: Run, late: list[RepairedDate]) -> Iterator[str]:
    for each in late:
        if not _is_built(run, each.data_date):
            yield (
                f"{each.late_rows} late rows are of {each.data_date}, a data date that was never built: no "
                f"table holds them. `lamplighter history --data-date {each.data_date}` brings them in."
            )


def _list_warnings(run: Run, published: DataFrame) -> tuple[str, ...]:
    first = run.data_date - timedelta(days=run.config.audits.days_before)
    counts = to_list_counts(published, run.read("events", first, run.data_date)).collect()
    by_list = sorted((ListCounts(**row.asDict()) for row in counts), key=lambda each: each.name)
    return tuple(text for each in by_list for text in list_warnings(each, run.config.audits))


def _verdicts(run: Run) -> Iterator[VerdictRow]:
    rows = run.rows("quality_results", data_date=run.data_date)
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
    rows = run.rows("outcomes", data_date=run.data_date)
    for row in sorted(rows, key=lambda row: (row["list"], row["metric"], order[row["task"]], row["cohort"])):
        names = ("list", "metric", "task", "cohort", "value", "users", "events")
        yield OutcomeRow(**{name: row[name] for name in names})


def _pools(run: Run) -> Iterator[PoolRow]:
    """Return what each cohort was scored against, in the order of the lists and cohorts."""
    day = run.data_date
    users = {row["cohort"]: row["count"] for row in _counts(run.read("user_cohorts", day), "cohort")}
    pools = run.read("pools", day)
    items = {(row["list"], row["user_cohort"]): row["count"] for row in _counts(pools, "list", "user_cohort")}
    sources: dict[tuple[str, str], list[tuple[str, int]]] = {}
    named = pools.withColumn("source", F.explode("sources"))
    for row in sorted(_counts(named, "list", "user_cohort", "source"), key=lambda row: row["source"]):
        sources.setdefault((row["list"], row["user_cohort"]), []).append((row["source"], row["count"]))
    own: dict[tuple[str, str], int] = {}
    if run.config.has_user_pools:
        cohorts = run.read("user_cohorts", day).select("user_id", "cohort")
        of_users = run.read(USER_POOLS, day).join(cohorts, on="user_id", how="inner")
        own = {(row["list"], row["cohort"]): row["count"] for row in _counts(of_users, "list", "cohort")}
    for name in run.config.lists:
        for cohort in run.config.cohorts.user.names:
            key = (name, cohort)
            if key in items or key in own:
                yield PoolRow(
                    name,
                    cohort,
                    items.get(key, 0),
                    tuple(sources.get(key, ())),
                    users.get(cohort, 0),
                    own.get(key, 0),
                )


def _counts(rows: DataFrame, *keys: str) -> list[Row]:
    return rows.groupBy(*keys).count().collect()


def _samples(run: Run, published: DataFrame) -> Iterator[SampleList]:
    """Return the lists of one user without events and of the most active one."""
    users = run.read("user_features", run.data_date)
    for who, user in typical_users(users, run.config.exposure):
        found = published.where(F.col("user_id").cast("string") == user).orderBy("list", "rank").collect()
        for name, own in groupby((row.asDict() for row in found), key=lambda row: row["list"]):
            rows = list(own)
            items = tuple(
                ListedItem(
                    row["rank"],
                    None if row["item_id"] is None else str(row["item_id"]),
                    tuple((name.removeprefix("p_"), row[name]) for name in row if name.startswith("p_")),
                    row["score"],
                )
                for row in rows
            )
            yield SampleList(who, name, str(rows[0]["user_id"]), rows[0]["cohort"], items)


def _waiting(labelled: date, run: Run) -> Iterator[str]:
    if labelled < run.data_date:
        days = (run.data_date - labelled).days
        slowest = [task.name for task in run.config.tasks if task.matures_days == days]
        yield (
            f"Labels of {', '.join(slowest)} are final {days} {'day' if days == 1 else 'days'} after their "
            f"data date: training, evaluation, baselines and outcomes end with {labelled} at the latest."
        )


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
