"""Reading features with the cohorts beside them, and the last days of events."""

from datetime import timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from jobs.runtime.run import Run


def read_with_cohort(run: Run, entity: EntityName) -> DataFrame:
    """Return the features of all users or items as of the data date, with <entity>_cohort."""
    features = run.read(f"{entity}_features", run.data_date)
    cohorts = run.read(f"{entity}_cohorts", run.data_date)
    labels = cohorts.select(f"{entity}_id", F.col("cohort").alias(f"{entity}_cohort"))
    return features.join(labels, on=f"{entity}_id", how="inner")


def read_last_events(run: Run, days: int) -> DataFrame:
    """Return the events of so many days up to the data date; of 0 days none."""
    if not days:
        return run.spark.createDataFrame([], run.catalog["events"].schema)
    return run.read("events", run.data_date - timedelta(days=days - 1), run.data_date)
