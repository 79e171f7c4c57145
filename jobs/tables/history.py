"""What the commits of a table carry, read from its log without Delta."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Metadata = Mapping[str, Any]


class Commits:
    """Metadata of the commits of one table, by version.

    A commit file never changes, so each is read once; one that was removed or written anew since is noticed
    by the time of its last change. Cost: one listing per call, one small file per new commit.
    """

    def __init__(self, folder: Path) -> None:
        self._log = folder / "_delta_log"
        self._read: dict[int, tuple[int, Metadata]] = {}  # version -> time of the last change, metadata

    def read(self) -> Mapping[int, Metadata]:
        """Return version -> metadata of every commit in the log; {} for a commit that carries none of ours.

        Delta removes commit files 30 days after a checkpoint replaced them, so old versions may be absent.
        """
        found: dict[int, tuple[int, Metadata]] = {}
        for file in self._log.glob("*.json"):
            if not file.stem.isdigit():
                continue
            version, changed = int(file.stem), file.stat().st_mtime_ns
            known = self._read.get(version)
            is_known = known is not None and known[0] == changed
            found[version] = known if known is not None and is_known else (changed, _metadata(file))
        self._read = found
        return {version: found[version][1] for version in sorted(found)}


def _metadata(file: Path) -> Metadata:
    for line in file.read_text().splitlines():
        if '"commitInfo"' in line:
            try:
                text = json.loads(line)["commitInfo"].get("userMetadata")
                return dict(json.loads(text)) if text else {}
            except ValueError:
                return {}  # a broken log; opening the table says so
    return {}
