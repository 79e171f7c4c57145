"""`lamplighter validate` shows what expressions make of the files; a fault names file, line and key."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.load import read_layers
from jobs.onboarding.checking import Findings
from jobs.onboarding.new_project import guess_dataset
from jobs.onboarding.project_folder import write_project
from jobs.onboarding.validation import validate
from jobs.runtime.arguments import LATEST, Arguments
from jobs.runtime.project import Project
from tests.jobs.onboarding.shop_log import write_shop_log

SETTINGS = ("runtime.cores=1",)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the shop, and a project that `init` wrote for them."""
    folder = write_shop_log(tmp_path_factory.mktemp("validated"), rows_per_day=120)
    guess = guess_dataset("shop", str(folder / "events"), str(folder / "customers.jsonl"), None)
    write_project(folder / "project", guess)
    return folder / "project"


def validated(written: Path, folder: Path, changes: Mapping[str, str]) -> tuple[Findings, list[str]]:
    """Validate the project with some texts changed; return what was found, and the lines of the data set."""
    text = (written / "conf" / "datasets" / "shop.yaml").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    for name in ("base", "local"):
        (folder / "conf" / "datasets").mkdir(parents=True, exist_ok=True)
        (folder / "conf" / f"{name}.yaml").write_bytes((written / "conf" / f"{name}.yaml").read_bytes())
    (folder / "conf" / "datasets" / "shop.yaml").write_text(text, encoding="utf-8")
    project = Project(Arguments(LATEST, LATEST, "shop", settings=SETTINGS, project=folder))
    layers = read_layers("shop", "local", "ple", SETTINGS, folder)
    return validate(project, layers, None), text.splitlines()


def test_what_init_writes_is_shown_and_right(spark: SparkSession, written: Path, tmp_path: Path) -> None:
    found, _ = validated(written, tmp_path, {})

    assert found.faults == []
    shown = {each.key: each for each in found.shown}
    times = shown["source.events.columns.event_time.from"]
    assert times.values.startswith("2024-03-13 ")  # in New York
    assert times.nulls == "0.8 %"
    assert set(shown["behaviours.clicked.from"].values.split(" | ")) == {"0", "1"}
    assert shown["source.users.key"].values.startswith("Zoë-")
    assert shown["tasks.clicked.label"].nulls == "0 %"
    notes = "\n".join(found.notes)
    assert "events: all 121 rows of 2 files of 2024-03-13" in notes
    assert "98.3 % of the rows are of 2024-03-13, as their file, 0.8 % of up to 1 days before" in notes
    assert "rule event_time_not_null: 1 of 121 rows fail" in notes
    assert "users: 60 rows, 0 without a readable key; 100 % of the events are of a user in it" in notes
    assert "task clicked: " in notes


def test_each_fault_names_file_line_and_key(spark: SparkSession, written: Path, tmp_path: Path) -> None:
    found, lines = validated(
        written,
        tmp_path,
        {
            "time_zone: America/New_York": "time_zone: Asia/Tokyo",
            "label: clicked = 1": "label: clicked = 7",
            "key: customer": "key: tier",
            "when: user_impression_count_all <= 3": "when: user_impression_count_all",
            "snapshot_date: undated": "snapshot_date: undated\n    valid_from: {from: tier, type: date}",
        },
    )

    said = {fault.split(": ")[1]: fault for fault in found.faults}
    for key, start, text in (
        ("source.time_zone", "  time_zone:", "in America/New_York: set that"),
        ("tasks.clicked.label", "  - {name: clicked", "have the label 0; a model learns nothing of it"),
        ("source.users.key", "    key: tier", "of the events are of a user in this file"),
        ("cohorts.user.rules.new.when", "      - {name: new", "BOOLEAN"),
        ("source.users.valid_from.from", "    valid_from:", "'tier' makes null of every row"),
    ):
        (line, *_) = (number for number, each in enumerate(lines, 1) if each.startswith(start))
        assert said[key].startswith(f"datasets/shop.yaml:{line}: {key}: ")
        assert text in " ".join(found.faults)


def test_a_column_that_the_files_lack_is_named_with_those_that_they_have(
    spark: SparkSession, written: Path, tmp_path: Path
) -> None:
    found, lines = validated(
        written, tmp_path, {"{from: product, type": "{from: produkt, type", "{from: born, ": "{from: burn, "}
    )

    (line,) = (number for number, each in enumerate(lines, 1) if "from: produkt" in each)
    assert found.faults[0].startswith(
        f"datasets/shop.yaml:{line}: source.events.columns.item_id.from: 'produkt': columns ['produkt'] are "
        "missing; the files have ['customer', 'product', 'ts'"
    )
    assert "source.users.columns.user_born.from: 'burn': columns ['burn'] are missing" in found.faults[1]


def test_labels_of_actions_are_not_judged_by_a_log_that_lacks_them(spark: SparkSession) -> None:
    project = Project(Arguments(LATEST, LATEST, "awkward", settings=SETTINGS))

    found = validate(project, read_layers("awkward", "local", "ple", SETTINGS), None)

    assert found.faults == []
    assert any("reads has_ordered of a log of actions, which ingest joins" in note for note in found.notes)
