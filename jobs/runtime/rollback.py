"""Serving the lists of an earlier data date again."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from typing import Any, NamedTuple

from pyspark.sql import DataFrame

from core.errors import ConfigError, LamplighterError
from jobs.runtime.lists import publications
from jobs.runtime.project import Project
from jobs.tables.ledger import new_run_id
from jobs.tables.locks import owner_text
from jobs.tables.store import check_rows, dates_where, key_where
from quality.publication import Publication, roll_back, served_by_now


class RolledBack(NamedTuple):
    """What readers are served now, and what they were served before."""

    now: Publication
    before: Publication


def serve_again(project: Project, data_date: date, reason: str) -> RolledBack:
    """Append a row to `publications` that names an earlier data date, then make `current_scores` its lists.

    `scores` stay as they are. A rollback that was ended after its row is finished by the same command.
    Cost: one read of the date's lists, which are written to `current_scores`: users x K rows.

    Args:
        project: whose.
        data_date: whose lists.
        reason: why, for the record.

    Raises:
        ConfigError: no reason.
        LamplighterError: no lists of the data date were published, they are served already, their files
            are lost, or another process is publishing.
    """
    if not reason.strip():
        raise ConfigError("--reason is empty; say in a few words why, for the record")
    _next_row(project, data_date, reason)  # what is wrong is said before Spark starts
    store, run_id = project.store, new_run_id()
    metadata = {"run_id": run_id, "job": "rollback"}
    with store.locks.hold(project.spark, "current_scores", owner_text(run_id)):
        row, before, is_new = _next_row(project, data_date, reason)
        if is_new:
            row = _as_stored(project, row)
            store.append_rows("publications", [asdict(row)], owner_text(run_id), metadata)
        _show(project, row, metadata)
    return RolledBack(row, before)


def _next_row(project: Project, data_date: date, reason: str) -> tuple[Publication, Publication, bool]:
    """Return the row to be served, the one before it, and whether the row is still to be appended."""
    published = publications(project.store)
    served = served_by_now(published)
    if served is not None and served.data_date == data_date and not _is_shown(project, served):
        return (
            served,
            max((row for row in published if row.seq < served.seq), key=_seq, default=served),
            False,
        )
    row = roll_back(published, data_date, reason.strip())
    if not project.store.is_whole("scores", key_where({"data_date": data_date})):
        raise LamplighterError(
            f"scores {data_date}: data files are lost, so its lists cannot be served; run `lamplighter "
            f"publish --data-date {data_date}` first"
        )
    return row, max(published, key=_seq), True


def _as_stored(project: Project, row: Publication) -> Publication:
    """Return a row that names what `scores` holds of its date: lists may have been corrected since."""
    lists = _lists(project, row.data_date).select("model_version").first()
    row = row if lists is None else replace(row, model_version=lists["model_version"])
    for version, commit in reversed([*project.store.commits("scores").items()]):
        fingerprint = commit.get("partitions", {}).get(str(row.data_date))
        if fingerprint is not None:
            return replace(row, scores_version=version, fingerprint=fingerprint)
    return row


def _seq(row: Publication) -> int:
    return row.seq


def _is_shown(project: Project, row: Publication) -> bool:
    made_of = str(project.store.newest_metadata("current_scores").get("made_of", ""))
    return made_of.rpartition(":")[2] == str(row.seq) and project.store.is_whole("current_scores")


def _show(project: Project, row: Publication, metadata: Mapping[str, Any]) -> None:
    """Make `current_scores` the lists of a publication, in one commit."""
    store, declared = project.store, project.catalog["current_scores"]
    lists = _lists(project, row.data_date).select(*declared.columns)
    rows = check_rows(lists, declared)
    store.replace("current_scores", lists, "true", {**metadata, "made_of": str(row.seq)}, rows)


def _lists(project: Project, data_date: date) -> DataFrame:
    return project.store.read(project.spark, "scores").where(dates_where(data_date, data_date))
