"""A sample of a file as text or typed values, without Spark: its format, columns and some rows.

What a reader of Spark has to be told (separator, header, encoding) is found out on the way.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.orc as orc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from core.errors import ConfigError
from core.source import FileFormat
from jobs.onboarding.offered import SUFFIXES, suffix_of
from jobs.tables.source_files import OPENERS

MOST_ROWS = 10_000
"""Rows that a sample keeps, evenly spread over what was read."""
MOST_READ = 500_000
"""Rows that are read of one file."""
MOST_UNREADABLE = 0.02
"""Share of values that may be of another kind than the others: a log has some that are broken."""
SEPARATORS = (",", ";", "\t", "|")

Row = TypeVar("Row")


@dataclass(frozen=True)
class Format:
    """How a file is read: its format, options of Spark's reader, and the reason of each option."""

    name: FileFormat
    options: Mapping[str, str | bool] = field(default_factory=dict)
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Sample:
    """Some rows of a file, column by column.

    Attributes:
        columns: name -> values; of text files as they stand there, empty ones as None.
        types: name -> type: "text" of text files and strings, else that of Arrow.
        rows: rows that were read; of Parquet and ORC all of the file.
    """

    columns: Mapping[str, list[Any]]
    types: Mapping[str, str]
    rows: int


def format_of(file: Path) -> Format:
    """Return the format of a file, by its content first and then by its name.

    Raises:
        ConfigError: nothing that Spark reads.
    """
    if file.is_dir():
        return Format("delta")
    with file.open("rb") as content:
        start = content.read(4)
    if start == b"PAR1":
        return Format("parquet")
    if start[:3] == b"ORC":
        return Format("orc")
    if start[:2] == b"\x1f\x8b" and file.suffix != ".gz":
        raise ConfigError(f"{file}: compressed by gzip, which Spark knows by the ending .gz alone; rename it")
    if start[:2] == b"PK" or start == b"\x28\xb5\x2f\xfd":
        raise ConfigError(f"{file}: a compression that is not read; expected plain text, .gz, .bz2 or .xz")
    encoding = _encoding(file)
    lines = list(islice(_lines(file, encoding), 200))
    first = next((line.lstrip() for line in lines if line.strip()), "")
    options: dict[str, str | bool] = {} if encoding == "utf-8" else {"encoding": encoding}
    reasons = [] if encoding == "utf-8" else ["the text is no UTF-8"]
    if first[:1] in ("{", "[") and SUFFIXES.get(suffix_of(file)) != "csv":
        if first.startswith("["):
            options["multiLine"], reasons = True, [*reasons, "the file is one JSON array"]
        return Format("json", options, reasons)
    separator = max(SEPARATORS, key=lambda each: _columns_by(each, lines))
    if separator != ",":
        options["sep"], reasons = separator, [*reasons, f"{separator!r} parts the lines alike"]
    if not _is_header(next(csv.reader(lines, delimiter=separator), [])):
        options["header"], reasons = False, [*reasons, "the first line holds values, not names"]
    return Format("csv", options, reasons)


def sample_of(file: Path, form: Format) -> Sample:
    """Return rows of a file, evenly spread over its first `MOST_READ`.

    Raises:
        ConfigError: the file holds no rows, or cannot be read as what it seems to be.
    """
    try:
        if form.name in ("parquet", "orc", "delta"):
            sample = _of_arrow(file, form)
        else:
            rows = _of_csv(file, form) if form.name == "csv" else _of_json(file, form)
            sample = _of_rows(*_thinned(rows))
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{file}: cannot be read as {form.name}: {str(error).splitlines()[0]}") from error
    if not sample.rows:
        raise ConfigError(f"{file}: holds no rows; expected some to look at")
    return sample


