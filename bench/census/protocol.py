"""What every training on Census-Income has in common. The peers' processes import it, too.

A tenth of the training split, by a fixed hash, is for validation. Each architecture has the same tuning
budget: three learning rates on one seed that no final uses; the best mean validation AUC wins. Ten finals
then differ in their seed alone. A training stops two epochs after the lowest validation loss and keeps
that epoch's weights; a final reads the test split once.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.results import Results

TASKS = ("income", "never_married")
EMBEDDING_DIM = 8
TOWER = (32,)
PARAMETERS = 130_000
"""Of trunk and towers; every architecture is brought to it by its width, to within 10 %."""

BATCH_ROWS = 1024
MAX_EPOCHS = 20
PATIENCE = 2

LEARNING_RATES = (0.00025, 0.0005, 0.001)
TUNING_SEED = 1000
SEEDS = range(1, 11)

Train = Callable[[float, int, bool], Mapping[str, Any]]
"""Learning rate, seed, and whether it is a final, which reads the test split -> what is recorded."""


def train_missing(results: Results, key: Mapping[str, Any], train: Train) -> None:
    """Do the trainings of one architecture that are not in the results: tuning, then finals.

    Args:
        results: so far.
        key: what identifies the results of the architecture.
        train: does one training.
    """
    found = {}
    for rate in LEARNING_RATES:
        tuning = {"step": "tune", **key, "learning_rate": rate, "seed": TUNING_SEED}
        result = results.once(tuning, partial(train, rate, TUNING_SEED, False))
        found[rate] = float(np.mean([*result["validation_auc"].values()]))
    best = max(found, key=lambda rate: found[rate])
    for seed in SEEDS:
        final = {"step": "final", **key, "seed": seed, "learning_rate": best}
        results.once(final, partial(train, best, seed, True))
