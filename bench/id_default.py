"""What serves ids of users and items without history: no ids, id dropout, or a learnt default?

python -m bench.id_default                     train what is not yet in the results, then print the tables
python -m bench.id_default --table             print the tables only
python -m bench.id_default --worlds control    these data sets only: two processes share two cores
python -m bench.id_default --seeds 1           these seeds only

Data: `control` and `half` are of known truth (bench/id_rows.py): attributes explain .9 and .5 of what users
and items are; `kuairand` is KuaiRand-Pure, tested on 05-07 and 05-08. The inputs are attributes (and on
KuaiRand-Pure features), and ids of users and items with a vocabulary of those of the training rows, 8
numbers each. Compared: no ids; ids of which training hides no share, .1, .3 or .5; the same with a learnt
default from the attributes of the id's side. PLE of 60,000 parameters. Tuning of each, on a seed that no
final uses: rate and decay of embeddings together, from START, until none of the neighbours is better
(bench/cohorts/tuning.py). A first run, on 2026-11-30, had no decay. Seeds draw weights, of known truth data,
too; differences are paired over seeds. AUC is a mean over tasks by how many training rows the user, or the
item, of a test row has: none, few (below 10) or many.

`control` must show an effect: attributes explain most of an item there, but as products of two columns each,
which a layer above the input has to learn of hidden ids alone. With few ids hidden (.1), a default from the
attributes must beat row 0 for items without rows. Some 210 trainings of 15 to 40 seconds.
"""

import argparse
import math
from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.cohorts import architectures
from bench.cohorts.architectures import matched_width, to_model
from bench.cohorts.tuning import Tuned, best_of_neighbours, or_failed
from bench.fit import fit, predict
from bench.id_rows import WORLDS, IdRows
from bench.paired import paired_difference
from bench.results import Results
from bench.tables import print_table
from core.model import IdDefault, InputLayer, Model

PLE = architectures.VARIANTS["ple"]
SEEDS, TUNING_SEED = (1, 2, 3, 4, 5), 1000
START = Tuned(learning_rate=0.016, weight_decay=0.0, validation_loss=math.nan, embedding_decay=3e-4)
SHARES = (0.1, 0.3, 0.5)
WIDTHS = (32,)  # of a default's network
MIN_CLASS_COUNT = 30
RESULTS = Results("id_default")

Variant = tuple[float | None, bool]
"""Share of ids that training hides (None: no ids), and whether there is a learnt default."""

VARIANTS: dict[str, Variant] = {
    "no ids": (None, False),
    "ids": (0.0, False),
    **{f"ids, {share} hidden": (share, False) for share in SHARES},
    **{f"ids, {share} hidden, learnt default": (share, True) for share in SHARES},
}
BASES = ("no ids", "ids")


def train(world: str, name: str, rate: float, decay: float, seed: int) -> dict[str, Any]:
    """Return one training, measured by training rows of user and of item."""
    share, _ = VARIANTS[name]
    rows = WORLDS[world](seed).with_ids(share is not None)
    trained = fit(_model(rows, name, rate, decay), rows.data, seed)
    cells = auc_by_history(rows, predict(trained.model, rows.test))
    shown = {cell: None if auc is None else round(auc, 4) for cell, auc in cells.items()}
    print(world, name, rate, decay, seed, shown, f"{trained.seconds} s", flush=True)
    return {
        "epochs": trained.epochs,
        "validation_loss": trained.validation_loss,
        "seconds": trained.seconds,
        "auc": cells,
    }


def _model(rows: IdRows, name: str, rate: float, decay: float) -> Model:
    share, has_default = VARIANTS[name]
    width, _ = matched_width(PLE, rows.data.encoder, rows.data.tasks, rows.data.cohorts)
    defaults = {
        column: IdDefault(columns=columns, widths=WIDTHS) for column, columns in rows.attributes.items()
    }
    layer = InputLayer(
        id_dropout=dict.fromkeys(rows.attributes, share) if share else {},
        id_default=defaults if has_default else {},
    )
    return to_model(PLE, width, rate, embedding_decay=decay).model_copy(update={"input": layer})


