"""Bundles inside Spark workers: a worker loads one once and keeps it."""

from functools import lru_cache

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from core.encoder import Encoder
from models.model import MultiTaskModel
from models.serving.bundle import Bundle, read_bundle
from models.serving.stored import local_bundle


@lru_cache(maxsize=4)
def bundle_in_worker(address: str) -> Bundle:
    """A bundle at a local path or URI, read once per worker; torch gets the task's one thread."""
    torch.set_num_threads(1)
    return read_bundle(local_bundle(address))


@lru_cache(maxsize=4)
def model_in_worker(address: str) -> MultiTaskModel:
    """A bundle's model, built once per worker."""
    return bundle_in_worker(address).model()


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
