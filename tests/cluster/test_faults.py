"""What happens to a night when a part of the cluster, of the object store or of the night itself fails.

A history and three nights have a fault or two each. A command ends as if nothing had happened, or with one
line of error and exit code 1; typed again, it ends well. Then the digests are those of this machine, where
nothing was disturbed. A night needs the one before: the tests of this file run in their order.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from tests.cluster.small_log import FIRST_DATE, FIRST_NIGHT, NIGHTS, flags, write_small_project
from tests.tiny_log import NAME
from tools.cluster.process import ServiceError
from tools.cluster.servers import BUCKET, ROOT, Cluster, servers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

HISTORY = ["history", "--data-date", f"{FIRST_DATE}..{FIRST_NIGHT - timedelta(days=1)}"]
DIGEST = ["tables", "--digest"]
SECONDS = 900  # of a night, on a machine that has other things to do
Outcome = tuple[int, str]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_project(tmp_path_factory.mktemp("cluster project"))


@pytest.fixture(scope="module")
def undisturbed(project: Path) -> list[str]:
    """Digests of all nights on this machine."""
    program = str(Path(sys.executable).parent / "lamplighter")
    nights = ["history", "--nights", "--data-date", f"{NIGHTS[0]}..{NIGHTS[-1]}", "--model", "ple"]
    for command in (HISTORY, nights):
        subprocess.run([program, *command, *flags(project)], check=True, cwd=ROOT, timeout=SECONDS)
    found = subprocess.run(
        [program, *DIGEST, *flags(project)], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return digests(found.stdout)


def digests(output: str) -> list[str]:
    """The lines of a digest; Spark and Python may have said something, too."""
    found = [line for line in output.splitlines() if re.fullmatch(r"\w+ +\S+ +\d+ [0-9a-f]{16}", line)]
    assert found, output
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Not tmp_path: it is closed to the user whom root runs PostgreSQL as.
    with tempfile.TemporaryDirectory(prefix="lamplighter-cluster-") as folder:
        Path(folder).chmod(0o755)
        try:
            with servers(Path(folder)) as running:
                yield running
        except ServiceError as error:
            if "is missing" not in str(error) and "run tools/setup.sh cluster" not in str(error):
                raise
            pytest.skip(str(error))


def night(day: date) -> list[str]:
    return ["night", "--data-date", str(day), "--model", "ple"]


def starts(cluster: Cluster, job: str, day: date) -> int:
    """How often the ledger has a job begin; read past the store's server, whose files are the objects."""
    try:
        files = DeltaTable(cluster.store.objects / BUCKET / "warehouse" / NAME / "runs").file_uris()
    except TableNotFoundError:
        return 0
    of_day = [urlsplit(file).path for file in files if f"data_date={day}" in file]
    rows = [row for file in of_day for row in pq.ParquetFile(file).read(["job", "state"]).to_pylist()]
    return rows.count({"job": job, "state": "started"})


