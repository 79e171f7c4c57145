"""What a person sees of a run: one line a step, a bar while it is long."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from jobs.runtime.logs import CONSOLE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.runtime.run import Run


def step_line(run: "Run") -> str:
    """`05-07  build_features  27,285 user_features ...  3.2 s`."""
    span = run.metadata["data_date"]
    rows = ", ".join(f"{count:,} {table}" for table, count in run.entry.rows.items())
    notes = "; ".join(run.notes)
    what = "; ".join(text for text in (rows, notes) if text) or "nothing to do"
    return f"{span:<24} {run.job:<15} {run.seconds:6.1f} s  {what}"


@contextmanager
def spark_progress(spark: "SparkSession", label: str) -> Iterator[None]:
    """Show a bar over the tasks of the Spark stages that run inside (a terminal only)."""
    done = threading.Event()
    tracker = spark.sparkContext.statusTracker()

    def poll(progress: Progress) -> None:
        bar = progress.add_task(label, total=None)
        while not done.wait(0.5):
            stages = [tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds()]
            running = [stage for stage in stages if stage is not None]
            if running:
                total = sum(stage.numTasks for stage in running)
                progress.update(bar, total=total, completed=sum(stage.numCompletedTasks for stage in running))

    with progress_bar() as progress:
        thread = threading.Thread(target=poll, args=(progress,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def progress_bar() -> Progress:
    """A bar that vanishes when it is done, so that one line a step remains."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    off = not CONSOLE.is_terminal
    return Progress(*columns, TimeElapsedColumn(), console=CONSOLE, transient=True, disable=off)
