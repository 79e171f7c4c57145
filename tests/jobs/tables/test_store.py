"""Books, written without Spark."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from core.load import load_config
from jobs.tables.catalog import Catalog
from jobs.tables.store import Store

DAY = date(2022, 5, 8)


def row(version: str, **more: Any) -> dict[str, Any]:
    key = {"model_version": version, "first_data_date": DAY, "last_data_date": DAY}
    return key | {"task": "click", "cohort": "all", "metric": "gauc", "value": 0.7} | more


def test_a_book_of_before_gains_the_columns_that_were_declared_since(tmp_path: Path) -> None:
    config = load_config("kuairand", "local", "ple", (f"paths.warehouse={tmp_path}",))
    now = Catalog(config)
    declared = now["evaluations"]
    fewer = {name: kind for name, kind in declared.columns.items() if "users" not in name}
    before = Catalog(config)
    before.tables["evaluations"] = replace(declared, columns=fewer)
    Store(before, 1).replace_rows(
        "evaluations", [row("a"), row("b")], "test", {}, f"last_data_date = '{DAY}'"
    )

    store = Store(now, 1)
    store.replace_rows("evaluations", [row("a", users=12)], "test", {}, "model_version = 'a'")

    found = {line["model_version"]: line["users"] for line in store.rows("evaluations")}
    assert found == {"a": 12, "b": None}
