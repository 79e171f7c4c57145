"""Decide between champion and candidate, on the cells of the primary tasks.

lamplighter promote --data-date 2022-05-08 --model mfh

A candidate is promoted if its suite passes and, where there is a champion, the mean AUC over cells with
enough data is higher and no cell's paired 95 % interval lies wholly below zero. Cells are task x user
cohort. Cost: the rows of one evaluation.
"""

import json
from typing import Any

from jobs.runtime.job import job
from jobs.runtime.run import Run
from jobs.tables.registry import champion_as_of, mirror_champion

Cells = list[dict[str, Any]]


@job
def promote(run: Run) -> None:
    """Write one decision to `promotions`, and mirror the newest champion in the registry."""
    if (reason := run.no_training()) is not None:
        run.notes.append(reason)
        return
    run.require_inputs()
    candidate = str(run.newest_runs()[("train", run.config.model.name, run.last)].facts["model_version"])
    champion = champion_as_of(run.store, run.last, candidate)
    evaluated = run.rows("evaluations", f"last_data_date = '{run.last}'")
    cells = decisive_cells(evaluated, candidate, run)
    is_sound = suite_passes(run, evaluated, candidate)
    promoted, reasons = decide(cells, champion, candidate, is_sound)
    write_decision(run, candidate, champion, promoted, reasons, cells)
    newest = champion_as_of(run.store, max(row["data_date"] for row in run.rows("promotions")))
    if newest is not None:
        mirror_champion(run.catalog, newest)
    run.notes.append(f"{candidate} {'promoted' if promoted else 'not promoted'}: {reasons[0]}")


def decisive_cells(evaluated: Cells, candidate: str, run: Run) -> Cells:
    """Cells of primary tasks x user cohorts: both AUCs and the paired gain."""
    cohorts = [f"user:{name}" for name in run.config.cohorts.user.names]
    by_key = {(row["model_version"], row["task"], row["cohort"], row["metric"]): row for row in evaluated}
    cells = []
    for task in run.config.promotion.primary_tasks:
        for cohort in cohorts:
            auc = by_key.get((candidate, task, cohort, "auc"))
            gain = by_key.get((candidate, task, cohort, "auc_gain"))
            if auc is not None:
                cells.append(
                    {"task": task, "cohort": cohort, "auc": auc["value"]}
                    | {"positives": auc["positives"], "negatives": auc["negatives"]}
                    | {name: None if gain is None else gain[key] for name, key in GAIN_COLUMNS.items()}
                )
    return cells


GAIN_COLUMNS = {"gain": "value", "gain_low": "low", "gain_high": "high"}


def suite_passes(run: Run, evaluated: Cells, candidate: str) -> bool:
    """Run the suite of evaluations over the candidate's AUC of all rows."""
    overall = [
        (row["task"], row["value"])
        for row in evaluated
        if row["model_version"] == candidate
        and row["metric"] == "auc"
        and row["cohort"] == "all"
        and row["task"] in run.config.promotion.primary_tasks
    ]
    frame = run.spark.createDataFrame(overall, "task string, value double")
    return bool(run.judge(frame, "evaluations").passed and overall)


def decide(cells: Cells, champion: str | None, candidate: str, is_sound: bool) -> tuple[bool, list[str]]:
    """The rule of promotion: whether, and why, in sentences."""
    if not is_sound:
        return False, ["its suite does not pass: AUC over all rows must be within [0.5, 1]"]
    if champion is None:
        return True, ["the first champion: its suite passes, and there is none to beat"]
    if champion == candidate:
        return True, ["it is the champion already"]
    known = [cell for cell in cells if cell["gain"] is not None]
    if not known:
        return False, ["no cell has enough positives and negatives to compare"]
    mean_gain = sum(cell["gain"] for cell in known) / len(known)
    worse = [f"{cell['task']} of {cell['cohort']}" for cell in known if cell["gain_high"] < 0]
    counted = f"over {len(known)} of {len(cells)} cells with enough data"
    reasons = [f"mean AUC {mean_gain:+.4f} against {champion} {counted}"]
    if worse:
        reasons.append(f"the paired interval lies below zero for {', '.join(worse)}")
    return mean_gain > 0 and not worse, reasons


def write_decision(
    run: Run, candidate: str, champion: str | None, promoted: bool, reasons: list[str], cells: Cells
) -> None:
    """Write the decision; the same candidate on the same date keeps its number."""
    today = run.rows("promotions", f"data_date = '{run.last}'")
    own = [row["decision_no"] for row in today if row["candidate"] == candidate]
    number = own[0] if own else 1 + max((row["decision_no"] for row in today), default=0)
    row = {
        "data_date": run.last,
        "decision_no": number,
        "candidate": candidate,
        "champion_before": champion,
        "champion_after": candidate if promoted else champion,
        "promoted": promoted,
        "reasons": reasons,
        "cells": json.dumps(cells),
    }
    run.replace_rows("promotions", [row], f"data_date = '{run.last}' AND decision_no = {number}")


if __name__ == "__main__":
    promote.main()
