"""Trainings that differ in the seed alone, on KuaiRand-Pure: logits of the test rows, kept in build/.

One training of conf/models/ple.yaml takes seconds on one core. A training on a share of the users of the
training days is a worse model by a true gain that is known from many seeds.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.fit import Dataset, auc_by_task, fit, predict
from bench.kuairand.data import kuairand
from bench.results import PROJECT
from core.load import load_config

FOLDER = PROJECT / "build" / "promotion"
Logits = NDArray[np.float32]


def logits_of(share: float, seed: int) -> Logits:
    """Return the logits of the test rows, (n, K), of one training; train it where it is not kept yet.

    Args:
        share: of the users of the training days whose rows are learnt from, in (0, 1].
        seed: of the initial weights and of the order of the rows. The users are the same for all seeds.
    """
    file = FOLDER / f"ple-{share}-{seed}.npy"
    if file.exists():
        kept: Logits = np.load(file)
        return kept
    found = kuairand()
    trained = fit(load_config(model="ple").model, _data(share), seed)
    logits = predict(trained.model, found.test)
    auc = {task: round(value, 4) for task, value in auc_by_task(logits, found.test, found.data.tasks).items()}
    print(share, seed, f"{trained.epochs} epochs, {trained.seconds} s", auc, flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part.npy")
    np.save(part, logits)
    part.replace(file)
    return logits


@lru_cache(maxsize=2)
def _data(share: float) -> Dataset:
    found = kuairand()
    users = found.users["train"]
    known = np.unique(users)
    kept = np.random.default_rng(1).permutation(known)[: round(share * len(known))]
    rows = found.data.train.take(np.flatnonzero(np.isin(users, kept)))
    return Dataset(found.data.encoder, found.data.tasks, found.data.cohorts, rows, found.data.validation)
