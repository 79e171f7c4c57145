"""The declaration of a job: `@job(...)` above the function that is its outline.

It is the only place where a job says what it reads and writes, which keys of the configuration it uses,
and whether it takes one data date or a range. The same program runs three ways:
`spark-submit jobs/NAME.py`, `lamplighter NAME`, and as a step of a night.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from core.errors import ConfigError
from core.schema import Config
from jobs.runtime.arguments import Arguments
from jobs.runtime.reads import Read, table_names

if TYPE_CHECKING:
    from jobs.runtime.run import Run


class Dates(Enum):
    """How many data dates a run of a job is for."""

    ONE = "one"
    RANGE = "range"


ONE, RANGE = Dates.ONE, Dates.RANGE


@dataclass(frozen=True)
class Job:
    """One job, as it is declared.

    Attributes:
        name: the outline's name, and that of its file in jobs/.
        outline: the function that reads, calls pure functions and commits.
        module: dotted name of its file.
        reads: tables that it reads, and which of their data dates.
        writes: tables that it replaces, or patterns of them; the main one is last and is committed last.
        config: keys of the configuration that it uses, as in core/declared_config.py.
        dates: RANGE: one pass over a range, equal to date by date. ONE: one data date per run.
        is_training: whether it runs on training nights only.
        is_per_model: whether it has a state per model YAML.
        after: jobs that come before it, beside those that write what it reads.
        flags: flags of the command line that it uses beside the common ones: `model`, `allow_empty`.
        entry_points: modules that its subprocesses start with; part of its code.
        templates: folders of templates; part of its code.
        requires: raises unless what the job reads is fit for it; asked before the run begins.
    """

    name: str
    outline: Callable[["Run"], None]
    module: str
    reads: tuple[Read, ...]
    writes: tuple[str, ...]
    config: tuple[str, ...]
    dates: Dates
    is_training: bool = False
    is_per_model: bool = False
    after: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    entry_points: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    requires: Callable[["Run"], None] | None = None

    def tables(self, config: Config) -> tuple[str, ...]:
        """Return the names of the tables that it replaces."""
        return tuple(name for pattern in self.writes for name in table_names(pattern, config))

    def __call__(self, arguments: Arguments) -> "Run":
        """Run the job once: an entry of the ledger, and one line of output.

        Raises:
            ConfigError: a range for a job that takes one date.
            LamplighterError: with job, data date, what was wrong and what to do.
        """
        from jobs.runtime.running import run_job

        self.check_dates(arguments)
        return run_job(self, arguments)

    def check_dates(self, arguments: Arguments) -> None:
        """Refuse a range where the job takes one date.

        Raises:
            ConfigError: exit code 2, before Spark starts.
        """
        if self.dates is ONE and arguments.first != arguments.last:
            raise ConfigError(
                f"{self.name} takes one data date, not the range {arguments.span}; run it once per date, or "
                f"`lamplighter history --nights --data-date {arguments.span}` for whole nights"
            )

    def main(self) -> None:
        """Run as a program: the entry point of `spark-submit jobs/NAME.py`."""
        from jobs.runtime.command import main_of_job

        main_of_job(self.name)


def job(
    *,
    reads: tuple[Read, ...],
    writes: tuple[str, ...],
    config: tuple[str, ...],
    dates: Dates,
    training: bool = False,
    per_model: bool = False,
    after: tuple[str, ...] = (),
    flags: tuple[str, ...] = (),
    entry_points: tuple[str, ...] = (),
    templates: tuple[str, ...] = (),
    requires: Callable[["Run"], None] | None = None,
) -> Callable[[Callable[["Run"], None]], Job]:
    """Declare a job; see `Job` for what the arguments mean. The function's name is the job's."""

    def declare(outline: Callable[["Run"], None]) -> Job:
        return Job(
            name=outline.__name__,
            outline=outline,
            module=f"jobs.{outline.__name__}",
            reads=reads,
            writes=writes,
            config=config,
            dates=dates,
            is_training=training,
            is_per_model=per_model,
            after=after,
            flags=(*(("model",) if per_model else ()), *flags),
            entry_points=entry_points,
            templates=templates,
            requires=requires,
        )

    return declare
