"""Published lists of single users, for people."""

from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.dataset as ds
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from rich.table import Table as Sheet

from core.errors import LamplighterError
from jobs.tables.store import Store
from quality.publication import Publication, served_by_now

if TYPE_CHECKING:
    from jobs.runtime.project import Project


def list_of(project: "Project", user: str, data_date: date) -> list[dict[str, Any]]:
    """Return one user's rows of `scores` of a data date, by list and rank."""
    is_of_user = ds.field("user_id").cast("string") == user  # what is no number is nobody's id
    rows = project.store.rows("scores", f"data_date = '{data_date}'", is_of_user)
    return sorted(rows, key=lambda row: (row["list"], row["rank"]))


class TypicalUser(NamedTuple):
    """A user whose list is shown as an example."""

    who: str
    user_id: str


def typical_users(users: DataFrame, exposure: str) -> list[TypicalUser]:
    """Return one user without events and the most active one, ties by id.

    Args:
        users: rows of `user_features` of one data date.
        exposure: the count of impressions.
    """
    shown = F.col(f"user_{exposure}_all")
    never_seen = users.where("user_is_never_seen").orderBy("user_id").select("user_id").first()
    most_active = users.orderBy(shown.desc(), "user_id").select("user_id").first()
    found = (("a user without events", never_seen), ("the most active user", most_active))
    return [TypicalUser(who, str(user["user_id"])) for who, user in found if user is not None]


def publications(store: Store) -> list[Publication]:
    """Return the rows of `publications`, in any order."""
    return [Publication(**row) for row in store.rows("publications")]


def served_now(store: Store) -> Publication:
    """Return the last publication: what readers are served.

    Raises:
        LamplighterError: nothing was published yet.
    """
    served = served_by_now(publications(store))
    if served is None:
        raise LamplighterError("publications is empty: nothing was published yet; run a night first")
    return served


def served_date(store: Store) -> date:
    """Return the data date that readers are served; errors as of `served_now`."""
    return served_now(store).data_date


def list_sheet(rows: list[dict[str, Any]]) -> Sheet:
    """Return the rows of one list as a table for people; without items their columns stay empty."""
    first = rows[0]
    tasks = [name for name in first if name.startswith("p_")]
    sheet = Sheet("rank", "item", "score", *tasks, box=None, pad_edge=False)
    user = f"user {first['user_id']} ({first['cohort']})"
    sheet.title = f"{first['list']} of {user}, as of {first['data_date']}, {first['model_version']}"
    for row in rows:
        numbers = ["" if row[name] is None else f"{row[name]:.4f}" for name in ("score", *tasks)]
        item = "" if row["item_id"] is None else str(row["item_id"])
        sheet.add_row(str(row["rank"]), item, *numbers)
    return sheet
