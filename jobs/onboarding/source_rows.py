"""Rows of a test written as the source files that a data set declares, in a folder of their own."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
from deltalake import write_deltalake

from core.config_model import ENTITIES
from core.dated_path import DatedPath
from core.errors import ConfigError
from core.schema import Config
from core.source import EventSource, FileSource
from jobs.onboarding.offered import SUFFIXES, suffix_of
from jobs.tables.source_files import OPENERS, has_header
from jobs.tables.sources import Sources

Row = Mapping[str, Any]
ENDINGS = {"parquet": ".parquet", "csv": ".csv", "json": ".json", "orc": ".orc"}


def settings_of(config: Config, folder: Path) -> tuple[str, ...]:
    """Return the settings that make a data set read the files which `write_sources` writes into a folder."""
    parts = {
        "events": config.source.events, "users": config.source.users, "items": config.source.items
    }  # fmt: skip
    paths = [f"source.{name}.path='{_relative(part)}'" for name, part in parts.items() if part is not None]
    pinned = [
        f"source.{name}.version=null" for name, part in parts.items() if part and part.version is not None
    ]
    return (f"source.root='{folder}'", *paths, *pinned)


def write_sources(
    config: Config,
    sources: Sources,
    folder: Path,
    events: Mapping[date, Sequence[Row]],
    attributes: Mapping[str, Sequence[Row]],
) -> None:
    """Write the files of a data set.

    Args:
        config: its `source`.
        sources: which columns the data set reads: what no row has is null.
        folder: the root of the files.
        events: date of a file -> rows.
        attributes: "users" and "items" -> rows.

    Raises:
        ConfigError: rows of a data set that declares no such file, or values of one column that do not fit
            together.
    """
    if config.source.actions:
        raise ConfigError("source.actions: tests have no rows of logs of actions yet")
    log = config.source.events
    every = [row for rows in events.values() for row in rows]
    schema = _schema(every, set(sources.log.columns), "events", log)
    for day, rows in events.items():
        _write(folder / _file(DatedPath(_relative(log)).of(day), log), rows, schema, log, day)
    for entity in ENTITIES:
        name = f"{entity}s"
        source, rows = getattr(config.source, name), attributes.get(name, ())
        if source is None and rows:
            raise ConfigError(f"{name}: the data set declares no source.{name}; leave the rows out")
        if source is not None and source.snapshot_date != "undated":
            raise ConfigError(
                f"source.{name}: tests take undated attributes only, and these have dates; look at them with "
                "`lamplighter tables`"
            )
        offered = sources.attributes_of(entity)
        if source is not None and offered is not None:
            needed = _schema(rows, offered.columns(), name, source)
            _write(folder / _file(_relative(source), source), rows, needed, source, None)


def _relative(source: FileSource) -> str:
    return source.path.lstrip("/")


def _file(path: str, source: FileSource) -> str:
    """Return the file that is written at a path, a folder or a glob."""
    plain = path.replace("*", "0").replace("?", "0")
    if source.format == "delta" or suffix_of(Path(plain)) in SUFFIXES:
        return plain
    return f"{plain}/part-0{ENDINGS[source.format]}"


def _schema(rows: Sequence[Row], needed: set[str], what: str, source: FileSource) -> pa.Schema:
    """Return the columns of the rows, and those that the data set reads besides."""
    names = dict.fromkeys([*(name for row in rows for name in row), *sorted(needed)])
    if source.format in ("csv", "json"):
        return pa.schema([(name, pa.string()) for name in names])
    fields = []
    for name in names:
        try:
            kind = pa.array([row.get(name) for row in rows]).type
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ConfigError(
                f"{what}: values of column {name} are of several types; write all of them alike: {error}"
            ) from error
        fields.append((name, pa.string() if pa.types.is_null(kind) else kind))
    return pa.schema(fields)


def _write(file: Path, rows: Sequence[Row], schema: pa.Schema, source: FileSource, day: date | None) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    match source.format:
        case "csv" | "json":
            encoding = str(source.options.get("encoding", "utf-8"))
            with OPENERS.get(file.suffix, open)(file, "wt", encoding=encoding, newline="") as text:
                (_write_csv if source.format == "csv" else _write_json)(text, rows, schema, source)
        case "orc":
            orc.write_table(pa.Table.from_pylist([*rows], schema=schema), file)
        case "delta":
            column = source.date_column if isinstance(source, EventSource) else None
            if column is not None:
                rows = [{**row, column: day} for row in rows]
                schema = pa.schema([*(f for f in schema if f.name != column), (column, pa.date32())])
            write_deltalake(
                file, pa.Table.from_pylist([*rows], schema=schema), mode="append",
                partition_by=[column] if column else None,
            )  # fmt: skip
        case _:
            pq.write_table(pa.Table.from_pylist([*rows], schema=schema), file)


def _write_csv(text: IO[str], rows: Sequence[Row], schema: pa.Schema, source: FileSource) -> None:
    separator = str(source.options.get("sep", source.options.get("delimiter", ",")))
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    if has_header(source):
        writer.writerow(schema.names)
    writer.writerows([_text(row.get(name)) for name in schema.names] for row in rows)


def _write_json(text: IO[str], rows: Sequence[Row], schema: pa.Schema, source: FileSource) -> None:
    lines = io.StringIO()
    objects = [{name: _text(row[name]) for name in schema.names if row.get(name) is not None} for row in rows]
    if source.options.get("multiLine"):
        json.dump(objects, lines, ensure_ascii=False)
    else:
        lines.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)
    text.write(lines.getvalue())


def _text(value: Any) -> str | None:
    """Return a value as text files hold it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