def _of_arrow(file: Path, form: Format) -> Sample:
    if form.name == "parquet":
        opened = pq.ParquetFile(file)
        rows, batches = opened.metadata.num_rows, opened.iter_batches(65_536)
    elif form.name == "orc":
        table = orc.ORCFile(file).read()
        rows, batches = table.num_rows, iter(table.to_batches(65_536))
    else:
        files = [unquote(each) for each in DeltaTable(file).file_uris()]
        dataset = ds.dataset(files, format="parquet", partitioning=ds.partitioning(flavor="hive"))
        rows, batches = dataset.count_rows(), dataset.to_batches(batch_size=65_536)
    step = max(1, min(rows, MOST_READ) // MOST_ROWS)
    kept, read = [], 0
    for batch in batches:
        kept.append(batch.take(pa.array(range(-read % step, batch.num_rows, step))))
        read += batch.num_rows
        if read >= MOST_READ:
            break
    if not kept:
        return Sample({}, {}, 0)
    table = pa.Table.from_batches(kept)
    texts = {name: table[name].cast(pa.string()) for name in table.column_names if _is_text(table[name].type)}
    return Sample(
        {name: texts.get(name, table[name]).to_pylist() for name in table.column_names},
        {name: "text" if name in texts else str(table[name].type) for name in table.column_names},
        rows,
    )


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _of_csv(file: Path, form: Format) -> Iterator[Mapping[str, Any]]:
    encoding = str(form.options.get("encoding", "utf-8"))
    reader = csv.reader(_lines(file, encoding), delimiter=str(form.options.get("sep", ",")))
    names: list[str] | None = None
    for cells in reader:
        if names is None:
            has_names = form.options.get("header", True) is True
            names = cells if has_names else [f"_c{number}" for number in range(len(cells))]
            if has_names:
                continue
        if len(cells) == len(names):
            yield {name: cell or None for name, cell in zip(names, cells, strict=True)}


def _of_json(file: Path, form: Format) -> Iterator[Mapping[str, Any]]:
    lines = _lines(file, str(form.options.get("encoding", "utf-8")))
    texts: Iterable[str] = lines
    if form.options.get("multiLine"):
        yield from (_plain(row) for row in json.loads("".join(lines), parse_int=str, parse_float=str))
        return
    for text in texts:
        if text.strip():
            yield _plain(json.loads(text, parse_int=str, parse_float=str))


def _plain(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in row.items()}


def _thinned(rows: Iterator[Row]) -> tuple[list[Row], int]:
    """Return rows evenly spread over the first `MOST_READ`, and how many those are."""
    kept: list[Row] = []
    step, read = 1, 0
    for row in islice(rows, MOST_READ):
        if read % step == 0:
            kept.append(row)
            if len(kept) >= 2 * MOST_ROWS:
                kept, step = kept[::2], 2 * step
        read += 1
    return kept, read


def _of_rows(kept: Sequence[Mapping[str, Any]], read: int) -> Sample:
    names = list(dict.fromkeys(name for row in kept for name in row))
    columns = {name: [row.get(name) for row in kept] for name in names}
    types = {
        name: "nested" if any(isinstance(value, list | dict) for value in values) else "text"
        for name, values in columns.items()
    }
    return Sample(columns, types, read)


def _lines(file: Path, encoding: str) -> Iterator[str]:
    opener = OPENERS.get(file.suffix, open)
    with opener(file, "rt", encoding="utf-8-sig" if encoding == "utf-8" else encoding, newline="") as text:
        yield from text


def _encoding(file: Path) -> str:
    with OPENERS.get(file.suffix, open)(file, "rb") as content:
        start = content.read(1_000_000)
    try:
        start[: start.rfind(b"\n") + 1 or None].decode("utf-8")
    except UnicodeDecodeError:
        return "latin1"
    return "utf-8"


def _columns_by(separator: str, lines: Sequence[str]) -> int:
    """Return into how many columns a separator parts the first line and most others; 1 if it does not."""
    widths = [len(cells) for cells in csv.reader(lines, delimiter=separator) if cells]
    return widths[0] if widths and widths.count(widths[0]) >= 0.9 * len(widths) else 1


def _is_header(cells: Sequence[str]) -> bool:
    """Return whether cells are names: each is there once, and none begins like a number."""
    return (
        bool(cells)
        and len(set(cells)) == len(cells)
        and all(cell.strip() and not cell.strip().lstrip("+-.")[:1].isdigit() for cell in cells)
    )
