"""The task of one job: spark-submit, and what `lamplighter runs --json` says of a job that failed.

Both programs are the platform's (.venv/bin), which comes first on the PATH of Airflow's workers.
"""

import json
import logging
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

log = logging.getLogger(__name__)

FINAL_EXIT_CODES = frozenset({2, 3})
"""Wrong usage or configuration, blocked by a suite: a retry would end in the same way."""
ASKING_SECONDS = 300


class Ending(NamedTuple):
    """How a job ended: its last line, and whether a retry would end in the same way."""

    line: str
    is_final: bool


class JobOperator(SparkSubmitOperator):
    """Submits a job and waits for it; a failure is retried unless the job's ledger says that it is final.

    Args:
        job: name of the job.
        selection: flags of `lamplighter runs` that find the job's runs; a template.
        arguments: of SparkSubmitOperator.
    """

    template_fields: Sequence[str] = (*SparkSubmitOperator.template_fields, "selection")

    def __init__(self, *, job: str, selection: Sequence[str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.job = job
        self.selection = selection

    def execute(self, context: Context) -> None:
        """Submit the job and wait for it.

        Raises:
            AirflowFailException: the job was blocked or is misconfigured; its message is the job's last line.
            AirflowException: any other failure, also a killed job; it is retried. The message likewise.
        """
        begun = datetime.now(UTC)
        try:
            super().execute(context)
        except AirflowException as error:
            ending = ending_of(self.job, self.selection, begun, str(error))
            if ending.is_final:
                raise AirflowFailException(ending.line) from error
            raise AirflowException(ending.line) from error


def ending_of(job: str, selection: Sequence[str], begun: datetime, said: str) -> Ending:
    """Return how the run of a job ended that began after some time.

    Args:
        job: its name.
        selection: flags of `lamplighter runs`.
        begun: runs before it are those of earlier tries.
        said: by spark-submit; its last line stands for a run that the ledger does not have.
    """
    command = ["lamplighter", "runs", "--json", "--last", "1", *selection]
    try:
        asked = subprocess.run(command, check=False, capture_output=True, text=True, timeout=ASKING_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Ending(f"{job} failed, and how is unknown: {error}", is_final=False)
    line = (asked.stdout.strip() or asked.stderr.strip()).rpartition("\n")[2]
    if asked.returncode in FINAL_EXIT_CODES:  # the job reads the same configuration
        return Ending(f"{job}: {line}", is_final=True)
    if asked.returncode:
        return Ending(f"{job} failed, and how is unknown: `lamplighter runs`: {line}", is_final=False)
    runs = [run for run in json.loads(line) if datetime.fromisoformat(run["started_at"]) >= begun]
    if not runs:
        last = said.strip().rpartition("\n")[2]
        return Ending(f"{job} ended before its run began: {last}", is_final=False)
    (run,) = runs
    if run["exit_code"] is None:
        return Ending(f"{job} {run['data_date']} was cut off: its process was killed", is_final=False)
    return Ending(f"{job} {run['data_date']}: {run['message']}", run["exit_code"] in FINAL_EXIT_CODES)


def log_failure(context: Context) -> None:
    """Log the last line of a job whose task has failed and is not retried."""
    task = context["ti"]
    line = context.get("exception") or f"{task.task_id} was ended by Airflow or with it"
    log.error("%s, run %s: %s", task.dag_id, task.run_id, line)
