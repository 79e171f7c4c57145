"""`lamplighter export`: the served lists as files, or in Redis."""

from typing import Annotated

import typer

from jobs.cli.flags import Flags, with_flags
from jobs.runtime.export import export_lists, target_of
from jobs.runtime.logs import CONSOLE


@with_flags
def export(
    flags: Flags,
    to: Annotated[
        str, typer.Option("--to", metavar="DIR|URL", help="A folder, or redis://host:port/db (rediss://).")
    ],
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="Of files: parquet (default) or jsonl.")
    ] = "",
) -> None:
    """Copy the lists that readers are served to files or to Redis, and switch its readers to them.

    One row per user. Readers of the target see the lists of before or all of the new ones; run again, it
    writes only what is missing. Run it after a night and after a rollback.
    """
    found = flags.opened()
    target = target_of(to, kind, found.catalog.dataset)  # before Spark starts
    done = export_lists(found.store, found.spark, target)
    wrote = f"{done.lists:,} lists written" if done.is_written else f"{done.lists:,} lists were there"
    CONSOLE.print(
        f"{done.place}: {done.version} counts now; {wrote}; before: {done.before or 'none'}", highlight=False
    )
