"""Jobs on executors that know nothing of this checkout: another user, a folder of their own, shipped code."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.load import PROJECT_DIR
from tests.jobs.runtime.test_night import digest_of
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject
from tests.jobs.standalone_cluster import Cluster, standalone_cluster
from tools.shipping.environment import write_environment
from tools.shipping.packages import write_packages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="starts executors as another user, which root alone may"),
]
BIN = Path(sys.executable).parent

PROBE = """
import json, sys
import lamplighter

def of_worker(_):
    import os, sys
    import jobs.workers.listing
    files = filter(None, (getattr(module, "__file__", None) for module in list(sys.modules.values())))
    yield {"uid": os.getuid(), "python": sys.executable, "files": sorted(map(os.path.abspath, files))}

project = lamplighter.open(env="cluster", settings=json.loads(sys.argv[1]))
context = project.read("user_cohorts", data_date=sys.argv[2]).sparkSession.sparkContext
json.dump(context.parallelize([0], 1).mapPartitions(of_worker).collect()[0], open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with standalone_cluster() as started:
        yield started


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of `make dist`; made here where there is none."""
    made = PROJECT_DIR / "dist" / "environment.tar.gz"
    if not made.exists():
        made = tmp_path_factory.mktemp("dist") / made.name
        write_environment(made)
    return made


def settings_on(cluster: Cluster, project: SampleProject, **spark: str) -> list[str]:
    """Return settings of a project for `--env cluster`."""
    options = {"spark.sql.shuffle.partitions": "2", "spark.executor.memory": "1g", **spark}
    own = [setting for setting in project.settings if not setting.startswith("runtime.spark=")]
    return [*own, f"runtime.spark={json.dumps(options)}"]


def run(command: Sequence[str | Path], cluster: Cluster) -> None:
    """Run a driver here, as this user; what it writes, executors may write to."""
    folder = cluster.folder / "driver"
    folder.mkdir(exist_ok=True)
    found = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ
        | {
            "SPARK_LOCAL_IP": "127.0.0.1",
            "LAMPLIGHTER_WAREHOUSE": "set by --set",
            "LAMPLIGHTER_REPORTS": "set by --set",
        },
        umask=0,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def shared(project: SampleProject, folder: Path) -> SampleProject:
    """Copy a project to where all users may write."""
    copied = project.copy(folder)
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o777)
    return copied


def flags_of(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def test_score_and_evaluate_run_on_executors_that_have_neither_checkout_nor_python(
    spark: SparkSession,
    after_two_nights: SampleProject,
    cluster: Cluster,
    environment: Path,
    tmp_path: Path,
) -> None:
    here = after_two_nights.copy(tmp_path / "here")
    there = shared(after_two_nights, cluster.folder / "there")
    changed = ("--set", "ranking.top_k=4", "--set", "evaluation.replicates=10")
    dates = ("--data-date", str(SECOND_NIGHT))
    _, code = write_packages(tmp_path / "dist")

    # as Spark's documentation has it: all of it on the command line
    run(
        [
            *(BIN / "spark-submit", "--master", cluster.master, "--deploy-mode", "client"),
            *("--py-files", code, "--archives", f"{environment}#environment"),
            *("--conf", "spark.pyspark.python=./environment/bin/python"),
            *("--conf", f"spark.pyspark.driver.python={sys.executable}"),
            *(PROJECT_DIR / "jobs" / "score.py", "--project", PROJECT_DIR, "--env", "cluster", *dates),
            *(*flags_of(settings_on(cluster, there)), *changed),
        ],
        cluster,
    )
    # as a project has it: in its configuration
    of_spark = {
        "spark.master": cluster.master,
        "spark.archives": f"{environment}#environment",
        "spark.pyspark.python": "./environment/bin/python",
    }
    settings = settings_on(cluster, there, **of_spark)
    lamplighter = [sys.executable, "-m", "lamplighter"]
    evaluate = ("evaluate", "--project", PROJECT_DIR, *dates, "--model", "mfh")
    run([*lamplighter, *evaluate, "--env", "cluster", *flags_of(settings), *changed], cluster)
    for name in ("score", "evaluate"):
        of_model = ("--model", "mfh") if name == "evaluate" else ()
        run([*lamplighter, name, *dates, *of_model, *flags_of(here.settings), *changed], cluster)

    tables = ("scores_staging", "evaluations", "gate_weights", "calibration_curves")
    assert contents(spark, there, tables) == contents(spark, here, tables)
    assert contents(spark, there, tables) != contents(spark, after_two_nights, tables)  # it did run

    # where a worker's modules come from
    found = cluster.folder / "found.json"
    (cluster.folder / "probe.py").write_text(PROBE)
    run(
        [sys.executable, cluster.folder / "probe.py", json.dumps(settings), str(SECOND_NIGHT), found], cluster
    )
    worker = json.loads(found.read_text())
    assert worker["uid"] != os.geteuid()
    assert worker["python"].startswith(f"{cluster.work}/")
    assert [file for file in worker["files"] if not file.startswith(f"{cluster.folder}/")] == []
    assert any("/lamplighter-" in file and file.endswith(".zip/core/__init__.py") for file in worker["files"])


def contents(spark: SparkSession, project: SampleProject, tables: Sequence[str]) -> set[tuple[str, str, str]]:
    """Return (table, data date, digest) of some tables."""
    return {found for found in digest_of(spark, project) if found[0] in tables}
