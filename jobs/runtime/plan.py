"""What would run for some data dates, and why: down to the file or the configuration key that changed.

A step is up to date if its newest run is done, the commits of that run are still in the tables, and its
fingerprint is what it would be now. Nothing is read but the ledger, the tables' logs, and the names,
sizes and hashes of source files.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from jobs.runtime.arguments import span_of
from jobs.runtime.fingerprints import Fingerprint, Lineage
from jobs.runtime.job import RANGE
from jobs.runtime.lost import lost_commit
from jobs.runtime.pipeline import all_jobs, writers
from jobs.runtime.project import Project
from jobs.runtime.readable import require_readable
from jobs.tables.ledger import NewestRun, RunKey

Cause = Literal["state", "table", "input", "attributes", "archived", "config", "code"]
LATE_ROWS: frozenset[Cause] = frozenset({"state", "table", "input"})
"""Causes for which a night repairs earlier data dates."""
NAMED = 3  # changes that a reason names; the others are counted


@dataclass(frozen=True)
class Reason:
    """Why a step has to run for a data date.

    Attributes:
        cause: input: rows that it reads have changed. attributes: only files of users or items have.
            archived: a log file was withdrawn. config: the configuration has changed, and with it
            perhaps which dates are read.
        text: the reason in words.
    """

    cause: Cause
    text: str


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan.

    Attributes:
        job: its name.
        dates: the data dates that need it; none: it is up to date.
        why: the reasons in one line.
    """

    job: str
    dates: tuple[date, ...]
    why: str

    @property
    def span(self) -> str:
        """The data dates as `--data-date` takes them; empty if there are none."""
        return span_of(self.dates[0], self.dates[-1]) if self.dates else ""


class Planner:
    """Decides which steps are out of date, for one state of the ledger and the tables."""

    def __init__(
        self,
        project: Project,
        dates: Sequence[date],
        expected: Sequence[str],
        first_dates: Mapping[str, date] = MappingProxyType({}),
    ) -> None:
        self.project = project
        self.dates = tuple(dates)
        self.lineage: Lineage = project.lineage(dates, expected, first_dates=first_dates)

    def step(self, job: str, dates: Sequence[date]) -> PlannedStep:
        """Return a step for the given data dates: those that need it, and why."""
        found = {day: reason for day in dates if (reason := self.reason(job, day)) is not None}
        why = "; ".join(dict.fromkeys(reason.text for reason in found.values())) or "up to date"
        return PlannedStep(job, tuple(found), why)

    def reason(self, job: str, data_date: date) -> Reason | None:
        """Return why a job has to run for a data date; None: it is up to date."""
        model = self.project.config.model.name if all_jobs()[job].is_per_model else ""
        run = self.lineage.known.get(RunKey(job, model, data_date))
        if run is None:
            return Reason("state", "never run")
        if run.state != "done":
            ended = {"started": "was cut off", "misconfigured": "was misconfigured"}
            return Reason("state", f"the last run {ended.get(run.state, run.state)}")
        if (lost := lost_commit(self.project.store, self._tables(job), run)) is not None:
            return Reason("table", lost)
        now = self.lineage.make(job, data_date)
        return None if now.value == run.fingerprint else self._difference(job, data_date, run, now)

    def late_dates(
        self, job: str, data_date: date, earliest: date, causes: Collection[Cause] = LATE_ROWS
    ) -> dict[date, Reason]:
        """Return the data dates before one that the job has to repair -> why, oldest first.

        Those are dates within the lateness horizon that were built before and whose rows have changed since,
        or whose repair was cut off. No late row is a change of code, of configuration or of attributes, nor a
        log file that was taken away: what was read from it stays.

        Args:
            job: its name.
            data_date: the first that is not late.
            earliest: the first data date that the job can be built for.
            causes: that count.
        """
        horizon = self.project.config.source.events.lateness_days
        dates = [data_date - timedelta(days=back) for back in range(horizon, 0, -1)]
        found = {
            day: reason
            for day in dates
            if day >= earliest and self._was_built(job, day) and (reason := self.reason(job, day)) is not None
        }
        return {day: reason for day, reason in found.items() if reason.cause in causes}

    def _tables(self, job: str) -> tuple[str, ...]:
        return all_jobs()[job].tables(self.project.config)

    def _was_built(self, job: str, data_date: date) -> bool:
        return RunKey(job, "", data_date) in self.lineage.known

    # --- why ------------------------------------------------------------------------------------

    def _difference(self, job: str, data_date: date, run: NewestRun, now: Fingerprint) -> Reason:
        """Name what has changed since a run: configuration, else inputs, else code."""
        before, after = _named(run.inputs), _named(now.inputs)
        others = [name for name in after if name in before and after[name] != before[name]]
        changed = [
            *(f"{name} {self._verb(after[name])}" for name in others),
            *(f"{name} is new" for name in after if name not in before),
            *(f"{name} {self._fate(name, data_date)}" for name in before if name not in after),
        ]
        recipe = self.lineage.recipe(job, data_date)
        cause = self._cause_of(before, after, data_date)
        if now.config != run.config_hash:  # it may be the reason of changed inputs, too: a longer window
            text = f"configuration: {self._changed(run.config_hash, recipe.config)}"
            is_other = any(name in before and before[name] != after[name] for name in after)
            return Reason(cause if is_other else "config", text)
        if changed:
            return Reason(cause, _listed(changed))
        return Reason("code", f"code: {self._changed(run.code_hash, recipe.code)}")

    def _cause_of(self, before: Mapping[str, str], after: Mapping[str, str], data_date: date) -> Cause:
        """Distinguish changed rows, changed attributes, and files that were taken away."""
        labels = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        if labels and labels <= set(self.project.sources.hashes("attributes", data_date)):
            return "attributes"
        gone = [name for name in labels if name.startswith("source ") and name not in after]
        is_archived = any(not self.project.sources.is_offered(name, data_date) for name in gone)
        return "archived" if is_archived else "input"

    def _verb(self, fingerprint: str) -> str:
        """Say of an input that it has changed, or that a step before makes it change."""
        return "will change" if self.lineage.is_to_be_made(fingerprint) else "changed"

    def _fate(self, label: str, data_date: date) -> str:
        """Say what has become of an input that is none any more."""
        if not label.startswith("source "):
            return "is gone"
        is_offered = self.project.sources.is_offered(label, data_date)
        return f"holds no row of {data_date} any more" if is_offered else "was withdrawn"

    def _changed(self, recorded: str, now: Mapping[str, str]) -> str:
        before = self._recipes.get(recorded)
        if before is None:
            return "changed"
        return named_changes(before, now)

    @cached_property
    def _recipes(self) -> dict[str, dict[str, str]]:
        return {row["hash"]: _named(row["entries"]) for row in self.project.store.rows("recipes")}


