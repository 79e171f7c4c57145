"""How the columns of a log file differ from those of the file before it that was accepted.

A column that is new is ignored, with a notice. One that is read and is gone, or has another type, stops the
file: what it holds now is not what its mapping was written for. Text files have no types, and of JSON nothing
is known before it is read.
"""

import re
from collections.abc import Collection, Mapping

from core.errors import LamplighterError
from jobs.tables.source_files import SourceFile

KINDS = (
    ("whole number", ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")),
    ("number", ("halffloat", "float", "double")),
    ("text", ("string", "large_string", "string_view", "dictionary<values=string")),
    ("bytes", ("binary", "large_binary")),
    ("decimal", ("decimal",)),
)
"""Types that hold the same values in another width: kind -> how their names begin."""


def refuse_changed(
    file: SourceFile,
    columns: Mapping[str, str],
    before: SourceFile,
    columns_before: Mapping[str, str],
    needed: Collection[str],
    typed: Collection[str],
) -> None:
    """Stop where a file lacks a column that is read, or has it with another type than the file before.

    Args:
        file: that is offered now.
        columns: its columns -> types.
        before: the newest file of an earlier data date that was accepted.
        columns_before: its columns -> types.
        needed: columns that are read.
        typed: those of them that are not read through a CAST, which says that any type will do.

    Raises:
        LamplighterError: with each column, the type expected and the type found.
    """
    expected = {name: kind for name, kind in columns_before.items() if name in needed}
    gone = [
        f"column {name} is missing, expected {expected[name]}" for name in expected if name not in columns
    ]
    retyped = [
        f"column {name} is {columns[name]}, expected {kind}"
        for name, kind in expected.items()
        if name in typed and name in columns and kind_of(columns[name]) != kind_of(kind)
    ]
    if gone or retyped:
        cast = " (from: CAST(column AS type) reads any type)" if retyped else ""
        raise LamplighterError(
            f"{file.path} (data date {file.file_date}): {'; '.join([*gone, *retyped])}, as in {before.path}; "
            f"deliver the file as before; or, if files stay like this, change the mapping in the YAML{cast}"
        )


def notices(
    file: SourceFile,
    columns: Mapping[str, str],
    columns_before: Mapping[str, str],
    needed: Collection[str],
) -> list[str]:
    """Return one notice for the columns that are new in a file, and one for those that nobody misses."""
    new = [f"{name} ({kind})" for name, kind in columns.items() if name not in {*columns_before, *needed}]
    gone = [name for name in columns_before if name not in {*columns, *needed}]
    found = [f"{file.path}: new column {', '.join(new)} is not read"] if new else []
    return found + ([f"{file.path}: column {', '.join(gone)}, which nothing reads, is gone"] if gone else [])


def kind_of(arrow_type: str) -> str:
    """Return what a type holds, whatever its width."""
    found = next((kind for kind, names in KINDS if arrow_type.startswith(names)), arrow_type)
    return re.sub(r"^(timestamp|time|duration)\[(s|ms|us|ns)", r"\1[", found)
