"""Adopt changed code whose results are the same: nothing that older code made has to be made again.

Two data dates of the job are computed anew, the newest and an older one that a hash draws, and compared
with what is stored. Only if both are equal is the equivalence of old and new code recorded, as a row of
`code_equivalences` that all later fingerprints follow.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from types import MappingProxyType

from core.errors import ConfigError, LamplighterError
from jobs.runtime.arguments import Arguments
from jobs.runtime.code import hash_of
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.progress import step_progress
from jobs.runtime.project import Project
from jobs.runtime.running import require_inputs
from jobs.runtime.trial import TrialRun
from jobs.tables.compare import Difference
from jobs.tables.ledger import new_run_id
from jobs.tables.locks import owner_text

log = logging.getLogger("lamplighter")


@dataclass(frozen=True)
class Adoption:
    """What came of an attempt to adopt code.

    Attributes:
        dates: data dates that were computed anew.
        differences: none if the code was adopted.
        is_new: whether there was anything to adopt.
    """

    dates: tuple[date, ...]
    differences: tuple[Difference, ...]
    is_new: bool = True


def adopt(job: str, arguments: Arguments) -> Adoption:
    """Compare what a job's code makes now with what is stored; record the equivalence if they are equal.

    Args:
        job: its name.
        arguments: data set, environment, settings and model; its dates do not count.

    Raises:
        ConfigError: an unknown job, or one that writes no table.
        LamplighterError: it has never run with this configuration.
    """
    declared = all_jobs().get(job)
    if declared is None or not declared.writes:
        known = [each.name for each in all_jobs().values() if each.writes]
        raise ConfigError(f"adopt {job}: no job that writes a table; expected one of {known}")
    project = Project(arguments)
    lineage = project.lineage(project.dates)
    model = project.config.model.name if declared.is_per_model else ""
    config = hash_of(lineage.recipe(job).config)
    runs = {
        key.data_date: run
        for key, run in project.ledger.newest_of_all().items()
        if (key.job, key.model, run.state) == (job, model, "done")
    }
    made = {day: run for day, run in runs.items() if run.config_hash == config}
    if not made:
        raise LamplighterError(
            f"adopt {job}: no run is done with this configuration; expected at least one to compare with. "
            f"Run `lamplighter {job}` instead"
        )
    newest = max(made)
    old, new = made[newest].code_hash, hash_of(lineage.recipe(job, newest).code)
    if old == lineage.code_hash(job, newest):
        return Adoption((), (), is_new=False)
    older = sorted(day for day, run in made.items() if run.code_hash == old and day != newest)
    dates = (newest, *_drawn(older, new))
    differences = [found for day in dates for found in _differences(job, arguments, day, new, old)]
    if not differences:
        row = {"job": job, "code_hash": new, "equal_to": old, "data_dates": [str(day) for day in dates]}
        run_id = new_run_id()
        metadata = {"run_id": run_id, "job": job}
        rows = [row | {"run_id": run_id}]
        project.store.append_rows("code_equivalences", rows, owner_text(run_id), metadata)
    return Adoption(dates, tuple(differences))


def _drawn(dates: Sequence[date], code: str) -> tuple[date, ...]:
    """Return one date that a hash of the code draws; none if there is none."""
    if not dates:
        return ()
    number = int.from_bytes(hashlib.sha256(code.encode()).digest()[:8], "big")
    return (dates[number % len(dates)],)


def _differences(job: str, arguments: Arguments, data_date: date, new: str, old: str) -> list[Difference]:
    """Compute one data date anew, as if the new code were known to equal the old."""
    project = Project(replace(arguments, first=data_date, last=data_date))
    project.assumed_equal = MappingProxyType({(job, new): old})
    run = TrialRun(all_jobs()[job], project)
    recorded = project.recorded_fingerprint(job, data_date)
    if run.fingerprint != recorded:
        raise LamplighterError(
            f"adopt {job} {data_date}: more than code has changed since it ran (its inputs are others now); "
            f"run `lamplighter {job} --data-date {data_date}` instead"
        )
    with step_progress(f"adopt {job} {data_date}"):
        require_inputs(run.job, project)
        run.job.outline(run)
    if missing := sorted(set(run.job.tables(project.config)) - run.compared):
        raise LamplighterError(
            f"adopt {job} {data_date}: {', '.join(missing)} was not made anew, so nothing is known of it; "
            f"run `lamplighter {job} --data-date {data_date}` instead"
        )
    return run.differences
