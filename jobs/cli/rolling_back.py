"""`lamplighter rollback`: readers are served the lists of an earlier night again."""

from typing import Annotated

import typer

from jobs.cli.flags import Flags, with_flags
from jobs.runtime.arguments import one_date
from jobs.runtime.logs import CONSOLE
from jobs.runtime.rollback import serve_again


@with_flags
def rollback(
    flags: Flags,
    to_data_date: Annotated[
        str, typer.Option("--to-data-date", metavar="D", help="Whose lists readers are served from now on.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")],
) -> None:
    """Serve the lists of an earlier data date again.

    Appends to `publications` and makes `current_scores` these lists; `scores` are not changed. The champion
    stays, and the next night publishes as always: stop it, or promote another model, if it would publish the
    same again.
    """
    done = serve_again(flags.opened(), one_date(to_data_date, "rollback"), reason)
    now, before = (f"{row.data_date} ({row.model_version})" for row in done)
    CONSOLE.print(f"readers are served {now}; before: {before}", highlight=False)
