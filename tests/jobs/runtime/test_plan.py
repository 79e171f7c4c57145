"""What would run, and why, after two nights: down to the file, the key or the commit."""

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.errors import ConfigError, LamplighterError
from jobs.runtime import fingerprints
from jobs.runtime.code import code_of
from jobs.runtime.night import plan_night
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.plan import named_changes
from tests.jobs.sample_project import SECOND_NIGHT, SampleProject
from tests.jobs.test_bad_input import rewrite


@pytest.fixture
def project(spark: SparkSession, after_two_nights: SampleProject, tmp_path: Path) -> SampleProject:
    """Two nights have run; a copy of one's own."""
    return after_two_nights.copy(tmp_path)


def to_run(project: SampleProject, *settings: str) -> dict[str, str]:
    asked = project.ask(SECOND_NIGHT, model="mfh")
    steps = plan_night(replace(asked, settings=(*asked.settings, *settings)))
    return {step.job: step.why for step in steps if step.dates}


def test_after_a_night_nothing_is_to_run(after_two_nights: SampleProject) -> None:
    assert to_run(after_two_nights) == {}


@pytest.mark.parametrize(
    ("setting", "first", "why"),
    [
        ("lists.home.top_k=4", "score", "configuration: lists.home.top_k changed"),
        ("cohorts.user.version=2", "label_cohorts", "configuration: cohorts.user.version changed"),
        ("audits.days_before=3", "check", "configuration: audits.days_before changed"),
        (
            "model.optimiser.learning_rate=0.01",
            "train",
            "configuration: model.optimiser.learning_rate changed",
        ),
    ],
)
def test_a_changed_setting_is_named_by_its_key(
    after_two_nights: SampleProject, setting: str, first: str, why: str
) -> None:
    found = to_run(after_two_nights, setting)

    assert min(found, key=list(all_jobs()).index) == first
    assert found[first] == why


@pytest.mark.parametrize(
    ("file", "jobs"),
    [
        ("features/outcomes.py", {"look_back", "report"}),
        ("quality/report/templates/night.html.j2", {"report"}),
        ("models/serving/scorer.py", {"score", "publish", "report"}),
        ("quality/gains.py", {"promote", "score", "publish", "report"}),  # who serves is open until then
        ("jobs/check.py", {"check", "report"}),
        ("core/schema.py", set()),
        ("jobs/tables/catalog.py", set()),
        ("models/architectures/mmoe.py", set()),
        ("jobs/runtime/progress.py", set()),
    ],
)
def test_a_changed_file_makes_stale_what_can_reach_it(
    after_two_nights: SampleProject, monkeypatch: pytest.MonkeyPatch, file: str, jobs: set[str]
) -> None:
    def changed(*arguments: object, **more: object) -> dict[str, str]:
        found = code_of(*arguments, **more)  # type: ignore[arg-type]
        return found | ({file: "other"} if file in found else {})

    monkeypatch.setattr(fingerprints, "code_of", changed)

    assert set(to_run(after_two_nights)) == jobs


def test_a_changed_source_file_is_named(project: SampleProject) -> None:
    rewrite(project.log_file(SECOND_NIGHT), lambda rows: rows[1:])

    assert f"source log/{SECOND_NIGHT}.parquet changed" in to_run(project)["ingest"]


def test_a_table_whose_newest_commit_is_gone_is_made_again(project: SampleProject) -> None:
    log = project.opened().catalog.path("user_cohorts") / "_delta_log"
    newest = max(log.glob("*.json"))
    newest.unlink()
    newest.with_name(f".{newest.name}.crc").unlink(missing_ok=True)
    newest.with_suffix(".crc").unlink(missing_ok=True)

    found = to_run(project)

    assert "the commit of user_cohorts by run" in found["label_cohorts"]
    assert "is gone from the table's log" in found["label_cohorts"]
    assert "build_features" not in found


def test_a_column_that_the_table_lacks_is_named_before_anything_runs(project: SampleProject) -> None:
    features = project.opened().config.features.user
    aggregates = [a.model_dump(mode="json", exclude_defaults=True) for a in features.aggregates]
    more = {"name": "follow_count", "agg": "sum", "of": "is_follow", "windows": ["all"]}

    with pytest.raises(ConfigError, match="user_follow_count_all") as error:
        to_run(project, f"features.user.aggregates={[*aggregates, more]}")

    assert error.value.exit_code == 2
    assert "user_features" in str(error.value)


def test_a_missing_source_file_is_named_before_anything_runs(project: SampleProject) -> None:
    from jobs.runtime.night import run_night

    (project.source / "video_features_basic.parquet").unlink()

    with pytest.raises(LamplighterError, match=r"video_features_basic.parquet: attribute file is missing"):
        run_night(project.ask(SECOND_NIGHT, model="mfh"))


def test_a_change_of_configuration_is_named_by_the_outermost_key_that_is_new_or_gone() -> None:
    before = {
        "features.user.aggregates[order]": "1",
        "features.user.aggregates[likes].agg": "2",
        "features.user.aggregates[old].agg": "3",
        "features.user.aggregates[old].windows": "4",
        "tasks[order]": "5",
    }
    now = {
        "features.user.aggregates[order]": "6",
        "features.user.aggregates[likes].agg": "7",
        "features.zip.key": "8",
        "features.zip.aggregates[count].agg": "9",
        "tasks[order]": "10",
    }

    assert named_changes(before, now) == (
        "features.zip is new, features.user.aggregates[old] is gone; "
        "features.user.aggregates[likes].agg, tasks[order] changed"
    )
    assert named_changes(before, before | {"tasks[order]": "6"}) == "tasks[order] changed"
