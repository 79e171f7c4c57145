"""The bench's rows as the jobs left them: the encoder knows the history, and the cohort is a column."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cohorts.architectures import HIDDEN, VARIANTS, matched_width, to_model
from bench.fit import fit
from bench.kuairand import data as module
from bench.kuairand.data import SPLITS, kuairand
from bench.kuairand.plan import HIDING_PLE, NAMES
from core.columns import input_sides
from core.load import load_config
from models.describe.shapes import largest_encoder
from models.modules.history import History

N = 200


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave rows of random values, as the export of the jobs' tables does."""
    config = load_config("kuairand")
    encoder = largest_encoder(config.inputs, input_sides(config))
    random, tasks = np.random.default_rng(0), len(config.tasks)
    arrays = {"encoder": np.array(encoder.model_dump_json())}
    for split in SPLITS:
        arrays |= {
            f"{split}_user_id": random.integers(50, size=N),
            f"{split}_item_id": random.integers(50, size=N),
            f"{split}_categorical": random.integers(2, size=(N, len(encoder.id_columns))).astype(np.int32),
            f"{split}_dense": random.random((N, len(encoder.dense)), dtype=np.float32),
            f"{split}_labels": random.integers(2, size=(N, tasks)).astype(np.float32),
            f"{split}_mask": np.ones((N, tasks), dtype=np.bool_),
            f"{split}_weight": np.ones(N, dtype=np.float32),
            f"{split}_user_group": random.integers(3, size=N).astype(np.uint8),
            f"{split}_item_group": random.integers(2, size=N).astype(np.uint8),
        }
    path = tmp_path / "rows.npz"
    np.savez_compressed(path, **arrays)
    monkeypatch.setattr(module, "_cache", lambda _: path)
    kuairand.cache_clear()
    yield
    kuairand.cache_clear()


def test_history_dropout_knows_the_columns_that_are_made_of_a_users_events(exported: None) -> None:
    found = kuairand().data
    columns = [d.column for d in found.encoder.dense]
    ids = torch.as_tensor(found.train.categorical)
    dense = torch.as_tensor(found.train.dense)

    shown_ids, shown = History("user", 1.0, found.encoder).train()(ids, dense)

    hidden = {columns[place] for place in (shown != dense).any(0).nonzero().flatten().tolist()}
    attributes = {"user_is_video_author"}
    assert hidden == {name for name in columns if name.startswith("user_")} - attributes
    assert (shown[:, columns.index("user_impression_count_all")] == 0).all()
    assert (shown_ids == ids).all()  # the cohort among them; no input is the user's id
    assert found.encoder.categorical[-1].column == "user_cohort"
    assert (found.train.categorical[:, -1] == found.train.user_group + 1).all()


def test_all_variants_are_of_equal_size_on_these_columns(exported: None) -> None:
    data = kuairand().data
    for name in NAMES:
        _, parameters = matched_width(VARIANTS[name], data.encoder, data.tasks, data.cohorts)
        assert parameters == pytest.approx(60_000, rel=0.1), name


def test_a_variant_with_history_dropout_trains(exported: None) -> None:
    model = to_model(VARIANTS[HIDING_PLE], 8, 0.01)

    assert model.input.history_dropout == {"user": HIDDEN}
    assert np.isfinite(fit(model, kuairand().data, seed=1).validation_loss)
