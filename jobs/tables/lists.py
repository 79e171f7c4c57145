"""Published lists of single users, for people."""

from datetime import date
from typing import Any

import pyarrow.dataset as ds
from rich.table import Table as Sheet

from jobs.runtime.run import Scene


def list_of(scene: Scene, user: str, day: date) -> list[dict[str, Any]]:
    """One user's rows of `scores` of a data date, by rank."""
    kind = scene.config.source.events.columns["user_id"].type
    key = int(user) if kind in ("bigint", "int") else user
    rows = scene.store.rows("scores", f"data_date = '{day}'", ds.field("user_id") == key)
    return sorted(rows, key=lambda row: row["rank"])


def list_sheet(rows: list[dict[str, Any]]) -> Sheet:
    """A list as a table for people."""
    first = rows[0]
    tasks = [name for name in first if name.startswith("p_")]
    sheet = Sheet("rank", "item", "score", *tasks, box=None, pad_edge=False)
    sheet.title = (
        f"user {first['user_id']} ({first['cohort']}), as of {first['data_date']}, {first['model_version']}"
    )
    for row in rows:
        numbers = [f"{row[name]:.4f}" for name in ("score", *tasks)]
        sheet.add_row(str(row["rank"]), str(row["item_id"]), *numbers)
    return sheet
