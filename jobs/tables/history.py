"""What the log of a table says, read without Delta: what each commit carries, and the table's protocol."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.paths import Place, listed

Metadata = Mapping[str, Any]


class Commits:
    """Metadata of the commits of one table, by version.

    A commit file never changes, so each is read once; one that was removed or written anew since is noticed
    by the time of its last change, in an object store by its ETag.
    Cost: one listing per call, one small file per new commit.
    """

    def __init__(self, folder: Place) -> None:
        self._log = folder / "_delta_log"
        self._read: dict[int, tuple[str, Metadata]] = {}  # version -> last change, metadata

    def read(self) -> Mapping[int, Metadata]:
        """Return version -> metadata of every commit in the log; {} for a commit that carries none of ours.

        Delta removes commit files 30 days after a checkpoint replaced them, so old versions may be absent.

        Raises:
            ValueError: naming a file that is no commit.
        """
        found: dict[int, tuple[str, Metadata]] = {}
        for file in listed(self._log, ".json"):
            if not file.where.stem.isdigit():
                continue
            version, known = int(file.where.stem), self._read.get(int(file.where.stem))
            is_known = known is not None and known[0] == file.changed
            found[version] = (
                known if known is not None and is_known else (file.changed, _metadata(file.where))
            )
        self._read = found
        return {version: found[version][1] for version in sorted(found)}


def actions(file: Place) -> list[dict[str, Any]]:
    """Return the actions of a commit file.

    Raises:
        ValueError: naming the file; it is empty, as a loss of power leaves it, or a line of it is no JSON.
    """
    try:
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise ValueError(f"{file}: no commit ({error})") from error
    if not found:
        raise ValueError(f"{file}: no commit (the file is empty)")
    return found


def refuse_empty_commit(folder: Place, version: int) -> None:
    """Refuse a version whose commit file is empty: delta-rs and Spark take it for a commit of nothing.

    A loss of power leaves such a file; an object store has whole files alone.

    Raises:
        ValueError: naming the file.
    """
    if not isinstance(folder, Path):
        return
    file = folder / "_delta_log" / f"{version:020}.json"
    if file.exists() and file.stat().st_size == 0:
        raise ValueError(f"{file}: no commit (the file is empty)")


def reader_features(folder: Place) -> frozenset[str]:
    """Return the reader features of a table's newest protocol; none where no commit file names a protocol.

    For tables that delta-rs does not open. Cost: reads commit files from the newest one back.
    """
    for file in filter(_is_whole, reversed(_commits(folder / "_delta_log"))):
        protocols = [action["protocol"] for action in actions(file) if "protocol" in action]
        if protocols:
            return frozenset(protocols[-1].get("readerFeatures", ()))
    return frozenset()


def is_written_by_spark(folder: Place) -> bool:
    """Return whether Spark has written the newest commit of a table that can be read, and not delta-rs."""
    newest = next(filter(_is_whole, reversed(_commits(folder / "_delta_log"))), None)
    infos = [each["commitInfo"] for each in actions(newest) if "commitInfo" in each] if newest else []
    return any(str(info.get("engineInfo", "")).startswith("Apache-Spark") for info in infos)


@dataclass(frozen=True)
class LogFault:
    """What is wrong in a log; `last_commit`: the broken file, if it is the newest commit's."""

    text: str
    last_commit: Place | None = None


def wrong_in_log(folder: Place, error: str, file: Place | None) -> LogFault | None:
    """Return what the files of a log say of an error; None if they are as they should be.

    Args:
        folder: of the table.
        error: text of the error that a reader or writer raised.
        file: that the error names.
    """
    log = folder / "_delta_log"
    commits = _commits(log)
    versions = [int(commit.stem) for commit in commits]
    if not versions:
        return LogFault("all commits are missing")
    if gap := sorted(set(range(versions[0], versions[-1])) - set(versions)):
        return LogFault(f"commit {gap[0]} is missing")
    if broken := next((commit for commit in reversed(commits) if not _is_whole(commit)), None):
        state = "cannot be read" if broken.stat().st_size else "is empty"
        return LogFault(f"commit file {broken.name} {state}", broken if broken == commits[-1] else None)
    newer = [int(each.where.stem) for each in listed(log, ".crc") if each.where.stem.isdigit()]
    if newer and max(newer) > versions[-1]:
        return LogFault(f"commit {max(newer)}, the last one, is missing")
    if asked := re.search(r"(?:to version|specified end version) (\d+)", error):
        return LogFault(f"commit {asked[1]} is missing (the last one is {versions[-1]})")
    if "Invalid Checkpoint" in error or "checkpoint" in str(file) or "Parquet" in error:
        return LogFault("the checkpoint is missing or cannot be read")
    if versions[0] > 0 and not list(log.glob("*.checkpoint*.parquet")):
        return LogFault("commit 0 is missing")
    is_unknown = "ernel error" in error or "FAILED_READ_FILE" in error
    return LogFault("a file cannot be read") if is_unknown else None


def _commits(log: Place) -> list[Place]:
    """Commit files, oldest first."""
    return [file.where for file in listed(log, ".json") if file.where.stem.isdigit()]


def _is_whole(commit: Place) -> bool:
    try:
        return bool(actions(commit))
    except ValueError:
        return False


def _metadata(file: Place) -> Metadata:
    for action in actions(file):
        if "commitInfo" in action:
            text = action["commitInfo"].get("userMetadata")
            return dict(json.loads(text)) if text else {}
    return {}
