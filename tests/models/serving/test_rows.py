"""Rows of raw columns, encoded in pandas and scored, against Spark's encoding and the model itself."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from pyspark.sql import SparkSession

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.errors import LamplighterError
from features.encoding import encoded
from models.serving.rows import RowScorer, to_inputs
from tests.models.small_bundle import bundle
from tests.models.training_set import COHORTS, ENCODER, MFH_ITEM

TYPES = {
    "word": "string", "whole": "int", "long": "bigint", "flag": "boolean", "day": "date",
    "price": "decimal(8,2)", "tags": "string", "codes": "array<int>", "value": "double", "count": "bigint",
}  # fmt: skip
ROWS = [
    ("a", 7, 2**60 + 1, True, date(2022, 5, 1), Decimal("3.50"), "x | y||z ", [1, 7], 0.5, 3),
    ("Ünï", -1, -5, False, date(1999, 12, 31), Decimal("-0.01"), " ", [], -2.0, 0),
    (None, None, None, None, None, None, None, None, None, None),
    ("", 0, 0, True, date(2022, 5, 2), Decimal("0.00"), "z", [None, 9, 7], float("nan"), 2),
]
COLUMNS = {
    "word": ("a", "", "b"), "whole": ("7", "0"), "long": (), "flag": ("true",), "day": ("2022-05-01",),
    "price": ("3.50", "0.00"), "tags": ("x", "z"), "codes": ("7",),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["vocabulary", "hash"])
def test_ids_and_values_are_those_that_spark_makes(spark: SparkSession, kind: str) -> None:
    def encoding(column: str) -> CategoricalEncoding:
        is_bag = column in ("tags", "codes")
        return CategoricalEncoding(
            column=column, side="item", kind=kind, dim=2, size=50,
            vocabulary=COLUMNS[column] if kind == "vocabulary" else (),
            split="|" if column == "tags" else None, max_values=2 if is_bag else 1,
        )  # fmt: skip

    dense = [
        DenseEncoding(column=name, side="item", transform="identity", mean=0.0, std=1.0)
        for name in ("value", "count", "flag", "price")
    ]
    encoder = Encoder(categorical=tuple(map(encoding, COLUMNS)), dense=tuple(dense))
    schema = ", ".join(f"{name} {of}" for name, of in TYPES.items())
    frame = spark.createDataFrame(ROWS, schema)
    by_spark = frame.select(*encoded(frame, encoder)).toPandas().to_numpy(dtype=np.float64)

    rows = pd.DataFrame(ROWS, columns=list(TYPES), dtype=object)
    ids, values = to_inputs(rows, encoder, TYPES)

    np.testing.assert_array_equal(ids, by_spark[:, : ids.shape[1]])
    np.testing.assert_array_equal(values, by_spark[:, ids.shape[1] :].astype(np.float32))
    assert (ids[2] == 0).all()


def test_a_value_of_another_type_is_refused() -> None:
    encoder = Encoder(
        categorical=(CategoricalEncoding(column="rate", side="item", kind="hash", size=9, dim=2),), dense=()
    )

    with pytest.raises(LamplighterError, match=r"rate: 0.5 is no double that is read as a category here"):
        to_inputs(pd.DataFrame({"rate": [0.5]}), encoder, {"rate": "double"})


TYPES_OF_BUNDLE = {
    "user_range": "string", "item_id": "bigint", "tab": "int", "user_click_rate_all": "double",
    "item_click_rate_all": "double", "item_play_seconds_7d": "double",
}  # fmt: skip


def some_rows() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({name: rng.normal(size=12) for name in TYPES_OF_BUNDLE})
    rows["user_range"], rows["item_id"], rows["tab"] = ["a", "c", None] * 4, range(12), [0, 1] * 6
    rows["user_cohort"] = [*COHORTS["user_cohort"]] * 4
    rows["item_cohort"] = [*COHORTS["item_cohort"]] * 6
    return rows


def test_probabilities_are_those_of_the_model_and_mlflow_loads_the_bundle_itself(tmp_path: Path) -> None:
    of, rows = bundle(tmp_path, MFH_ITEM, columns=TYPES_OF_BUNDLE), some_rows()

    found = RowScorer(of).probabilities(rows)
    loaded = mlflow.pyfunc.load_model(str(of.path))

    ids, dense = to_inputs(rows, ENCODER, TYPES_OF_BUNDLE)
    users = of.places("user_cohort", rows["user_cohort"].to_numpy())
    model = of.model()
    group = model.group_of(users, of.places("item_cohort", rows["item_cohort"].to_numpy()))
    with torch.inference_mode():
        logits = model(torch.from_numpy(ids), torch.from_numpy(dense), torch.from_numpy(group)).numpy()
    np.testing.assert_allclose(found.to_numpy(), of.calibration.apply(logits, users), rtol=1e-12)
    assert list(found.columns) == ["click", "like"]
    pd.testing.assert_frame_equal(loaded.predict(rows), found)
    assert loaded.metadata.signature.inputs.input_names() == [*TYPES_OF_BUNDLE, "user_cohort", "item_cohort"]
    example = loaded.input_example
    assert (list(example["user_cohort"]), list(example["user_range"])) == (["new"], ["a"])
    assert (loaded.predict(example).to_numpy() > 0).all()


def test_missing_columns_are_named(tmp_path: Path) -> None:
    of = bundle(tmp_path, MFH_ITEM, columns=TYPES_OF_BUNDLE)

    with pytest.raises(LamplighterError, match=r"reads \['item_cohort', 'tab'\], which the rows lack"):
        RowScorer(of).probabilities(some_rows().drop(columns=["tab", "item_cohort"]))
