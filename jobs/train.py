"""Train the configured model on the pinned training set; leave a complete, immutable bundle.

lamplighter train --data-date 2022-05-07 --model mfh

No Spark: the blocks' files are resolved from the pinned table version, and `horovodrun` starts the
ranks (`python -m models.training.process`), which end when this process does. The model version is a hash
of the training set, the configuration and the code, so training what exists already costs nothing.
Cost: epochs x examples of the window.
"""

from functools import partial

from core.encoder import Encoder
from core.errors import LamplighterError
from jobs.runtime.architectures import architectures_of
from jobs.runtime.job import ONE, job
from jobs.runtime.progress import report_progress
from jobs.runtime.reads import same_day
from jobs.runtime.run import Run
from jobs.workers.training import TrainedModel, train_bundle
from models.training.run_spec import BlockFiles, RunSpec


@job(
    reads=(same_day("training_sets"), same_day("encoders"), same_day("training_blocks")),
    writes=("models",),
    config=("model", "training", "tasks", "cohorts"),
    dates=ONE,
    training=True,
    per_model=True,
    entry_points=("models.training.process",),
)
def train(run: Run) -> None:
    """Train, write the bundle, and replace the model's row of `models`."""
    training_set = current_set(run)
    model = run.config.model
    model_version = f"{model.name}-{run.fingerprint[:12]}"
    run.note(model_version)
    bundle = run.models.new_bundle(model_version)
    trained = train_bundle(
        bundle,
        lambda folder: run_spec(run, training_set, folder),
        training_set=training_set,
        rule_versions={c: axis.version for c, axis in run.config.cohorts.by_column.items()},
        types=run.catalog.input_types(),
        table_versions=lambda: run.record.versions_read,
        code_revision=run.record.code_revision,
        ranks=run.config.training.ranks,
        on_epoch=partial(report_progress, unit="epochs"),
    )
    if trained.is_old:
        run.note("trained already")
    row: dict[str, object] = {"data_date": run.data_date, "model": model.name, "model_version": model_version}
    row |= {"training_set": training_set} | summary(trained, run)
    run.commit_rows("models", [row], model=model.name)
    run.note(f"{trained.epochs} epochs, best validation loss {trained.validation_loss:.4f}")
    run.models.register(bundle)


def current_set(run: Run) -> str:
    """Return the training set that `pack` made for the data date: its name ends with pack's fingerprint.

    Raises:
        LamplighterError: a file or a commit of it is lost.
    """
    end = f"_{run.fingerprint_of('training_sets')[:12]}"
    named = [str(r["training_set"]) for r in run.rows("training_sets") if r["training_set"].endswith(end)]
    for name in named:
        if all(run.is_whole(table, training_set=name) for table in ("encoders", "training_blocks")):
            return name
    raise LamplighterError(
        f"training set {named[0] if named else f'...{end}'}: rows or files of it are lost; expected all that "
        f"pack wrote. Run `lamplighter pack --data-date {run.data_date}` again, then this"
    )


def run_spec(run: Run, training_set: str, out_dir: str) -> RunSpec:
    """Return everything that a rank needs to know, files pinned to one table version."""
    uris = {
        split: tuple(run.files("training_blocks", training_set=training_set, split=split))
        for split in ("train", "validation")
    }
    (encoder,) = run.rows("encoders", training_set=training_set)
    training = run.config.training
    return RunSpec(
        blocks=BlockFiles(**uris),
        block_rows=training.block_rows,
        encoder=Encoder.model_validate_json(encoder["encoder"]),
        model=run.config.model,
        tasks=run.config.tasks,
        cohorts={column: cohorts.names for column, cohorts in run.config.cohorts.by_column.items()},
        seed=training.seed,
        distributed=training.distributed,
        reader=training.reader,
        out_dir=out_dir,
    )


def summary(trained: TrainedModel, run: Run) -> dict[str, object]:
    """Return what a row of `models` says of the training."""
    return {
        "architectures": list(architectures_of(run.config.model)),
        "weights_sha256": trained.weights_sha256,
        "epochs": trained.epochs,
        "best_epoch": trained.best_epoch,
        "max_epochs": run.config.model.optimiser.max_epochs,
        "validation_loss": trained.validation_loss,
    }


if __name__ == "__main__":
    train.main()
