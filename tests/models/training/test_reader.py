"""Which rank reads which rows, in which order."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from core.errors import LamplighterError
from core.paths import place
from models.training.reader import Blocks, BlockShape, Rows
from tests.models.training_set import BLOCK_ROWS, to_blocks, write_blocks
from tests.object_store import BUCKET, ObjectStore

SHAPE = BlockShape(BLOCK_ROWS, categorical=3, dense=3, tasks=2)


def share(uris: list[str], rank: int, size: int, reader: str = "petastorm") -> Blocks:
    return Blocks(uris, SHAPE, rank, size, reader)  # type: ignore[arg-type]


def row_set(batches: Iterable[Rows]) -> list[bytes]:
    """All rows, each as bytes, sorted."""
    return sorted(row.tobytes() for batch in batches for row in batch.dense)


def test_a_block_is_read_back_as_it_was_packed(tmp_path: Path) -> None:
    packed = to_blocks("train", shard=0, blocks=1)[0]

    (rows,) = share(write_blocks(tmp_path, "train", shards=1, blocks=1), 0, 1).batches(BLOCK_ROWS)

    assert rows.categorical.shape == (BLOCK_ROWS, 3)
    assert rows.categorical.tobytes() == packed["categorical"]
    assert rows.dense.tobytes() == packed["dense"]
    assert rows.labels.tobytes() == packed["labels"]
    assert rows.mask.dtype == np.bool_
    assert rows.mask.all()
    assert rows.weight.tobytes() == packed["weight"]
    assert rows.user_group.tobytes() == packed["user_group"]
    assert rows.item_group.tobytes() == packed["item_group"] != packed["user_group"]


def test_both_readers_return_the_same_batches(tmp_path: Path) -> None:
    uris = write_blocks(tmp_path, "train")
    for rank in (0, 1):
        batches = [
            list(share(uris, rank, 2, reader).shuffled_batches(48, 2, seed=17, epoch=3))
            for reader in ("petastorm", "pyarrow")
        ]
        assert len(batches[0]) == len(batches[1])
        for ours, theirs in zip(*batches, strict=True):
            np.testing.assert_array_equal(ours.categorical, theirs.categorical)
            np.testing.assert_array_equal(ours.labels, theirs.labels)


@pytest.mark.parametrize("reader", ["petastorm", "pyarrow"])
def test_blocks_in_an_object_store_are_those_of_local_files(
    reader: str, tmp_path: Path, object_store: ObjectStore
) -> None:
    local, stored = write_blocks(tmp_path, "train"), []
    for uri in local:
        name = uri.rpartition("/")[2]
        stored.append(f"s3a://{BUCKET}/blocks/split=train/{name}")
        place(stored[-1]).write_bytes(Path(uri.removeprefix("file://")).read_bytes())

    for rank in (0, 1):
        here, there = (
            list(share(uris, rank, 2, reader).shuffled_batches(48, 2, seed=17, epoch=3))
            for uris in (local, stored)
        )
        assert len(here) == len(there) > 0
        for ours, theirs in zip(here, there, strict=True):
            np.testing.assert_array_equal(ours.categorical, theirs.categorical)
            np.testing.assert_array_equal(ours.dense, theirs.dense)

    place(stored[0]).unlink()
    with pytest.raises(LamplighterError, match=r"block file s3a://.* cannot be read"):
        share(stored, 0, 2, reader)


def test_ranks_divide_all_rows_and_an_epoch_is_a_permutation(tmp_path: Path) -> None:
    uris = write_blocks(tmp_path, "train")
    everything = row_set(share(uris, 0, 1).batches(BLOCK_ROWS))
    assert len(everything) == 4 * 3 * BLOCK_ROWS
    for epoch in range(3):
        shares = [list(share(uris, rank, 2).shuffled_batches(32, 2, 17, epoch)) for rank in (0, 1)]
        assert row_set(shares[0] + shares[1]) == everything
        assert [len(batch) for batch in shares[0]] == [len(batch) for batch in shares[1]] == [32] * 12
    assert row_set(b for rank in (0, 1) for b in share(uris, rank, 2).batches(50)) == everything


def test_after_as_many_epochs_as_ranks_a_rank_has_seen_all_rows(tmp_path: Path) -> None:
    uris = write_blocks(tmp_path, "train")
    blocks = share(uris, 0, 2, "pyarrow")

    first, second = (row_set(blocks.shuffled_batches(32, 2, 17, epoch)) for epoch in (0, 1))

    assert sorted(first + second) == row_set(share(uris, 0, 1).batches(32))


def test_order_is_a_function_of_seed_and_epoch(tmp_path: Path) -> None:
    blocks = share(write_blocks(tmp_path, "train"), 0, 1, "pyarrow")

    def order(seed: int, epoch: int) -> list[bytes]:
        return [batch.dense.tobytes() for batch in blocks.shuffled_batches(64, 4, seed, epoch)]

    assert order(17, 0) == order(17, 0)
    assert order(17, 0) != order(17, 1)
    assert order(17, 0) != order(18, 0)


def test_rows_and_files_have_a_new_order_in_each_epoch(tmp_path: Path) -> None:
    uris = write_blocks(tmp_path, "train", shards=8, blocks=1)
    one_file, half = share(uris[:1], 0, 1, "pyarrow"), share(uris, 0, 2, "pyarrow")

    rows = [[b.dense.tobytes() for b in one_file.shuffled_batches(64, 1, 17, epoch)] for epoch in (0, 1)]
    files = [[row_set([b])[0] for b in half.shuffled_batches(64, 1, 17, epoch)] for epoch in (0, 2)]

    assert rows[0] != rows[1]
    assert sorted(files[0]) == sorted(files[1])  # the same files again, two epochs later
    assert files[0] != files[1]


def test_rows_of_several_blocks_form_a_batch_and_all_but_the_last_are_full(tmp_path: Path) -> None:
    blocks = share(write_blocks(tmp_path, "train", shards=1, blocks=3), 0, 1, "pyarrow")
    block_of = {row.tobytes(): no for no, b in enumerate(blocks.batches(BLOCK_ROWS)) for row in b.dense}

    batches = list(blocks.shuffled_batches(50, window=2, seed=17, epoch=0))

    assert [len(batch) for batch in batches] == [50, 50, 50, 42]
    assert {block_of[row.tobytes()] for row in batches[0].dense} == {0, 1}


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (1, "different numbers of blocks"),
        (2, "3 block files cannot be shared evenly by 2 ranks"),
    ],
)
def test_uneven_shares_are_refused_with_the_files(size: int, message: str, tmp_path: Path) -> None:
    uris = write_blocks(tmp_path, "train", shards=3)
    if size == 1:
        uris[0:1] = write_blocks(tmp_path, "validation", shards=1, blocks=2)

    with pytest.raises(LamplighterError, match=message) as error:
        share(uris, 0, size)

    assert all(uri in str(error.value) for uri in uris)


def test_a_missing_file_and_a_truncated_one_are_refused_by_name(tmp_path: Path) -> None:
    uris = write_blocks(tmp_path, "train", shards=2)
    paths = [Path(uri.removeprefix("file://")) for uri in uris]
    paths[0].write_bytes(paths[0].read_bytes()[:-5])
    with pytest.raises(LamplighterError, match=r"train-0\.parquet cannot be read"):
        share(uris, 0, 1)

    paths[0].unlink()
    with pytest.raises(LamplighterError, match=r"train-0\.parquet cannot be read"):
        share(uris, 0, 1)


def test_blocks_of_another_encoder_are_refused(tmp_path: Path) -> None:
    other = BlockShape(BLOCK_ROWS, categorical=4, dense=3, tasks=2)

    with pytest.raises(LamplighterError, match="encoder or tasks are not the ones it was packed with"):
        next(Blocks(write_blocks(tmp_path, "train"), other, 0, 1, "pyarrow").batches(10))