def disturbed(
    cluster: Cluster,
    project: Path,
    command: list[str],
    job: str,
    day: date,
    disturb: Callable[["subprocess.Popen[str]"], None],
) -> Outcome:
    """Submit a command, disturb it as soon as one of its jobs has begun, and return how it ended."""
    log = cluster.folder / f"disturbed-{job}-{day}.log"
    before = starts(cluster, job, day)
    process = cluster.start(*command, *flags(project), log=log)
    try:
        until = time.monotonic() + SECONDS
        while starts(cluster, job, day) == before:
            assert process.poll() is None, f"ended before {job}:\n{log.read_text()}"
            assert time.monotonic() < until
            time.sleep(0.2)
        disturb(process)
        code = process.wait(SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return code, log.read_text()


def assert_ends_well_again(
    cluster: Cluster, project: Path, command: list[str], outcome: Outcome, error: str
) -> None:
    """A disturbed command ended well, or in one line with `error`; typed again, it ends well."""
    code, output = outcome
    if code:
        assert code == 1, output
        assert error in output, output
        assert "run again" in output.lower(), output
        assert "Traceback" not in output, output
    again = cluster.submit(*command, *flags(project), quiet=True)
    assert again.returncode == 0, again.stdout


def kill_a_worker(cluster: Cluster) -> None:
    """Kill -9 a worker and its executor while it is at work, then bring another one."""
    victim = cluster.spark.workers[-1]
    victim.freeze()  # so that a task which it has begun is not done by then
    time.sleep(5)
    victim.kill()
    cluster.spark.add_worker()


LOST = "an executor was lost"
# Spark gives an executor 450 MB or more, which is enough for these rows; so the JVM is given less than Spark
# believes.
SMALL_HEAP = {
    "spark.executor.extraJavaOptions": "-XX:MaxHeapSize=96m -XX:MaxDirectMemorySize=512m",
    "spark.testing.reservedMemory": str(1 << 20),
}


def test_a_worker_is_killed_in_build_features(cluster: Cluster, project: Path) -> None:
    outcome = disturbed(
        cluster, project, HISTORY, "build_features", FIRST_DATE, lambda _: kill_a_worker(cluster)
    )

    assert_ends_well_again(cluster, project, HISTORY, outcome, LOST)


def test_a_worker_is_killed_in_score(cluster: Cluster, project: Path) -> None:
    command = night(NIGHTS[0])
    outcome = disturbed(cluster, project, command, "score", NIGHTS[0], lambda _: kill_a_worker(cluster))

    assert_ends_well_again(cluster, project, command, outcome, LOST)


def test_the_driver_is_killed(cluster: Cluster, project: Path) -> None:
    def kill_the_driver(process: "subprocess.Popen[str]") -> None:
        time.sleep(2)
        os.killpg(process.pid, signal.SIGKILL)

    command = night(NIGHTS[1])
    code, _ = disturbed(cluster, project, command, "build_features", NIGHTS[1], kill_the_driver)

    assert code == -signal.SIGKILL


def test_executors_have_too_little_memory(cluster: Cluster, project: Path) -> None:
    """The same night: first its Python workers lack memory, then the executors."""
    command = night(NIGHTS[1])
    ended = cluster.submit(
        *command, *flags(project), conf={"spark.executor.pyspark.memory": "400m"}, quiet=True
    )
    assert ended.returncode == 1, ended.stdout
    assert re.search(r"score \S+: Spark: a Python worker ran out of memory; .* run again", ended.stdout)
    ended = cluster.submit(
        *("build_features", "--data-date", str(NIGHTS[1])), *flags(project), conf=SMALL_HEAP, quiet=True
    )

    outcome = ended.returncode, ended.stdout
    assert outcome[0] == 1, ended.stdout
    assert_ends_well_again(cluster, project, command, outcome, "an executor ran out of memory")


def test_rows_that_a_job_has_checked_are_lost(cluster: Cluster, project: Path) -> None:
    """Their executors die while they write them: Spark cannot compute them again."""

    def lose_the_rows(process: "subprocess.Popen[str]") -> None:
        cluster.proxy.hold("PUT ", "/user_features/", "part-")
        while not cluster.proxy.is_held.wait(0.2):
            assert process.poll() is None
        for each in [*cluster.spark.workers]:
            each.kill()
        cluster.proxy.hold()
        cluster.spark.add_worker()
        cluster.spark.add_worker()

    code, output = disturbed(cluster, project, night(NIGHTS[2]), "build_features", NIGHTS[2], lose_the_rows)

    assert code == 1, output
    assert re.search(rf"build_features \S+: user_features: {LOST}, and the rows that it kept", output)
    assert "Run again" in output
    assert "Traceback" not in output


def test_the_store_answers_503_for_a_minute(cluster: Cluster, project: Path) -> None:
    """The same night, which has yet to do `build_features`."""
    refused = cluster.proxy.refused
    command = night(NIGHTS[2])
    outcome = disturbed(
        cluster, project, command, "build_features", NIGHTS[2], lambda _: cluster.proxy.fail_for(60)
    )

    assert cluster.proxy.refused > refused
    cluster.proxy.fail_for(0)  # delta-rs gives up before the minute is over: the store is back
    assert_ends_well_again(cluster, project, command, outcome, "the store does not answer, or is too busy")


def test_after_all_faults_the_tables_are_those_of_undisturbed_nights(
    cluster: Cluster, project: Path, undisturbed: list[str]
) -> None:
    found = cluster.submit(*DIGEST, *flags(project), quiet=True)

    assert found.returncode == 0, found.stdout
    assert digests(found.stdout) == undisturbed
