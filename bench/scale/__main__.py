"""Does a night's cost grow with history, what do daily tiles save, and what does one hot item cost?

python -m bench.scale                      logs of 20 M events over 60 dates and 500,000 users
python -m bench.scale --share 0.05 5       a twentieth of the events, users and items; one part only

Parts 5 and 20: events per active user and day. Tables up to date 60 are filled without suites; then the jobs
of nights 31 and 60 run by turns, which a warm JVM does alike. The features of date 60 are also computed from
all raw events by one GROUP BY per entity; all results are compared row by row. Part `skew`: one item has 20 %
of all events; a night is run with 16 partitions per shuffle.

Task time is what Spark calls executor run time, summed over tasks; medians over runs.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pyspark.sql import SparkSession

from bench.scale.nights import FEATURES, Warehouse
from bench.scale.tasks import Phases, Task
from bench.tables import print_table
from jobs.workers.synthetic.spec import LogSpec

EVENTS_PER_DAY, USERS, ITEMS, DAYS = 333_333, 500_000, 50_000, 60
NIGHTS = (31, 60)
PER_ACTIVE_DAY = ("5", "20")
SKEW = "skew"
RUNS = 3
SKEWED_DAYS, HOT_ITEM, PARTITIONS = 12, 0.2, 16
NIGHT = FEATURES[1:]  # files are in the manifest already
SKEWED_NIGHT = (*FEATURES, "label_cohorts", "build_examples")


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--share", type=float, default=1.0, help="of 20 M events, 500,000 users, 50,000 items"
    )
    parser.add_argument("parts", nargs="*", default=[*PER_ACTIVE_DAY, SKEW], help="5, 20, skew; default: all")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        measure(asked.share, asked.parts, Path(folder))


def measure(share: float, parts: Sequence[str], folder: Path) -> None:
    """Run all phases of some parts in one session, stop it, and print what the event log says.

    Raises:
        SystemExit: features differ from those that SQL computes.
    """
    phases = Phases(folder / "events")
    for part in parts:
        if part == SKEW:
            run_skewed(to_warehouse(share, folder, phases, hot_item=HOT_ITEM, days=SKEWED_DAYS))
        else:
            compare_nights(to_warehouse(share, folder, phases, per_active_day=int(part)), part)
    SparkSession.active().stop()

    runs = phases.runs()
    print(f"\n{sizes_text(share)}\n")
    if compared := [part for part in parts if part != SKEW]:
        print_nights(runs, compared)
        print()
        print_sql(runs, compared)
        print()
    if SKEW in parts:
        print_skew(runs)


def to_warehouse(share: float, folder: Path, phases: Phases, days: int = DAYS, **values: float) -> Warehouse:
    """Return the warehouse of one log, which is written."""
    sizes = {"events_per_day": EVENTS_PER_DAY, "users": USERS, "items": ITEMS}
    scaled = {name: max(1, round(size * share)) for name, size in sizes.items()}
    spec = LogSpec.model_validate({"seed": 1, "days": days, **scaled, **values})
    name = "-".join(f"{key}-{value}" for key, value in values.items())
    log = Warehouse(spec, folder / name, phases, phases.settings)
    with phases.phase(f"{name} generate"):
        log.write_log()
    return log


def compare_nights(log: Warehouse, name: str) -> None:
    """Build all dates, then nights and what they are compared with by turns.

    Raises:
        SystemExit: features of the last night differ from those that SQL computes.
    """
    log.build_history(DAYS, [night - 1 for night in NIGHTS], f"{name} history")
    for night in NIGHTS:
        log.run(["scan_sources"], night, night, f"{name} history")
    for _ in range(RUNS):
        for night in NIGHTS:
            log.run(NIGHT, night, night, f"{name} night {night}")
        log.build_alone(DAYS, f"{name} alone")
        log.window_sql(DAYS, f"{name} sql")
    if differing := log.differing_rows(DAYS):
        raise SystemExit(f"{name} events per active day: {differing} rows of features differ; expected none")


def run_skewed(log: Warehouse) -> None:
    """Build all dates but the last, then the last with more partitions."""
    log.run(SKEWED_NIGHT[:-1], 1, SKEWED_DAYS - 1, "skew history")
    log.spark["spark.sql.shuffle.partitions"] = str(PARTITIONS)
    log.run(SKEWED_NIGHT, SKEWED_DAYS, SKEWED_DAYS, "skew")


Runs = dict[str, list[list[Task]]]


def total(runs: Runs, phases: Sequence[str], value: Callable[[Task], float], at_once: int = 1) -> float:
    """Return a value summed over the tasks of phases; the median over their runs.

    Args:
        runs: tasks by phase and run.
        phases: which ones are added up.
        value: of a task.
        at_once: so many consecutive runs are one: those of both entities.
    """
    added = 0.0
    for phase in phases:
        sums = [sum(map(value, tasks)) for tasks in runs[phase]]
        added += statistics.median(
            sum(sums[start : start + at_once]) for start in range(0, len(sums), at_once)
        )
    return added


VALUES: dict[str, Callable[[Task], float]] = {
    "task time": lambda task: task.run_ms / 1000,
    "CPU time": lambda task: task.cpu_ms / 1000,
    "bytes read": lambda task: task.bytes_read,
}


def print_nights(runs: Runs, parts: Sequence[str]) -> None:
    """Print the last night against the earlier one, by job and in all."""
    rows = []
    for per in parts:
        for jobs in (*((job,) for job in NIGHT), NIGHT):
            for name, value in VALUES.items():
                early, late = (total(runs, [f"{per} night {n} {j}" for j in jobs], value) for n in NIGHTS)
                job = jobs[0] if len(jobs) == 1 else "both"
                rows.append([per, job, name, f"{early:.4g}", f"{late:.4g}", f"{late / max(early, 1e-9):.2f}"])
    print_table(["events per active day", "job", "", *(f"night {n}" for n in NIGHTS), "ratio"], rows)


def print_sql(runs: Runs, parts: Sequence[str]) -> None:
    """Print SQL over raw events against the job, and against its transformations alone."""
    rows = []
    for per in parts:
        for name, value in VALUES.items():
            sql = total(runs, [f"{per} sql"], value, at_once=2)
            alone = total(runs, [f"{per} alone"], value, at_once=2)
            job = total(runs, [f"{per} night {DAYS} build_features"], value)
            figures = [f"{figure:.4g}" for figure in (sql, alone, job)]
            rows.append([per, name, *figures, f"{sql / alone:.2f}", f"{sql / job:.2f}"])
    head = ["events per active day", "", "SQL", "tiles and features", "build_features with its checks"]
    print_table([*head, "SQL / tiles", "SQL / job"], rows)


def print_skew(runs: Runs) -> None:
    """Print, by job, the stage whose tasks differ most, of those with a task per partition."""
    rows = []
    for job in SKEWED_NIGHT:
        by_stage: dict[int, list[Task]] = {}
        for task in runs[f"skew {job}"][0]:
            by_stage.setdefault(task.stage, []).append(task)
        stages = [tasks for tasks in by_stage.values() if len(tasks) == PARTITIONS]
        if stages:
            by_time = max(stages, key=lambda tasks: spread(tasks, lambda task: task.run_ms))
            by_records = max(stages, key=lambda tasks: spread(tasks, lambda task: task.records))
            rows.append([job, len(stages), _times(by_time), _records(by_records), _times(by_records)])
    print_table(["job", "stages", "task time", "records", "task time of that stage"], rows)


def spread(tasks: Sequence[Task], value: Callable[[Task], float]) -> float:
    """Return the largest value of a task per median value; of values that are not 0."""
    return max(map(value, tasks)) / max(statistics.median(map(value, tasks)), 1)


def _times(tasks: Sequence[Task]) -> str:
    times = [task.run_ms for task in tasks]
    return f"{spread(tasks, lambda t: t.run_ms):.1f} ({max(times):.0f} / {statistics.median(times):.0f} ms)"


def _records(tasks: Sequence[Task]) -> str:
    records = [task.records for task in tasks]
    figures = f"{max(records):,} / {statistics.median(records):,.0f}"
    return f"{spread(tasks, lambda t: t.records):.1f} ({figures})"


def sizes_text(share: float) -> str:
    """Return the sizes of the logs, in words."""
    events, users, items = (round(size * share) for size in (EVENTS_PER_DAY, USERS, ITEMS))
    return f"{events * DAYS:,} events over {DAYS} dates, {users:,} users, {items:,} items"


if __name__ == "__main__":
    main()
