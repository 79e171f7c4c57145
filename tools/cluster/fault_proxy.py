"""A proxy in front of an object store that answers 503, holds a request up, or loses an answer, when told to.

It forwards bytes as they are, `Host` included, so signatures stay valid. It knows of HTTP only where a
request begins and ends: a fault begins with the next request, and never in the middle of one.
"""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

BODY = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
UNAVAILABLE = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: " + str(len(BODY)).encode() + b"\r\n\r\n"
)
CHUNK = 1 << 16


class FaultProxy:
    """Forwards to a store; see `fault_proxy`.

    Attributes:
        endpoint: http://127.0.0.1:PORT, which clients use in the store's place.
        refused: number of requests that were answered with 503.
        is_held: set as soon as `hold` holds a request up.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._until = 0.0
        self.endpoint = ""
        self.refused = 0
        self.is_held = threading.Event()
        self._held_up: Sequence[str] = ()
        self._unanswered: Sequence[str] = ()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="fault proxy", daemon=True)

    def fail_for(self, seconds: float) -> None:
        """Answer every request with 503 from now on, for some seconds; 0: no longer."""
        self._until = time.monotonic() + seconds

    def hold(self, *words: str) -> None:
        """Let requests wait from now on whose first line has these words; none: no longer."""
        self.is_held.clear()
        self._held_up = words

    def lose_answer(self, *words: str) -> None:
        """Let the store do the next request whose first line has these words, and lose what it answers."""
        self._unanswered = words

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        self._is_up.wait()

    def stop(self) -> None:
        """End all connections."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self._is_up.set()
        self._loop.run_forever()
        self._server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connection(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Forward the requests of one connection, one after another; clients of S3 do not pipeline."""
        store, requests = await asyncio.open_connection(*self._target)
        relay = asyncio.create_task(_relay(store, answers))
        try:
            while True:
                head = await client.readuntil(b"\r\n\r\n")
                while _has(head, self._held_up):
                    self.is_held.set()
                    await asyncio.sleep(0.05)
                if time.monotonic() < self._until:
                    self.refused += 1
                    answers.write(UNAVAILABLE + (b"" if head.startswith(b"HEAD ") else BODY))
                    await answers.drain()
                    return
                is_answered = not _has(head, self._unanswered)
                if not is_answered:
                    self._unanswered = ()
                    relay.cancel()
                    await asyncio.wait([relay])
                requests.write(head)
                await _forward_body(_fields(head), client, requests)
                await requests.drain()
                if not is_answered:
                    await store.read(CHUNK)  # so it has done what it was asked for
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # one side has closed the connection, or the proxy stops
        finally:
            relay.cancel()
            requests.close()
            answers.close()


def _fields(head: bytes) -> dict[bytes, bytes]:
    pairs = (line.split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    return {name.strip().lower(): value.strip() for name, value in pairs}


def _has(head: bytes, words: Sequence[str]) -> bool:
    """Whether the first line of a request has all of some words; no words are in none."""
    line = head.partition(b"\r\n")[0].decode("latin-1")
    return bool(words) and all(word in line for word in words)


async def _forward_body(
    fields: dict[bytes, bytes], client: asyncio.StreamReader, requests: asyncio.StreamWriter
) -> None:
    if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
        size = -1
        while size != 0:
            line = await client.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            requests.write(line + await client.readexactly(size + 2))
            await requests.drain()
        return
    left = int(fields.get(b"content-length", b"0"))
    while left > 0:
        data = await client.read(min(left, CHUNK))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        requests.write(data)
        await requests.drain()
        left -= len(data)


async def _relay(store: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
    """Hand what the store says to the client, until the store closes the connection."""
    with suppress(ConnectionError):
        while data := await store.read(CHUNK):
            answers.write(data)
            await answers.drain()
    answers.close()


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """Put a proxy before a store while the block runs.

    Args:
        target: the store, http://HOST:PORT.
    """
    proxy = FaultProxy(target)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
