"""Tables of a group: what they hold, and that Delta keeps it as it is declared."""

from pathlib import Path

import pytest
from deltalake import DeltaTable, Schema

from jobs.tables.arrow import arrow_schema
from jobs.tables.catalog import declared_tables
from jobs.tables.checks import schema_difference
from tests.features.crossed import config_with_crosses
from tests.features.measured import config_with_groups
from tests.features.small import small_config

TABLES = {table.name: table for table in declared_tables(config_with_groups())}


def test_a_table_of_state_exists_only_where_an_aggregate_needs_one() -> None:
    assert [name for name in TABLES if name.endswith("_state")] == [
        "user_state",
        "city_state",
        "tag_state",
        "page_state",
    ]
    assert not [table for table in declared_tables(small_config()) if table.name.endswith("_state")]


def test_the_key_of_a_group_has_the_type_of_its_column() -> None:
    keys = {name: TABLES[name].columns[name.replace("_daily", "_id")] for name in TABLES if "_daily" in name}

    assert {name: kind.simpleString() for name, kind in keys.items()} == {
        "user_daily": "bigint",
        "item_daily": "bigint",
        "city_daily": "string",
        "tag_daily": "string",
        "page_daily": "int",
    }


def test_a_cross_has_two_keys_a_row_per_pair_and_a_state_only_of_lists() -> None:
    tables = {table.name: table for table in declared_tables(config_with_crosses())}

    assert tables["taste_features"].grain == ("user_id", "taste_id", "data_date")
    assert tables["taste_daily"].grain == ("user_id", "taste_id", "data_date")
    keys = {name: list(tables[name].columns.items())[:2] for name in ("taste_features", "again_features")}
    assert {name: [(key, kind.simpleString()) for key, kind in both] for name, both in keys.items()} == {
        "taste_features": [("user_id", "bigint"), ("taste_id", "string")],
        "again_features": [("user_id", "bigint"), ("again_id", "bigint")],
    }
    assert tables["again_features"].holds == (
        "features as of the data date; one row for every user and value of `item_id` with an event in the "
        "longest window"
    )
    assert ("taste_state" in tables, "again_state" in tables) == (True, False)


def test_examples_hold_the_features_of_all_groups() -> None:
    for group in ("user", "item", "city", "tag", "page"):
        of_group = list(TABLES[f"{group}_features"].columns)[2:]
        assert set(of_group) <= set(TABLES["examples"].columns)


@pytest.mark.parametrize("name", ["tag_daily", "tag_state", "tag_features"])
def test_delta_and_arrow_keep_arrays_and_structs(name: str, tmp_path: Path) -> None:
    table = TABLES[name]
    made = DeltaTable.create(
        tmp_path / name, schema=Schema.from_json(table.schema.json()), partition_by=list(table.partition)
    )

    assert schema_difference(table, made) == ([], {}, [])
    assert len(arrow_schema(table)) == len(table.columns)
    assert set(table.not_content) == {column for column in table.columns if column.endswith("__sketch")}
