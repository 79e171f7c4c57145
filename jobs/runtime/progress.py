"""What people see of a run: one line per step, and while it is long a bar, or a line now and then."""

import contextvars
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from py4j.protocol import Py4JError
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from jobs.runtime.logs import CONSOLE, log

if TYPE_CHECKING:
    from jobs.runtime.run import Run

EVERY_SECONDS = 60.0
"""Time between two lines where there is no terminal."""
_BAR_SECONDS = 0.5


class Position(NamedTuple):
    """How far a step is: `part` of it, such as "stage 3 of 5", and units done in it."""

    part: str
    completed: int
    total: int
    unit: str

    def __str__(self) -> str:
        done = f"{self.completed:,} of {self.total:,} {self.unit}"
        return f"{self.part}, {done}" if self.part else done


class StepProgress:
    """The step that runs: its label, and how far it is, by its own count or by Spark's."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._started = time.monotonic()
        self._counted: Position | None = None

    def update(self, completed: int, total: int, unit: str) -> None:
        """Count for a step whose work is not Spark's, such as the epochs of training."""
        self._counted = Position("", completed, total, unit)

    def position(self) -> Position | None:
        """Return how far the step is, if that is known."""
        return self._counted or spark_position()

    def line(self) -> str:
        """Return `LABEL: still running: stage 3 of 5, 120 of 200 tasks, 65 s`."""
        position = self.position()
        where = f"{position}, " if position else ""
        return f"{self.label}: still running: {where}{time.monotonic() - self._started:.0f} s"


_current: ContextVar[StepProgress | None] = ContextVar("step_progress", default=None)


@contextmanager
def step_progress(label: str, every_seconds: float | None = None) -> Iterator[StepProgress]:
    """Show that a step is alive: a bar on a terminal, elsewhere a line per `every_seconds`.

    Inside another one it renames the step for its own duration, and shows nothing itself.

    Args:
        label: what the step does, such as "score 2022-05-07".
        every_seconds: default: `EVERY_SECONDS`.
    """
    outer = _current.get()
    if outer is not None:
        before, outer.label = outer.label, label
        try:
            yield outer
        finally:
            outer.label = before
        return
    step = StepProgress(label)
    done = threading.Event()
    follow = _follow_with_bar if CONSOLE.is_terminal else _follow_with_lines
    token = _current.set(step)
    run = contextvars.copy_context().run  # so that its lines carry the run's context
    seconds = EVERY_SECONDS if every_seconds is None else every_seconds
    thread = threading.Thread(target=run, args=(follow, step, done, seconds), daemon=True)
    thread.start()
    try:
        yield step
    finally:
        _current.reset(token)
        done.set()
        thread.join()


def report_progress(completed: int, total: int, unit: str) -> None:
    """Say how far the running step is, such as 2 of 10 epochs; outside of a step, do nothing."""
    step = _current.get()
    if step is not None:
        step.update(completed, total, unit)


def spark_position() -> Position | None:
    """Return the newest active stage of this process's Spark; None if nothing runs, or the JVM died."""
    from pyspark import SparkContext

    context = SparkContext._active_spark_context
    if context is None:
        return None
    try:
        tracker = context.statusTracker()
        active = sorted(tracker.getActiveStageIds())
        stage = tracker.getStageInfo(active[-1]) if active else None
        if stage is None:
            return None
        jobs = [tracker.getJobInfo(job) for job in tracker.getActiveJobsIds()]
        stages = sorted({each for job in jobs if job is not None for each in job.stageIds} | set(active))
        part = f"stage {stages.index(active[-1]) + 1} of {len(stages)}"
        return Position(part, stage.numCompletedTasks, stage.numTasks, "tasks")
    except (Py4JError, OSError, EOFError):
        return None  # the step itself meets the same error, and says so


def step_line(run: "Run") -> str:
    """Return `2022-05-07  build_features  3.2 s  27,285 user_features ...`."""
    rows = ", ".join(f"{count:,} {table}" for table, count in run.record.rows_written.items())
    notes = "; ".join(run.record.notes)
    what = "; ".join(text for text in (rows, notes) if text) or "nothing to do"
    return f"{run.span:<24} {run.job.name:<15} {run.record.seconds:6.1f} s  {what}"


def _follow_with_lines(step: StepProgress, done: threading.Event, every_seconds: float) -> None:
    while not done.wait(every_seconds):
        log.info(step.line())


def _follow_with_bar(step: StepProgress, done: threading.Event, _every_seconds: float) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=CONSOLE, transient=True) as progress:
        bar = progress.add_task(step.label, total=None)
        while not done.wait(_BAR_SECONDS):
            _draw(progress, bar, step)


def _draw(progress: Progress, bar: TaskID, step: StepProgress) -> None:
    position = step.position()
    if position is None:
        progress.update(bar, description=step.label)
        return
    description = f"{step.label}: {position.part or position.unit}"
    progress.update(bar, description=description, total=position.total, completed=position.completed)
