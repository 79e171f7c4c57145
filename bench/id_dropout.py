"""What does id dropout do for users that training has never seen?

python -m bench.id_dropout            train what is not yet in the results, then print the table
python -m bench.id_dropout --table    print the table only

PLE on KuaiRand-Pure with the user id as an input of its own (a vocabulary of all users of the training days,
8 numbers each) and a share of the ids hidden in training, against the same model without the id. Test days
are 05-07 and 05-08; a user without a row in the training days is unseen, and reads row 0 of the table. Three
seeds; the learning rate is that of PLE in bench.kuairand.first. Intervals are by bootstrap over users,
paired.
"""

from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cohorts.architectures import COMPARED, matched_width, to_model
from bench.command_line import is_table_only
from bench.fit import Dataset, fit, predict
from bench.kuairand.data import kuairand, with_column
from bench.kuairand.first import tuned_rate
from bench.kuairand.measures import (
    cells_in_order,
    cells_of,
    gain_with_interval,
    mean_of_seeds,
    of_common_seeds,
    with_interval,
)
from bench.results import Results
from bench.tables import print_table
from core.encoder import CategoricalEncoding
from core.model import InputLayer
from models.training.reader import Rows

SEEDS = (1, 2, 3)
DROPOUTS = (None, 0.0, 0.1, 0.3, 0.5)  # None: no user id among the inputs
RESULTS = Results("id_dropout")


@lru_cache(maxsize=1)
def with_user_ids() -> tuple[Dataset, Rows]:
    """Return the data set with one more column: the user's id among the training days' users, else 0."""
    found = kuairand()
    known = np.unique(found.users["train"])
    table = CategoricalEncoding(column="user_id", kind="vocabulary", size=1 + len(known), dim=8)
    data = found.data
    train, validation, test = (
        with_column(rows, _ids(known, found.users[split]))
        for split, rows in (("train", data.train), ("validation", data.validation), ("test", found.test))
    )
    encoder = data.encoder.model_copy(update={"categorical": (*data.encoder.categorical, table)})
    return Dataset(encoder, data.tasks, data.cohorts, train, validation), test


def _ids(known: NDArray[np.int64], users: NDArray[np.int64]) -> NDArray[np.int32]:
    index = np.searchsorted(known, users).clip(max=len(known) - 1)
    return np.where(known[index] == users, index + 1, 0).astype(np.int32)


def train(share: float | None, seed: int) -> dict[str, Any]:
    """Return one training, measured on users that training has seen and on others."""
    found = kuairand()
    data, test = (found.data, found.test) if share is None else with_user_ids()
    width, _ = matched_width(COMPARED["ple"], data.encoder, data.tasks, data.cohorts)
    model = to_model(COMPARED["ple"], width, tuned_rate("ple", COMPARED["ple"]))
    if share:
        model = model.model_copy(update={"input": InputLayer(id_dropout={"user_id": share})})
    trained = fit(model, data, seed)
    cells = cells_of(predict(trained.model, test), test, found.users["test"], data.tasks, seen_and_unseen())
    print(share, seed, {cell: round(measured["auc"], 4) for cell, measured in cells.items()}, flush=True)
    return {"epochs": trained.epochs, "validation_loss": trained.validation_loss, "cells": cells}


def seen_and_unseen() -> dict[str, NDArray[np.bool_]]:
    """Return the test rows of users that training days have rows of, and those of others."""
    found = kuairand()
    is_seen = np.isin(found.users["test"], found.users["train"])
    return {"seen": is_seen, "unseen": ~is_seen}


def table() -> None:
    """Print AUC by task for seen and unseen users, and paired gains over no user id and over no id hidden."""
    trained = of_common_seeds(
        ({**row, "name": inputs(row["id_dropout"])} for row in RESULTS.all()), map(inputs, DROPOUTS)
    )
    bases = [inputs(None), inputs(0.0)]
    rows = []
    for cell in cells_in_order(trained[bases[0]][0]) if trained.keys() >= set(bases) else ():
        for name, of_seeds in trained.items():
            gains = [
                "" if name in (base, bases[0]) else gain_with_interval(of_seeds, trained[base], cell)
                for base in bases
            ]
            auc = with_interval(*mean_of_seeds(of_seeds, cell))
            rows.append([cell.replace("|", ", "), name, len(of_seeds), auc, *gains])
    print_table(["cell", "inputs", "seeds", "AUC", *(f"gain over {base}" for base in bases)], rows)


def inputs(share: float | None) -> str:
    """Return a name of what the model reads, by the share of ids that training hides."""
    return "no user id" if share is None else f"user id, {share} hidden"


def main() -> None:
    """Train, then print."""
    if not is_table_only(__doc__ or ""):
        for seed in SEEDS:
            for share in DROPOUTS:
                RESULTS.once({"id_dropout": share, "seed": seed}, partial(train, share, seed))
    table()


if __name__ == "__main__":
    main()
