"""Batches of training examples from the block files of one rank.

Letters: R rows of a block, B rows of a batch, C categorical and F dense columns, K tasks.

A block is one row of `training_blocks`: R examples packed into a few binary columns, so that a reader
moves bytes instead of columns. Both readers return the same blocks in the same order: Petastorm is
the default, pyarrow the fallback and the reference of its tests.
"""

import logging
import warnings
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.errors import LamplighterError
from core.paths import arrow_path, place

_ARRAYS = ("categorical", "dense", "labels", "mask", "weight", "user_group", "item_group")
_FILE = "file://"


@dataclass(frozen=True)
class BlockShape:
    """Sizes of the arrays in a block: rows R, categorical C, dense F, tasks K."""

    rows: int
    categorical: int
    dense: int
    tasks: int


@dataclass(frozen=True)
class Rows:
    """Some examples: a block, several blocks, or a batch.

    Shapes: categorical (B, C) int32; dense (B, F) float32, NaN for null; labels (B, K) float32;
    mask (B, K) bool, inside the task's sample space; weight (B,) float32, 0 for padding;
    user_group and item_group (B,) uint8, places of the row's cohorts.
    """

    categorical: NDArray[np.int32]
    dense: NDArray[np.float32]
    labels: NDArray[np.float32]
    mask: NDArray[np.bool_]
    weight: NDArray[np.float32]
    user_group: NDArray[np.uint8]
    item_group: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.weight)

    def take(self, index: "NDArray[np.int64] | slice") -> "Rows":
        """Return the rows at `index`, in its order."""
        return Rows(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    @staticmethod
    def concat(parts: Sequence["Rows"]) -> "Rows":
        """Concatenate rows."""
        names = [field.name for field in fields(Rows)]
        return Rows(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class Batch:
    """`Rows` as tensors of the types that a model takes: ids int64, mask bool; group (B,) int64."""

    categorical: Tensor
    dense: Tensor
    labels: Tensor
    mask: Tensor
    weight: Tensor
    group: Tensor

    @staticmethod
    def of(rows: Rows, group: NDArray[np.int64], device: torch.device) -> "Batch":
        """Copy rows, and their groups (`MultiTaskModel.group_of`), to a device."""
        return Batch(
            categorical=torch.from_numpy(rows.categorical.astype(np.int64)).to(device),
            dense=torch.from_numpy(rows.dense.astype(np.float32)).to(device),
            labels=torch.from_numpy(rows.labels.astype(np.float32)).to(device),
            mask=torch.from_numpy(rows.mask.astype(np.bool_)).to(device),
            weight=torch.from_numpy(rows.weight.astype(np.float32)).to(device),
            group=torch.from_numpy(group).to(device),
        )


class BlockReader(Protocol):
    """Reads the blocks of every `shard_count`-th file, starting with file `cur_shard`."""

    def __call__(self, uris: Sequence[str], cur_shard: int, shard_count: int) -> Iterator[dict[str, Any]]:
        """Yield one mapping of array name to bytes per block, in the order of `uris`."""
        ...


def read_with_petastorm(uris: Sequence[str], cur_shard: int, shard_count: int) -> Iterator[dict[str, Any]]:
    """Read blocks through Petastorm.

    One thread of its pool: with row groups unshuffled results come in the order asked for, and it reads
    ahead while torch computes. (The "dummy" pool reads in the caller, and sleeps 0.1 s whenever its queue
    is not yet filled.) The order of files is set by the caller, because Petastorm's own seed shuffles
    row groups inside a rank only. Never the table's folder: it holds files that Delta has removed.
    """
    from petastorm import make_batch_reader

    # Petastorm 0.13 calls pyarrow's old dataset interface, a dozen deprecation warnings per file,
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"petastorm\..*")
    # and says at each start that the files were not written by it, which they never are.
    logging.getLogger("petastorm").setLevel(logging.ERROR)
    # schema_fields are patterns; without the anchors "mask" would read "masked", too
    reader = make_batch_reader(
        list(uris),
        schema_fields=[f"^{name}$" for name in _ARRAYS],
        reader_pool_type="thread",
        workers_count=1,
        shuffle_row_groups=False,
        num_epochs=1,
        cur_shard=cur_shard,
        shard_count=shard_count,
        filesystem=_petastorm_files(uris[0]),
    )
    try:
        for group in reader:
            for no in range(len(group.weight)):
                yield {name: getattr(group, name)[no] for name in _ARRAYS}
    finally:  # not `with`: leaving Petastorm's context prints to stdout
        reader.stop()
        reader.join()


def read_with_pyarrow(uris: Sequence[str], cur_shard: int, shard_count: int) -> Iterator[dict[str, Any]]:
    """Read blocks with plain pyarrow, one file at a time."""
    for uri in uris[cur_shard::shard_count]:
        path, files = _arrow_path(uri)
        with pq.ParquetFile(path, filesystem=files) as file:
            for batch in file.iter_batches(batch_size=16, columns=list(_ARRAYS)):
                yield from batch.to_pylist()


_READERS: dict[str, BlockReader] = {"petastorm": read_with_petastorm, "pyarrow": read_with_pyarrow}


class Blocks:
    """The blocks of one split, divided evenly among ranks.

    Args:
        uris: files of the split as URIs, one row group each; their order does not matter.
        shape: of the arrays in every block.
        rank: of the process; the ranks' shares are disjoint and together all blocks.
        size: number of ranks.
        reader: "petastorm" or "pyarrow".

    Raises:
        LamplighterError: the ranks would get different numbers of blocks, so that one would wait for
            the others forever; or a file holds more than one row group.
    """

    def __init__(
        self,
        uris: Sequence[str],
        shape: BlockShape,
        rank: int,
        size: int,
        reader: Literal["petastorm", "pyarrow"],
    ) -> None:
        self._uris = sorted(uris)
        self._shape = shape
        self._rank = rank
        self._size = size
        self._read = _READERS[reader]
        self.blocks_per_rank = _equal_blocks(self._uris, size) * len(self._uris) // size

    def batches(self, batch_rows: int) -> Iterator[Rows]:
        """Yield this rank's rows in stored order, the same rows every time, for validation."""
        for block in self._blocks(self._uris, self._rank):
            for start in range(0, len(block), batch_rows):
                yield block.take(slice(start, start + batch_rows))

    def shuffled_batches(self, batch_rows: int, window: int, seed: int, epoch: int) -> Iterator[Rows]:
        """Yield this rank's share of one epoch in random order; the same for the same arguments.

        Files are reordered each epoch and rotate over the ranks, so that after `size` epochs a rank has
        read all of them. Rows are shuffled within `window` consecutive blocks. All ranks get the same number
        of batches; each but the last has `batch_rows` rows. Padding rows (weight 0) are among them.
        """
        files_rng = np.random.default_rng([seed, epoch])
        stripes = np.array(self._uris).reshape(-1, self._size)
        uris = [str(uri) for uri in files_rng.permutation(stripes).ravel()]
        rows_rng = np.random.default_rng([seed, epoch, 1 + self._rank])

        held: list[Rows] = []
        left = self._empty()
        for block in self._blocks(uris, (self._rank + epoch) % self._size):
            held.append(block)
            if len(held) == window:
                left = yield from _cut(left, held, batch_rows, rows_rng)
                held = []
        left = yield from _cut(left, held, batch_rows, rows_rng)
        if len(left):
            yield left

    def _blocks(self, uris: Sequence[str], cur_shard: int) -> Iterator[Rows]:
        for block in self._read(uris, cur_shard, self._size):
            yield self._unpack(block)

    def _unpack(self, block: dict[str, Any]) -> Rows:
        shape = self._shape
        try:
            return Rows(
                categorical=np.frombuffer(block["categorical"], "<i4").reshape(shape.rows, shape.categorical),
                dense=np.frombuffer(block["dense"], "<f4").reshape(shape.rows, shape.dense),
                labels=np.frombuffer(block["labels"], "<f4").reshape(shape.rows, shape.tasks),
                mask=np.frombuffer(block["mask"], np.uint8).reshape(shape.rows, shape.tasks).astype(np.bool_),
                weight=np.frombuffer(block["weight"], "<f4").reshape(shape.rows),
                user_group=np.frombuffer(block["user_group"], np.uint8).reshape(shape.rows),
                item_group=np.frombuffer(block["item_group"], np.uint8).reshape(shape.rows),
            )
        except ValueError as error:
            sizes = {name: len(block[name]) for name in _ARRAYS}
            raise LamplighterError(
                f"a block in one of {', '.join(self._uris)} has arrays of {sizes} bytes, not those of "
                f"{shape}; encoder or tasks are not the ones it was packed with: pack the training set again"
            ) from error

    def _empty(self) -> Rows:
        shape = self._shape
        return Rows(
            categorical=np.empty((0, shape.categorical), np.int32),
            dense=np.empty((0, shape.dense), np.float32),
            labels=np.empty((0, shape.tasks), np.float32),
            mask=np.empty((0, shape.tasks), np.bool_),
            weight=np.empty(0, np.float32),
            user_group=np.empty(0, np.uint8),
            item_group=np.empty(0, np.uint8),
        )


def _petastorm_files(uri: str) -> Any:
    """Return the file system that Petastorm reads a URI with; None: it finds this machine's by itself.

    It asks for pyarrow's old dataset interface, which pyarrow takes for file systems of its old kind alone.
    """
    where = place(uri)
    if isinstance(where, Path):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from pyarrow.filesystem import S3FSWrapper

        return S3FSWrapper(where.fs)


def _arrow_path(uri: str) -> tuple[str, Any]:
    """Return a URI as pyarrow takes it; that of a local file has no percent signs (`BlockFiles`)."""
    return (uri.removeprefix(_FILE), None) if uri.startswith(_FILE) else arrow_path(place(uri))


def _equal_blocks(uris: Sequence[str], size: int) -> int:
    """Return the number of blocks per file, and check that it is one number (cost: footers)."""
    blocks: dict[int, list[str]] = {}
    for uri in uris:
        try:
            path, files = _arrow_path(uri)
            footer = pq.read_metadata(path, filesystem=files)
        except (OSError, pa.ArrowInvalid) as error:
            raise LamplighterError(
                f"block file {uri} cannot be read ({error}); it belongs to the pinned version of "
                "training_blocks: restore it, or pack the training set again"
            ) from error
        if footer.num_row_groups != 1:
            raise LamplighterError(
                f"block file {uri} has {footer.num_row_groups} row groups, 1 is expected (a rank's share is "
                "counted in them); pack with more shards"
            )
        blocks.setdefault(footer.num_rows, []).append(uri)
    if len(blocks) != 1:
        found = "; ".join(f"{count} in {', '.join(files)}" for count, files in sorted(blocks.items()))
        raise LamplighterError(
            f"block files hold different numbers of blocks ({found}), equal ones are expected, or one rank "
            "would wait for the others forever; pack the training set again"
        )
    if len(uris) % size:
        raise LamplighterError(
            f"{len(uris)} block files cannot be shared evenly by {size} ranks ({', '.join(uris)}); set "
            "training.ranks to a divisor, or pack with training.shards a multiple of it"
        )
    return next(iter(blocks))


def _cut(
    left: Rows, held: list[Rows], batch_rows: int, rng: np.random.Generator
) -> Generator[Rows, None, Rows]:
    """Shuffle the rows of the held blocks, yield full batches, return the rows that are left over."""
    if not held:
        return left
    rows = Rows.concat(held)
    rows = Rows.concat([left, rows.take(rng.permutation(len(rows)))])
    full = len(rows) // batch_rows * batch_rows
    for start in range(0, full, batch_rows):
        yield rows.take(slice(start, start + batch_rows))
    return rows.take(slice(full, len(rows)))
