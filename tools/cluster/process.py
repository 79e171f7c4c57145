"""A server as a child process: started, waited for, stopped; it ends with this process."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

READY_SECONDS = 120.0
STOP_SECONDS = 20.0
TREE_SECONDS = 5.0
"""For what a process has started, after it has ended."""


class ServiceError(Exception):
    """A server of the cluster cannot be started: what is missing, or the end of its log."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_listening(port: int) -> bool:
    """Return whether a server accepts connections on a port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Service:
    """One server process in a session of its own, so that Ctrl-C reaches only who started it.

    The kernel kills it when this process dies, also by kill -9 (util-linux's setpriv).

    Args:
        name: what messages and the log file are called after.
        command: program and arguments.
        log: file that takes its output, appended to.
        is_ready: asked every 0.1 s until it says yes.
        environment: variables beside this process's own.
        user: whom it runs as; None: as this process.
        stop_signal: asks it to end.

    Raises:
        ServiceError: it ended, or was not ready within READY_SECONDS; with the end of its log.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        is_ready: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.name, self.log, self.stop_signal = name, log, stop_signal
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            raise ServiceError("setpriv is missing: apt-get install util-linux")
        as_user = [f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [setpriv, *as_user, "--pdeathsig", stop_signal.name.removeprefix("SIG"), "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | (environment or {}),
                cwd="/",
                start_new_session=True,
            )
        try:
            self._wait_until(is_ready)
        except BaseException:
            self.stop()
            raise

    def _wait_until(self, is_ready: Callable[[], bool]) -> None:
        until = time.monotonic() + READY_SECONDS
        while not is_ready():
            ended = self.process.poll()
            if ended is not None or time.monotonic() > until:
                state = f"not ready after {READY_SECONDS:.0f} s" if ended is None else f"ended with {ended}"
                lines = self.log.read_text(errors="replace").splitlines()[-15:]
                raise ServiceError("\n  ".join([f"{self.name}: {state}; the end of {self.log}:", *lines]))
            time.sleep(0.1)

    def _tree(self) -> list[psutil.Process]:
        """The process and all that it started: executors, and Python workers below them."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def freeze(self) -> None:
        """Stop the process and all that it started where they are: what they work on is not finished."""
        for each in self._tree():
            each.suspend()

    def kill(self) -> None:
        """Kill -9 the process and all that it started, as a machine that loses its power would."""
        for each in self._tree():
            _kill(each)
        self.process.wait()

    def stop(self) -> None:
        """Ask the process to end; kill what is left after STOP_SECONDS."""
        tree = self._tree()
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # Not psutil.wait_procs, which fails where the system says of an ended one that there is no such file.
        until = time.monotonic() + TREE_SECONDS
        while any(map(_is_alive, tree)) and time.monotonic() < until:
            time.sleep(0.1)
        for each in filter(_is_alive, tree):
            _kill(each)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.kill()
