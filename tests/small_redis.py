"""A Redis of one's own, from Debian's package redis-server."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

NO_SERVER = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="no redis-server; apt-get install redis-server"
)


@contextmanager
def redis_server() -> Iterator[str]:
    """Start a server that keeps nothing on disk; give its URL."""
    from redis import Redis
    from redis.exceptions import ConnectionError as NotYet

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            url = f"redis://127.0.0.1:{port}/0"
            until = time.monotonic() + 20
            while True:
                try:
                    Redis.from_url(url).ping()
                    break
                except NotYet:
                    assert time.monotonic() < until, "redis-server does not start"
                    time.sleep(0.05)
            yield url
        finally:
            server.kill()
            server.wait()
