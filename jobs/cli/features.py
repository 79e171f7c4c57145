"""`lamplighter features`: the catalogue of features."""

from datetime import date
from itertools import groupby
from typing import Annotated

import typer

from core.errors import ConfigError
from jobs.cli.flags import Flags, with_flags
from jobs.runtime.catalogue import catalogue_of
from jobs.runtime.logs import CONSOLE
from quality.report.model import FeatureRow
from quality.report.words import share


@with_flags
def features(
    flags: Flags,
    group: Annotated[str, typer.Option(metavar="NAME", help="Only features of this group.")] = "",
) -> None:
    """Print what each feature is, since when it is there, what it holds and which models read it."""
    found = flags.opened()
    groups = [*found.config.features.groups]
    if group and group not in groups:
        raise ConfigError(f"--group {group}: there is no such group; expected one of {groups}")
    data_date, rows = catalogue_of(found)
    for (name, key), own in groupby(rows, key=lambda row: (row.group, row.key)):
        if group in ("", name):
            show(heading(name, key, data_date), *(line for row in own for line in lines(row)))


def heading(group: str, key: str, data_date: date | None) -> str:
    """Return the line above the features of a group."""
    if data_date is None:
        held = "not profiled yet: `lamplighter profile_features --data-date D`, or a night, counts the values"
    else:
        held = f"values as of {data_date}"
    return f"group {group}, key {key}; {held}"


def lines(row: FeatureRow) -> list[str]:
    """Return a feature as lines of text."""
    window = f" over {row.window}" if row.window else ""
    said = [
        f"is     {row.source}{window}",
        f"unit   {row.unit or 'not declared'}; null {row.null}",
        f"since  {row.since or 'no data date'}; models: {', '.join(row.models) or 'none'}",
    ]
    if row.rows is not None:
        values = "; ".join(f"{label}: {share(count / row.rows)}" for label, count in row.values)
        said.append(f"null   {share(row.null_share)} of {row.rows:,} rows")
        said.append(f"values {values or 'none'}")
    return ["", row.name, *(f"  {line}" for line in said)]


def show(*text: str) -> None:
    """Print lines as they are."""
    for line in text:
        CONSOLE.print(line, markup=False, highlight=False, soft_wrap=True)
