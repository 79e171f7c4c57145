"""Train the configured model on the pinned training set; leave a complete, immutable bundle.

lamplighter train --data-date 2022-05-07 --model mfh

No Spark: the blocks' files are resolved from the pinned table version, and `horovodrun` starts the
ranks (`python -m models.training.process`), which end when this process does. The model version is a hash of
the training set, the configuration and the code, so training what exists already costs nothing.
Cost: epochs x examples of the window.
"""

import json
import tempfile
from pathlib import Path

from core.encoder import Encoder
from core.errors import LamplighterError
from jobs.runtime.job import job
from jobs.runtime.run import Run
from jobs.tables.registry import register
from jobs.workers.launch import run_ranks
from models.model import build_model
from models.serving.bundle import Manifest, write_bundle
from models.serving.calibration import Calibration
from models.training.run_spec import BlockFiles, RunSpec


@job
def train(run: Run) -> None:
    """Train, write the bundle, register it."""
    if (reason := run.no_training()) is not None:
        run.notes.append(reason)
        return
    run.require_inputs()
    training_set = pinned_set(run)
    model_version = f"{run.config.model.name}-{run.fingerprint[:12]}"
    bundle = run.catalog.bundle(model_version)
    run.entry.facts |= {"training_set": training_set, "model_version": model_version}
    run.notes.append(model_version)

    history_file = bundle.with_suffix(".history.json")
    if bundle.exists():
        run.notes.append("trained already")
    else:
        bundle.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="training-", dir=bundle.parent) as name:
            folder = Path(name)
            spec = run_spec(run, training_set, folder)
            run_ranks(spec, run.config.training.ranks, folder)
            calibration = Calibration.model_validate_json((folder / "calibration.json").read_text())
            (folder / "history.json").replace(history_file)
            about = manifest(run, spec, training_set, model_version)
            write_bundle(bundle, folder / "weights.safetensors", spec.model, spec.encoder, calibration, about)
    history = json.loads(history_file.read_text())
    best = min(history, key=lambda epoch: epoch["validation_loss"])
    run.entry.facts["history"] = history
    run.notes.append(f"{len(history)} epochs, best validation loss {best['validation_loss']:.4f}")
    tags = {
        "training_set": training_set,
        "model": run.config.model.name,
        "code_revision": run.entry.code_revision,
    }
    register(run.catalog, bundle, tags, {"validation_loss": best["validation_loss"]})


def pinned_set(run: Run) -> str:
    """The training set that `pack` pinned for our data date."""
    packed = run.newest_runs()[("pack", "", run.last)]
    return str(packed.facts["training_set"])


def run_spec(run: Run, training_set: str, out_dir: Path) -> RunSpec:
    """Everything that a rank needs to know, files pinned to one table version."""
    table = run.store.delta("training_blocks")
    if table is None:
        raise LamplighterError("training_blocks was never written; run `lamplighter pack` first")
    run.entry.versions_read["training_blocks"] = table.version()
    uris = {
        split: tuple(
            f"file://{file}"
            for file in sorted(
                table.file_uris(
                    file_pruning_predicate=f"training_set = '{training_set}' AND split = '{split}'"
                )
            )
        )
        for split in ("train", "validation")
    }
    (encoder,) = run.rows("encoders", f"training_set = '{training_set}'")
    return RunSpec(
        blocks=BlockFiles(**uris),
        block_rows=run.config.training.block_rows,
        encoder=Encoder.model_validate_json(encoder["encoder"]),
        model=run.config.model,
        tasks=run.config.tasks,
        cohorts={column: cohorts.names for column, cohorts in run.config.cohorts.by_column.items()},
        seed=run.config.training.seed,
        distributed=run.config.training.distributed,
        reader=run.config.training.reader,
        out_dir=str(out_dir),
    )


def manifest(run: Run, spec: RunSpec, training_set: str, model_version: str) -> Manifest:
    """What the bundle says of itself."""
    types = run.catalog.input_types()
    tasks = [task.name for task in spec.tasks]
    trunk = build_model(spec.model, spec.encoder, tasks, spec.cohorts, spec.seed).network.trunk
    # Calibration knows user cohorts, whatever the trunk tells apart; what neither knows may change.
    known = [column for column in spec.cohorts if column == "user_cohort" or column in trunk.cohorts]
    return Manifest(
        model_version=model_version,
        training_set=training_set,
        tasks=spec.tasks,
        cohorts={column: spec.cohorts[column] for column in known},
        rule_versions={column: run.config.cohorts.by_column[column].version for column in known},
        columns={column: types[column] for column in spec.encoder.columns},
        table_versions=dict(run.entry.versions_read),
        code_revision=run.entry.code_revision,
        seed=spec.seed,
    )


if __name__ == "__main__":
    train.main()
