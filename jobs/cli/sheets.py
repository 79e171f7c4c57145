"""Tables on the console."""

from rich.table import Table


def sheet(*columns: str) -> Table:
    """Return an empty table without lines, whose cells wrap."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made
