"""A standalone Spark whose executors run as another user, in folders of their own."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyspark

USER = "nobody"


@dataclass(frozen=True)
class Cluster:
    """A master and a worker with two cores.

    Attributes:
        master: its URL.
        folder: that all users may read and write; holds `spark` and `work`.
    """

    master: str
    folder: Path

    @property
    def work(self) -> Path:
        """Where executors run."""
        return self.folder / "work"


@contextmanager
def standalone_cluster() -> Iterator[Cluster]:
    """Start master and worker as `nobody`; stop them, and remove their folder, when the block ends."""
    folder = Path(
        tempfile.mkdtemp(prefix="lamplighter-cluster-")
    )  # pytest's own folders are closed to other users
    folder.chmod(0o777)
    running: list[subprocess.Popen[bytes]] = []
    try:
        home = folder / "spark"
        shutil.copytree(pyspark.__path__[0], home, copy_function=_link)
        cluster = Cluster(f"spark://127.0.0.1:{_free_port()}", folder)
        cluster.work.mkdir()
        cluster.work.chmod(0o777)
        port = cluster.master.rpartition(":")[2]
        deploy = "org.apache.spark.deploy"
        _start(running, cluster, f"{deploy}.master.Master", *f"--host 127.0.0.1 --port {port}".split())
        _wait_for(int(port))
        options = f"--host 127.0.0.1 --cores 2 --memory 2g --work-dir {cluster.work} {cluster.master}"
        _start(running, cluster, f"{deploy}.worker.Worker", *options.split())
        yield cluster
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


def _start(running: list[subprocess.Popen[bytes]], cluster: Cluster, *command: str) -> None:
    """Start one process with nothing of this one's environment, whose files everybody may write to."""
    environment = {
        "PATH": os.environ["PATH"],
        "SPARK_HOME": str(cluster.folder / "spark"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        **{name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ},
    }
    running.append(
        subprocess.Popen(
            [cluster.folder / "spark" / "bin" / "spark-class", *command, "--webui-port", "0"],
            cwd=cluster.work,
            env=environment,
            user=USER,
            group="nogroup",
            extra_groups=[],
            umask=0,
            stdout=(cluster.folder / f"{command[0]}.log").open("wb"),
            stderr=subprocess.STDOUT,
        )
    )


def _link(source: str, target: str) -> str:
    """Link a file, or copy it into another file system; of a link, what it leads to."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError:
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    return target


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise TimeoutError(f"no master listens on port {port}")
