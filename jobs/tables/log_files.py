"""What one log offers: files of each data date, or the rows of a date in a Delta table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from core.errors import LamplighterError
from core.paths import Place, path_under
from core.source import IN_TABLES, FileSource, LogSource
from jobs.tables.column_changes import notices, refuse_changed
from jobs.tables.delta_source import dates_of_table, table_of_date
from jobs.tables.source_files import SourceFile, check_columns, columns_of_file, files_at, found_at


@dataclass(frozen=True)
class LogFiles:
    """The files of the log of impressions, or of a log of actions.

    Attributes:
        root: folder that relative paths begin at.
        source: how they are declared.
        columns: columns of a file that the configuration reads.
        typed: those of them that it does not read through a CAST.
        folder_of: returns the folder of a table.
        accepted: returns (path, sha256) -> data date of the files that were scanned before.
        passed: the same of the files whose columns were found right since.
    """

    root: Place
    source: LogSource
    columns: frozenset[str]
    typed: frozenset[str]
    folder_of: Callable[[FileSource], Place]
    accepted: Callable[[], Mapping[tuple[str, str], date]]
    passed: dict[tuple[str, str], date] = field(default_factory=dict)

    def of(self, data_date: date) -> list[SourceFile]:
        """Return the files of a date, in the order of their paths; none if there are none."""
        if self.source.format in IN_TABLES:
            return table_of_date(self.folder_of(self.source), self.source, data_date)
        return files_at(self.root, self.source.dated.of(data_date), self.source.format, data_date)

    def require(self, data_date: date, allow_missing: bool) -> list[SourceFile]:
        """Return the files of a date, with their columns checked.

        Raises:
            LamplighterError: there are none and `allow_missing` is not given, or one is not readable.
        """
        files = self.of(data_date)
        if not files and not allow_missing:
            raise LamplighterError(self._missing(data_date))
        return self.checked(files)

    def checked(self, files: list[SourceFile]) -> list[SourceFile]:
        """Return files whose columns are there, of new files with the types of the file before.

        Raises:
            LamplighterError: one is not readable, lacks a column or has one with another type.
        """
        for file in files:
            before = self._before(file)
            if before is not None:
                then = columns_of_file(before, self.source)
                now = columns_of_file(file, self.source)
                refuse_changed(file, now, before, then, self.columns, self.typed)
            check_columns(file, self.source, set(self.columns))
            self.passed[file.path, file.sha256] = file.file_date or date.min
        return files

    def notices(self, files: list[SourceFile]) -> list[str]:
        """Return what has changed in the columns of new files that stops none of them."""
        found: list[str] = []
        for file in files:
            if (before := self._before(file)) is not None:
                then = columns_of_file(before, self.source)
                found += notices(file, columns_of_file(file, self.source), then, self.columns)
        return found

    def _before(self, file: SourceFile) -> SourceFile | None:
        """Return the newest file of an earlier date that was accepted or has passed, for a new file."""
        accepted = self.accepted()
        if self.source.format in (*IN_TABLES, "json") or (file.path, file.sha256) in accepted:
            return None
        known, own = {**accepted, **self.passed}, file.file_date or date.min
        for day in sorted({day for day in known.values() if day < own}, reverse=True):
            for other in self.of(day):
                if (other.path, other.sha256) in known:
                    return other
        return None

    def last_date(self) -> date | None:
        """Return the newest date that there are files of."""
        if self.source.format in IN_TABLES:
            return max(dates_of_table(self.folder_of(self.source), self.source), default=None)
        dated = self.source.dated
        places = (path_under(self.root, place) for place in found_at(self.root, dated.pattern))
        return max((day for place in places if (day := dated.date_of(place))), default=None)

    def _missing(self, data_date: date) -> str:
        path = self.source.path if self.source.format in IN_TABLES else self.source.dated.of(data_date)
        last = self.last_date()
        if last is None:
            root = self.root.name
            return f"{path}: source file is missing, and so is every other; expected the log under {root}/"
        if data_date > last:
            return (
                f"{path}: data date {data_date} is after the last file, of {last}; wait for the file, or run "
                "with --allow-empty to continue without new events"
            )
        return (
            f"{path}: source file is missing (the last is of {last}); deliver it, then run again, or, if "
            f"there were no events on {data_date}, run with --allow-empty"
        )
