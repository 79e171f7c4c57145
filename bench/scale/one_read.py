"""What does it cost to check rows before they are committed, and which ways survive a lost block?

python -m bench.scale.one_read                  a date of 2,000,000 events
python -m bench.scale.one_read --events 200000

Rows of `events` and of `user_features` of one date go through their suite, the check of grain and the write
of a Delta table, as a job commits them. Ways: nothing is kept, so that each of the three computes the rows
again; a cache with its lineage; a local checkpoint; Parquet files of their own, read back by the checks and
by the write; Parquet files that count as the table's own, so that nothing is written twice.
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.storagelevel import StorageLevel

from bench.scale.nights import Warehouse
from bench.scale.tasks import Phases, Task
from bench.tables import print_table
from features.entities import to_known_keys
from features.tiles import to_daily_tiles
from features.windows import to_features
from jobs.runtime import checks
from jobs.runtime.project import Project
from jobs.tables.checks import check_rows
from jobs.workers.synthetic.spec import LogSpec

EVENTS, EVENTS_PER_USER, TURNS = 2_000_000, 2, 3
DISK = StorageLevel.MEMORY_AND_DISK_DESER


def main() -> None:
    """Measure each way by turns, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, default=EVENTS, help="of the date")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="one-read-") as folder:
        measure(asked.events, Path(folder))


def measure(events: int, folder: Path) -> None:
    """Run all ways, stop the session, and print what its event log says."""
    phases = Phases(folder / "events")
    users = max(1, events // EVENTS_PER_USER)
    spec = LogSpec(seed=1, days=1, events_per_day=events, users=users, items=max(1, users // 10))
    log = Warehouse(spec, folder / "date", phases, phases.settings)
    log.write_log()
    log.run(("scan_sources", "ingest"), 1, 1, "tables")
    project = log.project(1, 1)
    frames = {"events": log.to_events_of(project), "user_features": to_user_features(log, project)}
    for _ in range(TURNS):
        for table, frame in frames.items():
            for name, way in WAYS.items():
                with phases.phase(f"{table} {name}"):
                    way(frame, table, project, folder / "out")
    kept = {name: after_a_loss(frames["events"], name) for name in ("cache", "local checkpoint")}
    SparkSession.active().stop()

    runs = phases.runs()
    rows = []
    for table in frames:
        base = _cpu_seconds(runs[f"{table} local checkpoint"])
        for name in WAYS:
            of = runs[f"{table} {name}"]
            seconds = _cpu_seconds(of)
            read = statistics.median(sum(task.bytes_read for task in tasks) for tasks in of)
            rows.append([table, name, f"{seconds:.1f}", f"{seconds / base:.2f}", f"{read / 1e6:.1f}"])
    print_table(["table", "way", "CPU seconds", "per local checkpoint", "MB read"], rows)
    print()
    print_table(["way", "a block is lost after the checks"], list(kept.items()))


def to_user_features(log: Warehouse, project: Project) -> DataFrame:
    """Return features of users as of the date, from its events."""
    day, features = project.arguments.last, project.config.features.user
    events = project.store.read(project.spark, "events")
    tiles = to_daily_tiles(events, "user", features, project.config.behaviours)
    users = project.store.read(project.spark, "users")
    state = _no_state(project)
    keys = to_known_keys(users, tiles, state, "user", day, day)
    return to_features(keys, tiles, state, users, features, "user", day, day)


def nothing_kept(frame: DataFrame, table: str, project: Project, folder: Path) -> None:
    """Compute the rows three times."""
    _check(frame, table, project)
    _write(frame, folder)


def cached(frame: DataFrame, table: str, project: Project, folder: Path) -> None:
    """Keep the rows in memory and on disk; a lost block is computed again."""
    kept = frame.persist(DISK)
    _check(kept, table, project)
    _write(kept, folder)
    kept.unpersist(blocking=True)


def checkpointed(frame: DataFrame, table: str, project: Project, folder: Path) -> None:
    """Keep the rows in memory and on disk, without the plan that made them: what jobs do."""
    kept = frame.localCheckpoint(eager=True)
    _check(kept, table, project)
    _write(kept, folder)


def staged(frame: DataFrame, table: str, project: Project, folder: Path) -> None:
    """Write the rows to files of their own, then to the table."""
    kept = _to_files(frame, folder)
    _check(kept, table, project)
    _write(kept, folder)


def staged_in_place(frame: DataFrame, table: str, project: Project, folder: Path) -> None:
    """Write the rows once; a commit would add these files to the table."""
    _check(_to_files(frame, folder), table, project)


WAYS: dict[str, Callable[[DataFrame, str, Project, Path], None]] = {
    "nothing kept": nothing_kept,
    "cache": cached,
    "local checkpoint": checkpointed,
    "files, then table": staged,
    "files of the table": staged_in_place,
}


def after_a_loss(frame: DataFrame, way: str) -> str:
    """Return what becomes of rows that are kept one way when an executor takes a block with it."""
    kept = frame.persist(DISK) if way == "cache" else frame.localCheckpoint(eager=True)
    rows = kept.count()
    context = frame.sparkSession.sparkContext
    blocks = context._jsc.sc().env().blockManager().master()
    for rdd_id in list(context._jsc.getPersistentRDDs()):
        blocks.removeRdd(rdd_id, True)
    try:
        return "computed again" if kept.count() == rows else "other rows"
    except (PySparkException, Py4JJavaError) as error:
        fault = next((line for line in str(error).splitlines() if "SparkException" in line), str(error))
        return f"the job fails: {fault[:100]}"


def _check(frame: DataFrame, table: str, project: Project) -> None:
    checks.judge(frame, table, project.config, project.arguments.last)
    check_rows(frame, project.catalog[table])


def _write(frame: DataFrame, folder: Path) -> None:
    frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(
        str(folder / "table")
    )


def _to_files(frame: DataFrame, folder: Path) -> DataFrame:
    frame.write.mode("overwrite").parquet(str(folder / "files"))
    return frame.sparkSession.read.schema(frame.schema).parquet(str(folder / "files"))


def _no_state(project: Project) -> DataFrame:
    """Return the features of no date."""
    declared = project.catalog["user_features"]
    return project.spark.createDataFrame([], declared.schema).where(F.lit(False))


def _cpu_seconds(runs: list[list[Task]]) -> float:
    return statistics.median(sum(task.cpu_ms for task in tasks) / 1000 for tasks in runs)


if __name__ == "__main__":
    main()
