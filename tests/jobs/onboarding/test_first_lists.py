"""From the files of a log to its first lists, by what the README of the new project says."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project
from tests.jobs.onboarding.shop_log import LAST, MEMBERS, write_shop_log
from tests.jobs.typed import blocks_of, edited, type_in

ONE_PROCESS = """
-  ranks: 2
-  distributed: horovod
-  reader: petastorm
+  ranks: 1
+  distributed: single
+  reader: pyarrow
"""


@pytest.mark.slow
@pytest.mark.usefixtures("session_as_it_was")
def test_a_log_that_init_has_looked_at_gets_its_lists(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_CORES", "2")
    monkeypatch.chdir(tmp_path)
    write_shop_log(tmp_path / "shop", rows_per_day=150)

    type_in("lamplighter init mine --events shop/events --users shop/customers.jsonl\ncd mine")
    dataset = Path("conf/datasets/mine.yaml")
    assert "???" not in dataset.read_text().split("\n", 2)[2]  # all is guessed, and right
    dataset.write_text(edited(dataset.read_text(), ONE_PROCESS.strip("\n")))
    for _, commands in blocks_of(Path("README.md").read_text()):
        type_in(commands)

    project = Project(Arguments(LAST, LAST, dataset="mine", project=Path.cwd()))
    lists = project.store.rows("scores", f"data_date = '{LAST}'")
    assert {row["user_id"] for row in lists} == set(MEMBERS)
    assert len(lists) == 20 * len(MEMBERS)
