"""All servers of a cluster on this machine, and how a job is submitted to it.

The driver runs here (`--deploy-mode client`; standalone clusters have no other for Python), executors run in
the workers.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.cluster.fault_proxy import FaultProxy, fault_proxy
from tools.cluster.object_store import ObjectStore, object_store
from tools.cluster.postgres import postgres
from tools.cluster.spark import SparkCluster, spark_cluster

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "lamplighter"


@dataclass
class Cluster:
    """Running servers.

    Attributes:
        folder: all state and logs.
        spark: master and workers.
        store: holds the tables; `store.objects` is its folder.
        proxy: stands before it.
        environment: variables of everything that is submitted.
        conf: Spark's settings of everything that is submitted.
    """

    folder: Path
    spark: SparkCluster
    store: ObjectStore
    proxy: FaultProxy
    environment: Mapping[str, str]
    conf: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str, conf: Mapping[str, str] | None = None) -> list[str]:
        """Return the spark-submit of `lamplighter ARGUMENTS --env cluster`."""
        settings = [f"{key}={value}" for key, value in (self.conf | dict(conf or {})).items()]
        return [
            *(str(Path(sys.executable).parent / "spark-submit"), "--master", self.spark.master),
            *("--deploy-mode", "client"),
            *(part for setting in settings for part in ("--conf", setting)),
            *(str(ROOT / "lamplighter" / "__main__.py"), *arguments, "--env", "cluster"),
        ]

    def submit(
        self, *arguments: str, conf: Mapping[str, str] | None = None, quiet: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of `lamplighter` on the cluster to its end.

        Args:
            arguments: of the command, without `--env`.
            conf: settings of Spark for this one.
            quiet: keep its output for the caller, and do not show it.
        """
        output = subprocess.PIPE if quiet else None
        return subprocess.run(
            self.command(*arguments, conf=conf),
            check=False,
            cwd=ROOT,
            env=self.variables,
            stdout=output,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        )

    def start(
        self, *arguments: str, log: Path, conf: Mapping[str, str] | None = None
    ) -> "subprocess.Popen[str]":
        """Start a command of `lamplighter` on the cluster, in a session of its own."""
        with log.open("w") as output:
            return subprocess.Popen(
                self.command(*arguments, conf=conf),
                cwd=ROOT,
                env=self.variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )

    @property
    def variables(self) -> dict[str, str]:
        """This process's environment, and what leads to the servers."""
        return os.environ | dict(self.environment)


@contextmanager
def servers(
    folder: Path,
    postgres_folder: Path | None = None,
    executor_memory: str = "1g",
    workers: Sequence[int] = (1, 1),
) -> Iterator[Cluster]:
    """Run object store, proxy, PostgreSQL, master and workers while the block runs.

    Args:
        folder: takes all state and logs; used again, it has the tables of the last time.
        postgres_folder: another folder for PostgreSQL, which root's other user must be able to reach.
        executor_memory: of each of the executors, one per worker.
        workers: cores of each worker.

    Raises:
        ServiceError: a program is missing, or a server does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        object_store(folder / "store", BUCKET) as store,
        fault_proxy(store.endpoint) as proxy,
        postgres(postgres_folder or folder / "postgres") as database,
    ):
        environment = store.environment(proxy.endpoint) | {
            "LAMPLIGHTER_LOCKS": database.uri,
            "MLFLOW_TRACKING_URI": database.uri,
            "LAMPLIGHTER_WAREHOUSE": f"s3a://{BUCKET}/warehouse",
            "LAMPLIGHTER_REPORTS": f"s3a://{BUCKET}/reports",
        }
        with spark_cluster(folder / "spark", workers, environment=environment) as spark:
            conf = {
                "spark.executor.memory": executor_memory,
                "spark.executor.cores": "1",
                "spark.sql.shuffle.partitions": str(sum(workers)),
                "spark.sql.adaptive.enabled": "false",  # as in conf/local.yaml: small data
                "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
                "-XX:-DontCompileHugeMethods",
            }
            yield Cluster(folder, spark, store, proxy, environment, conf)
