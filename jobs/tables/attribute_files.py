"""What the source offers of users or items: one undated snapshot, a full snapshot per date, or changes."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from core.errors import LamplighterError
from core.expressions import columns_of, columns_without_cast
from core.paths import Place, path_under
from core.source import IN_TABLES, AttributeSource, FileSource
from jobs.tables.column_changes import refuse_changed
from jobs.tables.delta_source import dates_of_table, is_partitioned_by_date, table_of_date
from jobs.tables.source_files import SourceFile, check_columns, columns_of_file, files_at, found_at


@dataclass(frozen=True)
class AttributeFiles:
    """The files of one entity's attributes.

    Attributes:
        root: folder that relative paths begin at.
        source: how they are declared.
        folder_of: returns the folder of a table.
    """

    root: Place
    source: AttributeSource
    folder_of: Callable[[FileSource], Place]

    @property
    def is_by_date(self) -> bool:
        """Whether each date has files of its own."""
        if self.source.format in IN_TABLES:
            return self.source.day_column is not None and is_partitioned_by_date(
                self.folder_of(self.source), self.source
            )
        return self.source.dated is not None

    def hashes(self, data_date: date) -> dict[str, str]:
        """Return label -> hash of what is valid on a data date follows from.

        Of full snapshots that is the newest one up to the date: later ones only end what was valid before.
        Of changes in files per date all files up to it. Of anything else all of it.
        """
        if not self.is_by_date:
            return {f"source {file.path}": file.sha256 for file in self.all_files()}
        dates = [day for day in self.dates() if day <= data_date]
        if self.source.changed_at is None:
            dates = dates[-1:]
        files = [file for day in dates for file in self.files_of(day)]
        return {f"source {self.source.path}": hash_of_files(files)} if files else {}

    def dates(self) -> list[date]:
        """Return the dates that have files, in order; none if files are not of dates."""
        if self.source.format in IN_TABLES:
            return sorted(dates_of_table(self.folder_of(self.source), self.source))
        dated = self.source.dated
        if dated is None:
            return []
        places = (path_under(self.root, place) for place in found_at(self.root, dated.pattern))
        return sorted({day for place in places if (day := dated.date_of(place)) is not None})

    def files_of(self, day: date) -> list[SourceFile]:
        """Return the files of a date."""
        if self.source.format in IN_TABLES:
            return table_of_date(self.folder_of(self.source), self.source, day)
        dated = self.source.dated
        return [] if dated is None else files_at(self.root, dated.of(day), self.source.format, day)

    def all_files(self) -> list[SourceFile]:
        """Return the files of a source whose files are of no date.

        Raises:
            LamplighterError: there are none.
        """
        if self.source.format in IN_TABLES:
            return table_of_date(self.folder_of(self.source), self.source, None)
        files = files_at(self.root, self.source.path, self.source.format, None)
        if not files:
            raise self._missing()
        return files

    def require(self, data_date: date) -> None:
        """Check that there are files and that those of the newest date up to a data date have their columns.

        Raises:
            LamplighterError: there are none at all, or one is not readable or lacks a column.
        """
        if not self.is_by_date:
            self.checked(self.all_files())
            return
        dates = self.dates()
        if not dates:
            raise self._missing()
        self.checked(
            [file for day in [day for day in dates if day <= data_date][-1:] for file in self.files_of(day)]
        )

    def checked(self, files: list[SourceFile]) -> list[SourceFile]:
        """Return files whose columns are there, of dated ones with the types of the date before.

        Raises:
            LamplighterError: one is not readable, lacks a column or has one with another type.
        """
        if self.source.format not in IN_TABLES:
            for file in files:
                before = self._before(file)
                if before is not None:
                    then = columns_of_file(before, self.source)
                    now = columns_of_file(file, self.source)
                    typed = set().union(*map(columns_without_cast, self._texts()))
                    refuse_changed(file, now, before, then, self.columns(), typed)
                check_columns(file, self.source, self.columns())
        return files

    def _before(self, file: SourceFile) -> SourceFile | None:
        """Return a file of the date before that of a file, if there is one."""
        if file.file_date is None or self.source.format == "json":
            return None
        dates = [day for day in self.dates() if day < file.file_date]
        return next((other for day in dates[-1:] for other in self.files_of(day)), None)

    def columns(self) -> set[str]:
        """Return the source's columns that the configuration reads."""
        return set().union(*(columns_of(text, "source") for text in self._texts()))

    def _texts(self) -> list[str]:
        source = self.source
        days = [
            day
            for day in (source.snapshot_date, source.changed_at, source.valid_from)
            if not isinstance(day, str)
        ]
        texts = [source.key, *(day.expr for day in days if day is not None)]
        return [*texts, *(column.expr for column in source.columns.values())]

    def _missing(self) -> LamplighterError:
        source = self.source
        return LamplighterError(
            f"{source.path}: attribute file is missing in {self.root.name}/; expected {source.format} "
            f"with a row per {source.key}; put it there, then run again"
        )


def hash_of_files(files: Iterable[SourceFile]) -> str:
    """Return one hash of the content of files."""
    return hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()
