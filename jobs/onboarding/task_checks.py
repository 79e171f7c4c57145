"""Checks of labels, over events of the sample, and of the rules of cohorts."""

from collections.abc import Sequence
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.expressions import columns_of
from features.cohorts import cohort_of
from features.labels import label, mask
from jobs.onboarding.checking import Checks, Expression, reader_of
from quality.verdicts import percent


def check_tasks(checks: Checks, events: DataFrame) -> None:
    """Say how often labels are positive, or their range."""
    for task in checks.config.tasks:
        key = f"tasks.{task.name}.label"
        texts = [(key, task.label)]
        texts += [(f"tasks.{task.name}.where", task.where)] if task.where is not None else []
        if len(checks.evaluate(events, [Expression(k, t, reader_of(t)) for k, t in texts])) < len(texts):
            continue
        if joined := _of_actions(checks, [text for _, text in texts], key):
            checks.found.notes.append(
                f"task {task.name}: reads {', '.join(joined)} of a log of actions, which ingest joins; "
                "`lamplighter test` shows labels with actions"
            )
            continue
        value, inside = F.col(f"label_{task.name}"), F.col(f"mask_{task.name}")
        rows, mean, low, high, others = (
            events.select(label(task, events), mask(task, events))
            .where(inside)
            .agg(F.count(F.lit(1)), F.avg(value), F.min(value), F.max(value), F.count_if(~value.isin(0, 1)))
            .collect()[0]
        )
        if not rows:
            checks.fault(key, "no row of the sample is in its sample space with a known label")
        elif task.kind == "regression":
            checks.found.notes.append(
                f"task {task.name}: mean {mean:.4g}, {low:.4g} .. {high:.4g}, {rows:,} rows"
            )
        elif others:
            checks.fault(key, f"{others:,} of {rows:,} rows have another value than 0 and 1")
        else:
            checks.found.notes.append(f"task {task.name}: {percent(mean)} positive, {rows:,} rows")
            if mean in (0, 1):
                checks.fault(
                    key, f"all of {rows:,} rows have the label {mean:g}; a model learns nothing of it"
                )


def _of_actions(checks: Checks, texts: Sequence[str], key: str) -> list[str]:
    """Return the behaviours that expressions read and that come from logs of actions: 0 in the sample."""
    read = {column for text in texts for column in columns_of(text, key)}
    return [name for name, each in checks.config.behaviours.items() if each.action and name in read]


def check_cohorts(checks: Checks) -> None:
    """Check that the rules of cohorts fit the types of features."""
    for entity in ("user", "item"):
        schema = checks.project.catalog[f"{entity}_features"].schema
        features = checks.project.spark.createDataFrame([], schema)
        cohorts = getattr(checks.config.cohorts, entity)
        for rule in cohorts.rules:
            one = cohorts.model_copy(update={"rules": (rule,)})
            key = f"cohorts.{entity}.rules.{rule.name}.when"
            checks.analysed(features, Expression(key, rule.when, partial(cohort_of, one)))
