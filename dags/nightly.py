"""Airflow: a DAG for each data set of this checkout, paused until somebody enables it.

A file like this one holds the DAGs of a project of one's own (docs/how-to/airflow.md).
"""

from typing import Any

from lamplighter_airflow import data_sets, night_dag

OPTIONS: dict[str, dict[str, Any]] = {
    "kuairand": {"models": ["ple", "pooled"]},  # as in the demo; the embedded log ends on 2022-05-08
}

for dataset in data_sets():
    night_dag(dataset, **OPTIONS.get(dataset, {}))
