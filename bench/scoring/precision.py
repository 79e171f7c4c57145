"""How far are lists by products in bfloat16 from those in float32?

python -m bench.scoring.precision                          after `make demo`
python -m bench.scoring.precision --set KEY=VALUE          settings of the project, as the commands take them

Runs `score` of one data date twice, in float32 last, so that the warehouse holds what it held before.
Compared are the probabilities of the pairs of user and item that both have in a list, by task and user
cohort, and the lists themselves.
"""

import argparse
import subprocess
import sys

import pandas as pd

import lamplighter
from bench.tables import print_table

KEY = ["list", "user_id", "item_id"]


def main() -> None:
    """Score twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-date", default="2022-05-08")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    asked = parser.parse_args()
    by = {dtype: scored(asked.data_date, asked.settings, dtype) for dtype in ("bfloat16", "float32")}
    both = by["float32"].merge(by["bfloat16"], on=KEY, suffixes=("", "_b"))
    tasks = [name for name in by["float32"].columns if name.startswith("p_")]
    print_table(
        ["task", "user cohort", "pairs", "mean p", "mean |error|", "largest |error|", "mean error"],
        [row for task in tasks for row in errors(both, task)],
    )
    print()
    print_table(["user cohort", "items in both lists", "same item on top"], agreement(by, both))


def scored(data_date: str, settings: list[str], dtype: str) -> pd.DataFrame:
    """Run `score` and return its lists of items."""
    overrides = [*settings, f"scoring.dtype={dtype}"]
    flags = [flag for each in overrides for flag in ("--set", each)]
    command = [sys.executable, "-m", "jobs.score", "--data-date", data_date, *flags]
    subprocess.run(command, check=True)
    project = lamplighter.open(settings=overrides)
    rows: pd.DataFrame = project.read("scores_staging", data_date).toPandas()
    return rows[rows["item_id"].notna()]


def errors(both: pd.DataFrame, task: str) -> list[list[str]]:
    """Return a row per cohort: how far probabilities of a task are apart."""
    rows = []
    for cohort, own in [("all", both), *both.groupby("cohort")]:
        error = own[f"{task}_b"] - own[task]
        figures = (own[task].mean(), error.abs().mean(), error.abs().max(), error.mean())
        rows.append([task, str(cohort), f"{len(own):,}", *(f"{figure:.2g}" for figure in figures)])
    return rows


def agreement(by: dict[str, pd.DataFrame], both: pd.DataFrame) -> list[list[str]]:
    """Return a row per cohort: the share of items, and of first items, that both dtypes' lists have."""
    exact, rows = by["float32"], []
    for cohort in ("all", *sorted(exact["cohort"].unique())):
        of, shared = (each[(each["cohort"] == cohort) | (cohort == "all")] for each in (exact, both))
        first = shared[(shared["rank"] == 1) & (shared["rank_b"] == 1)]
        rows.append([cohort, f"{len(shared) / len(of):.2%}", f"{len(first) / (of['rank'] == 1).sum():.2%}"])
    return rows


if __name__ == "__main__":
    main()
