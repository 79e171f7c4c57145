"""PostgreSQL for MLflow and for locks: a server with its data in one folder (Debian's package, or any)."""

import os
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.cluster.process import Service, ServiceError, free_port

USER = "lamplighter"


@dataclass(frozen=True)
class PostgreSQL:
    """A running server."""

    uri: str  # postgresql://USER:PASSWORD@127.0.0.1:PORT/DATABASE
    service: Service


def binaries() -> Path:
    """Return the folder of `postgres` and `initdb`: PATH's, else the newest of Debian's.

    Raises:
        ServiceError: there is none.
    """
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(versions, key=lambda file: int(re.sub(r"\D", "", file.parts[-3])), default=None)
    if newest is None:
        raise ServiceError("PostgreSQL is missing: apt-get install postgresql")
    return newest.parent


@contextmanager
def postgres(folder: Path, database: str = "lamplighter") -> Iterator[PostgreSQL]:
    """Serve databases of a folder while the block runs; make them if the folder has none.

    PostgreSQL refuses to run as root: root runs it as the user `postgres`, who must be able to reach the
    folder.

    Raises:
        ServiceError: PostgreSQL is missing or does not start.
    """
    server_user = "postgres" if os.geteuid() == 0 else None
    data, password_file = folder / "data", folder / "password"
    folder.mkdir(parents=True, exist_ok=True)
    if server_user:
        shutil.chown(folder, server_user, server_user)
    if not (data / "PG_VERSION").exists():
        _initialise(data, password_file, server_user)
    port = free_port()
    address = ["-h", "127.0.0.1", "-p", str(port)]
    service = Service(
        "PostgreSQL",
        # No Unix socket: its path may be too long, and TCP is what clients use.
        [str(binaries() / "postgres"), "-D", str(data), *address, "-c", "unix_socket_directories="],
        folder / "postgres.log",
        lambda: _run("pg_isready", *address, "-q").returncode == 0,
        user=server_user,
        stop_signal=signal.SIGINT,  # "fast": open connections are ended
    )
    try:
        password = password_file.read_text().strip()
        created = _run("createdb", *address, "-U", USER, database, PGPASSWORD=password)
        if created.returncode and "already exists" not in created.stdout:
            raise ServiceError(f"PostgreSQL: createdb {database}: {created.stdout.strip()}")
        yield PostgreSQL(f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}", service)
    finally:
        service.stop()


def _initialise(data: Path, password_file: Path, user: str | None) -> None:
    shutil.rmtree(
        data, ignore_errors=True
    )  # half-made: PG_VERSION is written early, but a failed initdb removes it
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_hex(16))
    if user:
        shutil.chown(password_file, user, user)
    made = _run(
        *("initdb", "-D", str(data), "-U", USER, "--auth=scram-sha-256", f"--pwfile={password_file}"),
        *("--encoding=UTF8", "--locale=C.UTF-8"),
        as_user=user,
    )
    if made.returncode:
        raise ServiceError(f"PostgreSQL: initdb as {user or 'this user'}: {made.stdout.strip()}")


def _run(
    program: str, *arguments: str, as_user: str | None = None, **variables: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(binaries() / program), *arguments],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd="/",
        env=os.environ | variables,
        user=as_user,
        group=as_user,
        extra_groups=[] if as_user else None,
    )
