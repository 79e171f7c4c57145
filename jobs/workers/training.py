"""From a run specification to a bundle: start the ranks, collect what they leave, write it as one folder."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.paths import Place, uri_of, write_atomically
from jobs.workers.launch import run_ranks, training_folder
from models.model import build_model
from models.serving.bundle import Manifest, read_bundle, write_bundle
from models.serving.calibration import Calibration
from models.serving.stored import is_stored
from models.training.run_spec import RunSpec


@dataclass(frozen=True)
class TrainedModel:
    """What is known of a trained model.

    Attributes:
        weights_sha256: of the bundle's weights.
        epochs: that were trained.
        best_epoch: whose weights were kept, from 1.
        validation_loss: of the best epoch.
        is_old: whether the bundle was there already.
    """

    weights_sha256: str
    epochs: int
    best_epoch: int
    validation_loss: float
    is_old: bool


def train_bundle(
    bundle: Place,
    to_spec: Callable[[str], RunSpec],
    *,
    training_set: str,
    rule_versions: Mapping[str, int],
    types: Mapping[str, str],
    table_versions: Callable[[], Mapping[str, int]],
    code_revision: str,
    ranks: int,
    on_epoch: Callable[[int, int], None],
) -> TrainedModel:
    """Train a model unless its bundle is there, and return what is known of it.

    Args:
        bundle: folder of the bundle; its name is the model version.
        to_spec: folder of the ranks' output -> what they need to know.
        training_set: key of the set.
        rule_versions: cohort column -> version of its rules.
        types: input column -> type in the feature tables.
        table_versions: () -> table -> version that was read, asked after `to_spec`.
        code_revision: for people.
        ranks: processes.
        on_epoch: called with the epochs done and their largest number.

    Raises:
        LamplighterError: a rank failed; nothing is left.
    """
    history_file = bundle.with_suffix(".history.json")
    is_old = is_stored(bundle)
    if not is_old:
        with training_folder(bundle.parent) as folder:
            spec = to_spec(str(folder))
            run_ranks(spec, ranks, folder, on_epoch)
            calibration = Calibration.model_validate_json((folder / "calibration.json").read_text())
            write_atomically(uri_of(history_file), (folder / "history.json").read_bytes())
            manifest = _manifest(
                spec, bundle.name, training_set, rule_versions, types, table_versions(), code_revision
            )
            weights = folder / "weights.safetensors"
            write_bundle(bundle, weights, spec.model, spec.encoder, calibration, manifest)
    losses = [epoch["validation_loss"] for epoch in json.loads(history_file.read_text())]
    best = min(range(len(losses)), key=losses.__getitem__)
    return TrainedModel(
        weights_sha256=read_bundle(bundle).manifest.files["weights.safetensors"],
        epochs=len(losses),
        best_epoch=best + 1,
        validation_loss=losses[best],
        is_old=is_old,
    )


def _manifest(
    spec: RunSpec,
    model_version: str,
    training_set: str,
    rule_versions: Mapping[str, int],
    types: Mapping[str, str],
    table_versions: Mapping[str, int],
    code_revision: str,
) -> Manifest:
    """Return what the bundle says of itself."""
    tasks = [task.name for task in spec.tasks]
    trunk = build_model(spec.model, spec.encoder, tasks, spec.cohorts, spec.seed).network.trunk
    # Calibration knows user cohorts, whatever the trunk tells apart; what neither knows may change.
    known = [column for column in spec.cohorts if column == "user_cohort" or column in trunk.cohorts]
    return Manifest(
        model_version=model_version,
        training_set=training_set,
        tasks=spec.tasks,
        cohorts={column: spec.cohorts[column] for column in known},
        rule_versions={column: rule_versions[column] for column in known},
        columns={column: types[column] for column in spec.encoder.columns},
        table_versions=dict(table_versions),
        code_revision=code_revision,
        seed=spec.seed,
    )
