"""Airflow: a DAG for each data set of this checkout, paused until somebody enables it.

A file like this one holds the DAGs of a project of one's own (docs/how-to/airflow.md).
"""

from datetime import date
from typing import Any

from lamplighter_airflow import data_sets, night_dag

OPTIONS: dict[str, dict[str, Any]] = {
    # The embedded log ends here; on its second night MFH meets the champion.
    "kuairand": {"end_date": date(2022, 5, 8), "models": ["ple", "mfh"]},
}

for dataset in data_sets():
    night_dag(dataset, **OPTIONS.get(dataset, {}))
