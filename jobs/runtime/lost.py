"""Commits that the ledger records and a table no longer has: restored from a backup, deleted, cut off."""

from collections.abc import Iterable

from jobs.tables.ledger import NewestRun
from jobs.tables.store import Store


def lost_commit(store: Store, tables: Iterable[str], run: NewestRun) -> str | None:
    """Say which of the tables of a job no longer has the commit that a run recorded; None: none is lost.

    Delta removes old commit files once a checkpoint holds what they say: what is older than the oldest file
    is taken to be there. A version that carries another run id was written anew, in place of a lost one.
    """
    for table in tables:
        if not run.rows.get(table):
            continue  # nothing to write there: Delta makes no commit of no rows in place of no rows
        version, commits = run.versions_written[table], store.commits(table)
        if not commits:
            return f"{table} is gone"
        if min(commits) <= version and commits.get(version, {}).get("run_id") != run.run_id:
            return f"the commit of {table} by run {run.run_id} is gone from the table's log"
    return None
