"""Run by the tests of this folder in Airflow's own environment: prints facts as JSON.

probe.py structure            import errors; edges, retries and dates of DAGs
probe.py run CONF_JSON        run nightly_kuairand by dag.test(), retries without delay; states and tries
probe.py page FILE PROJECT    ids and tasks of the DAGs that the first Python of a page makes of a project
probe.py ending BEGUN SAID    how a job ended that began after BEGUN, of which spark-submit has SAID something
"""

import json
import re
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

DAGS = Path(__file__).resolve().parents[2] / "dags"
sys.path.insert(0, str(DAGS))


def main(verb: str, *rest: str) -> dict[str, object]:
    if verb == "ending":
        from lamplighter_airflow.operator import ending_of

        return ending_of("check", ["--job", "check"], datetime.fromisoformat(rest[0]), rest[1])._asdict()
    if verb == "page":
        return dags_of_page(Path(rest[0]), rest[1])
    bag = DagBag(DAGS, safe_mode=False)
    if bag.import_errors:
        return {"import_errors": bag.import_errors}
    from lamplighter_airflow import night_dag

    dag = bag.dags["nightly_kuairand"]
    if verb == "structure":
        return {
            "import_errors": {},
            "dags": sorted(bag.dags),
            "first_dates": first_dates(dag),
            "over_a_change_of_clocks": first_dates(night_dag("awkward", start_date=date(2024, 3, 9))),
            "dates_up_to_an_end": first_dates(night_dag("synthetic", end_date=date(2024, 2, 29), hour=5)),
            "edges": {task.task_id: sorted(task.downstream_task_ids) for task in dag.tasks},
            "operators": sorted({base.__name__ for task in dag.tasks for base in type(task).__mro__}),
            "retries": sorted({task.retries for task in dag.tasks}),
            "pools": sorted({task.pool for task in dag.tasks}),
            "max_active_runs": dag.max_active_runs,
            "catchup": dag.catchup,
            "failed_runs_in_a_row": dag.max_consecutive_failed_dag_runs,
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


def dags_of_page(page: Path, project: str) -> dict[str, object]:
    """Parse the file that a page shows, as Airflow does, with another project in place of /srv/shop."""
    (shown, *_) = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.S | re.M)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "nights.py").write_text(shown.replace("/srv/shop", project))
        bag = DagBag(folder)
    dags = {name: sorted(dag.task_ids) for name, dag in bag.dags.items()}
    return {"import_errors": bag.import_errors, "dags": dags}


def first_dates(dag: DAG) -> list[list[str]]:
    """Return [data date, when it may begin in UTC] of the first scheduled runs, three at most."""
    from airflow.serialization.serialized_objects import DagSerialization

    scheduled = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    last = dag.end_date or datetime(2030, 1, 1, tzinfo=UTC)
    infos = scheduled.iter_dagrun_infos_between(None, last)
    date_of = dag.user_defined_macros["data_date"]
    return [
        [date_of({"data_date": None}, "scheduled", info.data_interval.start), f"{info.run_after:%m-%d %H:%M}"]
        for info, _ in zip(infos, range(3), strict=False)
    ]


if __name__ == "__main__":
    facts = main(*sys.argv[1:])
    sys.stdout.write("\n" + json.dumps(facts) + "\n")
