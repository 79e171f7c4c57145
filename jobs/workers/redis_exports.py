"""Served lists in Redis: a hash per version, and one key that says which version counts.

lamplighter:DATASET:VERSION:users   hash: user id -> the list as JSON
lamplighter:DATASET:current         VERSION

A version is written by Spark's tasks, each with a connection of its own, and counts from the moment at which
one script has found it complete and has set `current`. Until then, and from the moment at which another takes
its place, a version has a time to live: what an ended export leaves goes away by itself, and a reader that
has just read `current` still finds its version.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.errors import ConfigError, LamplighterError

if TYPE_CHECKING:
    from redis import Redis

SCHEMES = ("redis", "rediss")
SECONDS_TO_LIVE = 24 * 3600
ROWS_PER_CALL = 500

_SWITCH = """
local found = redis.call('HLEN', KEYS[2])
if found ~= tonumber(ARGV[2]) then return found end
local before = redis.call('GET', KEYS[1])
redis.call('PERSIST', KEYS[2])
redis.call('SET', KEYS[1], ARGV[1])
if before and before ~= ARGV[1] then redis.call('EXPIRE', ARGV[3] .. before .. ':users', ARGV[4]) end
return found
"""

# A task of a killed export may write on, when the next export has switched to the version already.
_EXPIRE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then redis.call('EXPIRE', KEYS[2], ARGV[2]) end
"""


class RedisExports:
    """The exports of one data set in one Redis.

    Args:
        url: redis://[[user]:password@]host[:port][/db], rediss:// with TLS.
        dataset: name of the data set.

    Raises:
        ConfigError: no URL that the client takes.
    """

    def __init__(self, url: str, dataset: str) -> None:
        self.url, self.prefix = url, f"lamplighter:{dataset}:"
        try:
            self.place = _without_password(url)
            self._client = _connect(url)
        except ValueError as error:
            raise ConfigError(f"--to: {error}; expected redis://host:port/db") from error

    def current(self) -> str | None:
        """Return the version that counts; None: nothing was exported."""
        with _explained(self.place):
            found: Any = self._client.get(f"{self.prefix}current")
        return None if found is None else found.decode()

    def is_complete(self, version: str, count: int) -> bool:
        """Return whether all lists of a version are there."""
        with _explained(self.place):
            found: Any = self._client.hlen(_key(self.prefix, version))
        return bool(found == count)

    def write(self, lists: DataFrame, version: str, facts: Mapping[str, Any], count: int) -> None:
        """Write a version, over what an ended export left of it; no reader sees it yet.

        Cost: one pass over the lists; one call per 500 of them.

        Args:
            lists: one row per list; its first columns are what identifies it, up to `items`.
            version: its name.
            facts: not used: each list says what it is of.
            count: of lists; `switch` counts.
        """
        keys = lists.columns[: lists.columns.index("items")]
        field = F.concat_ws(":", *(F.col(key).cast("string") for key in keys))
        value = F.to_json(F.struct("*"), {"ignoreNullFields": "false"})
        rows = lists.select(field.alias("field"), value.alias("value"))
        with _explained(self.place):
            written = rows.mapInArrow(to_writer(self.url, self.prefix, version), "written bigint")
            written.agg(F.sum("written")).collect()

    def switch(self, version: str, count: int) -> None:
        """Make a version the one that counts, if it has all its lists; the one before expires in a day.

        Raises:
            LamplighterError: it has not.
        """
        keys = (f"{self.prefix}current", _key(self.prefix, version))
        with _explained(self.place):
            found: Any = self._client.eval(
                _SWITCH, len(keys), *keys, version, str(count), self.prefix, str(SECONDS_TO_LIVE)
            )
        if found != count:
            raise LamplighterError(
                f"export {self.place}: {keys[1]} holds {found:,} lists, expected {count:,}; nothing was "
                "switched. See that Redis has the memory and evicts nothing, then run the same command again"
            )


def to_writer(
    url: str, prefix: str, version: str
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return a function for `mapInArrow`: (field, value) into a hash; it gives the number of rows.

    Args:
        url: of Redis.
        prefix: of all keys of the data set.
        version: whose hash.
    """

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        client, key = _connect(url), _key(prefix, version)
        written = 0
        for batch in batches:
            fields, values = batch.column("field").to_pylist(), batch.column("value").to_pylist()
            for start in range(0, len(fields), ROWS_PER_CALL):
                part = slice(start, start + ROWS_PER_CALL)
                calls = client.pipeline()  # both or none: a hash without an end would stay for ever
                calls.hset(key, mapping=dict(zip(fields[part], values[part], strict=True)))
                calls.eval(_EXPIRE, 2, f"{prefix}current", key, version, str(SECONDS_TO_LIVE))
                calls.execute()
            written += len(fields)
        yield pa.RecordBatch.from_pydict({"written": pa.array([written], pa.int64())})

    return write


def _key(prefix: str, version: str) -> str:
    return f"{prefix}{version}:users"


def _connect(url: str) -> "Redis":
    from redis import Redis

    return Redis.from_url(url, socket_connect_timeout=10, socket_timeout=60)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@contextmanager
def _explained(place: str) -> Iterator[None]:
    """Turn errors of Redis, those that Spark's tasks met included, into one line.

    Raises:
        LamplighterError: Redis cannot be reached, or refuses.
    """
    from pyspark.errors import PySparkException
    from redis.exceptions import RedisError

    try:
        yield
    except (RedisError, PySparkException) as error:
        of_task = re.findall(r"^redis\.exceptions\.\w+: (.*)$", str(error), re.M)
        if isinstance(error, PySparkException) and not of_task:
            raise
        reason = of_task[-1] if of_task else " ".join(str(error).split())
        raise LamplighterError(
            f"export {place}: {reason.rstrip('.')}; nothing was switched. See that Redis has memory left "
            "and Spark's driver and executors can reach it, then run the same command again"
        ) from error
