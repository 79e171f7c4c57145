"""Census-Income as training reads it: the official test split, validation cut from the training split."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from bench.census.protocol import EMBEDDING_DIM
from bench.fit import ONE_COHORT, Dataset
from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.load import PROJECT_DIR
from core.model import InputLayer as InputLayerConfig
from core.schema import Task
from models.modules.input import InputLayer
from models.training.reader import Rows

FOLDER = PROJECT_DIR / "data" / "census_income"
TASKS = (
    Task(name="income", label="income_50k = '50000+.'", kind="binary"),
    Task(name="never_married", label="marital_status = 'Never married'", kind="binary"),
)
_AMOUNTS = ("wage_per_hour", "capital_gains", "capital_losses", "dividends_from_stocks")  # long tails
_NUMBERS = ("age", "num_persons_worked_for_employer", "weeks_worked_in_year")
_LEFT_OUT = ("person", "income_50k", "marital_status", "instance_weight")  # key, labels, the survey's weight


@lru_cache(maxsize=1)
def census() -> tuple[Dataset, Rows]:
    """Return the data set and the test split.

    Validation is a tenth of the official training split (data/census_income/README.md). Vocabularies and
    statistics are fitted on the other nine tenths.
    """
    splits = [pd.read_parquet(FOLDER / f"{name}.parquet") for name in ("train", "validation", "test")]
    encoder = fit_encoder(splits[0])
    train_rows, validation_rows, test_rows = (to_rows(split, encoder) for split in splits)
    return Dataset(encoder, TASKS, ONE_COHORT, train_rows, validation_rows), test_rows


def fit_encoder(train: pd.DataFrame) -> Encoder:
    """Return an encoder: one id per value of the training rows, amounts as log1p."""
    categorical = [c for c in train.columns if c not in (*_LEFT_OUT, *_AMOUNTS, *_NUMBERS)]
    vocabularies = {column: tuple(sorted(train[column].astype(str).unique())) for column in categorical}
    dense = [_to_dense(column, train[column].to_numpy(dtype=np.float64)) for column in (*_NUMBERS, *_AMOUNTS)]
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(
                column=column, kind="vocabulary", size=1 + len(values), dim=EMBEDDING_DIM, vocabulary=values
            )
            for column, values in vocabularies.items()
        ),
        dense=tuple(dense),
    )


def _to_dense(column: str, values: NDArray[np.float64]) -> DenseEncoding:
    if column in _AMOUNTS:
        values = np.log1p(values)
        return DenseEncoding(column=column, transform="log1p", mean=values.mean(), std=values.std())
    return DenseEncoding(column=column, transform="identity", mean=values.mean(), std=values.std())


def to_rows(frame: pd.DataFrame, encoder: Encoder) -> Rows:
    """Return ids, raw numbers and labels; a value that training never saw is id 0."""
    labels = np.stack(
        [frame["income_50k"] == "50000+.", frame["marital_status"] == "Never married"], axis=1
    ).astype(np.float32)
    return Rows(
        categorical=np.stack([_ids(frame[c.column], c) for c in encoder.categorical], axis=1),
        dense=frame[[d.column for d in encoder.dense]].to_numpy(dtype=np.float32),
        labels=labels,
        mask=np.ones(labels.shape, dtype=np.bool_),
        weight=np.ones(len(frame), dtype=np.float32),
        user_group=np.zeros(len(frame), dtype=np.uint8),
        item_group=np.zeros(len(frame), dtype=np.uint8),
    )


def _ids(values: "pd.Series[str]", encoding: CategoricalEncoding) -> NDArray[np.int32]:
    indices = pd.Index(encoding.vocabulary).get_indexer(values.astype(str).to_numpy())
    ids: NDArray[np.int32] = (indices + 1).astype(np.int32)
    return ids


def hand_over(data: Dataset, test: Rows, path: Path) -> None:
    """Write what our models see of the rows, for the peers' processes, which import no code of Lamplighter.

    Arrays: table_rows (C,), and of each split of n rows NAME_ids (n, C) int32, NAME_dense (n, F) float32,
    transformed and standardised by our input layer, NAME_labels (n, K) float32.
    """
    arrays = {"table_rows": np.array([column.size for column in data.encoder.categorical])}
    transform = InputLayer(data.encoder, InputLayerConfig()).transforms["context"]
    for name, rows in (("train", data.train), ("validation", data.validation), ("test", test)):
        arrays[f"{name}_ids"] = rows.categorical
        arrays[f"{name}_dense"] = transform(torch.from_numpy(rows.dense)).numpy()
        arrays[f"{name}_labels"] = rows.labels
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)
