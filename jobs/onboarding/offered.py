"""Files that somebody offers for a new data set: found at a path, with the date that their names spell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import takewhile
from pathlib import Path

from core.dated_path import DatedPath
from core.errors import ConfigError
from jobs.tables.source_files import HIDDEN

COMPRESSED = (".gz", ".bz2", ".xz")
SUFFIXES = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".orc": "orc",
}
"""Ending of a name, without that of a compression -> format that is tried first."""

_MADE_UP = re.compile(r"/.*(part-|[0-9a-f]{8})")
"""Names below a folder that a program made up; the next ones may be others."""
_BETWEEN = r"([-_. ]|/(?:[A-Za-z]{1,6}=)?)?"
_DATE = re.compile(
    rf"(?<!\d)((?:19|20)\d\d){_BETWEEN}(0[1-9]|1[0-2]){_BETWEEN}(0[1-9]|[12]\d|3[01])(?!\d)", re.ASCII
)


@dataclass(frozen=True)
class Offered:
    """Files of events, users or items.

    Attributes:
        root: folder that `path` begins at.
        path: as a configuration names it; of dated files with `{data_date}`.
        files: all of them; of a Delta table its folder.
        by_date: date -> files, where their names spell one.
        is_delta: whether it is a Delta table.
    """

    root: Path
    path: str
    files: tuple[Path, ...]
    by_date: Mapping[date, tuple[Path, ...]] = field(default_factory=dict)
    is_delta: bool = False

    @property
    def dates(self) -> list[date]:
        """The dates that names spell, in order."""
        return sorted(self.by_date)

    @property
    def newest(self) -> Path:
        """The first file of the last date, or the last file."""
        return self.by_date[self.dates[-1]][0] if self.by_date else self.files[-1]


def offered_at(text: str, flag: str) -> Offered:
    """Return the files at a path: a file, a folder, a glob, or a path with `{data_date}`.

    Args:
        text: the path.
        flag: who names it, for the message.

    Raises:
        ConfigError: there is nothing that could be data.
    """
    place = Path(text).expanduser().absolute()
    if (place / "_delta_log").is_dir():
        return Offered(place.parent, place.name, (place,), is_delta=True)
    if place.is_file():
        return _dated(place.parent, [place], place.name)
    root, pattern = _split(place)
    named = sorted(root.glob(DatedPath(pattern).pattern)) if pattern else []
    found = [place] if place.is_dir() else named
    files = [file for each in found for file in ([each] if each.is_file() else _below(each))]
    if place.is_dir():
        root, pattern = place.parent, place.name
    if not files:
        raise ConfigError(
            f"{flag} {text}: no data files; expected a file, a folder or a glob of {sorted(SUFFIXES)}, "
            f"perhaps with {list(COMPRESSED)}, or a Delta table"
        )
    return _dated(root, files, pattern)


def suffix_of(file: Path) -> str:
    """Return the ending of a file's name without that of its compression."""
    suffixes = [each for each in file.suffixes if each not in COMPRESSED]
    return suffixes[-1].lower() if suffixes else ""


def _split(place: Path) -> tuple[Path, str]:
    """Split a path before its first part that holds a sign of a glob or a date."""
    parts = place.parts
    first = next((n for n, part in enumerate(parts) if re.search(r"[*?{\[]", part)), len(parts))
    return Path(*parts[:first]), "/".join(parts[first:])


def _below(folder: Path) -> list[Path]:
    """Return the files of a folder, of the kind that most of them are."""
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(part.startswith(HIDDEN) for part in file.relative_to(folder).parts)
        and suffix_of(file) in {*SUFFIXES, ""}
    ]
    kinds = [suffix_of(file) for file in files]
    return [file for file in files if suffix_of(file) == max(sorted(set(kinds)), key=kinds.count)]


def _dated(root: Path, files: Sequence[Path], pattern: str) -> Offered:
    names = [file.relative_to(root).as_posix() for file in files]
    if "{" in pattern:
        path, dates = pattern, [DatedPath(pattern).date_of(name) for name in names]
    else:
        spelled = [_spelled(name) for name in names]
        dates = [day for _, day in spelled]
        path = (_common([text for text, _ in spelled]) if None not in dates else None) or pattern
    by_date: dict[date, tuple[Path, ...]] = {}
    for file, day in zip(files, dates, strict=True):
        if day is not None and "{" in path:
            by_date[day] = (*by_date.get(day, ()), file)
    return Offered(root, path, tuple(files), by_date)


def _spelled(name: str) -> tuple[str, date | None]:
    """Return a name with placeholders for the date that it spells, and the date."""
    days = [day for found in _DATE.finditer(name) if (day := _day(found)) is not None]
    if not days:
        return name, None

    def placeholder(found: re.Match[str]) -> str:
        if _day(found) != days[-1]:
            return found[0]
        form = f"%Y{found[2] or ''}%m{found[4] or ''}%d"
        return "{data_date}" if form == "%Y-%m-%d" else f"{{data_date:{form}}}"

    return "/".join(_of_folders(_parts(_DATE.sub(placeholder, name)), days[-1])), days[-1]


def _of_folders(parts: Sequence[str], day: date) -> list[str]:
    """Replace folders of the date's year and month: 2022/05/x-{data_date}."""
    found: list[str] = []
    forms = {f"{day:%Y}": "%Y", f"{day:%Y-%m}": "%Y-%m", f"{day:%Y%m}": "%Y%m"}
    for part in parts:
        is_below_year = bool(found) and found[-1] == "{data_date:%Y}"
        form = "%m" if is_below_year and part == f"{day:%m}" else forms.get(part)
        found.append(part if form is None else f"{{data_date:{form}}}")
    return found


def _day(found: re.Match[str]) -> date | None:
    try:
        return date(int(found[1]), int(found[3]), int(found[5]))
    except ValueError:
        return None


def _common(texts: Sequence[str]) -> str | None:
    """Return one path for all names: what differs is left out below the date's folder, else it is `*`."""
    if len(set(texts)) == 1 and not _MADE_UP.search(texts[0][texts[0].rindex("}") :]):
        return texts[0]
    folders = {text[: text.rindex("}") + len(text[text.rindex("}") :].split("/")[0])] for text in texts}
    if len(folders) == 1 and all("/" in text[text.rindex("}") :] for text in texts):
        return folders.pop()
    parts = [_parts(text) for text in texts]
    if len({len(each) for each in parts}) > 1:
        return None
    path = "/".join(map(_merged, zip(*parts, strict=True)))
    return path if all("{" in each for each in texts) and "{data_date" in path else None


def _parts(text: str) -> list[str]:
    """Return the parts of a path; a slash within a placeholder parts nothing."""
    return re.findall(r"(?:\{[^{}]*\}|[^/{])+", text)


def _merged(parts: Sequence[str]) -> str:
    if len(set(parts)) == 1:
        return parts[0]
    placeholders = {tuple(re.findall(r"\{[^{}]*\}", part)) for part in parts}
    if len(placeholders) > 1:
        return "*"
    start = _start([*parts])
    end = _start([part[len(start) :][::-1] for part in parts])[::-1]
    middle = "".join(placeholders.pop())
    start, end = re.sub("[0-9]+$", "", start), re.sub("^[0-9]+", "", end)  # counters have other digits, too
    if middle not in f"{start}{end}":  # the date stands between what differs
        return f"*{middle}*"
    return f"{start}*{end}"


def _start(texts: Sequence[str]) -> str:
    """Return what all texts begin with."""
    alike = takewhile(lambda signs: len(set(signs)) == 1, zip(*texts, strict=False))
    return "".join(signs[0] for signs in alike)
