"""Run by test_nightly.py in Airflow's own environment: tells about the DAG in JSON.

probe.py structure            import errors, edges, retries
probe.py run CONF_JSON        run it by dag.test(), retries without delay; states and tries by task
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"


def main(verb: str, *rest: str) -> dict[str, object]:
    bag = DagBag(DAGS, safe_mode=False)
    if verb == "structure":
        dag = bag.dags.get("nightly")
        return {
            "import_errors": bag.import_errors,
            "edges": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks} if dag else {},
            "operators": sorted({base.__name__ for task in dag.tasks for base in type(task).__mro__}) if dag else [],
            "retries": sorted({task.retries for task in dag.tasks}) if dag else [],
            "max_active_runs": dag.max_active_runs if dag else None,
        }
    dag = bag.dags["nightly"]
    for task in dag.tasks:
        task.retry_delay = timedelta(0)
    run = dag.test(run_conf=json.loads(rest[0]))
    tasks = run.get_task_instances()
    return {
        "state": str(run.state),
        "states": {task.task_id: str(task.state) for task in tasks},
        "tries": {task.task_id: task.try_number for task in tasks},
    }


if __name__ == "__main__":
    told = main(*sys.argv[1:])
    print("\n" + json.dumps(told))
