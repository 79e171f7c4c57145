"""The arrays for the peers' processes hold what our models see."""

from pathlib import Path

import numpy as np
import pandas as pd

from bench.census.data import FOLDER, TASKS, fit_encoder, hand_over, to_rows
from bench.fit import Dataset
from core.load import load_config

FRAME = pd.DataFrame(
    {
        "age": [20.0, 40.0, 60.0],
        "num_persons_worked_for_employer": [0.0, 3.0, 6.0],
        "weeks_worked_in_year": [0.0, 26.0, 52.0],
        "wage_per_hour": [0.0, 0.0, 1000.0],
        "capital_gains": [0.0, 0.0, 5000.0],
        "capital_losses": [0.0, 10.0, 0.0],
        "dividends_from_stocks": [0.0, 10.0, 100.0],
        "sex": ["Female", "Male", "Female"],
        "income_50k": ["- 50000.", "50000+.", "50000+."],
        "marital_status": ["Never married", "Divorced", "Never married"],
        "instance_weight": [1.0, 2.0, 3.0],
    }
)


def test_ids_standardised_numbers_and_labels_of_all_parts_are_handed_over(tmp_path: Path) -> None:
    encoder = fit_encoder(FRAME)
    train, test = to_rows(FRAME, encoder), to_rows(FRAME.assign(sex="unheard of").head(1), encoder)

    hand_over(Dataset(encoder, TASKS, {}, train, train), test, tmp_path / "census.npz")

    found = np.load(tmp_path / "census.npz")
    assert found["table_rows"].tolist() == [3]
    assert found["train_ids"].tolist() == [[1], [2], [1]]
    assert found["test_ids"].tolist() == [[0]]
    assert found["train_labels"].tolist() == [[0, 1], [1, 0], [1, 1]]
    wages = np.log1p(FRAME["wage_per_hour"].to_numpy())
    np.testing.assert_allclose(found["train_dense"][:, 0], [-1.2247449, 0, 1.2247449], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["train_dense"][:, 3], (wages - wages.mean()) / wages.std(), rtol=1e-5)
    np.testing.assert_array_equal(found["validation_dense"], found["train_dense"])
    np.testing.assert_array_equal(found["test_dense"], found["train_dense"][:1])


def test_the_data_set_census_has_the_inputs_of_the_bench() -> None:
    encoder = fit_encoder(pd.read_parquet(FOLDER / "train.parquet"))
    declared = load_config("census").inputs

    assert [c.column for c in declared.categorical] == [f"user_{c.column}" for c in encoder.categorical]
    assert [(d.column, d.transform) for d in declared.dense] == [
        (f"user_{d.column}", d.transform) for d in encoder.dense
    ]
    assert max(column.size for column in encoder.categorical) <= 1 + declared.vocabulary_max_size
