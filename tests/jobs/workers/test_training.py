"""A model's version is a hash of what made it: a bundle that is broken is moved away and trained again."""

import re
from pathlib import Path

import pytest

from core.errors import LamplighterError
from jobs.workers.training import TrainedModel, train_bundle
from tests.models.training_set import COHORTS, ENCODER, make_spec


@pytest.mark.spark  # no session, but ranks take seconds: not for `make check`
def test_a_broken_bundle_is_moved_away_and_trained_again_to_the_same_weights(tmp_path: Path) -> None:
    bundle = tmp_path / "_models" / "ple-0123"
    spec = make_spec(tmp_path)

    def train() -> TrainedModel:
        return train_bundle(
            bundle,
            lambda folder: spec.model_copy(update={"out_dir": folder}),
            training_set="set",
            rule_versions=dict.fromkeys(COHORTS, 1),
            types=dict.fromkeys(ENCODER.columns, "double"),
            table_versions=dict,
            code_revision="r1",
            ranks=1,
            on_epoch=lambda *_: None,
        )

    trained = train()
    assert train() == TrainedModel(**vars(trained) | {"is_old": True})
    weights = bundle / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])

    with pytest.raises(
        LamplighterError, match=re.escape(f"or move {bundle} away and run `lamplighter train")
    ):
        train()
    bundle.rename(bundle.with_name("broken"))
    assert train() == trained
