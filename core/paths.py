"""Configured paths as URIs, and the few file operations that jobs need on them.

A configured path is a folder relative to the project, an absolute path, or a URI of `SUPPORTED`. It is
resolved once to a URI; `place` makes of it what Python opens files with: on this machine a `pathlib.Path`,
elsewhere a `UPath`, which has the same methods over fsspec. So one code reads and writes both.
"""

import io
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, TypeAlias
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator

from core.errors import ConfigError
from core.object_store import fsspec_options

if TYPE_CHECKING:  # imported by those alone who need it: local paths cost nothing
    from upath import UPath

    Place: TypeAlias = Path | UPath
else:
    Place: TypeAlias = Path
"""A folder or file: on this machine, or in an object store or HDFS."""

SUPPORTED = ("file", "s3a", "hdfs")
EXPECTED = "expected a local folder, or a URI that begins with file://, s3a:// or hdfs://"
_REMOTE = re.compile(r"(s3a|hdfs)://[A-Za-z0-9][A-Za-z0-9.:_-]*(/[A-Za-z0-9._=-]+)*/?")
# What delta-rs takes for another character, or for the end of the path.
_NOT_OF_TABLES = re.compile(r"[\[\]|^\\\x00-\x1f]|%[0-9A-Fa-f]{2}")
# Two characters, so that a Windows drive is no scheme. "s3:/b" is what a path library makes of "s3://b".
_SCHEME = re.compile(r"([A-Za-z][\w+.-]+):")


def check_path(path: str) -> str:
    """Return the path unchanged if it names a place that can be used.

    Raises:
        ValueError: it is empty, begins with ~, begins or ends with a space, or is a URI of another scheme,
            of another host, or without an absolute path.
    """
    _check_spelling(path, EXPECTED)
    scheme = _SCHEME.match(path)
    if scheme is None:
        return path
    name = "file" if scheme[1].lower() == "file" else scheme[1]
    if name not in SUPPORTED:
        hint = "; for S3 write s3a://" if scheme[1].lower() in ("s3", "s3a", "s3n") else ""
        raise ValueError(f"{path}: scheme {scheme[1]} is not supported; {EXPECTED}{hint}")
    if name != "file":
        if "@" in path:
            raise ValueError(
                "a URI with @ may hold a password; keys come from the environment (AWS_ACCESS_KEY_ID)"
            )
        if _REMOTE.fullmatch(path) is None or re.search(r"/\.{1,2}(/|$)", path):
            host = "bucket" if name == "s3a" else "host:port"
            raise ValueError(
                f"{path}: expected {name}://{host}/folder, with names of letters, digits, . _ = and - alone"
            )
        return path
    parts = urlsplit(path)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"{path}: host {parts.netloc} is not this machine; expected file:///absolute/path")
    if not parts.path.startswith("/"):
        raise ValueError(f"{path}: no absolute path; expected file:///absolute/path")
    if "?" in path or "#" in path:
        raise ValueError(f"{path}: ? and # end the path of a URI; write %3F and %23")
    return path


def check_source_path(path: str) -> str:
    """Return the path of source files unchanged if it is under a root or absolute, and no URI.

    Raises:
        ValueError: it is empty, begins with ~, begins or ends with a space, or is a URI.
    """
    expected = "expected a path under source.root, or an absolute one"
    _check_spelling(path, expected)
    if (scheme := _SCHEME.match(path)) is not None:
        raise ValueError(f"{path}: scheme {scheme[1]} is not supported for source files; {expected}")
    return path


def _check_spelling(path: str, expected: str) -> None:
    """Refuse what would become a folder that nobody means, such as one that is called `~`."""
    if not path.strip():
        raise ValueError(f"the path is empty; {expected}")
    if path != path.strip():
        raise ValueError(f"{path!r} begins or ends with a space; {expected}")
    if path.startswith("~"):
        raise ValueError(f"{path}: ~ is not replaced by a home folder; {expected}")


StoragePath = Annotated[str, AfterValidator(check_path)]
SourcePath = Annotated[str, AfterValidator(check_source_path)]
"""Types of configuration keys that hold a path: checked when the configuration is read."""


def resolve_uri(path: str, project: Path, key: str) -> str:
    """Resolve a configured path to a URI.

    Args:
        path: absolute, relative to the project, or a URI (`file://` is percent-encoded, as URIs are).
        project: the project's folder, absolute.
        key: configuration key that holds the path, for the message.

    Raises:
        ConfigError: `check_path` refuses it, or no table could be in a folder of that name.
    """
    try:
        check_path(path)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error
    scheme = _SCHEME.match(path)
    if scheme is not None and scheme[1] in SUPPORTED[1:]:
        return path.rstrip("/")
    local = (Path(unquote(urlsplit(path).path)) if scheme else project / path).absolute()
    if (found := _NOT_OF_TABLES.search(str(local))) is not None:
        raise ConfigError(
            f"{key}: {local}: no table can be in a folder with {found[0]!r} in its path; rename it"
        )
    return local.as_uri()


