"""The files that a data set's source offers, known by name, date and content hash."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import LamplighterError
from core.expressions import columns_of
from core.paths import local_path, resolve_uri
from core.schema import AttributeSource, Config
from jobs.tables.store import Store


@dataclass(frozen=True)
class SourceFile:
    """One file of the log or of attributes; `path` is relative to the source's root."""

    path: str
    full_path: Path
    sha256: str
    file_date: date | None  # of a log file: the date in its name


class Sources:
    """Files of one data set.

    A log file of date F holds rows of F and late rows of up to `lateness_days` before. Which dates a
    file really covers is known from the manifest (`source_files`) once it was read, so a night never
    looks at files later than itself unless they have been offered already.
    """

    def __init__(self, config: Config, store: Store, project: Path) -> None:
        self._source = config.source
        self._behaviours = config.behaviours
        self._store = store
        self.root = local_path(resolve_uri(config.source.root, project, "source.root"))

    def hashes(self, what: str, data_date: date) -> dict[str, str]:
        """Return `source <path>` -> SHA-256 of the files of a data date: the inputs of fingerprints.

        Args:
            what: "own": the log file that the date names; "log": all log files that hold rows of the date;
                "attributes": the files of users and items.
            data_date: the data date.
        """
        if what == "attributes":
            files = [self.attribute_file(part) for part in (self._source.users, self._source.items)]
        elif what == "own":
            own = self.log_file(data_date)
            files = [] if own is None else [own]
        else:
            files = self.covering(data_date)
        return {f"source {file.path}": file.sha256 for file in files}

    def log_file(self, day: date) -> SourceFile | None:
        """The file named by a date, or None."""
        path = self._source.events.path.format(data_date=day)
        return _source_file(self.root, path, day) if (self.root / path).is_file() else None

    def require_log_file(self, day: date, allow_missing: bool) -> SourceFile | None:
        """Return the log file of a date, with its columns checked.

        Raises:
            LamplighterError: there is none and `allow_missing` is not given, or it is not readable.
        """
        file = self.log_file(day)
        if file is None and not allow_missing:
            raise LamplighterError(self._missing(day))
        if file is not None:
            self.check_log_file(file)
        return file

    def _missing(self, day: date) -> str:
        path = self._source.events.path.format(data_date=day)
        last = self.last_log_date()
        if last is None:
            root = self.root.name
            return f"{path}: source file is missing, and so is every other; expected the log under {root}/"
        if day > last:
            return (
                f"{path}: data date {day} is after the last file, of {last}; wait for the file, or run with "
                "--allow-empty to continue without new events"
            )
        return f"{path}: source file is missing (the last is of {last}); deliver it, then run again"

    def files_of(self, dates: Sequence[date]) -> list[SourceFile]:
        """Return all log files that hold rows of some data dates, in the order of their dates."""
        files = {file.path: file for day in dates for file in self.covering(day)}
        for file in files.values():
            self.check_log_file(file)
        return sorted(files.values(), key=lambda file: str(file.file_date))

    def last_log_date(self) -> date | None:
        """Date of the newest log file."""
        pattern = Path(self._source.events.path.format(data_date="*"))
        prefix, suffix = pattern.name.split("*")
        dates = []
        for file in (self.root / pattern.parent).glob(pattern.name):
            text = file.name.removeprefix(prefix).removesuffix(suffix)
            try:
                dates.append(date.fromisoformat(text))
            except ValueError:
                continue  # not one of the log: its name holds no date
        return max(dates, default=None)

    def covering(self, day: date) -> list[SourceFile]:
        """The date's own file, and later ones that are known to hold rows of it."""
        last_possible = day + timedelta(days=self._source.events.lateness_days)
        later = [
            row
            for row in self._store.rows("source_files")
            if day < row["file_date"] <= last_possible and row["first_data_date"] <= day
        ]
        known = {(row["path"], row["sha256"]) for row in later}
        own = self.log_file(day)
        files = [] if own is None else [own]
        for row in sorted(later, key=lambda row: row["file_date"]):
            file = self.log_file(row["file_date"])
            if file is not None and (file.path, file.sha256) in known and file not in files:
                files.append(file)
        return files

    def attribute_file(self, source: AttributeSource) -> SourceFile:
        """A file of attributes.

        Raises:
            LamplighterError: it is not there.
        """
        if not (self.root / source.path).is_file():
            raise LamplighterError(
                f"{source.path}: attribute file is missing in {self.root.name}/; expected one Parquet file "
                f"with a row per {source.key}; put it there, then run again"
            )
        return _source_file(self.root, source.path, None)

    def check_log_file(self, file: SourceFile) -> pa.Schema:
        """Open a log file; see `check_file`."""
        return check_file(file, self.log_columns())

    def log_columns(self) -> set[str]:
        """Columns of a log file that the configuration reads."""
        mapped = [column.expr for column in self._source.events.columns.values()]
        behaved = [behaviour.expr for behaviour in self._behaviours.values()]
        texts = [*mapped, *behaved]
        return set(self._source.events.event_id).union(*(columns_of(text, "source") for text in texts))

    def check_attribute_file(self, file: SourceFile, source: AttributeSource) -> pa.Schema:
        """Open a file of attributes; see `check_file`."""
        return check_file(
            file, {source.key}.union(*(columns_of(m.expr, "source") for m in source.columns.values()))
        )


def check_file(file: SourceFile, needed: set[str]) -> pa.Schema:
    """Open a Parquet file and check its columns.

    Raises:
        LamplighterError: truncated, no Parquet, or a mapped column is missing.
    """
    try:
        schema = pq.ParquetFile(file.full_path).schema_arrow
    except (pa.ArrowInvalid, OSError) as error:
        raise LamplighterError(
            f"{file.path}: no readable Parquet file ({str(error).splitlines()[0].rstrip('.')}); expected a "
            "whole one; it may be truncated or another format: deliver it again, then run again"
        ) from error
    missing = sorted(needed - set(schema.names))
    if missing:
        raise LamplighterError(
            f"{file.path}: columns {missing} are missing; the file has {schema.names}; "
            "deliver the file with them, or change the mapping in conf/datasets, then run again"
        )
    return schema


def _source_file(root: Path, path: str, file_date: date | None) -> SourceFile:
    full_path = root / path
    stat = full_path.stat()
    return SourceFile(path, full_path, _sha256(full_path, stat.st_mtime_ns, stat.st_size), file_date)


@lru_cache(maxsize=4096)
def _sha256(path: Path, _mtime_ns: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
