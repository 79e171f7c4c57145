"""`lamplighter`: every job by its name, nights, and queries.

Jobs are the same programs as `spark-submit jobs/NAME.py`.
"""

from collections.abc import Callable

import typer

from jobs.cli import (
    adopting,
    backfilling,
    demo,
    exporting,
    features,
    generating,
    joining,
    looking,
    nights,
    onboarding,
    quarantine,
    rolling_back,
    skew,
    splitting,
    trying,
)
from jobs.runtime.command import command_of
from jobs.runtime.pipeline import all_jobs

Command = Callable[..., None]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

for job in all_jobs().values():
    app.command(name=job.name, help=job.outline.__doc__, rich_help_panel="Jobs")(command_of(job))

NIGHTS: tuple[Command, ...] = (
    nights.night,
    nights.history,
    nights.plan,
    backfilling.backfill,
    demo.demo,
    adopting.adopt,
    rolling_back.rollback,
    exporting.export,
)
ONBOARDING: tuple[tuple[str, Command], ...] = (
    ("split", splitting.split),
    ("init", onboarding.init),
    ("validate", onboarding.validate),
    ("test", onboarding.run_tests),
    ("generate", generating.generate),
    ("skew", skew.skew),
)
QUERIES: tuple[Command, ...] = (
    looking.runs,
    looking.tables,
    looking.models,
    looking.lists,
    looking.rules,
    features.features,
    joining.join,
)

for command in NIGHTS:
    app.command(rich_help_panel="Nights")(command)
for name, command in ONBOARDING:
    app.command(name=name, rich_help_panel="A data set of one's own")(command)
for command in QUERIES:
    app.command(rich_help_panel="Queries")(command)
app.command(name="try", rich_help_panel="Queries")(trying.try_)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel="Queries")
app.command(name="describe-model", rich_help_panel="Queries")(looking.describe_model)


def main() -> None:
    """Entry point of `lamplighter`."""
    app()


if __name__ == "__main__":
    main()
