"""Nights of Lamplighter as Airflow DAGs, for files in a DAG folder (docs/how-to/airflow.md)."""

from lamplighter_airflow.night import data_sets, night_dag
from lamplighter_airflow.operator import log_failure

__all__ = ["data_sets", "log_failure", "night_dag"]