def join(uri: str, *names: str) -> str:
    """Return the URI of something below another; names are plain text, relative, without `..`."""
    if urlsplit(uri).scheme != "file":
        return "/".join((uri, *names))
    return local_path(uri).joinpath(*names).as_uri()


def local_path(uri: str) -> Path:
    """Return the local path of a `file://` URI, for what has to be on this machine.

    Raises:
        ConfigError: the URI has another scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ConfigError(
            f"{uri}: scheme {parts.scheme or '(none)'} has no local path; expected a local folder"
        )
    return Path(unquote(parts.path))


def place(uri: str) -> Place:
    """Return what to open a URI with: a local path, or a path of fsspec that has the same methods."""
    scheme = urlsplit(uri).scheme
    if scheme == "file":
        return local_path(uri)
    from upath import UPath

    made: UPath = UPath(uri, **fsspec_options(scheme))
    return made


def uri_of(where: Place) -> str:
    """Return the URI that `place` makes this place of."""
    if isinstance(where, Path):
        return where.as_uri()
    if where.protocol == "hdfs":  # fsspec takes the name node out of the path
        host, port = (where.storage_options.get(name) for name in ("host", "port"))
        return f"hdfs://{host or ''}{f':{port}' if port else ''}{where.path}"
    return str(where)


def name_of(where: Place) -> str:
    """Return a place as Spark, delta-rs and people write it: a local path, or a URI."""
    return str(where) if isinstance(where, Path) else uri_of(where)


def scheme_of(where: Place) -> str:
    """Return the scheme of a place: `file` on this machine."""
    return "file" if isinstance(where, Path) else str(where.protocol)


def arrow_path(where: Place) -> tuple[str, Any]:
    """Return a place as pyarrow takes it: the path, and its file system (None: this machine's)."""
    return (str(where), None) if isinstance(where, Path) else (where.path, where.fs)


def path_under(root: Place, where: Place) -> str:
    """Return the path of a place relative to a folder, with `/`; its own name where it is not below it."""
    if isinstance(root, Path) and isinstance(where, Path):
        return where.relative_to(root).as_posix() if where.is_relative_to(root) else str(where)
    return name_of(where).removeprefix(f"{name_of(root).rstrip('/')}/")


@dataclass(frozen=True)
class Listed:
    """One file of a folder; `changed`: another text after every change of the file."""

    where: Place
    size: int
    changed: str


def listed(folder: Place, suffix: str) -> list[Listed]:
    """Return the files of a folder that end with a suffix, by name; none if there is no such folder.

    Cost: one listing; on this machine a `stat` per file, too.
    """
    if isinstance(folder, Path):
        return [state_of(file) for file in sorted(folder.glob(f"*{suffix}"))]
    try:
        infos = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    found = {str(info["name"]).rpartition("/")[2]: info for info in infos if info["type"] == "file"}
    return [_of_info(folder / name, found[name]) for name in sorted(found) if name.endswith(suffix)]


def state_of(file: Place) -> Listed:
    """Return the size of a file, and what tells it from itself after a change."""
    if isinstance(file, Path):
        stat = file.stat()
        return Listed(file, stat.st_size, str(stat.st_mtime_ns))
    return _of_info(file, file.fs.info(file.path))


def _of_info(where: Place, info: Mapping[str, Any]) -> Listed:
    return Listed(where, info["size"], str(info.get("ETag") or info.get("mtime")))


def by_parts(where: Place) -> tuple[str, ...]:
    """Return what places are sorted by: their names, folder by folder."""
    return tuple(where.parts)


def exists(uri: str) -> bool:
    """Return whether there is a file or a folder."""
    return place(uri).exists()


def read_bytes(uri: str) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    return place(uri).read_bytes()


@contextmanager
def replacing(uri: str) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes the place of `uri` when the block ends, or never.

    The content is written beside the file and renamed, in an object store by one PUT: a reader sees the old
    content or the new one. (HDFS: it may find a part of it.) Missing folders are made. An error inside the
    block leaves the old file.
    """
    where = place(uri)
    if not isinstance(where, Path):
        content = io.BytesIO()
        yield content
        where.fs.pipe_file(where.path, content.getvalue())
        return
    part = where.with_name(f"{where.name}.part-{secrets.token_hex(4)}")
    try:
        with naming(where):
            where.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                yield file
            part.replace(where)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Add the path to an OSError of the block: that of a failed write or flush names no file by itself.

    Args:
        path: file or folder that the block writes.
    """
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_atomically(uri: str, content: bytes | str) -> None:
    """Replace a file, or write it for the first time; text is encoded as UTF-8."""
    with replacing(uri) as file:
        file.write(content.encode() if isinstance(content, str) else content)
