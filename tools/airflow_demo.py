"""Run the night of 2022-05-08 once more as Airflow tasks, after `make demo`; no digest may change.

    make airflow-demo        (= .venv-airflow/bin/python tools/airflow_demo.py)

The DAG is run by `dag.test()`: every task with its real operator and a spark-submit of its own, in this
process instead of under a scheduler. Airflow's database and logs go to build/airflow. Ends with 1 when a task
failed or a digest changed.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "build" / "airflow"
DAG_ID, CONF = "nightly_kuairand", {"data_date": "2022-05-08"}

# Airflow reads its settings when it is imported, which is why `run_dag` imports it.
SETTINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__PARALLELISM": "2",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
    # The operator calls whatever spark-submit comes first.
    "PATH": os.pathsep.join([str(ROOT / ".venv" / "bin"), os.environ["PATH"]]),
}


def digests() -> list[str]:
    """Return the content digests, one line per table and data date."""
    command = [str(ROOT / ".venv" / "bin" / "lamplighter"), "tables", "--digest"]
    return subprocess.run(
        command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.splitlines()


def run_dag() -> str:
    """Run all tasks, print one line per task, and return the state of the run."""
    from airflow.dag_processing.dagbag import DagBag

    sys.path.insert(0, str(ROOT / "dags"))  # as a DAG processor does
    bag = DagBag(ROOT / "dags")
    if bag.import_errors:
        raise SystemExit("\n".join(f"{file}: {error}" for file, error in bag.import_errors.items()))
    run = bag.dags[DAG_ID].test(run_conf=CONF)
    for task in sorted(run.get_task_instances(), key=lambda task: (task.start_date is None, task.start_date)):
        seconds = f"{task.duration:6.1f} s" if task.duration is not None else ""
        print(f"  {task.task_id:<16} {task.state!s:<10} {seconds}")
    return str(run.state)


def main() -> int:
    """Digest, run, digest again, compare."""
    begun = time.monotonic()
    os.environ.update(SETTINGS)
    HOME.mkdir(parents=True, exist_ok=True)
    before = digests()
    airflow = [str(ROOT / ".venv-airflow" / "bin" / "airflow"), "db", "migrate"]
    migrated = subprocess.run(
        airflow, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if migrated.returncode:
        print(migrated.stdout[-3000:], file=sys.stderr)
        return 1
    state = run_dag()
    after = digests()
    changed = sorted(set(before) ^ set(after))
    print(f"{DAG_ID} {CONF['data_date']}: {state}, {time.monotonic() - begun:.0f} s; ", end="")
    print(f"{len(after)} digests, {'none changed' if not changed else 'CHANGED:'}")
    print("\n".join(f"  {line}" for line in changed), end="\n" if changed else "")
    return 0 if state == "success" and not changed else 1


if __name__ == "__main__":
    sys.exit(main())
