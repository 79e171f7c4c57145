"""Training what a plan asks for: every result is a line of a results file, so a run that is cut off resumes.

A variant's tunings and finals belong to one part, so that several processes share the work without waiting.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import product
from typing import Any

from bench.cohorts.architectures import PARAMETERS, VARIANTS, Variant
from bench.cohorts.data import TestBed, to_test_bed
from bench.cohorts.measures import auc_by_cell, calibration_by_cell, mean_over_tasks, rounded
from bench.cohorts.plan import (
    EMBEDDING_DECAY,
    MOST_TUNED_ROWS,
    OWN_SIZES,
    RATES_OF_TAUGHT,
    TRUE_FORM_NAME,
    TUNING_SEED,
    Block,
    Plan,
)
from bench.cohorts.teacher import TaughtBed, taught
from bench.cohorts.trial import Trained, rows_of, train
from bench.cohorts.true_form import TRUE_FORM
from bench.cohorts.tuning import Tuned, best_inside, best_of_neighbours, or_failed
from bench.cohorts.worlds import BASE, IDS, World
from bench.fit import Dataset
from bench.results import Results
from jobs.workers.synthetic.dials import COHORTS

Key = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A plan and its results.

    Attributes:
        plan: what is trained.
        variants: by name.
        part, parts: this process trains the variants of every `parts`-th place, from `part`, 1 at first.
    """

    plan: Plan
    variants: Mapping[str, Variant] = field(default_factory=lambda: VARIANTS | {TRUE_FORM_NAME: TRUE_FORM})
    part: int = 1
    parts: int = 1

    @property
    def results(self) -> Results:
        """All lines so far."""
        return Results(self.plan.results)

    def run(self) -> None:
        """Train what is not in the results yet: block by block, seed by seed, world by world."""
        for block in self.plan.blocks:
            for seed, world in ((seed, world) for seed in block.seeds for world in block.worlds):
                for name in self.own(block):
                    self.final(block, world, seed, name)
                place = list(block.worlds).index(world) + seed
                if place % self.parts == self.part - 1:
                    self.ceiling(world, block.rows, seed)

    def own(self, block: Block) -> list[str]:
        """Return the variants of a block that are of this part."""
        mine = [*self.variants][self.part - 1 :: self.parts]
        return [name for name in block.variants if name in mine]

    def final(self, block: Block, world: World, seed: int, name: str) -> Key:
        """Return one training with its measures."""
        parameters = self.own_size(name) if block.is_own_size else PARAMETERS
        key = final_key(world, block.rows, seed, name, parameters)
        return self.results.once(key, lambda: self.measured(world, block.rows, seed, name, parameters))

    def measured(self, world: World, rows: int, seed: int, name: str, parameters: int = PARAMETERS) -> Key:
        """Return the measures of a training that is done now, with what `tuned` returns."""
        # Before the data set, which is the only one kept.
        tuned = self.tuned(name, rows, parameters, world)
        bed = _inner(self._bed(world, rows, seed))
        trained = self._train(name, bed.data, tuned, seed, parameters)
        tasks = bed.data.tasks
        logits = trained.logits(bed.test)
        new = rows_of(bed.data.train, COHORTS.index("new"))
        auc = rounded(auc_by_cell(logits, bed.test, tasks))
        train_auc = auc_by_cell(trained.logits(new), new, tasks, ("new",))
        means = {cohort: round(value, 4) for cohort, value in mean_over_tasks(auc).items()}
        print(name, world.name, rows, seed, means, f"{trained.summary['seconds']} s", flush=True)
        return {
            **trained.summary,
            "auc": auc,
            "train_auc": rounded(train_auc),
            **calibration_by_cell(logits, bed.test, tasks),
        }

    def own_size(self, name: str) -> int:
        """Return the number of parameters with the lowest validation loss in the base world."""
        rows = min(block.rows for block in self.plan.blocks)
        return min(OWN_SIZES, key=lambda size: self.tuned(name, rows, size).validation_loss)

    def known_size(self, name: str) -> int | None:
        """Return the size with the lowest validation loss so far; None before all have been tuned."""
        rows = min(block.rows for block in self.plan.blocks)
        tried = [
            row
            for row in self.results.all()
            if (row["step"], row.get("variant"), row.get("rows")) == ("tune", name, rows)
            and row["world"] == BASE.key()
        ]
        if {row["size"] for row in tried} < set(OWN_SIZES):
            return None
        size: int = min(tried, key=lambda row: row["validation_loss"])["size"]
        return size

    def tuned(self, name: str, rows: int, parameters: int = PARAMETERS, world: World = BASE) -> Tuned:
        """Return the best rate and decays.

        Tried is in the base world; where labels are a teacher's, in the teacher's own world; where ids of
        users are inputs, in the world "ids"; with no more than MOST_TUNED_ROWS. A variant whose rate is given
        is not tuned.
        """
        if (given := self.variants[name].rate) is not None:
            return Tuned(given, 0.0, math.nan)
        first, rows = min(block.rows for block in self.plan.blocks), min(rows, MOST_TUNED_ROWS)
        place = world if world.teacher else IDS if world.has_user_ids else BASE
        attempt = partial(self._tried, name, rows, parameters, place)
        if (rows, parameters, place) == (first, PARAMETERS, BASE):
            grid = product(self.plan.rates, self.plan.decays)
            return best_inside(name, [attempt(*tried) for tried in grid], attempt)
        start = self.tuned(name, first)
        if place == IDS:
            return best_of_neighbours(name, replace(start, embedding_decay=EMBEDDING_DECAY), attempt)
        rates = RATES_OF_TAUGHT if place.teacher else [start.learning_rate * f for f in (0.5, 1, 2)]
        return best_inside(name, [attempt(rate, start.weight_decay) for rate in rates], attempt)

    def ceiling(self, world: World, rows: int, seed: int) -> Key:
        """Return AUC of the ceilings of a data set by cohort and task."""
        return self.results.once(ceiling_key(world, rows, seed), lambda: self.ceilings(world, rows, seed))

    def ceilings(self, world: World, rows: int, seed: int) -> Key:
        """Return the same, computed again."""
        bed = self._bed(world, rows, seed)
        test, tasks = _inner(bed).test, _inner(bed).data.tasks
        return {"auc": {n: rounded(auc_by_cell(p, test, tasks)) for n, p in bed.ceilings().items()}}

    def _tried(
        self,
        name: str,
        rows: int,
        parameters: int,
        world: World,
        rate: float,
        decay: float,
        of_embeddings: float | None = None,
    ) -> Tuned:
        key = {"step": "tune", "variant": name, "rows": rows, "size": parameters, "learning_rate": rate}
        key |= {"weight_decay": decay, "embedding_decay": of_embeddings}
        key |= {"world": world.key(), "seed": TUNING_SEED}
        tried = Tuned(rate, decay, math.nan, of_embeddings)

        def find() -> Key:
            data = _inner(self._bed(world, rows, TUNING_SEED)).data
            summary = or_failed(lambda: self._train(name, data, tried, TUNING_SEED, parameters).summary)
            loss = summary["validation_loss"]
            print("tune", name, world.name, rows, parameters, rate, decay, of_embeddings, loss, flush=True)
            return summary

        return replace(tried, validation_loss=self.results.once(key, find)["validation_loss"])

    def _train(self, name: str, data: Dataset, tuned: Tuned, seed: int, parameters: int) -> Trained:
        return train(
            self.variants[name],
            data,
            tuned.learning_rate,
            seed,
            tuned.weight_decay,
            parameters,
            tuned.embedding_decay,
        )

    def _bed(self, world: World, rows: int, seed: int) -> TestBed | TaughtBed:
        return _to_bed(world, rows, seed, self.plan.validation_users, self.plan.test_users)


@lru_cache(maxsize=1)
def _to_bed(world: World, rows: int, seed: int, validation: int, test: int) -> TestBed | TaughtBed:
    bed = to_test_bed(world, rows, seed, validation, test)
    return bed if world.teacher is None else taught(world.teacher, bed, seed)


def _inner(bed: TestBed | TaughtBed) -> TestBed:
    return bed.bed if isinstance(bed, TaughtBed) else bed


def final_key(world: World, rows: int, seed: int, name: str, parameters: int) -> Key:
    """Return what a final is found by."""
    where = {"world": world.key(), "rows": rows, "seed": seed}
    return {"step": "final", "variant": name, "size": parameters, **where}


def ceiling_key(world: World, rows: int, seed: int) -> Key:
    """Return what ceilings are found by: rows matter only where test users are training users."""
    return {
        "step": "ceiling",
        "world": world.key(),
        "rows": rows if world.has_user_ids else None,
        "seed": seed,
    }
