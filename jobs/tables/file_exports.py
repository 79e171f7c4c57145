"""Served lists as files: a folder per version, and one file that says which version counts.

DIR/DATASET/FORMAT/VERSION/part-*     the rows; a version never changes once it is complete
DIR/DATASET/FORMAT/VERSION/_manifest.json   written last: what the version holds
DIR/DATASET/FORMAT/current.json       the manifest of the version that counts; replaced as a whole

A reader opens `current.json` and then the files that it names, so it never sees two versions. What an
ended export has left is written again; a version that is complete is not.
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from core.errors import LamplighterError
from core.paths import Place, exists, join, name_of, place, read_bytes, write_atomically
from jobs.tables.raw import escaped

FORMATS = ("parquet", "jsonl")
MANIFEST, CURRENT = "_manifest.json", "current.json"
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}-[0-9a-f]{12}")


class FileExports:
    """The exports of one data set in one format.

    Args:
        uri: of the folder DIR/DATASET/FORMAT.
        kind: one of FORMATS.
    """

    def __init__(self, uri: str, kind: str) -> None:
        self.uri, self.kind = uri, kind

    @property
    def place(self) -> str:
        """Where the lists are, for people."""
        return self.uri

    def current(self) -> str | None:
        """Return the version that counts; None: nothing was exported."""
        pointer = join(self.uri, CURRENT)
        return str(json.loads(read_bytes(pointer))["version"]) if exists(pointer) else None

    def is_complete(self, version: str, count: int) -> bool:
        """Return whether a version has a manifest of so many lists, and all files that it names."""
        folder = join(self.uri, version)
        if not exists(join(folder, MANIFEST)):
            return False
        manifest = json.loads(read_bytes(join(folder, MANIFEST)))
        return bool(manifest["lists"] == count) and all(
            exists(join(self.uri, file)) for file in manifest["files"]
        )

    def write(self, lists: DataFrame, version: str, facts: Mapping[str, Any], count: int) -> None:
        """Write a version, in place of what an ended export left of it; no reader sees it yet.

        Cost: one pass over the lists, and one over the files to count their rows.

        Args:
            lists: one row per list.
            version: its name.
            facts: what the manifest says of it.
            count: of lists.

        Raises:
            LamplighterError: the files hold another number of rows.
        """
        folder = join(self.uri, version)
        path = name_of(place(folder))
        writer = lists.write.mode("overwrite")
        if self.kind == "parquet":
            writer.parquet(path)
        else:
            writer.option("ignoreNullFields", False).json(path)
        found = self._rows(lists.sparkSession, place(folder))
        if found != count:
            raise LamplighterError(
                f"export {folder}: the files hold {found:,} lists, expected {count:,}; nothing was switched. "
                "Run the same command again"
            )
        names = sorted(file.name for file in place(folder).iterdir())
        manifest = dict(facts) | {"files": [f"{version}/{name}" for name in names if name[0] not in "._"]}
        write_atomically(join(folder, MANIFEST), json.dumps(manifest, indent=1) + "\n")

    def switch(self, version: str, count: int) -> None:
        """Make a complete version the one that counts, then remove all but it and the one before.

        Args:
            version: its name.
            count: of lists; those of the manifest.
        """
        before = self.current()
        write_atomically(join(self.uri, CURRENT), read_bytes(join(self.uri, version, MANIFEST)))
        if before == version:
            return
        for folder in [*place(self.uri).iterdir()]:
            if _VERSION.fullmatch(folder.name) and folder.name not in (before, version):
                _remove(folder)

    def _rows(self, spark: SparkSession, folder: Place) -> int:
        read = spark.read.parquet if self.kind == "parquet" else spark.read.text
        return read(escaped(folder)).count()


def _remove(folder: Place) -> None:
    """Remove a folder and what is in it."""
    if isinstance(folder, Path):
        shutil.rmtree(folder)
    else:
        folder.fs.rm(folder.path, recursive=True)
