"""`lamplighter quarantine list | show | readmit`: rows that failed a rule, and letting them in."""

import logging
from typing import Annotated

import typer

from core.errors import ConfigError
from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import one_date
from jobs.runtime.logs import CONSOLE
from jobs.runtime.quarantine import count_quarantine, readmit, readmit_rows, rows_in_quarantine

log = logging.getLogger("lamplighter")
app = typer.Typer(no_args_is_help=True, help="Rows that failed a rule at ingest: count, show, re-admit.")

DateOfRows = Annotated[str, typer.Option("--data-date", metavar="D", help="Under which they are kept.")]
RuleOfRows = Annotated[str, typer.Option("--rule", metavar="NAME", help="A rule that they failed.")]


@app.command(name="list")
@with_flags
def list_counts(
    flags: Flags,
) -> None:
    """Print how many rows are in quarantine per data date and rule, and what was re-admitted."""
    found = flags.opened()
    table = sheet("data date", "rule", "rows", "fail only this", "re-admitted before")
    for each in count_quarantine(found):
        counts = (f"{number:,}" for number in (each.rows, each.only, each.readmitted))
        table.add_row(str(each.data_date), each.rule, *counts)
    CONSOLE.print(table)
    audit = found.store.rows("readmissions")
    if audit:
        trail = sheet("re-admitted at", "by", "run", "file", "what", "rows", "to data date", "reason")
        for row in sorted(audit, key=lambda row: (row["run_id"], row["data_date"])):
            at = f"{row['readmitted_at']:%Y-%m-%d %H:%M}"
            who = (at, row["readmitted_by"], row["run_id"], row["source_path"], row["selected"])
            trail.add_row(*who, f"{row['rows']:,}", str(row["data_date"]), row["reason"])
        CONSOLE.print(trail)


@app.command(name="show")
@with_flags
def show(
    flags: Flags,
    data_date: DateOfRows,
    rule: RuleOfRows = "",
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="How many.")] = 20,
) -> None:
    """Print rows of a data date as they were received, with all rules that they failed."""
    found = flags.opened()
    rows = rows_in_quarantine(found, one_date(data_date, "quarantine show"), rule, limit)
    table = sheet("source row", "file", "failed", "re-admitted by", "as received")
    for row in rows:
        failed = ", ".join(row["failed_rules"])
        by = row["readmitted_by"] or ""
        table.add_row(row["source_row_id"], row["source_path"], failed, by, row["raw_row"])
    CONSOLE.print(table, markup=False)


@app.command(name="readmit")
@with_flags
def let_in(
    flags: Flags,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is recorded.")],
    data_date: DateOfRows = "",
    rule: RuleOfRows = "",
    row: Annotated[list[str], typer.Option("--row", metavar="ID", help="One row, as `show` names it.")] = [],  # noqa: B006  # as above
) -> None:
    """Re-admit rows by data date and rule, or one by one; `lamplighter backfill` then takes them in."""
    by_rule = bool(data_date and rule)
    if by_rule == bool(row) or bool(data_date) != bool(rule):
        raise ConfigError("quarantine readmit: name either --data-date and --rule, or rows with --row")
    found = flags.opened()
    if by_rule:
        done = readmit(found, one_date(data_date, "quarantine readmit"), rule, reason)
    else:
        done = readmit_rows(found, row, reason)
    where = ", ".join(f"{rows:,} to {day}" for day, rows in done.rows.items())
    if not done.is_new:
        log.info(f"re-admitted before: {where}; nothing was recorded")
        return
    log.info(
        f"re-admitted by run {done.run_id}: {where}; `lamplighter backfill --from {done.first}` takes them in"
    )
