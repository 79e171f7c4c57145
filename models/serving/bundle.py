"""A model bundle: everything that scoring loads, in one folder that never changes.

weights.safetensors   no pickle
model.yaml            the model YAML that the weights belong to
encoder.json          input columns, vocabularies, statistics
calibration.json      slopes and intercepts of tasks, and of their cohorts
manifest.json         names and versions, and the SHA-256 of each file above
MLmodel               how MLflow loads it; made from the manifest
*input_example.json   a row that MLflow shows
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_weights

from core.encoder import Encoder
from core.errors import LamplighterError
from core.model import Model
from core.paths import Place, naming
from core.schema import Cohorts, Task
from models.model import MultiTaskModel, build_model
from models.serving.calibration import Calibration
from models.serving.mlmodel import describe, example_files
from models.serving.stored import MANIFEST, is_stored, store

logger = logging.getLogger(__name__)

WEIGHTS, MODEL, ENCODER, CALIBRATION = "weights.safetensors", "model.yaml", "encoder.json", "calibration.json"
MLMODEL = "MLmodel"

_File = TypeVar("_File", bound=BaseModel)


class Manifest(BaseModel):
    """Names and versions of a bundle.

    Attributes:
        model_version: content hash of training set, configuration, source files and seed.
        training_set: key of `training_blocks` and `encoders`.
        tasks: the model's outputs, in order.
        cohorts: cohort column -> its values, in the order of their places: user_cohort, by which it is
            calibrated, and the facets of its trunk.
        rule_versions: cohort column -> version of the rules that made them.
        columns: input columns and their types in the feature tables, in the encoder's order.
        table_versions: table -> Delta version read for training.
        code_revision: git revision, for people; not part of model_version.
        seed: of the training run.
        files: name -> SHA-256 of the other files; set by `write_bundle`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model_version: str
    training_set: str
    tasks: tuple[Task, ...]
    cohorts: dict[str, tuple[str, ...]]
    rule_versions: dict[str, int]
    columns: dict[str, str]
    table_versions: dict[str, int]
    code_revision: str
    seed: int
    files: dict[str, str] = {}

    @property
    def row_columns(self) -> dict[str, str]:
        """Columns of the rows that are scored one by one -> their types: inputs, and cohorts."""
        return self.columns | dict.fromkeys(("user_cohort", *self.cohorts), "string")


@dataclass(frozen=True)
class Bundle:
    """A bundle, read and checked."""

    path: Place
    manifest: Manifest
    model_yaml: Model
    encoder: Encoder
    calibration: Calibration

    def model(self) -> MultiTaskModel:
        """Return the model with its weights, in eval mode, on the CPU.

        Raises:
            LamplighterError: the weights are not those of model.yaml.
        """
        tasks = [task.name for task in self.manifest.tasks]
        model = build_model(self.model_yaml, self.encoder, tasks, self.manifest.cohorts, self.manifest.seed)
        try:
            model.load_state_dict(load_weights(_checked(self.path, WEIGHTS, self.manifest)))
        except (RuntimeError, SafetensorError) as error:
            fault = " ".join(str(error).split())
            raise LamplighterError(
                f"{self.path / WEIGHTS}: not the weights of {MODEL} ({fault}); {_remedy(self.path)}"
            ) from error
        return model.eval()

    def places(self, column: str, cohorts: NDArray[Any]) -> NDArray[np.int64]:
        """Return the place of each row's cohort, (n,); 0 in a column that the model does not know.

        Args:
            column: user_cohort or item_cohort.
            cohorts: names, (n,).

        Raises:
            LamplighterError: a name was not among the column's values when the model was trained.
        """
        if column not in self.manifest.cohorts:
            return np.zeros(len(cohorts), np.int64)
        place = {name: number for number, name in enumerate(self.manifest.cohorts[column])}
        if unknown := set(cohorts) - set(place):
            raise LamplighterError(
                f"{column} holds {sorted(map(str, unknown))}, but model {self.manifest.model_version} knows "
                f"{list(place)}; restore the cohorts in the data set's configuration, or train again"
            )
        return np.array([place[name] for name in cohorts], np.int64)


def write_bundle(
    path: Place,
    weights: Path,
    model_yaml: Model,
    encoder: Encoder,
    calibration: Calibration,
    manifest: Manifest,
) -> Bundle:
    """Write a bundle folder atomically (see `stored` for one that is not on this machine), and read it.

    One that exists is kept.

    Args:
        path: of the folder; its parent is created where it is missing.
        weights: file that training wrote.
        model_yaml: the model's configuration.
        encoder: of the training set.
        calibration: that training fitted.
        manifest: without `files`.

    Raises:
        LamplighterError: a folder exists, and is not this bundle.
    """
    beside = path.parent if isinstance(path, Path) else None
    if beside is not None:
        beside.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=beside))
    try:
        with naming(made):
            _fill(made, weights, model_yaml, encoder, calibration, manifest)
        if not isinstance(path, Path):
            if not is_stored(path):
                store(made, path)
        elif not path.exists():
            made.chmod(0o755)  # mkdtemp's folders are readable by their owner only
            made.rename(path)
            _sync(path.parent)
    finally:
        shutil.rmtree(made, ignore_errors=True)  # gone already where it was renamed
    bundle = read_bundle(path)
    if bundle.manifest.model_version != manifest.model_version:
        raise LamplighterError(
            f"{path} holds model {bundle.manifest.model_version}, {manifest.model_version} was to be "
            "written; a bundle never changes: give the new one its own folder"
        )
    return bundle


