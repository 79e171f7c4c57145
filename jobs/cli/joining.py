"""`lamplighter join`: features for a file of rows of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.logs import CONSOLE
from jobs.runtime.spine import join_spine, wanted_features
from jobs.tables.row_files import read_rows, require_writable, write_rows


@with_flags
def join(
    flags: Flags,
    spine: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Rows with the keys, such as user_id, and data_date or event_time."
        ),
    ],
    features: Annotated[str, typer.Option(metavar="GROUP.COLUMN,...", help="Features, such as user.cohort.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write: .parquet, .csv or .csv.gz.")],
) -> None:
    """Join features as of the day before to rows of one's own, as examples get them."""
    found = flags.opened()
    names = features.split(",")
    wanted_features(found.config, names)  # before Spark starts
    require_writable(out.absolute())
    joined = join_spine(found, read_rows(found.spark, spine.absolute()), names)
    write_rows(joined.frame, out.absolute())
    table = sheet("group", "rows", "rows with an unknown key")
    for group, missing in joined.missing.items():
        table.add_row(group, f"{joined.rows:,}", f"{missing:,}")
    CONSOLE.print(table)
