"""Probabilities of any rows that hold a model's input columns, raw: encoded in pandas as by Spark.

Letters: n rows, C ids, F dense values, K tasks, V values of a bag.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import torch
import xxhash
from numpy.typing import NDArray

from core.encoder import CategoricalEncoding, Encoder
from core.errors import LamplighterError
from models.serving.bundle import Bundle
from models.serving.mlmodel import WHOLE

SEED = 42
"""Of Spark's xxhash64."""


class RowScorer:
    """The probabilities of a model for rows of its input columns.

    Args:
        bundle: the model.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._model = bundle.model()

    def probabilities(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return a column per task, calibrated, float64; of a regression the prediction. Grain: as it came.

        Args:
            rows: with the `row_columns` of the manifest, as the feature tables hold them; null is None or
                NaN. Other columns are ignored.

        Raises:
            LamplighterError: columns are missing, a cohort is unknown, or a value is not of its type.
        """
        if missing := sorted(set(self.bundle.manifest.row_columns) - set(rows.columns)):
            raise LamplighterError(
                f"model {self.bundle.manifest.model_version} reads {missing}, which the rows lack; join the "
                "features as of the day before (`lamplighter join`, `project.join`)"
            )
        ids, dense = to_inputs(rows, self.bundle.encoder, self.bundle.manifest.columns)
        known = self.bundle.manifest.row_columns
        user_group, item_group = (
            self.bundle.places(name, rows[name].to_numpy())
            if name in known
            else np.zeros(len(rows), np.int64)
            for name in ("user_cohort", "item_cohort")
        )
        group = self._model.group_of(user_group, item_group)
        with torch.inference_mode():
            logits = self._model(torch.from_numpy(ids), torch.from_numpy(dense), torch.from_numpy(group))
        z = self.bundle.calibration.logits(logits.numpy(), user_group)
        tasks = self.bundle.manifest.tasks
        of_task = {
            task.name: np.exp(-np.logaddexp(0.0, -z[:, k])) if task.kind == "binary" else z[:, k]
            for k, task in enumerate(tasks)
        }
        return pd.DataFrame(of_task, index=rows.index)


def to_inputs(
    rows: pd.DataFrame, encoder: Encoder, types: dict[str, str]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return ids (n, C), 0 for missing or unseen, and dense values (n, F), NaN for null, as `encoded` does.

    Args:
        rows: with the encoder's columns.
        encoder: of the model.
        types: column -> Spark's name of its type.

    Raises:
        LamplighterError: a value is not of its type, or a type has no text that both know.
    """
    ids = [to_ids(rows[c.column], c, types[c.column]) for c in encoder.categorical]
    dense = [
        pd.to_numeric(rows[d.column], errors="raise").astype("float64").to_numpy() for d in encoder.dense
    ]
    n = len(rows)
    return (
        np.concatenate([np.empty((n, 0), np.int64), *ids], axis=1),
        np.stack(dense, axis=1).astype(np.float32) if dense else np.empty((n, 0), np.float32),
    )


def to_ids(values: pd.Series, encoding: CategoricalEncoding, kind: str) -> NDArray[np.int64]:
    """Return the ids of one column, (n, V): of a value, or of the first values of a bag."""
    is_array = kind.startswith("array<")
    element = kind.removeprefix("array<").removesuffix(">") if is_array else kind
    number = {text: place for place, text in enumerate(encoding.vocabulary, start=1)}
    known: dict[str | None, int] = {None: 0}
    if not is_array:  # an array is no key; of others each distinct value is read once
        place_of_row, values = pd.factorize(values.to_numpy(dtype=object))
    ids = np.zeros((len(values), len(encoding.id_columns)), np.int64)
    for row, value in enumerate(values):
        for place, text in enumerate(_texts(value, encoding, element, is_array)[: ids.shape[1]]):
            if text is not None and text not in known:
                known[text] = _hash(text, encoding.size) if encoding.kind == "hash" else number.get(text, 0)
            ids[row, place] = known[text]
    if is_array:
        return ids
    with_null = np.concatenate([ids, np.zeros((1, ids.shape[1]), np.int64)])  # at place -1
    of_rows: NDArray[np.int64] = with_null[place_of_row]
    return of_rows


def _texts(value: Any, encoding: CategoricalEncoding, kind: str, is_array: bool) -> Sequence[str | None]:
    """Return the texts that Spark's cast makes of a value, or of those of a bag; none of a null.

    A null inside of an array keeps its place.
    """
    if is_array:
        texts = [_text(each, kind, encoding) for each in (() if value is None else value)]
        return [of_one[0] if of_one else None for of_one in texts]
    whole = _text(value, kind, encoding)
    if encoding.split is None:
        return whole
    pieces = (piece.strip(" ") for text in whole for piece in text.split(encoding.split))
    return [piece for piece in pieces if piece]


def _text(value: Any, kind: str, encoding: CategoricalEncoding) -> list[str]:
    if value is None or (isinstance(value, float) and np.isnan(value)) or value is pd.NA or value is pd.NaT:
        return []
    if kind == "string":
        return [str(value)]
    if kind in WHOLE and float(value).is_integer():
        return [str(int(value))]
    if kind == "boolean":
        return ["true" if value else "false"]
    if kind == "date":
        return [pd.Timestamp(value).date().isoformat()]
    if kind.startswith("decimal"):
        return [f"{Decimal(value):f}"]
    raise LamplighterError(
        f"{encoding.column}: {value!r} is no {kind} that is read as a category here; expected one of "
        f"{', '.join(WHOLE)}, string, boolean, date, decimal"
    )


def _hash(text: str, size: int) -> int:
    unsigned = xxhash.xxh64_intdigest(text.encode(), SEED)
    signed = unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned
    return int(1 + signed % (size - 1))
