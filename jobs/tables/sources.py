"""What a data set's source offers: files of the log and of attributes, by date and by hash of content."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from core.config_model import ENTITIES, EntityName
from core.dated_path import DatedPath
from core.expressions import columns_of, columns_without_cast
from core.lists import OwnFile
from core.paths import Place, place, resolve_uri
from core.schema import Config
from core.source import IN_TABLES, FileSource, LogSource
from core.source import Mapping as Column
from core.training_days import date_range
from jobs.tables.attribute_files import AttributeFiles, hash_of_files
from jobs.tables.delta_source import folder_of_table, table_of_date
from jobs.tables.log_files import LogFiles
from jobs.tables.session import spark_session
from jobs.tables.source_files import SourceFile, below, files_at
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
        self._config = config
        self._source = config.source
        self._folders: dict[str, Place] = {}  # of named tables
        self._store = store
        self.root = place(resolve_uri(config.source.root, project, "source.root"))
        self.unrecorded: tuple[dict[str, Any], ...] = ()
        events = config.source.events
        self.log = self._log(
            events, [*_expressions(events.columns), *_behaviours(config, None)], events.event_id
        )
        self.actions = {
            name: self._log(
                action,
                [action.action_time.expr, *action.join.values(), *_behaviours(config, name)],
                action.action_id,
            )
            for name, action in config.source.actions.items()
        }

    def _log(self, source: LogSource, texts: Iterable[str], names: Iterable[str]) -> LogFiles:
        texts = [*texts]
        columns = frozenset(names).union(*(columns_of(text, "source") for text in texts))
        typed = frozenset(names).union(*(columns_without_cast(text) for text in texts))
        return LogFiles(self.root, source, columns, typed, self._folder_of, lambda: self._accepted)

    def hashes(self, what: str, data_date: date) -> dict[str, str]:
        """Return `source <path>` -> SHA-256 of the files of a data date: the inputs of fingerprints.

        Args:
            what: "own": log files that the date names, actions included; "log": all log files that the events
                of the date follow from, and the re-admissions of rows that the date loses or gains;
                "attributes": the files of users and items that say what is valid on the date;
                "pools": files of items that lists name.
            data_date: the data date.
        """
        if what == "attributes":
            return {label: sha for part in self.attributes() for label, sha in part.hashes(data_date).items()}
        if what == "pools":
            return {
                f"source {source.path}": hash_of_files(self.pool_files(source, data_date))
                for source in self.pools
            }
        if what == "own":
            files = [file for log in self.logs.values() for file in log.of(data_date)]
        else:
            files = self.covering(data_date)
            if self.actions:
                files += [file for log in self.logs.values() for file in self._around(log, [data_date])]
        hashes = {f"source {file.path}": file.sha256 for file in files}
        for row in self.readmissions([data_date]) if what == "log" else ():
            hashes[f"re-admission of {row['selected']} of {row['source_path']}"] = row["source_sha256"]
        return hashes

    # --- logs -----------------------------------------------------------------------------------

    @property
    def logs(self) -> dict[str | None, LogFiles]:
        """None -> the log of impressions, name -> each log of actions."""
        logs: dict[str | None, LogFiles] = {None: self.log}
        logs.update(self.actions.items())
        return logs

    def log_files(self, data_date: date) -> list[SourceFile]:
        """Return the files of impressions of a date, in the order of their paths; none if there are none."""
        return self.log.of(data_date)

    def require_log_files(self, data_date: date, allow_missing: bool) -> list[SourceFile]:
        """Return the files of impressions of a date, with the columns of these and of actions checked.

        Raises:
            LamplighterError: there are none and `allow_missing` is not given, or one is not readable.
        """
        for actions in self.actions.values():
            actions.require(data_date, allow_missing)
        return self.log.require(data_date, allow_missing)

    def files_of(self, dates: Sequence[date]) -> list[SourceFile]:
        """Return all log files that the events of some data dates follow from, in the order of their dates.

        With actions, these are all files within `lateness_days` of the dates: an action of a later file may
        belong to an impression of the dates, or to a later impression.
        """
        files = {file.path: file for day in dates for file in self.covering(day)}
        if self.actions:
            files |= {file.path: file for file in self._around(self.log, dates)}
        return self.log.checked(sorted(files.values(), key=lambda file: (str(file.file_date), file.path)))

    def action_files_of(self, name: str, dates: Sequence[date]) -> list[SourceFile]:
        """Return the files of actions that may belong to impressions of some dates, or come again."""
        return self.actions[name].checked(self._around(self.actions[name], dates))

    def covering(self, data_date: date) -> list[SourceFile]:
        """Return the date's own files, and others that are known to hold rows of it.

        Those are later files of the manifest, within the horizon, and files with rows re-admitted to it.
        """
        later = [row for row in self._later([data_date]) if row["first_data_date"] <= data_date]
        readmitted = [row for row in self._readmissions if row["data_date"] == data_date]
        paths = {row["source_path"] for row in readmitted}
        days = sorted({row["file_date"] for row in readmitted} - {data_date})
        let_in = [file for day in days for file in self.log_files(day) if file.path in paths]
        found = [*self.log_files(data_date), *_known(self.log_files, later), *let_in]
        return [*{file.path: file for file in found}.values()]

    def is_offered(self, label: str, data_date: date) -> bool:
        """Return whether the log file is still there that an input of a data date names: `source <path>`."""
        days = {f"source {row['path']}": row["file_date"] for row in self.manifest}
        day = days.get(label, data_date)
        files = [file for log in self.logs.values() for file in log.of(day)]
        return label in {f"source {file.path}" for file in files}

    @cached_property
    def manifest(self) -> list[dict[str, Any]]:
        """Rows of `source_files`: every file that was offered, with what it held."""
        return self._store.rows("source_files")

    @cached_property
    def _accepted(self) -> dict[tuple[str, str], date]:
        return {(row["path"], row["sha256"]): row["file_date"] for row in self.manifest}

    def readmissions(self, dates: Sequence[date]) -> list[dict[str, Any]]:
        """Return the rows of `readmissions` that take rows from some data dates, or bring rows to them."""
        wanted = set(dates)
        return [row for row in self._readmissions if {row["data_date"], row["file_date"]} & wanted]

    @cached_property
    def _readmissions(self) -> list[dict[str, Any]]:
        rows = self._store.rows("readmissions")
        return sorted(rows, key=lambda row: (row["source_path"], row["selected"], row["data_date"]))

    def _around(self, log: LogFiles, dates: Sequence[date]) -> list[SourceFile]:
        """Return a log's files from `lateness_days` before some dates; later ones as far as known."""
        first = min(dates) - timedelta(days=self._source.events.lateness_days)
        offered = [file for day in date_range(first, max(dates)) for file in log.of(day)]
        return [*offered, *_known(log.of, self._later(dates))]

    def _later(self, dates: Sequence[date]) -> list[dict[str, Any]]:
        """Return the rows of the manifest of files up to `lateness_days` after some dates."""
        last = max(dates)
        last_possible = last + timedelta(days=self._source.events.lateness_days)
        offered = (*self.manifest, *self.unrecorded)
        return [row for row in offered if last < row["file_date"] <= last_possible]

    # --- attributes -----------------------------------------------------------------------------

    def attributes(self) -> list[AttributeFiles]:
        """Return what is offered of items and of users, where the data set has attributes."""
        return [files for entity in ENTITIES if (files := self.attributes_of(entity)) is not None]

    def attributes_of(self, entity: EntityName) -> AttributeFiles | None:
        """Return what is offered of one entity; None: it has no attributes."""
        source = self._source.of(entity)
        return None if source is None else AttributeFiles(self.root, source, self._folder_of)

    # --- pools of lists -------------------------------------------------------------------------

    @property
    def pools(self) -> list[OwnFile]:
        """Return the files of items that lists name, each path once."""
        named = (source for each in self._config.lists.values() for source in each.pool)
        return [*{source.path: source for source in named if isinstance(source, OwnFile)}.values()]

    def pool_files(self, source: OwnFile, data_date: date) -> list[SourceFile]:
        """Return the files of items of a data date; none if there are none."""
        if source.format in IN_TABLES:
            return table_of_date(self._folder_of(source), source, None)
        path = DatedPath(source.path).of(data_date)
        return files_at(self.root, path, source.format, None)

    # --- tables ---------------------------------------------------------------------------------

    def _folder_of(self, source: FileSource) -> Place:
        """Return the folder of a table; one that only has a name is looked up in the session's catalog."""
        if source.format != "table":
            return below(self.root, source.path)
        if source.path not in self._folders:
            self._folders[source.path] = folder_of_table(spark_session(self._config), source.path)
        return self._folders[source.path]


def _known(
    files_of: Callable[[date], list[SourceFile]], rows: Iterable[Mapping[str, Any]]
) -> list[SourceFile]:
    """Return the files of a log that rows of the manifest name, as they were offered then."""
    known = {(row["path"], row["sha256"]): row["file_date"] for row in rows}
    offered = [file for day in sorted(set(known.values())) for file in files_of(day)]
    return [file for file in offered if (file.path, file.sha256) in known]


def _expressions(columns: Mapping[str, Column]) -> list[str]:
    return [column.expr for column in columns.values()]


def _behaviours(config: Config, action: str | None) -> list[str]:
    """Return the expressions over the columns of one log."""
    return [behaviour.expr for behaviour in config.behaviours.values() if behaviour.action == action]
