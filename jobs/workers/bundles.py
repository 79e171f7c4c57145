"""Bundles inside Spark workers: an executor gets one once, a worker loads it once and keeps it."""

import hashlib
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pyspark import SparkFiles

from core.encoder import Encoder
from core.paths import Place, name_of
from models.model import MultiTaskModel
from models.serving.bundle import Bundle, read_bundle
from models.serving.stored import MANIFEST, local_bundle


def bring_bundle(context: Any, folder: Place) -> str:
    """Let workers read a bundle; return what `bundle_in_worker` takes.

    Executors of this machine read the folder, and all of them an object store; else they get the bundle as an
    archive, which Spark unpacks once on each. A bundle never changes: its archive goes by the version and the
    hashes of its files.

    Args:
        context: Spark's, of the session.
        folder: of the bundle.
    """
    if not isinstance(folder, Path) or context._jsc.sc().isLocal():
        return name_of(folder)
    content = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    name = f"{folder.name}-{content[:12]}"
    archive = Path(context._temp_dir) / f"{name}.zip"
    if not archive.exists():
        with zipfile.ZipFile(archive, "w") as target:  # stored: weights do not get smaller
            for file in sorted(folder.iterdir()):
                target.write(file, file.name)
        context.addArchive(f"{archive}#{name}")
    return name


@lru_cache(maxsize=4)
def bundle_in_worker(name: str) -> Bundle:
    """A bundle, read once per worker; torch gets the one thread that Spark gave the task.

    Args:
        name: as `bring_bundle` returns it.
    """
    torch.set_num_threads(1)
    return read_bundle(local_bundle(name if "/" in name else SparkFiles.get(name)))


@lru_cache(maxsize=4)
def model_in_worker(name: str) -> MultiTaskModel:
    """A bundle's model, built once per worker."""
    return bundle_in_worker(name).model()


def cat_columns(encoder: Encoder) -> list[str]:
    """Names of encoded categorical columns, in order."""
    return list(encoder.id_columns)


def dense_columns(encoder: Encoder) -> list[str]:
    """Names of encoded dense columns, in order."""
    return [f"dense_{d.column}" for d in encoder.dense]


def task_numbers(bundle: Bundle) -> dict[str, int]:
    """Task -> its place among the model's outputs."""
    return {task.name: number for number, task in enumerate(bundle.manifest.tasks)}


def to_arrays(rows: pd.DataFrame, encoder: Encoder) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Encoded columns as (n, C) int64 and (n, F) float32, NaN for null."""
    return (
        rows[cat_columns(encoder)].to_numpy(dtype=np.int64),
        rows[dense_columns(encoder)].to_numpy(dtype=np.float32),
    )
