"""What each further block asks: one change or one rival at a time, over the block's worlds."""

from collections.abc import Mapping

import numpy as np

from bench.cohorts.architectures import AT_LOWER_RATE
from bench.cohorts.outcomes import BySeed, Outcomes
from bench.cohorts.plan import (
    BOUND,
    CANDIDATES,
    CELLS,
    HIDING_CELLS,
    HIDING_POOLED,
    MAP,
    OWN_SIZE,
    PARTS,
    PUBLISHED,
    RATE,
    TRAINING,
    TRUE_FORM_NAME,
    Block,
)
from bench.paired import paired_difference
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS

MFH, PLE = "mfh of the paper", "ple"
OF_ALL = ((HIDING_POOLED, PLE), (HIDING_CELLS, PLE), (MFH, PLE))
QUESTIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    PARTS: (
        (MFH, "mfh of the paper, no level 0"),
        (MFH, "mfh, one-level switchers"),
        (MFH, "mfh, one expert each"),
        (MFH, "mfh, one level, one expert each"),
        ("mfh, one level, one expert each", "mfh, one expert each"),
    ),
    TRAINING: (
        (PLE, "ple, last weights"),
        (CELLS, f"{CELLS}, last weights"),
        ("ple, history dropout", PLE),
        ("mfh of the paper, history dropout", MFH),
        (HIDING_POOLED, "ple, history dropout"),
    ),
    RATE: (
        *((lower, name) for name, lower in AT_LOWER_RATE.items()),
        *((AT_LOWER_RATE[ours], AT_LOWER_RATE[theirs]) for ours, theirs in OF_ALL),
    ),
    CANDIDATES: (*((name, PLE) for name in PUBLISHED), *((HIDING_POOLED, name) for name in PUBLISHED)),
    BOUND: ((TRUE_FORM_NAME, HIDING_POOLED),),
    OWN_SIZE: OF_ALL,
    MAP: OF_ALL,
}
"""Block -> (ours, theirs). A final that another block has trained is found, too."""


def question_table(outcomes: Outcomes) -> None:
    """Print how much closer ours is, mean over a block's worlds, with Student's t intervals over seeds.

    The interval is of these worlds, not of worlds in general, and not corrected for the number of questions.
    Left out are seeds that lack one of the worlds.
    """
    rows = []
    for block in outcomes.blocks():
        for ours, theirs in QUESTIONS.get(block.name, ()):
            gains = gains_of(outcomes, block, ours, theirs)
            if gains:
                size = [block.name, f"{block.rows:,}", len(block.worlds), len(gains)]
                rows.append([*size, ours, theirs, *(_shown(gains, cohort) for cohort in COHORTS)])
    print_table(["block", "rows", "worlds", "seeds", "ours", "theirs", *COHORTS], rows)


def gains_of(outcomes: Outcomes, block: Block, ours: str, theirs: str) -> BySeed:
    """Return by how much ours is closer, mean over the block's worlds, by seed and cohort."""
    gains: BySeed = {}
    for seed in block.seeds:
        pairs = [
            (outcomes.distance(block, world, seed, ours), outcomes.distance(block, world, seed, theirs))
            for world in block.worlds
        ]
        of_worlds = [(near, far) for near, far in pairs if near is not None and far is not None]
        if len(of_worlds) == len(block.worlds):
            gains[seed] = {c: float(np.mean([far[c] - near[c] for near, far in of_worlds])) for c in COHORTS}
    return gains


def _shown(gains: BySeed, cohort: str) -> str:
    own = {seed: gain[cohort] for seed, gain in gains.items()}
    closer = sum(gain > 0 for gain in own.values())
    return f"{paired_difference(own, dict.fromkeys(own, 0.0))} ({closer} of {len(own)})"
