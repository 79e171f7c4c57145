"""Jobs on executors that know nothing of this checkout: another user, a folder of their own, shipped code."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from core.load import PROJECT_DIR
from tests.cluster.small_log import FIRST_DATE, FIRST_NIGHT, flags, write_small_project
from tests.jobs.standalone_cluster import Cluster, standalone_cluster
from tests.tiny_log import NAME
from tools.shipping.environment import write_environment
from tools.shipping.packages import write_packages

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="starts executors as another user, which root alone may"),
]
BIN = Path(sys.executable).parent
LAMPLIGHTER = [BIN / "lamplighter"]
DATES = ("--data-date", str(FIRST_NIGHT))
SPARK = {"spark.sql.shuffle.partitions": "2", "spark.executor.memory": "1g"}
TABLES = ("scores_staging", "evaluations", "gate_weights", "calibration_curves")

# One session: its executors unpack the environment once, for the job and for the probe.
EVALUATE_AND_PROBE = """
import json, sys
import lamplighter

def of_worker(_):
    import os, sys
    import jobs.workers.listing
    files = filter(None, (getattr(module, "__file__", None) for module in list(sys.modules.values())))
    yield {"uid": os.getuid(), "python": sys.executable, "files": sorted(map(os.path.abspath, files))}

folder, dataset, data_date, settings = json.loads(sys.argv[1])
project = lamplighter.open(folder, dataset=dataset, env="cluster", settings=settings)
project.run("evaluate", data_date, model="ple")
context = project.read("users").sparkSession.sparkContext
with open(sys.argv[2], "w") as found:
    json.dump(context.parallelize([0], 1).mapPartitions(of_worker).collect()[0], found)
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


@pytest.fixture(scope="module")
def after_a_night(cluster: Cluster) -> Path:
    """A project with a history and a night that has trained, in a folder that all users may write to."""
    project = write_small_project(cluster.folder / "project")
    history = ("history", "--data-date", f"{FIRST_DATE}..{FIRST_NIGHT - timedelta(days=1)}")
    for command in (history, ("night", *DATES, "--model", "ple")):
        run([*LAMPLIGHTER, *command, *flags(project)], cluster)
    for place in (project, *project.rglob("*")):
        place.chmod(0o777)
    return project


def run(command: Sequence[str | Path], cluster: Cluster) -> str:
    """Run a driver here, as this user, and return its output; executors may write what it makes."""
    folder = cluster.folder / "driver"
    folder.mkdir(exist_ok=True)
    places = {"LAMPLIGHTER_WAREHOUSE": "warehouse", "LAMPLIGHTER_REPORTS": "reports"}  # of the project
    found = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", **places},
        umask=0,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def settings_with(changed: Sequence[str], project: Path) -> list[str]:
    """Return the project's flags, and what makes the jobs compute something else than its night did."""
    return [*flags(project), *(part for each in changed for part in ("--set", each))]


def digests_of(project: Path, cluster: Cluster) -> list[str]:
    """Return table, data date, rows and digest of the tables that the two jobs write."""
    said = run([*LAMPLIGHTER, "tables", "--digest", *flags(project)], cluster).splitlines()
    return [line for line in said if line.partition(" ")[0] in TABLES]


def test_score_and_evaluate_run_on_executors_that_have_neither_checkout_nor_python(
    cluster: Cluster, after_a_night: Path, environment: Path, tmp_path: Path
) -> None:
    here, there = cluster.folder / "here", after_a_night
    shutil.copytree(there, here)
    before = digests_of(here, cluster)
    changed = ("lists.home.top_k=4", "evaluation.replicates=10")
    _, code = write_packages(tmp_path / "dist")

    # as Spark's documentation has it: all of it on the command line
    run(
        [
            *(BIN / "spark-submit", "--master", cluster.master, "--deploy-mode", "client"),
            *("--py-files", code, "--archives", f"{environment}#environment"),
            *("--conf", "spark.pyspark.python=./environment/bin/python"),
            *("--conf", f"spark.pyspark.driver.python={sys.executable}"),
            *(part for name, value in SPARK.items() for part in ("--conf", f"{name}={value}")),
            *(PROJECT_DIR / "jobs" / "score.py", "--env", "cluster", *DATES, *settings_with(changed, there)),
        ],
        cluster,
    )
    # as a project has it: in its configuration
    of_spark = SPARK | {
        "spark.master": cluster.master,
        "spark.archives": f"{environment}#environment",
        "spark.pyspark.python": "./environment/bin/python",
    }
    settings = [part for part in settings_with(changed, there)[4:] if part != "--set"]
    asked = [str(there), NAME, str(FIRST_NIGHT), [*settings, f"runtime.spark={json.dumps(of_spark)}"]]
    found = cluster.folder / "found.json"
    run([sys.executable, "-c", EVALUATE_AND_PROBE, json.dumps(asked), found], cluster)

    for name, of_model in (("score", ()), ("evaluate", ("--model", "ple"))):
        run([*LAMPLIGHTER, name, *DATES, *of_model, *settings_with(changed, here)], cluster)
    after = digests_of(here, cluster)
    assert digests_of(there, cluster) == after
    assert not set(before) & {line for line in after if line.startswith(("scores_staging", "evaluations"))}

    # where a worker's modules come from
    worker = json.loads(found.read_text())
    assert worker["uid"] != os.geteuid()
    assert worker["python"].startswith(f"{cluster.work}/")
    assert [file for file in worker["files"] if not file.startswith(f"{cluster.folder}/")] == []
    assert any("/lamplighter-" in file and file.endswith(".zip/core/__init__.py") for file in worker["files"])
