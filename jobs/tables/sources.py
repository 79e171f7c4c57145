"""What a data set's source offers: files of the log and of attributes, by date and by hash of content."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from core.config_model import ENTITIES, EntityName
from core.expressions import columns_of
from core.paths import local_path, resolve_uri
from core.schema import Config
from core.source import FileSource, LogSource
from core.source import Mapping as Column
from core.training_days import date_range
from jobs.tables.attribute_files import AttributeFiles
from jobs.tables.delta_source import folder_of_table
from jobs.tables.log_files import LogFiles
from jobs.tables.session import spark_session
from jobs.tables.source_files import SourceFile
from jobs.tables.store import Store


class Sources:
    """Files of one data set.

    Files of date F hold rows of F and late rows of up to `lateness_days` before. Which dates a file
    really covers is known from the manifest (`source_files`) once it was read, so a night never
    looks at files later than itself unless they have been offered already.
    """

    def __init__(self, config: Config, store: Store, project: Path) -> None:
        self._config = config
        self._source = config.source
        self._folders: dict[str, Path] = {}  # of named tables
        self._store = store
        self.root = local_path(resolve_uri(config.source.root, project, "source.root"))
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
        columns = frozenset(names).union(*(columns_of(text, "source") for text in texts))
        return LogFiles(self.root, source, columns, self._folder_of)

    def hashes(self, what: str, data_date: date) -> dict[str, str]:
        """Return `source <path>` -> SHA-256 of the files of a data date: the inputs of fingerprints.

        Args:
            what: "own": log files that the date names, actions included; "log": all log files that the events
                of the date follow from; "attributes": the files of users and items that say what is valid on
                the date.
            data_date: the data date.
        """
        if what == "attributes":
            return {label: sha for part in self.attributes() for label, sha in part.hashes(data_date).items()}
        logs = (self.log, *self.actions.values())
        if what == "own":
            files = [file for log in logs for file in log.of(data_date)]
        else:
            files = self.covering(data_date)
            files += [file for log in logs if self.actions for file in self._around(log, [data_date])]
        return {f"source {file.path}": file.sha256 for file in files}

    # --- logs -----------------------------------------------------------------------------------

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
        """Return the date's own files, and later ones that are known to hold rows of it."""
        later = [row for row in self._later([data_date]) if row["first_data_date"] <= data_date]
        return [*self.log.of(data_date), *_known(self.log, later)]

    def _around(self, log: LogFiles, dates: Sequence[date]) -> list[SourceFile]:
        """Return a log's files from `lateness_days` before some dates; later ones as far as known."""
        first = min(dates) - timedelta(days=self._source.events.lateness_days)
        offered = [file for day in date_range(first, max(dates)) for file in log.of(day)]
        return [*offered, *_known(log, self._later(dates))]

    def _later(self, dates: Sequence[date]) -> list[dict[str, Any]]:
        """Return the rows of the manifest of files up to `lateness_days` after some dates."""
        last = max(dates)
        last_possible = last + timedelta(days=self._source.events.lateness_days)
        return [row for row in self._store.rows("source_files") if last < row["file_date"] <= last_possible]

    # --- attributes -----------------------------------------------------------------------------

    def attributes(self) -> list[AttributeFiles]:
        """Return what is offered of items and of users, where the data set has attributes."""
        return [files for entity in ENTITIES if (files := self.attributes_of(entity)) is not None]

    def attributes_of(self, entity: EntityName) -> AttributeFiles | None:
        """Return what is offered of one entity; None: it has no attributes."""
        source = self._source.of(entity)
        return None if source is None else AttributeFiles(self.root, source, self._folder_of)

    # --- tables ---------------------------------------------------------------------------------

    def _folder_of(self, source: FileSource) -> Path:
        """Return the folder of a table; one that only has a name is looked up in the session's catalog."""
        if source.format != "table":
            return self.root / source.path
        if source.path not in self._folders:
            self._folders[source.path] = folder_of_table(spark_session(self._config), source.path)
        return self._folders[source.path]


def _known(log: LogFiles, rows: Iterable[Mapping[str, Any]]) -> list[SourceFile]:
    """Return the files of a log that rows of the manifest name, as they were offered then."""
    known = {(row["path"], row["sha256"]): row["file_date"] for row in rows}
    offered = [file for day in sorted(set(known.values())) for file in log.of(day)]
    return [file for file in offered if (file.path, file.sha256) in known]


def _expressions(columns: Mapping[str, Column]) -> list[str]:
    return [column.expr for column in columns.values()]


def _behaviours(config: Config, action: str | None) -> list[str]:
    """Return the expressions over the columns of one log."""
    return [behaviour.expr for behaviour in config.behaviours.values() if behaviour.action == action]
