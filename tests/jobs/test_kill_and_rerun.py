"""Every job ended right after one of its commits, then run again: the content is as if nothing had happened.

What a kill in the middle of a commit leaves is the business of Delta and of a rename (`write_bundle`,
`write_atomically`); that ranks and locks end with their process is tested beside them.
"""

import os
import random
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from core.load import PROJECT_DIR
from jobs.runtime.night import run_history, run_night
from jobs.runtime.pipeline import all_jobs, data_steps
from jobs.tables.ledger import RunKey
from tests.jobs.runtime.test_night import LAST_OF_HISTORY, digest_of
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject

pytestmark = pytest.mark.slow

MODELS = {FIRST_NIGHT: "ple", SECOND_NIGHT: "mfh"}
BESIDE_TABLES = {"check": ["quality_results"], "train": ["bundle"], "report": ["page"]}
ENDED = 9

# Runs a history (of a range of data dates) or a night, and ends the process as kill -9 would, when a job has
# written one thing: a table, or the bundle, or a page.
RUN_AND_END = """
import os, sys
from datetime import date
from pathlib import Path
import jobs.report, jobs.workers.training
from jobs.runtime.night import run_history, run_night
from jobs.tables.store import Store
from tests.jobs.sample_project import SampleProject

source, warehouse, first, last, model, job, written = sys.argv[1:]

def end_after(owner, name, writes):
    work = getattr(owner, name)
    def work_and_end(*arguments, **more):
        done = work(*arguments, **more)
        if writes(*arguments) == (job, written):
            os._exit(9)
        return done
    setattr(owner, name, work_and_end)

end_after(Store, "replace", lambda store, table, frame, where, metadata, *_: (metadata["job"], table))
end_after(Store, "_write_rows", lambda store, table, rows, owner, metadata: (metadata["job"], table))
end_after(jobs.workers.training, "write_bundle", lambda *_: ("train", "bundle"))
end_after(jobs.report, "write_atomically", lambda *_: ("report", "page"))

asked = SampleProject(Path(source), Path(warehouse)).ask(
    date.fromisoformat(first), date.fromisoformat(last), model=model or None
)
run_night(asked) if first == last else run_history(asked)
"""


def what_it_writes(project: SampleProject, job: str, day: date) -> list[str]:
    """What a job wrote for a data date: its entry in the ledger, tables, files."""
    model = MODELS[day] if all_jobs()[job].is_per_model else ""
    run = project.opened(day).newest_runs([day])[RunKey(job, model, day)]
    return ["runs", *run.rows, *BESIDE_TABLES.get(job, [])]


def run_and_end(project: SampleProject, first: date, last: date, job: str, written: str) -> None:
    """Run a history or a night in a process of its own, up to one commit of a job."""
    place = [str(project.source), str(project.warehouse), str(first), str(last)]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN_AND_END, *place, MODELS.get(last, ""), job, written],
        cwd=PROJECT_DIR,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    output, _ = process.communicate(timeout=600)
    assert process.returncode == ENDED, f"{job} did not write {written}:\n{output}"
    until = time.monotonic() + 60
    while is_session_alive(process.pid):
        assert time.monotonic() < until, f"something outlived {job}"
        time.sleep(0.1)


def is_session_alive(session: int) -> bool:
    """Whether a process of a session is there: the JVM ends a moment after its Python."""
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return False


def test_every_job_ended_after_a_commit_and_run_again_leaves_what_an_undisturbed_one_does(
    spark: SparkSession, after_two_nights: SampleProject, fresh: SampleProject, tmp_path: Path
) -> None:
    project = fresh.copy(tmp_path)
    chance = random.Random(20220508)
    ended: dict[str, str] = {}
    stages = [
        (FIRST_LOG_DATE, LAST_OF_HISTORY, data_steps()),
        (FIRST_NIGHT, FIRST_NIGHT, [job for job in all_jobs() if job not in (*data_steps(), "look_back")]),
        (SECOND_NIGHT, SECOND_NIGHT, ["train", "look_back"]),
    ]
    for first, last, jobs in stages:
        for job in jobs:  # each process finishes what the one before was ended in
            ended[job] = chance.choice(what_it_writes(after_two_nights, job, last))
            run_and_end(project, first, last, job, ended[job])
        finish = run_night if first == last else run_history
        finish(project.ask(first, last, model=MODELS.get(last)))

    assert set(ended) == set(all_jobs())
    assert digest_of(spark, project) == digest_of(spark, after_two_nights), ended
