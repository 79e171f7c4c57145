"""The DAG of one data set: the night of one data date as tasks, one `spark-submit` per job."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from airflow.sdk import DAG, Context, CronDataIntervalTimetable, Param, TaskGroup
from airflow.sdk.exceptions import AirflowFailException

from lamplighter_airflow.operator import JobOperator, log_failure

PLATFORM = Path(__file__).resolve().parents[2]
JOBS: list[dict[str, Any]] = json.loads((PLATFORM / "dags" / "jobs.json").read_text())
"""What the jobs declare; `make docs` writes the file, since Airflow's environment has no Spark."""
RUNS_WITH_INTERVAL = {"scheduled", "backfill"}
ABOUT = """\
The night of `{dataset}`: each task is a job of Lamplighter, run as a step of a night. It ends at once where
it is up to date, repairs earlier data dates that the day's files brought late rows of, and trains on training
nights only.

The data date of a scheduled run is the day in which its data interval begins, in {zone}. A run that is
triggered by hand needs the parameter `data_date`.
"""


def data_sets(project: Path | str = PLATFORM) -> list[str]:
    """Return the names of a project's data sets: the files of conf/datasets.

    Raises:
        ValueError: there are none.
    """
    folder = Path(project) / "conf" / "datasets"
    names = sorted(file.stem for file in folder.glob("*.yaml"))
    if not names:
        raise ValueError(f"{folder} holds no data set; expected the folder of a project")
    return names


def night_dag(
    dataset: str,
    *,
    project: Path | str = PLATFORM,
    start_date: date | None = None,
    end_date: date | None = None,
    hour: int = 2,
    env: str = "local",
    models: Sequence[str] = ("ple",),
    pool: str = "default_pool",
    on_failure: Callable[[Context], None] = log_failure,
) -> DAG:
    """Return the DAG `nightly_DATASET`; Airflow finds it without a variable that holds it.

    Args:
        dataset: a file of conf/datasets.
        project: the folder that holds conf/.
        start_date: first data date; None: `training.anchor` of the data set, its first training night.
        end_date: last data date; None: no end. It ends runs by hand, too: Airflow gives one no tasks whose
            logical date is later.
        hour: when the night of a data date begins on the day after, in the data set's time zone.
        env: a file of conf: local, cluster.
        models: files of conf/models; those after the first meet the champion in this order.
        pool: Airflow's pool, which has to be there: Airflow runs no task of one that does not exist.
        on_failure: called with Airflow's context when a task has failed for good; `context["exception"]` is
            the job's last line.

    Raises:
        ValueError: the data set's file does not say its time zone or where to begin.
    """
    declared = _declared(Path(project), dataset)
    zone = ZoneInfo(_value(declared, "source", "time_zone"))
    begin = start_date or _value(declared, "training", "anchor")
    with DAG(
        dag_id=f"nightly_{dataset}",
        doc_md=ABOUT.format(dataset=dataset, zone=zone.key),
        schedule=CronDataIntervalTimetable(f"0 {hour} * * *", timezone=zone.key),
        start_date=datetime.combine(begin, time.min, zone),
        end_date=datetime.combine(end_date, time.max, zone) if end_date else None,
        catchup=True,  # a data date is made of the one before, so none is left out
        is_paused_upon_creation=True,
        max_active_runs=1,  # one writer per table, and dates in their order
        max_active_tasks=1,
        max_consecutive_failed_dag_runs=3,  # those that follow need them
        default_args={
            "retries": 2,
            "pool": pool,
            "on_failure_callback": on_failure,
        },
        params={"data_date": Param(None, type=["null", "string"], format="date", description="YYYY-MM-DD")},
        user_defined_macros={"data_date": partial(data_date, zone)},
        tags=["lamplighter"],
    ) as dag:
        project_flags = ["--dataset", dataset, "--env", env, "--project", str(Path(project).resolve())]
        shared = {job["name"]: _task(job, project_flags) for job in JOBS if not job["per_model"]}
        tasks = {name: {"": task} for name, task in shared.items()}
        groups = []
        for model in models:
            with TaskGroup(model) as group:
                for job in JOBS:
                    if job["per_model"]:
                        tasks.setdefault(job["name"], {})[model] = _task(job, project_flags, model)
            groups.append(group)
        for job in JOBS:
            for before in job["after"]:
                _order(tasks.get(before, {}), tasks.get(job["name"], {}))
        for first, second in pairwise(groups):
            first >> second  # the order decides who meets whom
    return dag


def data_date(zone: ZoneInfo, params: Mapping[str, Any], run_type: str, begin: datetime | None) -> str:
    """Return the data date of a run, from its parameter or the begin of its data interval.

    Raises:
        AirflowFailException: there is none: no task reads the clock.
        ValueError: the parameter is no date.
    """
    if params["data_date"]:
        return date.fromisoformat(params["data_date"]).isoformat()
    if run_type in RUNS_WITH_INTERVAL and begin is not None:
        return begin.astimezone(zone).date().isoformat()
    raise AirflowFailException(
        "no data date: give the run a parameter data_date (YYYY-MM-DD); only scheduled runs have one"
    )


def _task(job: Mapping[str, Any], project_flags: Sequence[str], model: str = "") -> JobOperator:
    flags = [
        "--data-date",
        "{{ data_date(params, dag_run.run_type, dag_run.data_interval_start) }}",
        *project_flags,
        *(["--model", model] if model else []),
    ]
    return JobOperator(
        task_id=job["name"],
        job=job["name"],
        selection=["--job", job["name"], *flags],
        application=str(PLATFORM / "jobs" / f"{job['name']}.py"),
        application_args=["--night-step", *flags],
        conn_id="spark_default",
        spark_binary="spark-submit",
        name=f"lamplighter {job['name']}",
    )


def _order(before: Mapping[str, JobOperator], after: Mapping[str, JobOperator]) -> None:
    """Order the tasks of two jobs: per model where both have one, else all of them."""
    for one, earlier in before.items():
        for other, later in after.items():
            if one == other or not (one and other):
                earlier >> later


def _declared(project: Path, dataset: str) -> dict[str, Any]:
    file = project / "conf" / "datasets" / f"{dataset}.yaml"
    if not file.is_file():
        raise ValueError(f"{file} does not exist; expected one of {data_sets(project)}")
    declared: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return declared | {"file": file}


def _value(declared: Mapping[str, Any], section: str, key: str) -> Any:
    value = (declared.get(section) or {}).get(key)
    if value in (None, "???"):
        raise ValueError(f"{declared['file']}: {section}.{key} is to be filled in: a night needs it")
    return value