def auc_by_history(rows: IdRows, logits: NDArray[Any]) -> dict[str, float | None]:
    """Return `user|none` and so on -> rank AUC of logits (n, K) of test rows, mean over tasks.

    Tasks with fewer than 30 rows of a class do not count; null if there is no other. With `truth|` before
    it, that of the true probabilities.
    """
    scores = {"": logits} | ({} if rows.truth is None else {"truth|": rows.truth})
    found: dict[str, float | None] = {}
    for (prefix, score), (cell, own) in product(scores.items(), rows.history.items()):
        aucs = []
        for k in range(len(rows.data.tasks)):
            valid = own & rows.test.mask[:, k]
            labels = rows.test.labels[valid, k] > 0.5
            if min(labels.sum(), (~labels).sum()) >= MIN_CLASS_COUNT:
                aucs.append(float(roc_auc_score(labels, score[valid, k])))
        found[prefix + cell] = float(np.mean(aucs)) if aucs else None
    return found


def tuned(world: str, name: str) -> tuple[float, float]:
    """Return the rate and the decay of embeddings with the lowest validation loss on the tuning seed."""

    def tried(rate: float, _: float, decay: float | None) -> Tuned:
        assert decay is not None
        key = {"step": "tune", **_key(world, name, rate, decay, TUNING_SEED)}
        trained = partial(train, world, name, rate, decay, TUNING_SEED)
        found = RESULTS.once(key, partial(or_failed, trained))
        return Tuned(rate, 0.0, found["validation_loss"], decay)

    best = best_of_neighbours(f"{name} in {world}", START, tried)
    return best.learning_rate, best.embedding_decay or 0.0


def _key(world: str, name: str, rate: float, decay: float, seed: int) -> dict[str, Any]:
    where = {"world": world, "inputs": name, "seed": seed}
    return {**where, "learning_rate": rate, "embedding_decay": decay}


def rate_table(world: str) -> None:
    """Print the validation losses of tuning by rate and decay."""
    tunings = [row for row in RESULTS.all() if (row["step"], row["world"]) == ("tune", world)]
    losses = {
        (row["inputs"], row["embedding_decay"], row["learning_rate"]): row["validation_loss"]
        for row in tunings
    }
    rates, decays = (sorted({at[place] for at in losses}) for place in (2, 1))
    rows = [
        [
            name,
            decay,
            *(f"{losses[at]:.5f}" if (at := (name, decay, rate)) in losses else "" for rate in rates),
        ]
        for name, decay in product(VARIANTS, decays)
        if any((name, decay, rate) in losses for rate in rates)
    ]
    if tunings:
        print_table([f"{world}: validation loss", "decay", *map(str, rates)], rows)
        print()


def gain_table(world: str) -> None:
    """Print AUC by history, and gains over no ids, ids that are all shown, and the same without default."""
    finals: dict[str, dict[int, Mapping[str, float | None]]] = {name: {} for name in VARIANTS}
    for row in RESULTS.all():
        if (row["step"], row["world"]) == ("final", world):
            finals[row["inputs"]][row["seed"]] = row["auc"]
    first = next((of_seed for of_seeds in finals.values() for of_seed in of_seeds.values()), None)
    rows = []
    for cell in () if first is None else (cell for cell in first if not cell.startswith("truth|")):
        for name, of_seeds in finals.items():
            auc = _of_cell(of_seeds, cell)
            if not auc:
                continue
            bases = [*BASES, name.removesuffix(", learnt default")]
            gains = []
            for base in bases:
                theirs = _of_cell(finals[base], cell)
                is_other = base != name and bool(auc.keys() & theirs.keys())
                gains.append(str(paired_difference(auc, theirs)) if is_other else "")
            top = _of_cell(of_seeds, f"truth|{cell}")
            ceiling = f"{np.mean([*top.values()]):.4f}" if top else ""
            rows.append(
                [*cell.split("|"), name, len(auc), f"{np.mean([*auc.values()]):.4f}", ceiling, *gains]
            )
    if rows:
        over = [f"gain over {base}" for base in (*BASES, "the same without default")]
        print_table([f"{world}: of the", "rows", "inputs", "seeds", "AUC", "truth", *over], rows)
        print()


def _of_cell(of_seeds: Mapping[int, Mapping[str, float | None]], cell: str) -> dict[int, float]:
    values = {seed: auc.get(cell) for seed, auc in of_seeds.items()}
    return {seed: value for seed, value in values.items() if value is not None}


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--worlds", nargs="*", choices=list(WORLDS), default=list(WORLDS))
    parser.add_argument("--seeds", nargs="*", type=int, default=list(SEEDS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for world in arguments.worlds:
        if not arguments.table:
            best = {name: tuned(world, name) for name in VARIANTS}
            for seed, (name, (rate, decay)) in product(arguments.seeds, best.items()):
                key = {"step": "final", **_key(world, name, rate, decay, seed)}
                RESULTS.once(key, partial(train, world, name, rate, decay, seed))
        rate_table(world)
        gain_table(world)


if __name__ == "__main__":
    main()
