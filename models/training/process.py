"""One rank of a training run.

horovodrun --gloo -np 2 -H localhost:2 python -m models.training.process RUN.json
torchrun --nproc-per-node 2 -m models.training.process RUN.json        (distributed: torch)
python -m models.training.process RUN.json                             (distributed: single)

Rank 0 writes weights.safetensors, calibration.json and history.json into the run's folder. A rank that
ends early says why in one line, `rank N stopped: ...` (an error of ours) or `rank N failed: ...`, which the
launcher reads: a file could not be written where the disk is full.
Cost: epochs x examples of a rank's share, and the validation rows of all ranks in memory once, for
calibration.
"""

import argparse
import dataclasses
import json
import logging
import os
import sys
from pathlib import Path

import torch
from safetensors.torch import save

from core.errors import LamplighterError
from core.paths import naming
from models.model import build_model
from models.serving.calibration import fit_calibration
from models.training.distributed import Distributed, create
from models.training.lifeline import die_with_parent
from models.training.reader import Blocks, BlockShape
from models.training.run_spec import RunSpec
from models.training.trainer import Trainer

logger = logging.getLogger(__name__)


def main(spec_path: Path) -> int:
    """Take part in one training run; return the exit code."""
    die_with_parent()
    _be_deterministic()
    spec = RunSpec.read(spec_path)
    ranks = create(spec.distributed)
    try:
        train(spec, ranks)
    except LamplighterError as error:
        logger.error("rank %d stopped: %s", ranks.rank, error)
        return error.exit_code
    except Exception as error:
        text = " ".join(str(error).split())
        logger.exception("rank %d failed: %s: %s", ranks.rank, type(error).__name__, text)
        return 1
    finally:
        ranks.close()
    return 0


def train(spec: RunSpec, ranks: Distributed) -> None:
    """Train, restore the best weights, calibrate them, write the results.

    Raises:
        LamplighterError: block files do not fit, or a loss is not finite.
    """
    train_blocks, validation_blocks = (
        Blocks(uris, _shape(spec), ranks.rank, ranks.size, spec.reader)
        for uris in (spec.blocks.train, spec.blocks.validation)
    )
    tasks = tuple(task.name for task in spec.tasks)
    torch.manual_seed(spec.seed + ranks.rank)  # of id dropout: each rank hides other values
    model = build_model(spec.model, spec.encoder, tasks, spec.cohorts, spec.seed)
    model.to(ranks.device)
    trainer = Trainer(model, spec, train_blocks, validation_blocks, ranks)

    history = trainer.fit()
    rows = trainer.predict_validation()
    if ranks.rank != 0:
        return
    calibration = fit_calibration(
        rows.logits,
        rows.labels,
        rows.mask,
        rows.weight,
        rows.user_group,
        spec.tasks,
        spec.cohorts["user_cohort"],
    )
    weights = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    epochs = [dataclasses.asdict(epoch) for epoch in history]
    for name, content in {
        "weights.safetensors": save(weights),
        "calibration.json": f"{calibration.model_dump_json(indent=1)}\n".encode(),
        "history.json": f"{json.dumps(epochs, indent=1)}\n".encode(),
    }.items():
        file = Path(spec.out_dir) / name
        with naming(file):
            file.write_bytes(content)


def _shape(spec: RunSpec) -> BlockShape:
    return BlockShape(spec.block_rows, len(spec.encoder.id_columns), len(spec.encoder.dense), len(spec.tasks))


def _be_deterministic() -> None:
    """Make runs repeatable to the byte: one thread, kernels that add in a fixed order."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS requires it, before it starts
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="One rank of a training run.")
    parser.add_argument("spec", type=Path, help="RUN.json, written by models.training.run_spec.RunSpec")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.exit(main(parser.parse_args().spec))
