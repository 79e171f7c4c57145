"""The first comparison on KuaiRand-Pure: five ways to serve cohorts, without level 0, three seeds.

python -m bench.kuairand.first            train what is not yet in the results, then print the tables
python -m bench.kuairand.first --table    print the tables only

Same variants and sizes as in bench.cohorts.first. Tuning budget of each: five learning rates on one seed
that no final uses, the lowest validation loss wins. Three finals each. Test days are 05-07 and 05-08.
Intervals are by bootstrap over users, paired between models, of the mean over seeds.
"""

from functools import partial
from typing import Any

from bench.cohorts.architectures import COMPARED, Variant
from bench.cohorts.trial import run
from bench.command_line import is_table_only
from bench.kuairand.data import kuairand
from bench.kuairand.measures import (
    by_group,
    cells_in_order,
    cells_of,
    gain_with_interval,
    mean_of_seeds,
    of_common_seeds,
    with_interval,
)
from bench.results import Results
from bench.tables import print_table

SEEDS, TUNING_SEED = (1, 2, 3), 1000
LEARNING_RATES = (0.0005, 0.001, 0.002, 0.004, 0.008)
RESULTS = Results("kuairand")


def train(name: str, variant: Variant, rate: float, seed: int) -> dict[str, Any]:
    """Return one training, measured on the test days."""
    found = kuairand()
    result, logits = run(variant, found.data, found.test, rate, seed)
    cohorts = by_group(found.test, found.data.cohorts["user_cohort"])
    result["cells"] = cells_of(logits, found.test, found.users["test"], found.data.tasks, cohorts)
    aucs = {cell: round(measured["auc"], 4) for cell, measured in result["cells"].items()}
    print(name, rate, seed, aucs, f"{result['seconds']} s", flush=True)
    return result


def tuned_rate(name: str, variant: Variant) -> float:
    """Return the learning rate with the lowest validation loss on the tuning seed."""
    losses = {}
    for rate in LEARNING_RATES:
        key = {"step": "tune", "variant": name, "learning_rate": rate, "seed": TUNING_SEED}
        losses[rate] = RESULTS.once(key, partial(_without_cells, variant, rate))["validation_loss"]
    return min(losses, key=lambda rate: losses[rate])


def _without_cells(variant: Variant, rate: float) -> dict[str, Any]:
    found = kuairand()
    return run(variant, found.data, found.test, rate, TUNING_SEED)[0]


def tables() -> None:
    """Print AUC by cell, mean over seeds, with intervals; then how much MFH gains over each other variant."""
    finals = [{**row, "name": row["variant"]} for row in RESULTS.all() if row["step"] == "final"]
    trained = of_common_seeds(finals, COMPARED)
    if not trained:
        return
    first = next(iter(trained.values()))
    print(f"{len(first)} seeds\n")
    rows, gains = [], []
    others = [name for name in trained if name != "mfh"]
    for cell in cells_in_order(first[0]):
        shown = cell.replace("|", ", ")
        measured = [with_interval(*mean_of_seeds(of_seeds, cell)) for of_seeds in trained.values()]
        rows.append([shown, f"{first[0][cell]['positives']:,}", *measured])
        if "mfh" in trained:
            gained = [gain_with_interval(trained["mfh"], trained[name], cell) for name in others]
            gains.append([shown, *gained])
    print_table(["cell", "positives", *trained], rows)
    print()
    print_table(["gain of mfh over", *others], gains)


def main() -> None:
    """Train, then print."""
    if not is_table_only(__doc__ or ""):
        rates = {name: tuned_rate(name, variant) for name, variant in COMPARED.items()}
        for seed in SEEDS:
            for name, variant in COMPARED.items():
                key = {"step": "final", "variant": name, "learning_rate": rates[name], "seed": seed}
                RESULTS.once(key, partial(train, name, variant, rates[name], seed))
    tables()


if __name__ == "__main__":
    main()
