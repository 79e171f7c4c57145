"""Three data dates in a row under a real scheduler, with jobs that are killed and a date that is blocked.

PostgreSQL, scheduler with LocalExecutor, DAG processor and API server of Airflow; real `spark-submit` of the
platform on a small log. All that Airflow says is asked of its REST API. A date needs the one before: the
tests of this file run in their order.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from jobs.runtime.arguments import Arguments
from jobs.runtime.night import plan_night
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.project import Project
from jobs.tables.ledger import NewestRun, RunKey
from tests.cluster.small_log import FIRST_DATE, NIGHTS, write_small_project
from tests.dags.airflow_servers import AIRFLOW, ROOT, Airflow, RestApi, airflow_servers
from tests.tiny_log import NAME
from tools.cluster.process import ServiceError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("airflow"),
    pytest.mark.skipif(
        not (ROOT / ".venv-airflow" / "ready").exists(), reason="no .venv-airflow: make test-slow makes it"
    ),
]

KILLED, BLOCKED, LAST = NIGHTS
DAG = f"nightly_{NAME}"
TASKS = {f"ple.{job.name}" if job.is_per_model else job.name for job in all_jobs().values()}
SECONDS = 1500  # of a night, on a machine that has other things to do
DECLARED = {
    "first_data_date: 2024-02-28": "first_data_date: 2024-02-27",
    "anchor: 2024-03-20": f"anchor: {KILLED}",
    "every_days: 7": "every_days: 100",  # the first night trains
    "window_days: 2": "window_days: 3",
    "max_failing_share: 1.0": "max_failing_share: 0.05",
}
DAG_FILE = """
from datetime import date

from lamplighter_airflow import night_dag

