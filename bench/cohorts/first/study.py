"""Training the variants of one comparison on data of known truth, each at its own learning rate.

Every result is a line of a results file, so a study that is cut off resumes where it stopped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from bench.cohorts.architectures import Variant
from bench.cohorts.data import ROWS, TestBed, to_test_bed
from bench.cohorts.measures import auc_by_cell, mean_over_tasks
from bench.cohorts.trial import run
from bench.cohorts.worlds import World
from bench.results import Results
from jobs.workers.synthetic.dials import COHORTS, Dials

CEILINGS = Results("cohorts")
"""The ceilings of a data set do not depend on what is trained on it."""

Key = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """What is compared, and on which data.

    Attributes:
        results: where the trainings are.
        variants: by name. A variant with `tuned_as` takes the learning rate of the one of this name.
        differences: values of q.
        shares: of new users in training.
        learning_rates: that each variant is tried with; the lowest validation loss wins.
        tuning: the data set that they are tried on, which no final uses.
    """

    results: Results
    variants: Mapping[str, Variant]
    differences: Sequence[float]
    shares: Sequence[float]
    learning_rates: Sequence[float]
    tuning: Key

    def train(self, seeds: Iterable[int]) -> None:
        """Train all variants that are not in the results yet, one after the other."""
        for name, variant in self.variants.items():
            if variant.tuned_as is None:
                self.tuned_rate(name)
        for where in data_sets(seeds, self.differences, self.shares):
            ceilings(where)
            for name in self.variants:
                self.final(name, where)

    def tuned_rate(self, name: str) -> float:
        """Return the learning rate with the lowest validation loss on the tuning data."""
        losses: dict[float, float] = {}
        for rate in self.learning_rates:
            key = {"step": "tune", "variant": name, "learning_rate": rate, **self.tuning}
            found = self.results.once(key, lambda rate=rate: self._train(name, rate, self.tuning))  # type: ignore[misc]
            losses[rate] = found["validation_loss"]
        return min(losses, key=lambda rate: losses[rate])

    def final(self, name: str, where: Key) -> Key:
        """Return the training of a variant on one data set."""
        tuned = self.variants[name].tuned_as or name
        return self.results.once(
            {"step": "final", "variant": name, **where},
            lambda: self._train(name, self.tuned_rate(tuned), where),
        )

    def distances(self, name: str, where: Key) -> dict[str, float] | None:
        """Return cohort -> distance to the second ceiling; None if it has not been trained yet."""
        trained = _find(self.results, {"step": "final", "variant": name, **where})
        ceiling = _find(CEILINGS, {"step": "ceiling", **where})
        if trained is None or ceiling is None:
            return None
        top, found = mean_over_tasks(ceiling["auc"]["expected"]), mean_over_tasks(trained["auc"])
        return {cohort: top[cohort] - found[cohort] for cohort in COHORTS}

    def _train(self, name: str, rate: float, where: Key) -> Key:
        bed = _bed(**where)
        result, logits = run(self.variants[name], bed.data, bed.test, rate, where["seed"])
        result["auc"] = auc_by_cell(logits, bed.test, bed.data.tasks)
        means = {cohort: round(auc, 4) for cohort, auc in mean_over_tasks(result["auc"]).items()}
        print(name, where, rate, means, f"{result['seconds']} s", flush=True)
        return result


def ceilings(where: Key) -> Key:
    """Return both ceilings of one data set by cell, and the second from each half of its particles."""

    def find() -> Key:
        bed = _bed(**where)
        probabilities = bed.ceilings()
        return {"auc": {name: auc_by_cell(p, bed.test, bed.data.tasks) for name, p in probabilities.items()}}

    return CEILINGS.once({"step": "ceiling", **where}, find)


def data_sets(seeds: Iterable[int], differences: Iterable[float], shares: Iterable[float]) -> list[Key]:
    """Return all data sets of some seeds, seed by seed, so that a study cut off has all of the first one."""
    return [
        {"difference": q, "share_of_new": share, "seed": seed}
        for seed, q, share in product(seeds, differences, shares)
    ]


def _bed(difference: float, share_of_new: float, seed: int) -> TestBed:
    return to_test_bed(World("first", Dials(difference), share_of_new), ROWS[0], seed)


def _find(results: Results, key: Key) -> Key | None:
    return next((row for row in results.all() if all(row.get(k) == v for k, v in key.items())), None)
