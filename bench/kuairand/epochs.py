"""How much of a difference on KuaiRand-Pure is the epoch that a training stops at?

python -m bench.kuairand.epochs            train what is not yet in the results, then print the tables
python -m bench.kuairand.epochs --table    print the tables only

In bench.kuairand the validation loss is the lowest after the first epoch for some variants and after the
second for others, at rates of their own. Here all of them have one rate, RATE, and averaged weights, and are
measured after one epoch and after two. Printed are AUC, mean over seeds; how far the first epoch is above
the second; and after each how far a variant is above PLE, with Student's t intervals over seeds, not
corrected for their number. Likes of new users are too few in the test days.
"""

from functools import partial
from itertools import product
from typing import Any

import numpy as np

from bench.cohorts.architectures import VARIANTS, matched_width, to_model
from bench.command_line import is_table_only
from bench.fit import auc_by_task, predict
from bench.kuairand.data import KuaiRand, kuairand
from bench.kuairand.plan import FAMILY, NAMES, PLE
from bench.memory import MemoryRows
from bench.paired import paired_difference
from bench.results import Results
from bench.tables import print_table
from models.model import MultiTaskModel, build_model
from models.training.distributed import Single
from models.training.run_spec import FitSpec
from models.training.trainer import Trainer

RATE, EPOCHS, SEEDS = 0.008, (1, 2), (1, 2, 3, 4, 5)
TASKS = ("click", "long_view")
RESULTS = Results("kuairand_epochs")


def train(name: str, seed: int) -> dict[str, Any]:
    """Return AUC of the test days after each epoch: epochs -> `task|cohort` -> AUC."""
    found = kuairand()
    data, variant = found.data, VARIANTS[name]
    width, _ = matched_width(variant, data.encoder, data.tasks, data.cohorts)
    config = to_model(variant, width, RATE)
    model = build_model(config, data.encoder, [task.name for task in data.tasks], data.cohorts, seed)
    spec = FitSpec(model=config, tasks=data.tasks, cohorts=data.cohorts, seed=seed)
    trainer = Trainer(model, spec, MemoryRows(data.train), MemoryRows(data.validation), Single())
    auc = {}
    for epoch in range(EPOCHS[-1]):
        trainer.train_epoch(epoch)
        with trainer.average.applied():
            auc[str(epoch + 1)] = _auc_by_cell(model.eval(), found)
            model.network.trunk.after_epoch()
    print(name, seed, auc, flush=True)
    return {"auc": auc}


def _auc_by_cell(model: MultiTaskModel, found: KuaiRand) -> dict[str, float]:
    logits, groups = predict(model, found.test), found.data.cohorts["user_cohort"]
    cells: dict[str, float] = {}
    for cohort in FAMILY:
        own = np.flatnonzero(found.test.user_group == groups.index(cohort))
        aucs = auc_by_task(logits[own], found.test.take(own), found.data.tasks)
        cells |= {f"{task}|{cohort}": round(aucs[task], 6) for task in TASKS}
    return cells


def tables() -> None:
    """Print AUC by cell, the first epoch's gain over the second, and gains over PLE after each."""
    auc = {(row["variant"], row["seed"]): row["auc"] for row in RESULTS.all()}
    cells = [f"{task}|{cohort}" for task, cohort in product(TASKS, FAMILY)]

    def of(name: str, epochs: int, cell: str) -> dict[int, float]:
        return {seed: found[str(epochs)][cell] for (n, seed), found in auc.items() if n == name}

    names = [name for name in NAMES if of(name, 1, cells[0])]
    first = [[name, *(f"{np.mean([*of(name, 1, cell).values()]):.4f}" for cell in cells)] for name in names]
    print_table(["AUC after one epoch", *cells], first)
    print()
    falls = [
        [name, *(str(paired_difference(of(name, 1, cell), of(name, 2, cell))) for cell in cells)]
        for name in names
    ]
    print_table(["one epoch above two", *cells], falls)
    for epochs in EPOCHS:
        print()
        gains = [
            [name, *(str(paired_difference(of(name, epochs, c), of(PLE, epochs, c))) for c in cells)]
            for name in names
            if name != PLE
        ]
        print_table([f"above ple after {epochs}", *cells], gains)


def main() -> None:
    """Train, then print."""
    if not is_table_only(__doc__ or ""):
        for seed, name in product(SEEDS, NAMES):
            RESULTS.once({"variant": name, "rate": RATE, "seed": seed}, partial(train, name, seed))
    tables()


if __name__ == "__main__":
    main()
