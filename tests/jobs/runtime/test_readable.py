"""Tables and files that do not fit the configuration end a run before Spark starts, with what to do."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from deltalake import DeltaTable, Field, Schema
from deltalake.schema import PrimitiveType

from core.errors import ConfigError, LamplighterError
from core.load import load_config
from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project
from jobs.runtime.readable import added_columns, require_readable, require_sources, schema_differences
from tests.jobs.test_backfill import ask, rows_of
from tests.tiny_log import DAYS, deliver, write_tiny_project

DAY = date(2022, 5, 7)
COUNTS = [a.model_dump() for a in load_config().features.user.aggregates]
NEW = {"name": "night_count", "agg": "count", "where": "hour < 6", "windows": ["7d"]}


@pytest.fixture
def asked(tmp_path: Path) -> Arguments:
    """A warehouse of the demo in which all tables are made and none has rows."""
    asked = Arguments(DAY, DAY, settings=(f"paths.warehouse={tmp_path}",))
    catalog = Project(asked).catalog
    for table in catalog.tables.values():
        schema = Schema.from_json(table.schema.json())
        DeltaTable.create(catalog.path(table.name), schema, partition_by=list(table.partition))
    return asked


def with_setting(asked: Arguments, **settings: object) -> Arguments:
    texts = (f"{key.replace('__', '.')}={json.dumps(value)}" for key, value in settings.items())
    return replace(asked, settings=(*asked.settings, *texts))


def test_a_feature_and_a_group_that_are_new_are_refused_with_the_command_that_adds_them(
    asked: Arguments,
) -> None:
    author = {"key": "item_author_id", "aggregates": [COUNTS[0]]}
    changed = with_setting(asked, features__user__aggregates=[*COUNTS, NEW], features__author=author)

    with pytest.raises(ConfigError) as error:
        require_readable(Project(changed))

    assert error.value.exit_code == 2
    assert "user_daily: column night_count (bigint) is declared but not in the table; " in str(error.value)
    assert "author_features: the group is declared but has no table; fill in with" in str(error.value)
    assert f"`lamplighter backfill --from {DAY}`" in str(error.value)
    require_readable(Project(replace(changed, fills_in=True)))
    require_readable(Project(asked))


def test_a_column_of_a_table_that_no_backfill_makes_comes_with_the_next_night(asked: Arguments) -> None:
    follow = {"name": "follow", "label": "is_click = 0", "kind": "binary"}
    tasks = [*(task.model_dump(exclude_defaults=True) for task in load_config().tasks), follow]
    weights = dict(load_config().lists["home"].ranking) | {"follow": 1.0}
    project = Project(with_setting(asked, tasks=tasks, lists__home__ranking=weights))

    differences = schema_differences(project)
    assert set(differences["scores"].new) == {"p_follow"}
    assert set(added_columns(project, differences)) == {"examples"}


def test_a_column_that_is_not_declared_any_more_is_no_reason_to_stop(asked: Arguments) -> None:
    log = DeltaTable(Project(asked).catalog.path("user_daily"))
    log.alter.add_columns(Field("night_count", PrimitiveType("long"), nullable=True))
    project = Project(asked)

    require_readable(project)

    assert project.store.schema_difference("user_daily").old == ["night_count"]


def test_a_column_that_left_the_source_files_is_named_with_file_and_data_date(tmp_path: Path) -> None:
    one, two, *_ = DAYS
    folder = write_tiny_project(tmp_path / "project")
    deliver(folder, one, "a", rows_of(one))
    project = Project(ask(folder, two, two))
    [accepted] = project.sources.log_files(one)
    row = {"path": accepted.path, "sha256": accepted.sha256, "file_date": one, "rows": 3}
    dates = {"first_data_date": one, "last_data_date": one}
    project.store.append_rows("source_files", [row | dates], "test", {})
    file = deliver(folder, two, "a", rows_of(two))
    lines = [line.rpartition(",")[0] for line in file.read_text(encoding="utf-8").splitlines()]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    with pytest.raises(LamplighterError) as error:
        require_sources(project)

    assert str(error.value).startswith(
        f"log/{two}/a.csv (data date {two}): column clicked is missing, expected string, as in "
        f"log/{one}/a.csv; deliver the file as before; or, if files stay like this, change the mapping"
    )
