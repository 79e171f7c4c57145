"""What happens to a night when a part of the cluster, of the object store or of the night itself fails.

Each night has one fault. It ends as if nothing had happened, or with an error of one line and exit code 1;
after the same command, typed again, the digests are those of this machine, where nothing was disturbed. A night
needs the one before: the tests of this file run in their order.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.cluster.small_log import FIRST_DATE, FIRST_NIGHT, NIGHTS, flags, write_small_project
from tests.tiny_log import NAME
from tools.cluster.object_store import versitygw
from tools.cluster.process import ServiceError
from tools.cluster.servers import BUCKET, ROOT, Cluster, servers

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]

HISTORY = ["history", "--data-date", f"{FIRST_DATE}..{FIRST_NIGHT - timedelta(days=1)}"]
DIGEST = ["tables", "--digest"]
SECONDS = 900  # of a night, on a machine that has other things to do
OutcomeOf = tuple[int, str]


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
    return found.stdout.splitlines()


@pytest.fixture(scope="module")
def cluster(project: Path) -> Iterator[Cluster]:
    """The servers, and a history in the object store."""
    # Not tmp_path: it is closed to the user whom root runs PostgreSQL as.
    with tempfile.TemporaryDirectory(prefix="lamplighter-cluster-") as folder:
        Path(folder).chmod(0o755)
        try:
            versitygw()
            with servers(Path(folder)) as running:
                ended = running.submit(*HISTORY, *flags(project), quiet=True)
                assert ended.returncode == 0, ended.stdout
                yield running
        except ServiceError as error:
            if "missing" not in str(error) and "tools/setup.sh cluster" not in str(error):
                raise
            pytest.skip(str(error))


def night(day: date) -> list[str]:
    return ["night", "--data-date", str(day), "--model", "ple"]


def started(cluster: Cluster, job: str, day: date) -> bool:
    """Whether the ledger has a run of the job; read past the store's server, whose files are the objects."""
    try:
        runs = DeltaTable(cluster.store.objects / BUCKET / "warehouse" / NAME / "runs")
        rows = runs.to_pyarrow_table(columns=["job", "data_date", "state"]).to_pylist()
    except (OSError, ValueError):
        return False
    return {"job": job, "data_date": day, "state": "started"} in rows


def disturbed(
    cluster: Cluster, project: Path, day: date, job: str, disturb: Callable[["subprocess.Popen[str]"], None]
) -> OutcomeOf:
    """Submit a night, disturb it as soon as a job of it has begun, and return exit code and output."""
    log = cluster.folder / f"night-{day}.log"
    process = cluster.start(*night(day), *flags(project), log=log)
    try:
        until = time.monotonic() + SECONDS
        while not started(cluster, job, day):
            assert process.poll() is None, f"ended before {job}:\n{log.read_text()}"
            assert time.monotonic() < until
            time.sleep(0.2)
        disturb(process)
        return process.wait(SECONDS), log.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def assert_made_in_the_end(
    cluster: Cluster, project: Path, day: date, outcome: OutcomeOf, undisturbed: list[str], error: str
) -> None:
    """The night is done, or failed with `error` in one line; typed again, it is done as on this machine."""
    code, output = outcome
    if code:
        last = output.strip().splitlines()[-1]
        assert code == 1, output
        assert error in output, output
        assert "Traceback" not in output, output
        assert str(day) in last or "run again" in output.lower(), output
    again = cluster.submit(*night(day), *flags(project), quiet=True)
    assert again.returncode == 0, again.stdout
    found = cluster.submit(*DIGEST, *flags(project), quiet=True)
    assert found.returncode == 0, found.stdout
    wanted = [line for line in undisturbed if line.split()[1] == str(day)]
    assert wanted
    assert [line for line in found.stdout.splitlines() if line.split()[1:2] == [str(day)]] == wanted


def kill_a_worker(cluster: Cluster) -> None:
    """Kill -9 a worker with its executor while it is at work, then bring another one."""
    victim = cluster.spark.workers[-1]
    victim.freeze()  # so that a task which it has begun is not done by then
    time.sleep(3)
    victim.kill()
    cluster.spark.add_worker()


def test_a_night_on_the_cluster_makes_what_this_machine_makes(
    cluster: Cluster, project: Path, undisturbed: list[str]
) -> None:
    ended = cluster.submit(*night(NIGHTS[0]), *flags(project), quiet=True)

    assert_made_in_the_end(
        cluster, project, NIGHTS[0], (ended.returncode, ended.stdout), undisturbed, "no error"
    )


def test_a_worker_that_is_killed_in_score(cluster: Cluster, project: Path, undisturbed: list[str]) -> None:
    outcome = disturbed(cluster, project, NIGHTS[1], "score", lambda _: kill_a_worker(cluster))

    assert_made_in_the_end(cluster, project, NIGHTS[1], outcome, undisturbed, "an executor was lost")


def test_a_worker_that_is_killed_in_build_features(
    cluster: Cluster, project: Path, undisturbed: list[str]
) -> None:
    outcome = disturbed(cluster, project, NIGHTS[2], "build_features", lambda _: kill_a_worker(cluster))

    assert_made_in_the_end(cluster, project, NIGHTS[2], outcome, undisturbed, "an executor was lost")


def test_a_driver_that_is_killed(cluster: Cluster, project: Path, undisturbed: list[str]) -> None:
    def kill_the_driver(process: "subprocess.Popen[str]") -> None:
        time.sleep(2)
        os.killpg(process.pid, signal.SIGKILL)

    code, _ = disturbed(cluster, project, NIGHTS[3], "build_features", kill_the_driver)

    assert code == -signal.SIGKILL
    assert_made_in_the_end(cluster, project, NIGHTS[3], (0, ""), undisturbed, "no error")


def test_a_store_that_answers_503_for_a_minute(
    cluster: Cluster, project: Path, undisturbed: list[str]
) -> None:
    refused = cluster.proxy.refused
    outcome = disturbed(cluster, project, NIGHTS[4], "build_features", lambda _: cluster.proxy.fail_for(60))

    assert cluster.proxy.refused > refused
    assert_made_in_the_end(cluster, project, NIGHTS[4], outcome, undisturbed, "503")
