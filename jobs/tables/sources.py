"""What a data set's source offers: files of the log and of attributes, by date and by hash of content."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from core.errors import LamplighterError
from core.expressions import columns_of
from core.paths import local_path, resolve_uri
from core.schema import Config
from core.source import AttributeSource, Mapping
from jobs.tables.delta_source import dates_of_table, table_of_date
from jobs.tables.source_files import SourceFile, check_columns, files_at, found_at
from jobs.tables.store import Store


class Sources:
    """Files of one data set.

    Files of date F hold rows of F and late rows of up to `lateness_days` before. Which dates a file
    really covers is known from the manifest (`source_files`) once it was read, so a night never
    looks at files later than itself unless they have been offered already. Later still are files with
    re-admitted rows (`readmissions`): they count for the data dates that these rows go to.

    The manifest and the re-admissions are read once: what a run reads is what its fingerprint says.

    Attributes:
        root: folder of the source.
        unrecorded: rows of the manifest that are not written yet: those of files that a plan has looked at.
    """

    def __init__(self, config: Config, store: Store, project: Path) -> None:
        self._source = config.source
        self._behaviours = config.behaviours
        self._store = store
        self.root = local_path(resolve_uri(config.source.root, project, "source.root"))
        self.unrecorded: tuple[dict[str, Any], ...] = ()

    def hashes(self, what: str, data_date: date) -> dict[str, str]:
        """Return `source <path>` -> SHA-256 of the files of a data date: the inputs of fingerprints.

        Args:
            what: "own": log files that the date names; "log": all log files that hold rows of the date, and
                the re-admissions of rows that the date loses or gains; "attributes": the files of users and
                items.
            data_date: the data date.
        """
        if what == "attributes":
            parts = (self._source.users, self._source.items)
            files = [file for part in parts if part is not None for file in self.attribute_files(part)]
        elif what == "own":
            files = self.log_files(data_date)
        else:
            files = self.covering(data_date)
        hashes = {f"source {file.path}": file.sha256 for file in files}
        for row in self.readmissions([data_date]) if what == "log" else ():
            hashes[f"re-admission of {row['selected']} of {row['source_path']}"] = row["source_sha256"]
        return hashes

    # --- the log --------------------------------------------------------------------------------

    def log_files(self, data_date: date) -> list[SourceFile]:
        """Return the files of a date, in the order of their paths; none if there are none."""
        events = self._source.events
        if events.format == "delta":
            return table_of_date(self.root, events, data_date)
        return files_at(self.root, events.dated.of(data_date), events.format, data_date)

    def require_log_files(self, data_date: date, allow_missing: bool) -> list[SourceFile]:
        """Return the log files of a date, with their columns checked.

        Raises:
            LamplighterError: there are none and `allow_missing` is not given, or one is not readable.
        """
        files = self.log_files(data_date)
        if not files and not allow_missing:
            raise LamplighterError(self._missing(data_date))
        for file in files:
            check_columns(file, self._source.events, self.log_columns())
        return files

    def files_of(self, dates: Sequence[date]) -> list[SourceFile]:
        """Return all log files that hold rows of some data dates, in the order of their dates."""
        files = {file.path: file for day in dates for file in self.covering(day)}
        for file in files.values():
            check_columns(file, self._source.events, self.log_columns())
        return sorted(files.values(), key=lambda file: (str(file.file_date), file.path))

    def covering(self, data_date: date) -> list[SourceFile]:
        """Return the date's own files, and others that are known to hold rows of it.

        Those are later files of the manifest, within the horizon, and files with rows re-admitted to it.
        """
        last_possible = data_date + timedelta(days=self._source.events.lateness_days)
        later = [
            row
            for row in (*self.manifest, *self.unrecorded)
            if data_date < row["file_date"] <= last_possible and row["first_data_date"] <= data_date
        ]
        known = {(row["path"], row["sha256"]) for row in later}
        readmitted = [row for row in self._readmissions if row["data_date"] == data_date]
        paths = {row["source_path"] for row in readmitted}
        dates = sorted({row["file_date"] for row in (*later, *readmitted)} - {data_date})
        offered = [file for date_ in dates for file in self.log_files(date_)]
        covering = [f for f in offered if (f.path, f.sha256) in known or f.path in paths]
        return [*self.log_files(data_date), *covering]

    def is_offered(self, label: str, data_date: date) -> bool:
        """Return whether the log file is still there that an input of a data date names: `source <path>`."""
        days = {f"source {row['path']}": row["file_date"] for row in self.manifest}
        files = self.log_files(days.get(label, data_date))
        return label in {f"source {file.path}" for file in files}

    @cached_property
    def manifest(self) -> list[dict[str, Any]]:
        """Rows of `source_files`: every file that was offered, with what it held."""
        return self._store.rows("source_files")

    def readmissions(self, dates: Sequence[date]) -> list[dict[str, Any]]:
        """Return the rows of `readmissions` that take rows from some data dates, or bring rows to them."""
        wanted = set(dates)
        return [row for row in self._readmissions if {row["data_date"], row["file_date"]} & wanted]

    @cached_property
    def _readmissions(self) -> list[dict[str, Any]]:
        rows = self._store.rows("readmissions")
        return sorted(rows, key=lambda row: (row["source_path"], row["selected"], row["data_date"]))

    def last_log_date(self) -> date | None:
        """Return the newest date that there are files of."""
        events = self._source.events
        if events.format == "delta":
            return max(dates_of_table(self.root, events), default=None)
        places = (
            (place.relative_to(self.root) if place.is_relative_to(self.root) else place).as_posix()
            for place in found_at(self.root, events.dated.pattern)
        )
        return max((day for place in places if (day := events.dated.date_of(place))), default=None)

    def log_columns(self) -> set[str]:
        """Return the columns of a log file that the configuration reads."""
        texts = [*_expressions(self._source.events.columns.values())]
        texts += [behaviour.expr for behaviour in self._behaviours.values()]
        return set(self._source.events.event_id).union(*(columns_of(text, "source") for text in texts))

    def _missing(self, data_date: date) -> str:
        events = self._source.events
        path = events.path if events.format == "delta" else events.dated.of(data_date)
        last = self.last_log_date()
        if last is None:
            root = self.root.name
            return f"{path}: source file is missing, and so is every other; expected the log under {root}/"
        if data_date > last:
            return (
                f"{path}: data date {data_date} is after the last file, of {last}; wait for the file, or run "
                "with --allow-empty to continue without new events"
            )
        return f"{path}: source file is missing (the last is of {last}); deliver it, then run again"

    # --- attributes -----------------------------------------------------------------------------

    def attribute_files(self, source: AttributeSource) -> list[SourceFile]:
        """Return the files of attributes.

        Raises:
            LamplighterError: there are none.
        """
        if source.format == "delta":
            return table_of_date(self.root, source, None)
        files = files_at(self.root, source.path, source.format, None)
        if not files:
            raise LamplighterError(
                f"{source.path}: attribute file is missing in {self.root.name}/; expected {source.format} "
                f"with a row per {source.key}; put it there, then run again"
            )
        return files

    def require_attribute_files(self, source: AttributeSource) -> list[SourceFile]:
        """Return the files of attributes, with their columns checked.

        Raises:
            LamplighterError: there are none, or one is not readable or lacks a column.
        """
        files = self.attribute_files(source)
        for file in files:
            check_columns(file, source, self.attribute_columns(source))
        return files

    def attribute_columns(self, source: AttributeSource) -> set[str]:
        """Return the columns of an attribute file that the configuration reads."""
        texts = [source.key, *_expressions(source.columns.values())]
        return set().union(*(columns_of(text, "source") for text in texts))


def _expressions(columns: Iterable[Mapping]) -> list[str]:
    return [column.expr for column in columns]
