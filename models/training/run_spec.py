"""The specification of one training run: everything a rank needs, as one JSON file.

The launcher (a job, which may read tables) writes it; `models/training/process.py` (which may not) reads it.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.encoder import Encoder
from core.model import Model
from core.schema import Task


class BlockFiles(BaseModel):
    """Files of `training_blocks`, pinned to one table version, as URIs.

    Of a local file `file://` and its path as it is, without percent signs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    train: tuple[str, ...]
    validation: tuple[str, ...]

    @model_validator(mode="after")
    def _both_splits_have_files(self) -> Self:
        empty = [split for split in ("train", "validation") if not getattr(self, split)]
        if empty:
            raise ValueError(f"no block files for {empty}; run `pack` for this training set first")
        return self


class FitSpec(BaseModel):
    """The part of the specification that the training loop reads.

    Args:
        model: the model YAML.
        tasks: K tasks in the order of the rows' label columns.
        cohorts: cohort column (user_cohort, item_cohort) -> names behind `user_group` and `item_group`.
        seed: of initial weights and of every shuffle; 0 would mean "no seed" to Petastorm.
        shuffle_blocks: blocks whose rows are shuffled together before they are cut into batches.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Model
    tasks: tuple[Task, ...]
    cohorts: dict[str, tuple[str, ...]]
    seed: Annotated[int, Field(ge=1)]
    shuffle_blocks: Annotated[int, Field(ge=1)] = 16


class RunSpec(FitSpec):
    """One training run. Equal specs on equal machines give equal weights, byte by byte.

    Args:
        blocks: files of each split; every split is divided into equal shares of blocks by rank.
        block_rows: R, rows of one block, padding included.
        encoder: C categorical and F dense columns in the order of the blocks' arrays.
        out_dir: existing folder for weights.safetensors, calibration.json, history.json.
    """

    blocks: BlockFiles
    block_rows: Annotated[int, Field(ge=1)]
    encoder: Encoder
    distributed: Literal["horovod", "torch", "single"]
    reader: Literal["petastorm", "pyarrow"]
    out_dir: str

    def write(self, path: Path) -> None:
        """Write the spec as JSON."""
        path.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote.

        Raises:
            pydantic.ValidationError: a key is unknown, missing or of the wrong type.
        """
        return cls.model_validate_json(path.read_text(encoding="utf-8"))
