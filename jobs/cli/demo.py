"""The demo: history in one range, then two nights of their own, each knowing nothing later than itself.

lamplighter demo             all of the embedded log (`make demo`)
lamplighter demo --reduced   the same chain on four days of history and two epochs (CI)

Night 05-07 trains PLE, the first candidate; night 05-08 trains the model that docs/models recommends for new
users, on the same pinned training set, and compares it with the champion.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby
from typing import Annotated, Any

import typer
from pyspark.sql import functions as F
from rich.table import Table

from jobs.cli.sheets import sheet
from jobs.runtime.arguments import Arguments
from jobs.runtime.command import Settings, exit_codes
from jobs.runtime.lists import list_of, list_sheet, typical_users
from jobs.runtime.logs import CONSOLE
from jobs.runtime.night import run_history, run_night
from jobs.runtime.plan import PlannedStep
from jobs.runtime.project import Project
from quality.gains import Z, exact_digits, percentile_interval_error

log = logging.getLogger("lamplighter")

FIRST_NIGHT, SECOND_NIGHT = date(2022, 5, 7), date(2022, 5, 8)
MODELS = {FIRST_NIGHT: "ple", SECOND_NIGHT: "pooled"}
"""What each night trains, of conf/models."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Range:
    """What a demo runs on."""

    first: date
    settings: tuple[str, ...] = ()


FULL = Range(date(2022, 4, 24))
REDUCED = Range(
    date(2022, 5, 3),
    (
        "paths.warehouse=warehouse/reduced",
        "paths.reports=warehouse/reduced/reports",
        "training.first_data_date=2022-05-04",
        "training.window_days=3",
        "model.optimiser.max_epochs=2",
    ),
)


def demo(
    reduced: Annotated[bool, typer.Option("--reduced", help="Four days of history, two epochs.")] = False,
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
) -> None:
    """Run a history and two nights on the embedded log; run again, everything is up to date."""
    with exit_codes():
        started = time.monotonic()
        days = REDUCED if reduced else FULL
        before = Arguments(days.first, FIRST_NIGHT - timedelta(days=1), settings=(*days.settings, *settings))
        nights = [replace(before, first=day, last=day, model=model) for day, model in MODELS.items()]

        steps = say("history", before, run_history(before))
        for night in nights:
            steps += say(f"night, {night.model}", night, run_night(night))
        ran = sum(bool(step.dates) for step in steps)
        log.info(f"{ran} of {len(steps)} steps ran, {time.monotonic() - started:.0f} s")
        show(nights[-1])


def say(what: str, arguments: Arguments, steps: Sequence[PlannedStep]) -> list[PlannedStep]:
    """Name what has just ended, if nothing of it had to run."""
    if not any(step.dates for step in steps):
        log.info(f"{arguments.span} {what}: every step is up to date")
    return list(steps)


def show(arguments: Arguments) -> None:
    """Print AUC by task and cohort for both models, the decision, two lists, the path of the report."""
    project = Project(arguments)
    decisions = project.store.rows("promotions", f"data_date = '{arguments.last}'")
    decision = max(decisions, key=lambda row: row["decision_no"])
    CONSOLE.print(auc_sheet(project, decision))
    verb = "promoted" if decision["promoted"] else "not promoted"
    CONSOLE.print(f"\ncandidate {decision['candidate']} is {verb}: {'; '.join(decision['reasons'])}\n")
    features = project.store.read(project.spark, "user_features")
    users = features.where(F.col("data_date") == F.lit(arguments.last))
    for user in typical_users(users, project.config.exposure):
        rows = list_of(project, user.user_id, arguments.last)
        for _, own in groupby(rows, key=lambda row: row["list"]):
            CONSOLE.print(list_sheet([*own]), "")
    CONSOLE.print(f"report: {project.report_uri(f'{arguments.last}.html')}", soft_wrap=True)


def auc_sheet(project: Project, decision: Row) -> Table:
    """Return AUC with 95 % intervals by task and cohort: what served before, the candidate, paired gain."""
    rows = project.store.rows("evaluations", f"last_data_date = '{decision['data_date']}'")
    rival = decision["champion_before"] or "group_mean"
    by_key = {
        (r["model_version"], r["baseline_version"], r["task"], r["cohort"], r["metric"]): r for r in rows
    }
    table = sheet("task", "cohort", "positives", rival, decision["candidate"], "gain")
    table.title = "AUC on held-out days, 95 % interval by bootstrap over users"
    cohorts = sorted({row["cohort"] for row in rows}, key=lambda name: (name != "all", "|" in name, name))
    for task in project.config.tasks:
        for cohort in cohorts:
            cell = by_key.get((decision["candidate"], "", task.name, cohort, "auc"))
            if cell is not None:
                others = (
                    by_key.get((rival, "", task.name, cohort, "auc")),
                    cell,
                    by_key.get((decision["candidate"], rival, task.name, cohort, "auc_gain")),
                )
                texts = [interval_text(row, project.config.evaluation.replicates) for row in others]
                table.add_row(task.name, cohort, f"{cell['positives']:,}", *texts)
    return table


def interval_text(row: Row | None, replicates: int) -> str:
    """Return `0.721 [0.715, 0.728]` with the digits that the replicates give, or why there is no number."""
    if row is None:
        return "-"
    if row["value"] is None:
        return f"not enough {'positives' if row['positives'] <= row['negatives'] else 'negatives'}"
    if row["low"] is None:
        return f"{row['value']:.4f}"
    error = percentile_interval_error((row["high"] - row["low"]) / (2 * Z), replicates)
    value, low, high = (f"{row[name]:.{exact_digits(error)}f}" for name in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"