def plan(
    project: Project, jobs: Sequence[str], first_dates: Mapping[str, date] = MappingProxyType({})
) -> list[PlannedStep]:
    """Return what would run for the project's data dates, in order; a change runs through to later steps.

    Args:
        project: asked for some data dates.
        jobs: names, in order.
        first_dates: job -> the first of the dates that it is built for, where that is not the first one.
    """
    require_readable(project)
    planner = Planner(project, project.dates, jobs, first_dates)
    steps: list[PlannedStep] = []
    is_open = False
    for job in jobs:
        dates = [day for day in project.dates if day >= first_dates.get(job, day)]
        step = planner.step(job, dates)
        reads = [r for r in all_jobs()[job].reads if r.is_of_own_date(project.config, project.arguments.last)]
        opened = {s.job for s in steps if s.why == OPEN}
        follows = any(
            read.kind == "champion" or writers(all_jobs()).get(read.table) in opened for read in reads
        )
        if not step.dates and is_open and not all_jobs()[job].is_training and follows:
            step = PlannedStep(job, tuple(dates), OPEN)
        is_open |= job == "promote" and bool(step.dates)
        steps.append(step)
    return steps


OPEN = "the champion is not decided yet"


def covers_range(job: str) -> bool:
    """Return whether a job takes a range of data dates."""
    return all_jobs()[job].dates is RANGE


def _named(entries: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (entry.rpartition("=") for entry in entries)}


def named_changes(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Name what differs between two recipes; of an element that only one of them has, the element alone."""
    new = sorted({_outermost(path, before) for path in now if path not in before})
    gone = sorted({_outermost(path, now) for path in before if path not in now})
    of_lists = {path.rpartition("[")[0] for path in (*new, *gone)}
    changed = [
        path
        for path in sorted(now)
        if path in before
        and before[path] != now[path]
        and not (path.endswith("[order]") and path.removesuffix("[order]") in of_lists)
    ]
    clauses = [*(f"{path} is new" for path in new), *(f"{path} is gone" for path in gone)]
    texts = [_listed(clauses)] if clauses else []
    return "; ".join(texts + ([f"{_listed(changed)} changed"] if changed else []))


def _outermost(path: str, other: Mapping[str, str]) -> str:
    """Return the shortest beginning of a path, up to a key or an element, that no path of another has."""
    for match in re.finditer(r"(?<!^)(?=[.\[])|$", path):
        beginning = path[: match.start()]
        if not any(f"{each}.".startswith((f"{beginning}.", f"{beginning}[")) for each in other):
            return beginning
    return path


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
