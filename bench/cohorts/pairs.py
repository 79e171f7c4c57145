"""The named pairs of variants: how much closer is ours than theirs, in each world and over all of them?"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.cohorts.intervals import Compared, compare, seed_effect
from bench.cohorts.outcomes import BySeed, Outcomes
from bench.cohorts.plan import FAMILIES
from bench.paired import paired_difference
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS
from jobs.workers.synthetic.hashing import Floats

Pair = tuple[str, str]
Gains = Mapping[Pair, Mapping[str, BySeed]]
"""Pair -> world -> seed -> cohort -> by how much ours is closer."""


def pair_tables(outcomes: Outcomes) -> None:
    """Print both tables of each family of the plan: by world, and over all worlds."""
    for blocks, pairs in FAMILIES:
        _print_family(to_gains(outcomes, blocks, pairs))


def to_gains(outcomes: Outcomes, names: Sequence[str], pairs: Sequence[Pair]) -> Gains:
    """Return the gains of pairs in the blocks of these names; worlds and seeds that lack one are left out."""
    blocks = outcomes.blocks(*names)
    worlds = dict.fromkeys(world for block in blocks for world in block.worlds)
    gains: dict[Pair, dict[str, BySeed]] = {pair: {} for pair in pairs}
    for (ours, theirs), by_world in gains.items():
        for world in worlds:
            near, far = (outcomes.distances(blocks, world, name) for name in (ours, theirs))
            if common := sorted(near.keys() & far.keys()):
                by_world[world.name] = {
                    seed: {cohort: far[seed][cohort] - near[seed][cohort] for cohort in COHORTS}
                    for seed in common
                }
    return gains


def _print_family(gains: Gains) -> None:
    rows = [
        [*pair, world, len(by_seed), *_by_cohort(by_seed)]
        for pair, by_world in gains.items()
        for world, by_seed in by_world.items()
    ]
    print_table(["ours", "theirs", "world", "seeds", *COHORTS], rows)
    family = over_worlds(gains)
    if family:
        print()
        print_table(
            ["ours", "theirs", "cohort", "closer by", "all at once", "adjusted p", "closer in", "F of seeds"],
            [
                [*pair, cohort, *_shown(found), f"{_seed_effect(gains[pair], cohort):.2f}"]
                for (pair, cohort), found in family.items()
            ],
        )
    print()


def over_worlds(gains: Gains) -> dict[tuple[Pair, str], Compared]:
    """Return all pairs and cohorts as one family, over what all pairs with results have in common.

    Empty where that is fewer than three worlds.
    """
    present = {pair: by_world for pair, by_world in gains.items() if by_world}
    if not present:
        return {}
    names = [(pair, cohort) for pair in present for cohort in COHORTS]
    differences = [
        of_world for world in _common(present.values()) if len(of_world := _differences(present, world))
    ]
    if len(differences) < 3:
        return {}
    return dict(zip(names, compare(differences), strict=True))


def _differences(gains: Gains, world: str) -> Floats:
    """Return the gains of a world, (seeds that all pairs have, pairs x cohorts)."""
    seeds = _common(by_world[world] for by_world in gains.values())
    found: list[list[float]] = [
        [by_world[world][seed][cohort] for by_world in gains.values() for cohort in COHORTS] for seed in seeds
    ]
    return np.array(found)


def _seed_effect(by_world: Mapping[str, BySeed], cohort: str) -> float:
    seeds = _common(by_world.values())
    return seed_effect(np.array([[by_seed[seed][cohort] for seed in seeds] for by_seed in by_world.values()]))


def _common(mappings: Iterable[Mapping[Any, Any]]) -> list[Any]:
    first, *others = mappings
    return [key for key in first if all(key in other for other in others)]


def _by_cohort(by_seed: BySeed) -> list[str]:
    nothing = dict.fromkeys(by_seed, 0.0)
    found = [{seed: gain[cohort] for seed, gain in by_seed.items()} for cohort in COHORTS]
    return [
        f"{paired_difference(gains, nothing)} ({sum(gain > 0 for gain in gains.values())} of {len(gains)})"
        for gains in found
    ]


def _shown(found: Compared) -> list[Any]:
    return [found.alone, found.together, f"{found.p:.4f}", f"{found.closer} of {found.pairs}"]
