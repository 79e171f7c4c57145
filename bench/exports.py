"""What does an export cost, against the write of `current_scores` that every night makes?

python -m bench.exports                                     27,285 users, lists of 20; Parquet and JSON lines
python -m bench.exports --redis redis://127.0.0.1:6379/0    and Redis; its data set is called kuairand, too

Each way writes the same lists, by turns in one session, each time as a version that is not there yet.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date

from pyspark.sql import functions as F

from bench.tables import print_table
from jobs.runtime.arguments import Arguments
from jobs.runtime.export import export_lists, target_of
from jobs.runtime.project import Project

DAY = date(2022, 5, 8)
K = 20


def main() -> None:
    """Measure each way, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, default=27_285)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--redis", default="", metavar="URL")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="exports-") as folder:
        project = Project(Arguments(DAY, DAY, settings=(f"paths.warehouse={folder}/warehouse",)))
        targets = {kind: (f"{folder}/out", kind) for kind in ("parquet", "jsonl")}
        if asked.redis:
            targets["redis"] = (asked.redis, "")
        seconds: dict[str, list[float]] = {}
        for turn in range(asked.turns + 1):
            of_turn = {"current_scores": timed(lambda: publish(project, asked.users, turn))}  # noqa: B023
            for name, (to, kind) in targets.items():
                target = target_of(to, kind, project.catalog.dataset)
                of_turn[name] = timed(lambda: export_lists(project.store, project.spark, target))  # noqa: B023
            if turn:  # the first one warms up
                for name, value in of_turn.items():
                    seconds.setdefault(name, []).append(value)
        project.spark.stop()
    rows = []
    for name, values in seconds.items():
        ratios = [value / base for value, base in zip(values, seconds["current_scores"], strict=True)]
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
        rows.append((name, f"{asked.users / statistics.median(values):,.0f}", spread))
    print_table(["way", "lists/s", "times the seconds of current_scores (over turns)"], rows)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def publish(project: Project, users: int, turn: int) -> None:
    """Write lists to `current_scores`, and the row of `publications` that they are of."""
    store, declared = project.store, project.catalog["current_scores"]
    row = {"seq": turn, "data_date": DAY, "action": "publish", "reason": "", "model_version": "ple-1"}
    row |= {"scores_version": turn, "fingerprint": f"{turn + 1:012x}" + "0" * 52}
    store.append_rows("publications", [row], "bench", {})
    made = project.spark.range(users).withColumnRenamed("id", "user_id")
    made = made.withColumn("rank", F.explode(F.sequence(F.lit(1), F.lit(K))))
    probabilities = {name: F.rand(turn) for name in declared.columns if name.startswith("p_")}
    made = made.withColumns(
        {"data_date": F.lit(DAY), "list": F.lit("home"), "item_id": F.xxhash64("user_id", "rank")}
        | {"score": F.rand(turn), "placement_probability": F.lit(1.0)}
        | {"cohort": F.lit("new"), "model_version": F.lit("ple-1")}
        | probabilities
    )
    typed = [F.col(name).cast(kind) for name, kind in declared.columns.items()]
    store.replace("current_scores", made.select(*typed), "true", {"made_of": str(turn)}, users * K)


if __name__ == "__main__":
    main()
