"""A standalone Spark cluster on this machine: a master and workers, as processes of their own."""

import importlib.util
import json
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster.process import Service, free_port

HOST = "127.0.0.1"


def spark_home() -> Path:
    """Return the folder of the Spark that this Python has."""
    found = importlib.util.find_spec("pyspark")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@dataclass
class SparkCluster:
    """A running master and its workers.

    Attributes:
        master: spark://HOST:PORT.
        folder: logs, and the work folders of the workers.
    """

    master: str
    folder: Path
    worker_memory: str
    environment: Mapping[str, str]
    _master_ui: int
    workers: list[Service] = field(default_factory=list)

    def add_worker(self, cores: int = 1) -> Service:
        """Start a worker, and wait until the master knows it.

        Raises:
            ServiceError: it does not start.
        """
        number = len(self.workers)
        port = free_port()
        work = self.folder / f"worker-{number}"
        worker = Service(
            f"Spark worker {number}",
            [
                *(str(spark_home() / "bin" / "spark-class"), "org.apache.spark.deploy.worker.Worker"),
                *("--host", HOST, "--port", str(port), "--webui-port", str(free_port())),
                *("--cores", str(cores), "--memory", self.worker_memory, "--work-dir", str(work)),
                self.master,
            ],
            self.folder / f"worker-{number}.log",
            lambda: port in (self._alive() or ()),
            self.environment,
        )
        self.workers.append(worker)
        return worker

    def _alive(self) -> set[int] | None:
        """The ports of the workers that the master counts on; None: it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self._master_ui}/json/", timeout=5) as page:
                workers = json.load(page)["workers"]
        except OSError:
            return None
        return {each["port"] for each in workers if each["state"] == "ALIVE"}


@contextmanager
def spark_cluster(
    folder: Path,
    workers: Sequence[int] = (1, 1),
    worker_memory: str = "2g",
    environment: Mapping[str, str] | None = None,
) -> Iterator[SparkCluster]:
    """Run a master and workers while the block runs.

    Args:
        folder: takes logs and the workers' folders.
        workers: cores of each worker.
        worker_memory: what a worker lends to executors.
        environment: variables of master, workers and executors, beside this process's own.

    Raises:
        ServiceError: one of them does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    variables = {
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": HOST,
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    } | dict(environment or {})
    port, ui = free_port(), free_port()
    cluster = SparkCluster(f"spark://{HOST}:{port}", folder, worker_memory, variables, ui)
    master = Service(
        "Spark master",
        [
            *(str(spark_home() / "bin" / "spark-class"), "org.apache.spark.deploy.master.Master"),
            *("--host", HOST, "--port", str(port), "--webui-port", str(ui)),
        ],
        folder / "master.log",
        lambda: cluster._alive() is not None,
        variables,
    )
    try:
        for cores in workers:
            cluster.add_worker(cores)
        yield cluster
    finally:
        for each in reversed(cluster.workers):
            each.stop()
        master.stop()
