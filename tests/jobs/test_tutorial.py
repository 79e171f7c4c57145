"""The tutorial takes the awkward log to lists: its commands and edits, in order, as they stand there."""

from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.load import PROJECT_DIR, load_config
from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project
from tests.jobs.typed import blocks_of, edited, type_in

BLOCKS = blocks_of((PROJECT_DIR / "docs" / "tutorial.md").read_text(encoding="utf-8"))
NAME, LAST = "newsletter", date(2024, 3, 13)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds the data as the repository does, and is the current one."""
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "data").symlink_to(PROJECT_DIR / "data")
    monkeypatch.chdir(folder)
    return folder


def follow(kinds: tuple[str, ...], first: int = 0, last: int | None = None) -> None:
    """Do what blocks of some kinds say: commands, edits of the data set, the file of a test."""
    for kind, block in BLOCKS[first:last]:
        if kind not in kinds:
            continue
        if kind == "":
            type_in(block)
        elif kind == "diff":
            file = Path(f"conf/datasets/{NAME}.yaml")
            file.write_text(edited(file.read_text(), block))
        elif block.startswith("dataset:"):
            Path("conf/tests").mkdir()
            Path(f"conf/tests/{NAME}.yaml").write_text(block, encoding="utf-8")


def test_the_edits_of_the_tutorial_make_a_data_set(repository: Path) -> None:
    follow(("",), last=1)
    follow(("diff",))

    config = load_config(folder=Path.cwd())
    awkward = load_config("awkward", folder=PROJECT_DIR)

    assert config.source.actions == awkward.source.actions
    assert config.source.users == awkward.source.users
    assert config.behaviours == awkward.behaviours
    assert [task.label for task in config.tasks] == ["has_ordered = 1"]
    assert config.training.anchor == date(2024, 3, 12)


@pytest.mark.slow
@pytest.mark.usefixtures("session_as_it_was")
def test_the_tutorial_ends_with_a_list_for_every_visitor(
    repository: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_CORES", "2")

    follow(("", "diff", "yaml"))

    project = Project(Arguments(LAST, LAST, dataset=NAME, project=Path.cwd()))
    lists = project.store.rows("scores", f"data_date = '{LAST}'")
    known = project.store.rows("user_features", f"data_date = '{LAST}'")
    assert {row["user_id"] for row in lists} == {row["user_id"] for row in known}
    assert len(lists) == 5 * len(known)
    assert {row["data_date"] for row in project.store.rows("scores")} == {date(2024, 3, 12), LAST}
    assert len(project.store.rows("models")) == 1
