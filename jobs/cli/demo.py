"""The demo: history in one range, then two nights of their own, each knowing nothing later than itself.

lamplighter demo             all of the embedded log (`make demo`)
lamplighter demo --reduced   the same chain on four days of history and two epochs (CI)

Night 05-07 trains PLE, which becomes the first champion; night 05-08 trains MFH on the same pinned
training set and lets it meet the champion.
"""

import logging
import time
from dataclasses import dataclass, replace
from datetime import date
from typing import Annotated, Any

import typer
from rich.table import Table as Sheet

from jobs.cli.night import PlannedStep, run_history, run_night
from jobs.runtime.arguments import Arguments
from jobs.runtime.job import exit_codes
from jobs.runtime.logs import CONSOLE, set_up_logging
from jobs.runtime.run import Scene
from jobs.tables.lists import list_of, list_sheet

log = logging.getLogger("lamplighter")

FIRST_NIGHT, SECOND_NIGHT = date(2022, 5, 7), date(2022, 5, 8)


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

Settings = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one setting.")]


def demo(
    reduced: Annotated[bool, typer.Option("--reduced", help="Four days of history, two epochs.")] = False,
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
) -> None:
    """History, two nights, and what came of them; run again it finds everything up to date."""
    set_up_logging()
    with exit_codes():
        started = time.monotonic()
        days = REDUCED if reduced else FULL
        before = Arguments(
            days.first, date.fromordinal(FIRST_NIGHT.toordinal() - 1), settings=(*days.settings, *settings)
        )
        first = replace(before, first=FIRST_NIGHT, last=FIRST_NIGHT, model="ple")
        second = replace(before, first=SECOND_NIGHT, last=SECOND_NIGHT, model="mfh")

        steps = say("history", before, run_history(before))
        steps += say("night, PLE", first, run_night(first))
        steps += say("night, MFH", second, run_night(second))
        ran = sum(bool(step.dates) for step in steps)
        log.info(f"{ran} of {len(steps)} steps ran, {time.monotonic() - started:.0f} s")
        show(second)


def say(what: str, arguments: Arguments, steps: list[PlannedStep]) -> list[PlannedStep]:
    """Name what has just ended, if nothing of it had to run."""
    if not any(step.dates for step in steps):
        log.info(f"{arguments.first}..{arguments.last} {what}: every step is up to date")
    return steps


def show(arguments: Arguments) -> None:
    """Print AUC by task and cohort for both models, the decision, two lists, the path of the report."""
    scene = Scene(arguments)
    decision = max(
        scene.store.rows("promotions", f"data_date = '{arguments.last}'"), key=lambda row: row["decision_no"]
    )
    CONSOLE.print(auc_sheet(scene, decision))
    verb = "promoted" if decision["promoted"] else "not promoted"
    CONSOLE.print(f"\ncandidate {decision['candidate']} is {verb}: {'; '.join(decision['reasons'])}\n")
    for user in typical_users(scene):
        CONSOLE.print(list_sheet(list_of(scene, user, arguments.last)), "")
    CONSOLE.print(f"report: {scene.report_file(arguments.last)}", soft_wrap=True)


def auc_sheet(scene: Scene, decision: dict[str, Any]) -> Sheet:
    """AUC with 95 % intervals by task and cohort: champion before, candidate, paired gain."""
    rows = scene.store.rows("evaluations", f"last_data_date = '{scene.last}'")
    by_key = {(row["model_version"], row["task"], row["cohort"], row["metric"]): row for row in rows}
    sheet = Sheet(
        box=None, pad_edge=False, title="AUC on held-out days, 95 % interval by bootstrap over users"
    )
    champion = decision["champion_before"]
    for column in ("task", "cohort", "positives", str(champion), decision["candidate"], "gain"):
        sheet.add_column(column)
    cohorts = sorted({row["cohort"] for row in rows}, key=lambda name: (name != "all", "|" in name, name))
    for task in scene.config.tasks:
        for cohort in cohorts:
            cell = by_key.get((decision["candidate"], task.name, cohort, "auc"))
            if cell is not None:
                others = (
                    by_key.get((champion, task.name, cohort, "auc")),
                    cell,
                    by_key.get((decision["candidate"], task.name, cohort, "auc_gain")),
                )
                sheet.add_row(
                    task.name, cohort, f"{cell['positives']:,}", *(interval_text(row) for row in others)
                )
    return sheet


def interval_text(row: dict[str, Any] | None) -> str:
    """`.7214 [.7150, .7279]`, or why there is no number."""
    if row is None:
        return "-"
    if row["value"] is None:
        return f"not enough {'positives' if row['positives'] <= row['negatives'] else 'negatives'}"
    if row["low"] is None:
        return f"{row['value']:.4f}"
    return f"{row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]"


def typical_users(scene: Scene) -> list[str]:
    """One user who was never seen, and the most active one: the report's samples."""
    newest = scene.newest_runs()
    users: list[str] = newest[("report", "", scene.last)].facts["sample_users"]
    return users
