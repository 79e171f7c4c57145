"""A training set is packed once; one that has lost rows or files is packed again."""

from collections.abc import Callable

import pytest
from pyspark.sql import SparkSession

from core.errors import LamplighterError
from jobs.pack import pack
from jobs.tables.store import Store
from jobs.train import train
from tests.jobs.runtime.test_night import digest_of
from tests.jobs.sample_project import FIRST_NIGHT, SampleProject


def lose_file(store: Store, table: str) -> None:
    store.files(table)[0].unlink()


def lose_commit(store: Store, table: str) -> None:
    newest = max((store.catalog.path(table) / "_delta_log").glob("*.json"))
    newest.unlink()
    newest.with_suffix(".crc").unlink(missing_ok=True)
    newest.with_name(f".{newest.name}.crc").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("lose", "table"),
    [
        (lose_file, "training_blocks"),
        (lose_commit, "training_blocks"),
        (lose_file, "encoders"),
        (lose_commit, "encoders"),
        (lose_commit, "training_sets"),
    ],
)
def test_what_was_lost_of_a_training_set_is_packed_again(
    spark: SparkSession, used_project: SampleProject, lose: Callable[[Store, str], None], table: str
) -> None:
    before = digest_of(spark, used_project)
    lose(used_project.opened(FIRST_NIGHT).store, table)

    with pytest.raises(LamplighterError, match=r"[Rr]un `lamplighter pack --data-date 2022-05-07`"):
        train(used_project.ask(FIRST_NIGHT, model="ple"))
    run = pack(used_project.ask(FIRST_NIGHT))
    assert "packed already" not in run.record.notes
    assert digest_of(spark, used_project) == before

    assert "packed already" in pack(used_project.ask(FIRST_NIGHT)).record.notes
