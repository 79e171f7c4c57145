"""The lists that readers are served, copied to where an online service reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError, LamplighterError
from core.paths import join, resolve_uri
from features.user_lists import to_user_lists
from jobs.runtime.lists import publications
from jobs.tables.file_exports import FORMATS, FileExports
from jobs.tables.ledger import new_run_id
from jobs.tables.locks import owner_text
from jobs.tables.store import Store
from jobs.workers.redis_exports import SCHEMES, RedisExports
from quality.publication import Publication


class Target(Protocol):
    """Where lists are exported to: versions, of which one counts."""

    @property
    def place(self) -> str:
        """Where, for people."""
        ...

    def current(self) -> str | None:
        """Return the version that counts."""
        ...

    def is_complete(self, version: str, count: int) -> bool:
        """Return whether a version has all its lists."""
        ...

    def write(self, lists: DataFrame, version: str, facts: Mapping[str, Any], count: int) -> None:
        """Write a version that no reader sees yet."""
        ...

    def switch(self, version: str, count: int) -> None:
        """Make a complete version the one that counts, in one step."""
        ...


@dataclass(frozen=True)
class Exported:
    """What an export has done.

    Attributes:
        version: data date and fingerprint of the lists.
        lists: number of lists.
        is_written: whether they were written; False: they were there.
        before: the version that counted before; None: none did.
        place: where.
    """

    version: str
    lists: int
    is_written: bool
    before: str | None
    place: str


def target_of(to: str, kind: str, dataset: str) -> Target:
    """Return where `--to` and `--format` say.

    Args:
        to: a folder, or the URL of a Redis.
        kind: format of files; empty: Parquet.
        dataset: name of the data set.

    Raises:
        ConfigError: they say nothing that lists can be exported to.
    """
    if urlsplit(to).scheme in SCHEMES:
        if kind:
            raise ConfigError(f"--format {kind} is of files, and --to names a Redis; leave one of them out")
        return RedisExports(to, dataset)
    kind = kind or "parquet"
    if kind not in FORMATS:
        raise ConfigError(f"--format {kind}: expected one of {', '.join(FORMATS)}")
    folder = resolve_uri(to, Path.cwd(), "--to")
    return FileExports(join(folder, dataset, kind), kind)


def export_lists(store: Store, spark: SparkSession, target: Target) -> Exported:
    """Write the served lists to a target, then make them the ones that count there.

    Lists that are there already, as after a rollback, are not written again. Ended early and run again, it
    does what is left; readers of the target see the lists of before or all of the new ones.
    Cost: one shuffle of users x K rows, and what the target says.

    Args:
        store: tables of the data set.
        spark: the session.
        target: where.

    Raises:
        LamplighterError: nothing was published yet, another export is at work, or the target does not hold
            all lists.
    """
    with store.locks.hold(spark, "export", owner_text(new_run_id())):
        scores, publication = _served(store, spark)
        keys = [name for name in store.catalog["current_scores"].grain if name != "rank"]
        count = scores.where(F.col("rank") == 1).count()
        version = f"{publication.data_date}-{publication.fingerprint[:12]}"
        before = target.current()
        is_written = not target.is_complete(version, count)
        if is_written:
            facts = {
                "version": version,
                "data_date": str(publication.data_date),
                "model_version": publication.model_version,
                "lists": count,
            }
            target.write(to_user_lists(scores, keys), version, facts, count)
        target.switch(version, count)
        return Exported(version, count, is_written, before, target.place)


def _served(store: Store, spark: SparkSession) -> tuple[DataFrame, Publication]:
    """Return `current_scores` as of one version, and the publication whose lists it holds."""
    version = store.version("current_scores")
    if version is None:
        raise LamplighterError("current_scores is empty: nothing was published yet; run a night first")
    seq = str(store.commits("current_scores")[version]["made_of"]).rpartition(":")[2]
    (publication,) = (row for row in publications(store) if str(row.seq) == seq)
    return store.read(spark, "current_scores", version), publication
