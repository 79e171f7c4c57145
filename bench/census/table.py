"""The tables of Census-Income: AUC on the test split by architecture, against peers, against single_task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.census.protocol import TASKS
from bench.paired import Difference, paired_difference
from bench.tables import mean_and_spread, print_table

OURS = "ours"
BASELINE = "single_task"

PAPER = {
    "single_task": (".9445", ".9923"),
    "mmoe": ("printed inconsistently", ".9928"),
    "ple": (".9522", ".9945"),
}
"""Architecture -> AUC of income and of never married (Tang et al., RecSys 2020, table 5)."""

Row = Mapping[str, Any]
Finals = dict[tuple[str, str], list[Row]]
"""Who, architecture -> results of its finals."""


def to_finals(rows: Sequence[Row]) -> Finals:
    """Group the finals of ours and of the peers, in the order in which they were trained."""
    finals: Finals = {}
    for row in rows:
        if row["step"] == "final":
            finals.setdefault((row.get("peer", OURS), row["architecture"]), []).append(row)
    return finals


def by_seed(rows: Sequence[Row], task: str) -> dict[int, float]:
    """Return seed -> AUC of a task on the test split."""
    return {row["seed"]: row["test_auc"][task] for row in rows}


def better_peer(finals: Finals, architecture: str, task: str) -> str | None:
    """Return the peer whose mean over its seeds is higher; None if no peer has the architecture."""
    means = {
        who: float(np.mean([*by_seed(rows, task).values()]))
        for (who, name), rows in finals.items()
        if name == architecture and who != OURS
    }
    return max(means, key=lambda who: means[who]) if means else None


def gains(finals: Finals, task: str) -> dict[str, Difference]:
    """Return our architectures -> difference to single_task (its own is 0), over their common seeds."""
    own = {name: by_seed(rows, task) for (who, name), rows in finals.items() if who == OURS}
    base = own.get(BASELINE, {})
    return {name: paired_difference(aucs, base) for name, aucs in own.items() if aucs.keys() & base.keys()}


def ranked_below(found: Mapping[str, Difference], name: str) -> str:
    """Return the architectures that rank below one: their whole interval lies below its interval."""
    return ", ".join(other for other, gain in found.items() if found[name].is_above(gain))


def print_all(ours: Sequence[Row], peers: Sequence[Row]) -> None:
    """Print all tables as Markdown."""
    finals = to_finals([*ours, *peers])
    print("\nTest AUC, mean (standard deviation) over seeds\n")
    _print_means(finals)
    print("\nOurs minus the same architecture of the better peer, paired by seed, with 95 % interval\n")
    _print_against_peers(finals)
    print(f"\nOurs minus {BASELINE}, paired by seed, with 95 % interval\n")
    _print_gains(finals)
    print("\nBeside the PLE paper's figures\n")
    _print_paper(finals)
    print("\nBatch norm of DeepCTR-Torch: validation AUC of one training\n")
    _print_batch_norm(peers)


def _print_means(finals: Finals) -> None:
    head = ["", "architecture", "seeds", "width", "parameters", "rate", *TASKS]
    rows = [
        [who, name, len(own), own[0]["width"], f"{own[0]['parameters']:,}", own[0]["learning_rate"]]
        + [mean_and_spread([*by_seed(own, task).values()]) for task in TASKS]
        for (who, name), own in finals.items()
    ]
    print_table(head, sorted(rows, key=lambda row: (row[0] != OURS, row[0])))


def _print_against_peers(finals: Finals) -> None:
    rows = []
    for (who, name), own in finals.items():
        if who != OURS or better_peer(finals, name, TASKS[0]) is None:
            continue
        row = [name]
        for task in TASKS:
            peer = better_peer(finals, name, task) or ""
            aucs, theirs = by_seed(own, task), by_seed(finals[peer, name], task)
            row += [peer, str(paired_difference(aucs, theirs)) if aucs.keys() & theirs.keys() else "-"]
        rows.append(row)
    print_table(["architecture"] + [title for task in TASKS for title in ("better peer", task)], rows)


def _print_gains(finals: Finals) -> None:
    found = {task: gains(finals, task) for task in TASKS}
    rows = [
        [name]
        + [cell for task in TASKS for cell in (str(found[task][name]), ranked_below(found[task], name))]
        for name in found[TASKS[0]]
    ]
    print_table(["architecture"] + [title for task in TASKS for title in (task, "ranks above")], rows)


def _print_paper(finals: Finals) -> None:
    rows = []
    for name, paper in PAPER.items():
        own = finals.get((OURS, name))
        measured = [mean_and_spread([*by_seed(own, task).values()]) if own else "-" for task in TASKS]
        rows.append([name, *paper, *measured])
    head = [f"{whose}: {task}" for whose in ("paper", OURS) for task in TASKS]
    print_table(["architecture", *head], rows)


def _print_batch_norm(peers: Sequence[Row]) -> None:
    keys = ("peer", "architecture", "learning_rate", "seed")
    rows = []
    for trial in peers:
        if trial["step"] == "setting":
            same = [r for r in peers if r["step"] == "tune" and all(r[key] == trial[key] for key in keys)]
            aucs = [[f"{r['validation_auc'][task]:.4f}" for task in TASKS] for r in (trial, *same)]
            rows += [["without", *aucs[0]], *(["with", *each] for each in aucs[1:])]
    print_table(["", *TASKS], rows)
