"""Serving the lists of an earlier data date again."""

from dataclasses import asdict
from datetime import date
from typing import NamedTuple

from core.errors import ConfigError, LamplighterError
from jobs.runtime.project import Project
from jobs.tables.ledger import new_run_id
from jobs.tables.locks import owner_text
from jobs.tables.store import key_where
from quality.publication import Publication, roll_back


class RolledBack(NamedTuple):
    """What readers are served now, and what they were served before."""

    now: Publication
    before: Publication


def serve_again(project: Project, data_date: date, reason: str) -> RolledBack:
    """Append a row to `publications` that names an earlier data date; `scores` stay as they are.

    Args:
        project: whose.
        data_date: whose lists.
        reason: why, for the record.

    Raises:
        ConfigError: no reason.
        LamplighterError: no lists of the data date were published, they are served already, or their files
            are lost.
    """
    if not reason.strip():
        raise ConfigError("--reason is empty; say in a few words why, for the record")
    store = project.store
    published = [Publication(**row) for row in store.rows("publications")]
    row = roll_back(published, data_date, reason.strip())
    if not store.is_whole("scores", key_where({"data_date": data_date})):
        raise LamplighterError(
            f"scores {data_date}: data files are lost, so its lists cannot be served; run `lamplighter "
            f"publish --data-date {data_date}` first"
        )
    run_id = new_run_id()
    metadata = {"run_id": run_id, "job": "rollback"}
    store.append_rows("publications", [asdict(row)], owner_text(run_id), metadata)
    return RolledBack(row, max(published, key=lambda each: each.seq))
