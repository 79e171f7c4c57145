"""Configured paths as URIs, and the few file operations that jobs need on them.

A path in a configuration is a folder relative to the project, an absolute path, or a `file://` URI. It is
resolved once to a URI; everything else opens files through fsspec, so that another scheme needs an entry in
`SUPPORTED` and its fsspec package, and no change in the jobs.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated, Any
from urllib.parse import unquote, urlsplit

import fsspec
from pydantic import AfterValidator

from core.errors import ConfigError

SUPPORTED = ("file",)
EXPECTED = "expected a local folder or a file:// URI"
# Two characters, so that a Windows drive is no scheme. "s3:/b" is what a path library makes of "s3://b".
# What delta-rs takes for another character, or for the end of the path.
_NOT_OF_TABLES = re.compile(r"[\[\]|^\\\x00-\x1f]|%[0-9A-Fa-f]{2}")
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
    if scheme[1].lower() not in SUPPORTED:
        raise ValueError(f"{path}: scheme {scheme[1]} is not supported yet; {EXPECTED}")
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
        path: absolute, relative to the project, or a `file://` URI (percent-encoded, as URIs are).
        project: the project's folder, absolute.
        key: configuration key that holds the path, for the message.

    Raises:
        ConfigError: `check_path` refuses it, or no table could be in a folder of that name.
    """
    try:
        check_path(path)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from error
    local = (Path(unquote(urlsplit(path).path)) if _SCHEME.match(path) else project / path).absolute()
    if (found := _NOT_OF_TABLES.search(str(local))) is not None:
        raise ConfigError(
            f"{key}: {local}: no table can be in a folder with {found[0]!r} in its path; rename it"
        )
    return local.as_uri()


def join(uri: str, *names: str) -> str:
    """Return the URI of something below another; names are plain text, relative, without `..`."""
    return local_path(uri).joinpath(*names).as_uri()


def local_path(uri: str) -> Path:
    """Return the local path of a `file://` URI, for libraries that take no URI.

    Raises:
        ConfigError: the URI has another scheme.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ConfigError(f"{uri}: scheme {parts.scheme or '(none)'} has no local path; {EXPECTED}")
    return Path(unquote(parts.path))


def filesystem(uri: str) -> tuple[Any, str]:
    """Return fsspec's file system of a URI, and the path that it takes."""
    return fsspec.filesystem("file"), str(local_path(uri))


def exists(uri: str) -> bool:
    """Return whether there is a file or a folder."""
    files, path = filesystem(uri)
    return bool(files.exists(path))


def read_bytes(uri: str) -> bytes:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is none.
    """
    files, path = filesystem(uri)
    return bytes(files.cat_file(path))


@contextmanager
def replacing(uri: str) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes the place of `uri` when the block ends, or never.

    The content is written beside the file and renamed, so a reader sees the old content or the new one.
    Missing folders are made. An error inside the block leaves the old file.
    """
    files, path = filesystem(uri)
    part = f"{path}.part-{secrets.token_hex(4)}"
    files.makedirs(files._parent(path), exist_ok=True)
    try:
        with naming(path):
            with files.open(part, "wb") as file:
                yield file
            files.mv(part, path)  # one folder, so the local file system renames
    except BaseException:
        with suppress(OSError):
            files.rm_file(part)
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
