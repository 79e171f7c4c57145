"""One writer per table for several machines: PostgreSQL's advisory locks, one session per lock.

The session that holds a lock is a connection of the JVM that commits (`hold`) or of Python (`commit`), so the
lock ends with that process, on whatever machine. PostgreSQL frees it, too, when the connection is lost while
the process lives on; a job asks before and after each commit (`confirm`), so that a commit which another
writer may have met is an error and never a finished step.
"""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError

EXPECTED = "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
# The server takes a client that does not answer for dead after about two minutes, and not after two hours.
_KEEPALIVE = "SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6"
_JDBC_NAMES = {"user": "user", "password": "password", "sslmode": "sslmode", "sslrootcert": "sslrootcert"}
_OF_KEY = """
locktype = 'advisory' AND granted AND objsubid = 1
AND (classid::bigint << 32 | objid::bigint) = {key}
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_HELD = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND" + _OF_KEY
_HOLDER = (
    "SELECT application_name, client_addr FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE" + _OF_KEY
)


class PostgresLocks:
    """`Locks` for any number of machines that reach one PostgreSQL database; see `jobs.tables.locks.Locks`.

    A role without rights on any table is enough. Connections must reach the server itself, or a pooler in
    session mode: in transaction mode the lock is not held, which `confirm` refuses.

    Args:
        database: postgresql:// URI; without a password, both drivers look into ~/.pgpass.
        root: URI of the folder that holds the tables: writers with the same root exclude each other.
        wait_seconds: how long `commit` waits for another writer.

    Raises:
        ConfigError: the URI is none, or has a parameter that not both drivers take.
    """

    def __init__(self, database: str, root: str, wait_seconds: float) -> None:
        self.database, self.root, self.wait_seconds = database, root.rstrip("/"), wait_seconds
        self._jdbc_url, self._jdbc_properties = _jdbc(database)
        self._held: dict[str, Any] = {}

    def key(self, table: str) -> int:
        """Return the number of a table's lock: 64 bits, equal for all writers of the table."""
        digest = hashlib.blake2b(f"{self.root}/{table}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, signed=True)

    @contextmanager
    def hold(self, spark: SparkSession, table: str, owner: str) -> Iterator[None]:
        """See `Locks.hold`."""
        connection = self._connect_in_jvm(spark, owner)
        try:
            if _first(connection, f"SELECT pg_try_advisory_lock({self.key(table)})") != "t":
                raise LamplighterError(self._busy(table))
            self._held[table] = connection
            yield
        finally:
            if self._held.get(table) is connection:
                del self._held[table]
            with suppress(OSError, Py4JError):  # a JVM that died has released its locks
                connection.close()

    def confirm(self, table: str) -> None:
        """See `Locks.confirm`."""
        connection = self._held.get(table)
        if connection is None:
            return
        try:
            is_held = _first(connection, _HELD.format(key=self.key(table))) == "1"
            reason = "a pooler in transaction mode ended the session"
        except Py4JError as error:
            is_held, reason = False, _reason(error)
        if not is_held:
            raise LamplighterError(
                f"{table}: its lock in PostgreSQL was lost ({reason}), so another writer may have committed "
                "at the same time; this run does not count as done. Run again once the database is reachable"
            )

    @contextmanager
    def commit(self, table: str, owner: str) -> Iterator[None]:
        """See `Locks.commit`."""
        key = self.key(table)
        with self._connect(owner) as connection:
            wait = max(1, round(self.wait_seconds * 1000))  # 0 would be for ever
            try:
                connection.execute(f"SET lock_timeout = {wait}".encode())
                connection.execute(f"SELECT pg_advisory_lock({key})".encode())
            except psycopg.errors.LockNotAvailable as error:
                raise LamplighterError(self._busy(table)) from error
            yield

    @contextmanager
    def _connect(self, owner: str) -> Iterator["psycopg.Connection[Any]"]:
        try:
            connection = psycopg.connect(
                self.database, autocommit=True, connect_timeout=10, application_name=owner
            )
            connection.execute(_KEEPALIVE.encode())
        except psycopg.Error as error:
            raise LamplighterError(self._unreachable(str(error))) from error
        try:
            yield connection
        finally:
            connection.close()

    def _connect_in_jvm(self, spark: SparkSession, owner: str) -> Any:
        """Return a connection of the JVM, which ends with it."""
        jvm: Any = spark.sparkContext._gateway.jvm  # type: ignore[union-attr]
        properties = jvm.java.util.Properties()
        more = {
            "ApplicationName": owner,
            "connectTimeout": "10",
            "socketTimeout": "30",
            "tcpKeepAlive": "true",
        }
        for name, value in (self._jdbc_properties | more).items():
            properties.setProperty(name, value)
        try:
            connection = jvm.org.postgresql.Driver().connect(self._jdbc_url, properties)
            connection.createStatement().execute(_KEEPALIVE)
        except TypeError as error:  # Py4J takes a class that is not there for a package
            raise LamplighterError(
                "locks: Spark has no PostgreSQL driver (org.postgresql:postgresql); run `tools/setup.sh`, or "
                "give it to spark-submit with --jars"
            ) from error
        except Py4JError as error:
            raise LamplighterError(self._unreachable(_reason(error))) from error
        return connection

    def _busy(self, table: str) -> str:
        with self._connect("lamplighter") as connection:
            holder = connection.execute(_HOLDER.format(key=self.key(table)).encode()).fetchone()
        name, address = holder or ("", None)
        # Roles do not see what sessions of other roles are called.
        owner = (name or "another process") + (f", on {address}" if address else "")
        return (
            f"{table}: another writer is at work ({owner}); expected one writer per table; "
            "wait until it ends, or end it, then run again"
        )

    def _unreachable(self, reason: str) -> str:
        place = re.sub(r"//[^@/]*@", "//", self._jdbc_url.removeprefix("jdbc:"))
        return (
            f"locks: {place} cannot be used: {(reason or 'no reason given').splitlines()[0]}; nothing "
            "was written without a lock. Start the database, or correct runtime.locks, then run again"
        )


def _jdbc(database: str) -> tuple[str, dict[str, str]]:
    """Return a postgresql:// URI as JDBC takes it: URL and properties."""
    try:
        parts = {k: str(v) for k, v in conninfo_to_dict(database).items()}
    except psycopg.Error as error:
        raise ConfigError(f"runtime.locks: {str(error).strip()}; {EXPECTED}") from error
    host, port, name = (parts.pop(each, "") for each in ("host", "port", "dbname"))
    surplus = sorted(parts.keys() - _JDBC_NAMES.keys())
    if not host or not name or host.startswith("/") or "user" not in parts or surplus:
        wrong = f"parameters {surplus} are not known" if surplus else "no host, user or database is named"
        raise ConfigError(f"runtime.locks: {wrong}; {EXPECTED}")
    return (
        f"jdbc:postgresql://{host}:{port or 5432}/{name}",
        {_JDBC_NAMES[key]: value for key, value in parts.items()},
    )


def _first(connection: Any, query: str) -> str:
    """Return the first value of a query as text."""
    statement = connection.createStatement()
    try:
        rows = statement.executeQuery(query)
        rows.next()
        return str(rows.getString(1))
    finally:
        statement.close()


def _reason(error: Py4JError) -> str:
    """Return the first line of a Java exception's message; of Py4J's own where the JVM is gone."""
    java = getattr(error, "java_exception", None)
    text = str(java.getMessage()) if java is not None else str(error)
    return text.splitlines()[0] if text else type(error).__name__
