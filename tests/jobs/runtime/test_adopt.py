"""Code that changed without changing results is adopted; code that changes results is not."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from core.errors import ConfigError
from features import cohorts
from jobs.runtime import attributes, fingerprints
from jobs.runtime.adopt import adopt
from jobs.runtime.code import code_of
from jobs.runtime.night import plan_night
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject


@pytest.fixture
def project(spark: SparkSession, after_two_nights: SampleProject, tmp_path: Path) -> SampleProject:
    """Two nights have run; a copy of one's own."""
    return after_two_nights.copy(tmp_path)


def change_code(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """Let a file have another syntax tree than when the nights ran."""

    def changed(module: str, *arguments: Iterable[str], **more: Iterable[str]) -> dict[str, str]:
        found = code_of(module, *arguments, **more)
        return found | ({file: "other"} if file in found else {})

    monkeypatch.setattr(fingerprints, "code_of", changed)


def to_run(project: SampleProject, model: str = "mfh") -> dict[str, str]:
    steps = plan_night(project.ask(SECOND_NIGHT, model=model))
    return {step.job: step.why for step in steps if step.dates}


def test_changed_code_with_the_same_results_is_adopted(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_code(monkeypatch, "features/cohorts.py")
    before = to_run(project)
    assert before["label_cohorts"] == "code: features/cohorts.py changed"
    assert "build_features" not in before

    found = adopt("label_cohorts", project.ask(SECOND_NIGHT))

    assert found.differences == ()
    assert found.dates[0] == SECOND_NIGHT
    assert len(found.dates) == 2
    after = to_run(project)
    assert "label_cohorts" not in after
    assert set(after) < set(before)
    assert not adopt("label_cohorts", project.ask(SECOND_NIGHT)).is_new


def test_changed_code_with_other_results_is_refused_with_the_columns(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_code(monkeypatch, "features/cohorts.py")
    rule: Callable[..., Column] = cohorts.cohort_of
    shown = F.col("user_impression_count_all") == 4

    def cohort_of(declared: object, *more: object) -> Column:
        label = rule(declared, *more)
        is_user = "low" in declared.names  # type: ignore[attr-defined]
        return F.when(shown, F.lit("high")).otherwise(label) if is_user else label

    monkeypatch.setattr(cohorts, "cohort_of", cohort_of)
    users = project.opened().store.rows("user_features", f"data_date = '{SECOND_NIGHT}'")
    moved = sum(row["user_impression_count_all"] == 4 for row in users)

    found = adopt("label_cohorts", project.ask(SECOND_NIGHT))

    assert moved > 0
    (difference, *_) = found.differences
    assert str(difference) == f"user_cohorts: cohort differs in {moved:,} rows"
    assert "label_cohorts" in to_run(project)


def test_a_table_that_is_made_of_the_same_files_already_is_made_anew_in_a_trial(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_code(monkeypatch, "features/entities.py")
    read = attributes.to_entities

    def to_entities(*arguments: object) -> DataFrame:
        found = read(*arguments)  # type: ignore[arg-type]
        if "user_fans_range" not in found.columns:
            return found
        return found.withColumn("user_fans_range", F.upper("user_fans_range"))

    monkeypatch.setattr(attributes, "to_entities", to_entities)

    found = adopt("ingest", project.ask(SECOND_NIGHT))

    assert {difference.table for difference in found.differences} == {"users"}


@pytest.mark.slow
def test_a_trial_writes_nothing(project: SampleProject, monkeypatch: pytest.MonkeyPatch) -> None:
    change_code(monkeypatch, "features/tiles.py")
    store = project.opened().store
    before = {table: store.version(table) for table in store.catalog.tables}

    adopt("build_features", project.ask(SECOND_NIGHT))

    after = {table: project.opened().store.version(table) for table in store.catalog.tables}
    assert {table for table in after if after[table] != before[table]} == {"code_equivalences"}


@pytest.mark.slow
def test_changed_training_code_with_the_same_weights_is_adopted(
    project: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_code(monkeypatch, "models/training/losses.py")
    assert to_run(project)["train"] == "code: models/training/losses.py changed"

    assert adopt("train", project.ask(SECOND_NIGHT, model="mfh")).differences == ()

    assert to_run(project) == {}


def test_a_job_that_writes_no_table_cannot_be_adopted(project: SampleProject) -> None:
    with pytest.raises(ConfigError, match="adopt report: no job that writes a table"):
        adopt("report", project.ask(SECOND_NIGHT))
