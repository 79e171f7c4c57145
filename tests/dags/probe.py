"""Run by test_nightly.py in Airflow's own environment: prints facts about the DAG as JSON.

probe.py structure            import errors, edges, retries
probe.py run CONF_JSON        run it by dag.test(), retries without delay; states and tries by task
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).resolve().parents[2] / "dags"


def main(verb: str, *rest: str) -> dict[str, object]:
    bag = DagBag(DAGS, safe_mode=False)
    if bag.import_errors:
        return {"import_errors": bag.import_errors}
    dag = bag.dags["nightly"]
    if verb == "structure":
        return {
            "import_errors": {},
            "edges": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
            "operators": sorted({base.__name__ for task in dag.tasks for base in type(task).__mro__}),
            "retries": sorted({task.retries for task in dag.tasks}),
            "max_active_runs": dag.max_active_runs,
            "date_of_schedule": dag.user_defined_macros["data_date"](
                {"data_date": None, "dataset": "kuairand"}, "scheduled", datetime(2022, 5, 7, 18, tzinfo=UTC)
            ),
        }
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
    facts = main(*sys.argv[1:])
    sys.stdout.write("\n" + json.dumps(facts) + "\n")