def _fill(
    folder: Path,
    weights: Path,
    model_yaml: Model,
    encoder: Encoder,
    calibration: Calibration,
    manifest: Manifest,
) -> None:
    """Write the files of a bundle, flushed to disk."""
    (folder / WEIGHTS).write_bytes(weights.read_bytes())
    text = yaml.safe_dump(model_yaml.model_dump(mode="json"), sort_keys=False)
    (folder / MODEL).write_text(text, encoding="utf-8")
    _write_json(folder / ENCODER, encoder)
    _write_json(folder / CALIBRATION, calibration)
    files = {name: _sha256(folder / name) for name in (WEIGHTS, MODEL, ENCODER, CALIBRATION)}
    _write_json(folder / MANIFEST, manifest.model_copy(update={"files": files}))
    tasks = [task.name for task in manifest.tasks]
    columns = manifest.row_columns
    first = {column: names[0] for column, names in manifest.cohorts.items()}
    texts = {MLMODEL: describe(columns, tasks), **example_files(columns, encoder, first)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for file in folder.iterdir():
        _sync(file)


def read_bundle(path: Place) -> Bundle:
    """Read a bundle, and check every file against the manifest.

    Raises:
        LamplighterError: a file is missing, truncated, changed or not readable.
    """
    manifest = read_manifest(path)
    for name in (WEIGHTS, MODEL, ENCODER, CALIBRATION):
        _checked(path, name, manifest)
    text = json.dumps(yaml.safe_load(_bytes(path, MODEL)))
    return Bundle(
        path=path,
        manifest=manifest,
        model_yaml=_parsed(path, Model, MODEL, text.encode()),
        encoder=_parsed(path, Encoder, ENCODER, _bytes(path, ENCODER)),
        calibration=_parsed(path, Calibration, CALIBRATION, _bytes(path, CALIBRATION)),
    )


def read_manifest(path: Place) -> Manifest:
    """Read the names and versions of a bundle, and nothing else of it.

    Raises:
        LamplighterError: the manifest is missing or not readable.
    """
    return _parsed(path, Manifest, MANIFEST, _bytes(path, MANIFEST))


def check_fits(bundle: Bundle, columns: Mapping[str, str], cohorts: Mapping[str, Cohorts]) -> None:
    """Check that feature tables and cohorts are those that the model was trained on.

    Another version of the cohort rules is a warning: the names are the same, their meaning has changed.

    Args:
        bundle: of the model.
        columns: input columns of the tables now (features, attributes, context) -> type.
        cohorts: cohort column -> the cohorts now.

    Raises:
        LamplighterError: with every difference.
    """
    manifest = bundle.manifest
    missing = [column for column in manifest.columns if column not in columns]
    changed = [
        f"{column} is {columns[column]}, was {was}"
        for column, was in manifest.columns.items()
        if columns.get(column, was) != was
    ]
    differences = []
    if missing:
        differences.append(f"columns missing: {', '.join(missing)}")
    if changed:
        differences.append(f"types changed: {', '.join(changed)}")
    differences += [
        f"values of {column} are {list(cohorts[column].names)}, were {list(were)}"
        for column, were in manifest.cohorts.items()
        if cohorts[column].names != were
    ]
    if differences:
        raise LamplighterError(
            f"model {manifest.model_version} does not fit the tables any more: {'; '.join(differences)}; "
            "restore them in the data set's configuration, or train on what is there now"
        )
    for column, was in manifest.rule_versions.items():
        if cohorts[column].version != was:
            logger.warning(
                "model %s was trained with version %d of the rules of %s, now it is %d; train again soon",
                manifest.model_version,
                was,
                column,
                cohorts[column].version,
            )


def _bytes(path: Place, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise LamplighterError(f"bundle {path}: {name} cannot be read ({reason}); {_remedy(path)}") from error


def _checked(path: Place, name: str, manifest: Manifest) -> bytes:
    content = _bytes(path, name)
    if hashlib.sha256(content).hexdigest() != manifest.files.get(name):
        raise LamplighterError(
            f"bundle {path}: {name} ({len(content)} bytes) is not the file that {MANIFEST} describes; it was "
            f"cut short or changed; {_remedy(path)}"
        )
    return content


def _parsed(path: Place, kind: type[_File], name: str, content: bytes) -> _File:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise LamplighterError(
            f"bundle {path}: {name} cannot be understood ({faults}); {_remedy(path)}"
        ) from error


def _remedy(path: Place) -> str:
    """Say how to get a bundle back: training makes it again, since its version is a hash of what made it."""
    name = path.name.rpartition("-")[0]
    return (
        f"restore it, or move {path} away and run `lamplighter train --model {name}` for the data date that "
        "trained it: with the code and the configuration of then, it makes the same version"
    )


def _write_json(path: Path, content: BaseModel) -> None:
    path.write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    """Flush a file or folder to disk, so that a rename is never durable before its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
