"""What a study has found so far, looked up by what it is of; reports need nothing but this."""

import json
from collections.abc import Iterable
from typing import Any

from bench.cohorts.architectures import PARAMETERS
from bench.cohorts.measures import mean_over_tasks
from bench.cohorts.plan import Block
from bench.cohorts.study import Key, Study, ceiling_key, final_key
from bench.cohorts.worlds import World
from jobs.workers.synthetic.dials import COHORTS

ByCohort = dict[str, float]
"""Cohort -> figure, mean over behaviours."""
BySeed = dict[int, ByCohort]


class Outcomes:
    """Finals and ceilings of a study, as its results file has them now."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self._found: dict[str, Key] = {}
        for row in study.results.all():
            names = {
                "final": ("step", "variant", "size", "world", "rows", "seed"),
                "ceiling": ("step", "world", "rows", "seed"),
            }.get(row["step"], ())
            if names:
                self._found.setdefault(_text({name: row[name] for name in names}), row)

    def blocks(self, *names: str) -> list[Block]:
        """Return the plan's blocks of some names; of all without one."""
        return [block for block in self._study.plan.blocks if not names or block.name in names]

    def final(self, block: Block, world: World, seed: int, name: str) -> Key | None:
        """Return a final; at its own size it is that of whichever number of parameters was the best."""
        size = self._study.known_size(name) if block.is_own_size else PARAMETERS
        return self._found.get(_text(final_key(world, block.rows, seed, name, size or 0)))

    def distance(self, block: Block, world: World, seed: int, name: str) -> ByCohort | None:
        """Return AUC of the second ceiling minus that of a final; None where one of them is missing."""
        final = self.final(block, world, seed, name)
        ceiling = self._found.get(_text(ceiling_key(world, block.rows, seed)))
        if final is None or ceiling is None:
            return None
        return distance(ceiling, final)

    def distances(self, blocks: Iterable[Block], world: World, name: str) -> BySeed:
        """Return the distances of a variant in a world by seed, of all of these blocks."""
        return {
            seed: distance
            for block in blocks
            if world in block.worlds and name in block.variants
            for seed in block.seeds
            if (distance := self.distance(block, world, seed, name))
        }


def distance(ceiling: Key, final: Key) -> ByCohort:
    """Return AUC of the second ceiling minus that of a final."""
    top, own = mean_over_tasks(ceiling["auc"]["expected"]), mean_over_tasks(final["auc"])
    return {cohort: top[cohort] - own[cohort] for cohort in COHORTS}


def _text(key: dict[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)
