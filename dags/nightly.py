"""The night of one data date as Airflow tasks: one `spark-submit` per job, in the order that jobs declare.

The platform's spark-submit (.venv/bin) must come first on the worker's PATH, and the connection
`spark_default` must name the master. On one machine:
AIRFLOW_CONN_SPARK_DEFAULT='{"conn_type": "spark", "host": "local[2]"}'.

Which data date: the parameter `data_date`; a scheduled run without it takes the day in which its data
interval begins, in the data set's time zone. Any other run without it fails: no task reads the clock.

Each task is a step of a night: it ends at once with exit code 0 where it is up to date, repairs earlier data
dates that the day's files brought late rows of, and trains on training nights only.
"""

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, Context, CronDataIntervalTimetable, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_DATASET = "kuairand"
JOBS = json.loads((ROOT / "dags" / "jobs.json").read_text())
"""What the jobs declare; `make docs` writes the file, since Airflow's environment has no Spark."""
FINAL_EXIT_CODES = {2: "wrong usage or configuration", 3: "blocked by a suite"}
RUNS_WITH_INTERVAL = {"scheduled", "backfill"}


class JobOperator(SparkSubmitOperator):
    """A SparkSubmitOperator that does not retry exit codes 2 and 3: a retry would end in the same way."""

    def execute(self, context: Context) -> None:
        """Submit the job and wait for it.

        Raises:
            AirflowFailException: the job ended with 2 or 3.
            AirflowException: any other failure; it is retried.
        """
        try:
            super().execute(context)
        except AirflowException as error:
            # The hook keeps the process; the exception has its exit code in a message only.
            code = self._hook._submit_sp.returncode if self._hook is not None else None
            if code in FINAL_EXIT_CODES:
                raise AirflowFailException(
                    f"{self.task_id} ended with exit code {code} ({FINAL_EXIT_CODES[code]}); "
                    "its last lines, above, say what to fix. Clear the task to run it again."
                ) from error
            raise


def time_zone(dataset: str) -> ZoneInfo:
    """Return the time zone in which a data set's days begin."""
    config = yaml.safe_load((ROOT / "conf" / "datasets" / f"{dataset}.yaml").read_text())
    return ZoneInfo(config["source"]["time_zone"])


def data_date(params: dict[str, Any], run_type: str, interval_start: datetime | None) -> str:
    """Return the data date of a run.

    Raises:
        AirflowFailException: there is none.
        ValueError: the parameter is no date.
    """
    if params["data_date"]:
        return date.fromisoformat(params["data_date"]).isoformat()
    if run_type in RUNS_WITH_INTERVAL and interval_start is not None:
        return interval_start.astimezone(time_zone(params["dataset"])).date().isoformat()
    raise AirflowFailException(
        "no data date: give the run a parameter data_date (YYYY-MM-DD); only scheduled runs have one"
    )


def job_task(job: dict[str, Any]) -> JobOperator:
    """Return the task of one job."""
    arguments = [
        "--night-step",
        "--data-date",
        "{{ data_date(params, dag_run.run_type, dag_run.data_interval_start) }}",
        "--dataset",
        "{{ params.dataset }}",
        "--env",
        "{{ params.env }}",
    ]
    if job["per_model"]:
        arguments += ["--model", "{{ params.model }}"]
    return JobOperator(
        task_id=job["name"],
        application=str(ROOT / "jobs" / f"{job['name']}.py"),
        application_args=arguments,
        conn_id="spark_default",
        spark_binary="spark-submit",
        name=f"lamplighter {job['name']}",
    )


with DAG(
    dag_id="nightly",
    doc_md=__doc__,
    # Two hours after the day has ended: the files of the day are there by then.
    schedule=CronDataIntervalTimetable("0 2 * * *", timezone=time_zone(DEFAULT_DATASET).key),
    start_date=datetime(2022, 4, 24, tzinfo=time_zone(DEFAULT_DATASET)),
    catchup=False,
    is_paused_upon_creation=True,
    max_active_runs=1,  # one writer per table
    max_active_tasks=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2)},
    params={
        "data_date": Param(None, type=["null", "string"], format="date", description="YYYY-MM-DD"),
        "dataset": Param(DEFAULT_DATASET, type="string", description="a file of conf/datasets"),
        "env": Param("local", type="string", description="a file of conf: local, cluster"),
        "model": Param("ple", type="string", description="a file of conf/models"),
    },
    user_defined_macros={"data_date": data_date},
    render_template_as_native_obj=False,
) as dag:
    tasks = {job["name"]: job_task(job) for job in JOBS}
    for job in JOBS:
        for before in job["after"]:
            tasks[before] >> tasks[job["name"]]
