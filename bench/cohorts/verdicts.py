"""What the distances decide: whether the controls hold, and which variant is the closest where."""

from collections.abc import Sequence

import numpy as np

from bench.cohorts.outcomes import BySeed, Outcomes
from bench.cohorts.plan import CANDIDATES, CONTROL, DIALS, MAP, PARTS
from bench.cohorts.worlds import World
from bench.paired import Difference, paired_difference
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS

NEW, ALL = ("new",), COHORTS
WHOSE = {"new users": NEW, "all users (mean of the cohorts)": ALL}


def control_sentences(outcomes: Outcomes) -> list[str]:
    """Return for each control whether its teacher's architecture is closer than all others, 95 % each.

    Who has to beat all of them needs no correction for their number. One seed decides nothing.
    """
    blocks = outcomes.blocks(CONTROL)
    worlds = dict.fromkeys(world for block in blocks for world in block.worlds)
    return [
        sentence
        for world in worlds
        for whose, cohorts in WHOSE.items()
        if (sentence := _control_sentence(_by_variant(outcomes, (CONTROL,), world), world, whose, cohorts))
    ]


def map_table(outcomes: Outcomes) -> None:
    """Print by rows and world of the map which variant is the closest for new users, and which are tied.

    Tied are those whose paired 95 % interval against the closest includes 0, over the seeds that all have.
    Intervals are not corrected for the choice of the closest.
    """
    names = (DIALS, PARTS, CANDIDATES, MAP)
    mapped = dict.fromkeys(world for block in outcomes.blocks(MAP) for world in block.worlds)
    rows = []
    for world in sorted(mapped, key=lambda world: world.dials.shared):
        for number in sorted({block.rows for block in outcomes.blocks(*names) if world in block.worlds}):
            found = _on_common_seeds(_by_variant(outcomes, names, world, number))
            if found:
                rows.append([f"{number:,}", world.dials.shared, *_closest(found)])
    print_table(
        ["rows", "share of the shift that behaviours share", "seeds", "closest", "tied", "farther"], rows
    )


def _control_sentence(
    found: dict[str, BySeed], world: World, whose: str, cohorts: Sequence[str]
) -> str | None:
    teacher = str(world.teacher)
    rivals = {
        name: _gain(found[teacher], far, cohorts)
        for name, far in found.items()
        if teacher in found and name != teacher and found[teacher].keys() & far.keys()
    }
    if not rivals:
        return None
    beginning = f"{world.name}, {whose}: "
    undecided = {name: gain for name, gain in rivals.items() if gain.low <= 0}
    if undecided:
        named = "; ".join(f"{name} ({gain})" for name, gain in undecided.items())
        return f"{beginning}the bed cannot decide {teacher}, which is not shown to be closer than {named}."
    name = min(rivals, key=lambda rival: rivals[rival].mean)
    return f"{beginning}{teacher} wins; the least gain is {rivals[name]}, against {name}."


def _closest(found: dict[str, BySeed]) -> list[str | int]:
    """Return number of seeds, the closest, those tied with it, and all others, with figures."""
    means = {name: _mean(by_seed) for name, by_seed in found.items()}
    best = min(means, key=lambda name: means[name])
    tied: list[str] = []
    farther: list[str] = []
    for name in sorted(means.keys() - {best}, key=lambda name: means[name]):
        gain = _gain(found[best], found[name], NEW)
        (tied if gain.low <= 0 else farther).append(f"{name} {_short(means[name])}, {gain}")
    return [
        len(found[best]),
        f"{best} {_short(means[best])}",
        *("; ".join(each) or "none" for each in (tied, farther)),
    ]


def _by_variant(
    outcomes: Outcomes, names: Sequence[str], world: World, rows: int | None = None
) -> dict[str, BySeed]:
    """Return variant -> seed -> distances; variants without results are left out."""
    blocks = [block for block in outcomes.blocks(*names) if rows in (None, block.rows)]
    variants = dict.fromkeys(name for block in blocks for name in block.variants)
    return {name: found for name in variants if (found := outcomes.distances(blocks, world, name))}


def _on_common_seeds(found: dict[str, BySeed]) -> dict[str, BySeed]:
    common = set.intersection(*(set(by_seed) for by_seed in found.values())) if found else set()
    return {
        name: {seed: by_seed[seed] for seed in sorted(common)} for name, by_seed in found.items() if common
    }


def _gain(near: BySeed, far: BySeed, cohorts: Sequence[str]) -> Difference:
    """Return by how much one is closer than another, mean over some cohorts."""
    one, other = (
        {seed: float(np.mean([distance[c] for c in cohorts])) for seed, distance in by_seed.items()}
        for by_seed in (near, far)
    )
    return paired_difference(other, one)


def _mean(by_seed: BySeed) -> float:
    return float(np.mean([distance["new"] for distance in by_seed.values()]))


def _short(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1)
