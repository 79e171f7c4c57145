"""Files as they are delivered: found by path, folder or glob, known by the hash of their content."""

import bz2
import csv
import gzip
import hashlib
import io
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq

from core.errors import LamplighterError
from core.paths import Place, arrow_path, by_parts, path_under, state_of
from core.source import FileSource

HIDDEN = (".", "_")  # as for Spark: files that are being written, markers of success, checksums
OPENERS: dict[str, Callable[..., IO[Any]]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True)
class SourceFile:
    """One file of the log or of attributes, or the part of a Delta table that is of a date.

    Attributes:
        path: relative to the source's root; of a table with the date and, in brackets, its version.
        full_path: where it is.
        sha256: hash of its content.
        file_date: of the log: the date that it is of.
        version: of a Delta table.
    """

    path: str
    full_path: Place
    sha256: str
    file_date: date | None
    version: int | None = None


def found_at(root: Place, path: str) -> list[Place]:
    """Return what a path names: itself if it exists, or what a glob matches, in order."""
    if any(sign in path for sign in "*?["):
        base, pattern = (Path("/"), path.lstrip("/")) if Path(path).is_absolute() else (root, path)
        return sorted(base.glob(pattern), key=by_parts)
    place = below(root, path)
    return [place] if place.exists() else []


def below(root: Place, path: str) -> Place:
    """Return the place of a path under a root; an absolute one is on this machine, wherever the root is."""
    return Path(path) if Path(path).is_absolute() else root / path


def files_at(root: Place, path: str, file_format: str, data_date: date | None) -> list[SourceFile]:
    """Return the files that a path, a folder or a glob names, in the order of their paths.

    Args:
        root: folder that relative paths begin at.
        path: the path, with its date filled in.
        file_format: as declared; for the message.
        data_date: the date that the files are of.
    """
    files = [
        file
        for place in found_at(root, path)
        for file in (sorted(place.rglob("*"), key=by_parts) if place.is_dir() else [place])
        if file.is_file() and not any(part.startswith(HIDDEN) for part in _below(file, place))
    ]
    return [_source_file(root, file, data_date) for file in files]


def check_columns(file: SourceFile, source: FileSource, needed: set[str]) -> tuple[str, ...]:
    """Open a file and check its columns; return their names, of Parquet and ORC with their types.

    Of JSON nothing is known before it is read: a column that no row has is null.

    Raises:
        LamplighterError: truncated, another format, or a mapped column is missing.
    """
    columns = columns_of_file(file, source)
    missing = sorted(needed - set(columns))
    if columns and missing:
        raise LamplighterError(
            f"{file.path}: columns {missing} are missing; the file has {[*columns]}; deliver the file with "
            "them, or change the mapping in conf/datasets, then run again"
        )
    return tuple(f"{name} {kind}" for name, kind in columns.items())


def columns_of_file(file: SourceFile, source: FileSource) -> dict[str, str]:
    """Open a file and return its columns -> their types; of JSON none.

    Raises:
        LamplighterError: truncated, or another format.
    """
    try:
        return dict(_columns_of(file, source))
    except (
        pa.ArrowInvalid,
        pa.ArrowException,
        OSError,
        EOFError,
        UnicodeDecodeError,
        lzma.LZMAError,
    ) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        name = {"parquet": "Parquet", "csv": "CSV", "orc": "ORC"}.get(source.format, source.format)
        raise LamplighterError(
            f"{file.path}: no readable {name} file ({reason}); expected a whole one; it may be truncated or "
            "another format: deliver it again, then run again"
        ) from error


def _columns_of(file: SourceFile, source: FileSource) -> list[tuple[str, str]]:
    if source.format in ("parquet", "orc"):
        path, files = arrow_path(file.full_path)
        if source.format == "parquet":
            schema = pq.read_schema(path, filesystem=files)
        elif files is None:
            schema = orc.ORCFile(path).schema
        else:
            with files.open(path) as opened:
                schema = orc.ORCFile(opened).schema
        return [(field.name, str(field.type)) for field in schema]
    if source.format == "csv":
        return [(name, "string") for name in csv_header(file.full_path, source)]
    return []


def csv_header(path: Place, source: FileSource) -> list[str]:
    """Return the column names of a CSV file; without a header `_c0`, `_c1` ..., as Spark names them."""
    options = {name.lower(): value for name, value in source.options.items()}
    encoding = str(options.get("encoding", options.get("charset", "utf-8")))
    encoding = "utf-8-sig" if encoding.lower() == "utf-8" else encoding
    opener = OPENERS.get(path.suffix)
    with (
        path.open("rb") as raw,
        opener(raw, "rt", encoding=encoding) if opener else io.TextIOWrapper(raw, encoding) as text,
    ):
        separator, quote = (
            str(options.get("sep", options.get("delimiter", ","))),
            str(options.get("quote", '"')),
        )
        reader = csv.reader(text, delimiter=separator, quotechar=quote or None)
        first = next(reader, [])
    if has_header(source):
        return first
    return [f"_c{number}" for number in range(len(first))]


def has_header(source: FileSource) -> bool:
    """Return whether the first line of a CSV file names its columns; it does unless it is said otherwise."""
    value = {name.lower(): value for name, value in source.options.items()}.get("header", True)
    return str(value).lower() == "true"


def _below(file: Place, place: Place) -> list[str]:
    return path_under(place, file).split("/") if place != file else [file.name]


def _source_file(root: Place, file: Place, data_date: date | None) -> SourceFile:
    state = state_of(file)
    return SourceFile(path_under(root, file), file, _sha256(file, state.changed, state.size), data_date)


@lru_cache(maxsize=4096)
def _sha256(path: Place, _changed: str, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(cast(io.BufferedReader, file), "sha256").hexdigest()
