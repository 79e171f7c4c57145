"""What MLflow shows of the training of a bundle: parameters, a curve per metric, the table versions read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from core.paths import Place, join

METRICS_PER_CALL, PARAMS_PER_CALL = 1000, 100  # more are refused


@dataclass(frozen=True)
class TrainingFacts:
    """What is known of a training, from the files of its bundle.

    Attributes:
        tags: for people: training set, model, code revision.
        params: of the model YAML, flat; training set, tasks, inputs, seed.
        metrics: (name, value, epoch): losses, and those of each task and user cohort on validation rows.
        tables: table -> version that was read.
        root: URI of the folder of the tables.
        summary: one line.
        time_ms: end of the training, milliseconds since 1970.
    """

    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: tuple[tuple[str, float, int], ...]
    tables: Mapping[str, int]
    root: str
    summary: str
    time_ms: int

    def log_to(self, client: Any, run_id: str) -> None:
        """Write parameters, metrics and inputs to a new run."""
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        params = [Param(name, value) for name, value in self.params.items()]
        for start in range(0, len(params), PARAMS_PER_CALL):
            client.log_batch(run_id, params=params[start : start + PARAMS_PER_CALL])
        metrics = [Metric(name, value, self.time_ms, epoch) for name, value, epoch in self.metrics]
        for start in range(0, len(metrics), METRICS_PER_CALL):
            client.log_batch(run_id, metrics=metrics[start : start + METRICS_PER_CALL])
        inputs = []
        for table, version in self.tables.items():
            source = DeltaDatasetSource(path=join(self.root, table), delta_table_version=version)
            dataset = Dataset(table, f"version {version}", source._get_source_type(), source.to_json())
            inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", "training")]))
        client.log_inputs(run_id, inputs)


def training_of(bundle: Place, root: str) -> TrainingFacts:
    """Return what is known of the training of a bundle.

    Args:
        bundle: its folder; the history of the training is beside it.
        root: URI of the folder of the tables.
    """
    manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    model = yaml.safe_load((bundle / "model.yaml").read_text(encoding="utf-8"))
    history = bundle.with_suffix(".history.json")
    epochs = json.loads(history.read_text(encoding="utf-8"))
    best = min(epochs, key=lambda epoch: epoch["validation_loss"])
    of_best = [("best_epoch", float(best["epoch"])), ("best_validation_loss", best["validation_loss"])]
    return TrainingFacts(
        tags={
            "training_set": manifest["training_set"],
            "model": bundle.name.rpartition("-")[0],
            "code_revision": manifest["code_revision"],
        },
        params={
            **dict(_flat(model)),
            "training_set": manifest["training_set"],
            "tasks": ", ".join(task["name"] for task in manifest["tasks"]),
            "inputs": str(len(manifest["columns"])),
            "seed": str(manifest["seed"]),
        },
        metrics=(
            *(metric for epoch in epochs for metric in _of_epoch(epoch)),
            *((name, value, best["epoch"]) for name, value in of_best),
        ),
        tables=manifest["table_versions"],
        root=root,
        summary=f"validation loss {best['validation_loss']:.4f} at epoch {best['epoch']} of {len(epochs)}",
        time_ms=int(history.stat().st_mtime * 1000),
    )


def _of_epoch(epoch: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    """Yield the metrics of one epoch: train_loss, click/auc, click/new/auc."""
    for name in ("train_loss", "validation_loss", "rows_per_second"):
        yield name, epoch[name], epoch["epoch"]
    for cell, metrics in epoch["validation_metrics"].items():
        for name, value in metrics.items():
            if value is not None:
                yield f"{cell.replace('|', '/')}/{name}", value, epoch["epoch"]


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keys of nested mappings with dots, and values as text; lists as JSON."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value if isinstance(value, str) else json.dumps(value)
