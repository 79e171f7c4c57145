"""What is recorded of a run: its fingerprints, what it read and wrote, how it ended."""

import subprocess
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jobs.runtime.code import hash_of
from jobs.runtime.job import Job
from jobs.runtime.project import Project
from jobs.tables.ledger import DateRecord, Entry, State, new_run_id
from jobs.tables.locks import owner_text
from jobs.tables.store import Commit

WHOLE_TABLE = "whole table"
"""Name of the partition of a commit that replaces a whole table."""


class RunRecord:
    """The record of one run, and what its commits carry of it.

    Attributes:
        run_id: sorts by the time of the start.
        dates: data date -> fingerprint with its parts.
        notes: what the line that people read says beside the rows.
        lineage: fingerprints as they were when the run began.
    """

    def __init__(self, job: Job, project: Project) -> None:
        self._project = project
        self._job = job
        self.run_id = new_run_id()
        self.lineage = project.lineage(
            project.dates, expected=(job.name,), model_of_choice=project.arguments.model
        )
        made = {day: self.lineage.make(job.name, day) for day in project.dates}
        self.dates = {
            day: DateRecord(found.value, found.code, found.config, found.inputs)
            for day, found in made.items()
        }
        self.notes: list[str] = []
        self._recipe = self.lineage.recipe(job.name, max(project.dates))
        self.recipe_hash = self.lineage.recipe_hash(job.name)
        self._entry = Entry(
            run_id=self.run_id,
            job=job.name,
            model=project.config.model.name if job.is_per_model else "",
            code_revision=code_revision(project.folder),
            dates=self.dates,
        )
        self._started = time.monotonic()
        self._ended: float | None = None

    @property
    def owner(self) -> str:
        """What a lock says of its holder."""
        return owner_text(self.run_id)

    @property
    def newest(self) -> DateRecord:
        """Fingerprint of the (last) data date."""
        return self.dates[max(self.dates)]

    @property
    def code_revision(self) -> str:
        """Git revision of the project, for people."""
        return self._entry.code_revision

    @property
    def rows_written(self) -> Mapping[str, int]:
        """Table -> rows of its last commit."""
        return self._entry.rows

    @property
    def versions_read(self) -> dict[str, int]:
        """Table -> version that the run reads; the first read of a table pins it."""
        return self._entry.versions_read

    @property
    def seconds(self) -> float:
        """Seconds since the start; of an ended run, to its end."""
        return (self._ended or time.monotonic()) - self._started

    def add(self, commit: Commit) -> Commit:
        """Record a commit."""
        self._entry.rows[commit.table] = commit.rows
        self._entry.versions_written[commit.table] = commit.version
        return commit

    def made_of(self, content: str) -> str:
        """Return what a whole table is made of: some content, by the recipe of this run."""
        return f"{self.newest.code_hash}:{self.newest.config_hash}:{content}"

    def metadata(self, table: str, partitions: Sequence[str], made_of: str | None = None) -> dict[str, Any]:
        """Return what a commit carries: the run, and the fingerprint of each partition that it replaces.

        Args:
            table: its name.
            partitions: data dates, a training set, or WHOLE_TABLE; what is no data date carries the
                fingerprint of the newest one.
            made_of: see `made_of`.
        """
        of_dates = {str(data_date): record.fingerprint for data_date, record in self.dates.items()}
        metadata: dict[str, Any] = {
            "run_id": self.run_id,
            "job": self._job.name,
            "model": self._entry.model,
            "partitions": {name: of_dates.get(name, self.newest.fingerprint) for name in partitions},
        }
        columns = self._project.catalog[table].column_fingerprints
        if columns:
            code = self.newest.code_hash
            metadata["columns"] = {
                name: hash_of({"code": code, "is": what}) for name, what in columns.items()
            }
        return metadata | ({} if made_of is None else {"made_of": self.made_of(made_of)})

    def write_recipe(self) -> None:
        """Write what the hashes of code and configuration stand for, unless it is written."""
        known = {row["hash"] for row in self._project.store.rows("recipes")}
        rows = [
            {"hash": value, "kind": kind, "entries": [f"{name}={each}" for name, each in entries.items()]}
            for kind, value, entries in (
                ("code", self.newest.code_hash, self._recipe.code),
                ("config", self.newest.config_hash, self._recipe.config),
            )
            if value not in known
        ]
        if rows:
            metadata = {"run_id": self.run_id, "job": self._job.name}
            self._project.store.append_rows("recipes", rows, self.owner, metadata)

    def write_state(self, state: State, message: str = "") -> None:
        """Write a state of the run to the ledger; any but `started` ends it."""
        if state != "started":
            self._ended = time.monotonic()
        self._project.ledger.write(self._entry, state, self.seconds if self._ended else 0.0, message)


@cache
def code_revision(project: Path) -> str:
    """Return the git revision of the project, with a + if files differ; "unknown" outside of git."""
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=project,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
