"""Rows of a test written as the source files that a data set declares, in a folder of their own."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
from deltalake import write_deltalake

from core.config_model import ENTITIES, EntityName
from core.dated_path import DatedPath
from core.errors import ConfigError
from core.schema import Config
from core.source import AttributeSource, FileSource, LogSource
from jobs.onboarding.offered import SUFFIXES, suffix_of
from jobs.tables.source_files import OPENERS, has_header
from jobs.tables.sources import Sources

Row = Mapping[str, Any]
ENDINGS = {"parquet": ".parquet", "csv": ".csv", "json": ".json", "orc": ".orc"}


def settings_of(config: Config, folder: Path) -> tuple[str, ...]:
    """Return the settings that make a data set read the files which `write_sources` writes into a folder."""
    settings = [f"source.root='{folder}'"]
    for name, source in _declared(config).items():
        settings.append(f"source.{name}.path='{_relative(source)}'")
        if source.version is not None:
            settings.append(f"source.{name}.version=null")
    return tuple(settings)


def write_sources(
    config: Config,
    sources: Sources,
    folder: Path,
    rows: Mapping[str, Mapping[date, Sequence[Row]] | Sequence[Row]],
) -> None:
    """Write the files of a data set.

    Args:
        config: its `source`.
        sources: which columns the data set reads: what no row has is null.
        folder: the root of the files.
        rows: `events`, `actions.NAME`, `users` and `items` -> date of a file -> rows; of attributes that are
            not in files per date, rows.

    Raises:
        ConfigError: rows of a data set that declares no such file, dates where it has none or none where it
            has some, or values of one column that do not fit together.
    """
    declared = _declared(config)
    if unknown := sorted(name for name, of_source in rows.items() if of_source and name not in declared):
        raise ConfigError(f"{unknown[0]}: the data set declares no source.{unknown[0]}; leave the rows out")
    for name, source in declared.items():
        given, is_dated = rows.get(name) or {}, _dated(source) is not None
        if given and is_dated != isinstance(given, Mapping):
            wanted = "rows by the date of their file" if is_dated else "rows without dates: it is one file"
            raise ConfigError(f"{name}: expected {wanted}, as source.{name} is declared")
        by_date: Mapping[Any, Sequence[Row]] = given if isinstance(given, Mapping) else {None: given}
        if not is_dated:
            by_date = by_date or {None: ()}
        every = [row for of_date in by_date.values() for row in of_date]
        schema = _schema(every, _columns(sources, name), name, source)
        for day, of_date in by_date.items():
            _write(folder / _file(_path(source, day), source), of_date, schema, source, day)


def _declared(config: Config) -> dict[str, FileSource]:
    """Return the sources of a data set by their keys below `source`."""
    source = config.source
    attributes = {f"{entity}s": found for entity in ENTITIES if (found := source.of(entity)) is not None}
    actions = {f"actions.{name}": action for name, action in source.actions.items()}
    return {"events": source.events, **actions, **attributes}


def _columns(sources: Sources, name: str) -> set[str]:
    """Return the columns that the data set reads of one of its sources."""
    kind, _, action = name.partition(".")
    if action:
        return set(sources.actions[action].columns)
    if kind == "events":
        return set(sources.log.columns)
    entity: EntityName = "user" if kind == "users" else "item"
    offered = sources.attributes_of(entity)
    return set() if offered is None else offered.columns()


def _relative(source: FileSource) -> str:
    return source.path.lstrip("/")


def _dated(source: FileSource) -> DatedPath | None:
    """Return the path with its date; None: the rows of all dates are in one file. A log always has dates."""
    dated = source.dated if isinstance(source, LogSource | AttributeSource) else None
    return None if dated is None else replace(dated, text=_relative(source))


def _path(source: FileSource, day: date | None) -> str:
    dated = _dated(source)
    return _relative(source) if dated is None or day is None else dated.of(day)


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
            column = source.date_column if isinstance(source, LogSource) else None
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