night_dag({dataset!r}, project={project!r}, end_date=date.fromisoformat({last!r}), pool="one_writer")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small log with its history, whose file of the second night holds rows that no suite lets pass."""
    folder = write_small_project(tmp_path_factory.mktemp("project"))
    file = folder / "conf" / "datasets" / f"{NAME}.yaml"
    text = file.read_text()
    for old, new in DECLARED.items():
        assert old in text
        text = text.replace(old, new)
    file.write_text(text)
    history = ["history", "--data-date", f"{FIRST_DATE}..{KILLED - timedelta(days=1)}"]
    program = [sys.executable, "-m", "jobs.cli.main"]
    subprocess.run([*program, *history, "--dataset", NAME, "--project", folder], check=True, cwd=ROOT)
    good = log_file(folder, BLOCKED)
    good.rename(folder / "good.csv")
    rows = (folder / "good.csv").read_text().splitlines()
    good.write_text("\n".join([*rows[:300], *(row[:-1] + "7" for row in rows[300:])]) + "\n")
    return folder


@pytest.fixture(scope="module")
def airflow(project: Path) -> Iterator[Airflow]:
    """Airflow's servers with the DAG of the project, which is no longer paused."""
    with tempfile.TemporaryDirectory(prefix="lamplighter-airflow-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # PostgreSQL runs as another user where this is root
        (home / "dags").mkdir()
        text = DAG_FILE.format(dataset=NAME, project=str(project), last=str(LAST))
        (home / "dags" / "nights.py").write_text(text)
        environment = {
            "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
            "LAMPLIGHTER_DRIVER_MEMORY": "1g",
            "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), str(AIRFLOW), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "dags"), os.environ.get("PYTHONPATH", "")]),
        }
        try:
            with airflow_servers(home, home / "dags", environment) as found:
                wait_until(lambda: DAG in [each["dag_id"] for each in found.api.get("/dags")["dags"]], 300)
                found.api.post("/pools", {"name": "one_writer", "slots": 1})
                found.api.patch(f"/dags/{DAG}", {"is_paused": False})
                yield found
        except ServiceError as error:
            if "is missing" not in str(error):
                raise
            pytest.skip(str(error))


def log_file(project: Path, day: date) -> Path:
    return project / "data" / "log" / str(day) / "log.csv"


def wait_until(is_so: Callable[[], bool], seconds: float = SECONDS) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, f"not so after {seconds:.0f} s"
        time.sleep(1.0)


def run_of(api: RestApi, day: date) -> dict[str, Any]:
    """The run of a data date; {} if there is none yet."""
    runs = api.get(f"/dags/{DAG}/dagRuns")["dag_runs"]
    return next((run for run in runs if run["data_interval_start"].startswith(str(day))), {})


def has_ended(api: RestApi, day: date) -> bool:
    return run_of(api, day).get("state") in ("success", "failed")


def task_path(api: RestApi, day: date, task: str) -> str:
    return f"/dags/{DAG}/dagRuns/{run_of(api, day)['dag_run_id']}/taskInstances/{task}"


def states_of(api: RestApi, day: date) -> dict[str, str]:
    found = api.get(f"/dags/{DAG}/dagRuns/{run_of(api, day)['dag_run_id']}/taskInstances")
    return {task["task_id"]: task["state"] for task in found["task_instances"]}


def tries_of(api: RestApi, day: date, task: str) -> list[str]:
    return [each["state"] for each in api.get(f"{task_path(api, day, task)}/tries")["task_instances"]]


def errors_of(api: RestApi, day: date, task: str, attempt: int) -> list[str]:
    """What the log of one try says at the level ERROR, with the exceptions that it shows."""
    log = api.get(f"{task_path(api, day, task)}/logs/{attempt}?full_content=true")
    errors = [line for line in log["content"] if line.get("level") == "error"]
    shown = [each["exc_value"] for line in errors for each in line.get("error_detail") or []]
    return [*(line["event"] for line in errors), *shown]


def newest(project: Path, job: str, day: date) -> NewestRun | None:
    """The newest run that the ledger has of a job."""
    asked = Arguments(day, day, dataset=NAME, project=project)
    return Project(asked).ledger.newest([day]).get(RunKey(job, "", day))


def wait_for_start(airflow: Airflow, project: Path, job: str, day: date) -> psutil.Process:
    """Wait until a job's run is in the ledger; return its spark-submit."""

    def has_begun() -> bool:
        run = newest(project, job, day)
        return run is not None and run.state == "started"

    wait_until(has_begun)
    script = str(ROOT / "jobs" / f"{job}.py")
    found = []
    for process in psutil.Process(airflow.scheduler.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # of another task, which has just ended
            if script in process.cmdline():
                found.append(process)
    (submit,) = [process for process in found if process.parent() not in found]  # the JVM; below it is Python
    return submit


def kill(root: psutil.Process) -> None:
    """Kill -9 a process and all that it started."""
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_a_job_that_is_killed_is_tried_again(airflow: Airflow, project: Path) -> None:
    driver = wait_for_start(airflow, project, "build_features", KILLED)

    kill(driver)
    wait_until(lambda: has_ended(airflow.api, KILLED))

    assert states_of(airflow.api, KILLED) == dict.fromkeys(TASKS, "success")
    assert tries_of(airflow.api, KILLED, "build_features") == ["failed", "success"]
    why = "build_features 2024-03-01 was cut off: its process was killed"
    assert why in errors_of(airflow.api, KILLED, "build_features", 1)
    assert tries_of(airflow.api, KILLED, "ingest") == ["success"]
    assert airflow.api.get(task_path(airflow.api, KILLED, "ingest"))["pool"] == "one_writer"


def test_a_blocked_suite_fails_its_task_at_once_with_the_jobs_last_line(
    airflow: Airflow, project: Path
) -> None:
    wait_until(lambda: has_ended(airflow.api, BLOCKED))

    assert run_of(airflow.api, BLOCKED)["state"] == "failed"
    states = states_of(airflow.api, BLOCKED)
    assert states.pop("scan_sources") == "success"
    assert states.pop("ingest") == "failed"
    assert states == dict.fromkeys(TASKS - {"scan_sources", "ingest"}, "upstream_failed")
    assert tries_of(airflow.api, BLOCKED, "ingest") == ["failed"]
    run = newest(project, "ingest", BLOCKED)
    assert run is not None
    assert run.state == "blocked"
    alerts = [line for line in errors_of(airflow.api, BLOCKED, "ingest", 1) if line.startswith(DAG)]
    run_id = run_of(airflow.api, BLOCKED)["dag_run_id"]
    assert alerts == [f"{DAG}, run {run_id}: ingest 2024-03-02: {run.message}"]


def test_the_date_after_a_blocked_one_does_not_pass_either(airflow: Airflow, project: Path) -> None:
    wait_until(lambda: has_ended(airflow.api, LAST))

    assert run_of(airflow.api, LAST)["state"] == "failed"
    assert newest(project, "publish", LAST) is None


def test_one_request_repairs_both_dates_and_a_task_that_is_killed_with_all_its_processes_is_tried_again(
    airflow: Airflow, project: Path
) -> None:
    (project / "good.csv").replace(log_file(project, BLOCKED))
    cleared = airflow.api.post(
        f"/dags/{DAG}/clearTaskInstances",
        {
            "dag_run_id": run_of(airflow.api, BLOCKED)["dag_run_id"],
            "task_ids": ["scan_sources"],
            "include_downstream": True,
            "include_future": True,
            "only_failed": False,
            "dry_run": False,
        },
    )
    assert cleared["total_entries"] == 2 * len(TASKS)

    driver = wait_for_start(airflow, project, "score", LAST)
    task = driver.parent()
    assert task is not None
    kill(task)
    wait_until(lambda: has_ended(airflow.api, LAST))

    for day in (BLOCKED, LAST):
        assert states_of(airflow.api, day) == dict.fromkeys(TASKS, "success")
    assert tries_of(airflow.api, BLOCKED, "ingest") == ["failed", "success"]
    assert tries_of(airflow.api, LAST, "score") == ["upstream_failed", "failed", "success"]
    assert run_of(airflow.api, BLOCKED)["end_date"] < run_of(airflow.api, LAST)["start_date"]


def test_the_nights_have_left_nothing_to_do(project: Path) -> None:
    for day in NIGHTS:
        planned = plan_night(Arguments(day, day, dataset=NAME, project=project))
        assert [step for step in planned if step.dates] == []
    store = Project(Arguments(LAST, LAST, dataset=NAME, project=project)).store
    served = sorted(store.rows("publications"), key=lambda row: row["seq"])
    assert [row["data_date"] for row in served] == list(NIGHTS)
