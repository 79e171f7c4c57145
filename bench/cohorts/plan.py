"""Everything about the regime map that is fixed before its trainings.

- Worlds: bench/cohorts/worlds.py. Variants: VARIANTS of bench/cohorts/architectures.py.
- A seed draws data and weights anew; all variants share both, so differences are paired.
- Tuning: one data set of the base world per number of rows, of seed 1000, which no final uses. RATES x
  DECAYS each; while the best rate is the lowest or the highest tried, half or twice of it is tried with the
  best decay. The lowest validation loss wins. Other numbers of rows and other sizes begin with the best
  decay and three rates around the best; controls, whose truth is rougher, with the best decay and
  RATES_OF_TAUGHT, on a data set of their own of that seed. Worlds with ids of users are tuned in the world
  "ids": rate and decay of embeddings together, from the best rate and EMBEDDING_DECAY, until none of the
  neighbours is better (bench/cohorts/tuning.py).
- 2 million rows take the rates of 480,000.
- Sizes: PARAMETERS of trunk and towers everywhere, within 10 %; in the block "own size" the best of
  OWN_SIZES by validation loss on the tuning data.
- Compared: PAIRS, named before; more seeds for them in the base world (block "named pairs"), so 10 in all.
  Pairs x cohorts are one family of simultaneous intervals (bench/cohorts/intervals.py).
- A control holds where its teacher's architecture beats every other variant of MAIN, each with 95 %.
- What the rows leave open even to who knows the form of the truth (bench/cohorts/true_form.py) is the block
  "bound".
- Rates are chosen by the validation loss of all users, of whom few are new: the block "lower rate" has some
  variants at one rate below what tuning finds.
- Added after results had been seen: rates of the controls' own, since MFH at the base world's rate did not
  learn new users even of its own teacher; decays of the world "ids", since half of the variants came there
  with a decay of 0 and half with 1e-5, between which the base world hardly tells, and then those of
  embeddings alone, since one decay for all parameters left the best loss at a rate too high for the others;
  the block "lower rate";
  "mfh, one level, one expert each", since each of both alone was better than the paper's counts; the block
  "drawn worlds", whose worlds nobody chose, with pairs of its own (PAIRS_DRAWN), a second family.
- Fewer than first planned, for the sake of time, whatever their results would be: the block "own size"
  has 4 variants of 8; "bound" 2 seeds of 5; 480,000 rows 5 variants of 8 and 3 seeds of 5; 2 million rows 2
  seeds of 3.
- A final stops three epochs after its lowest validation loss, and keeps the weights of that.
"""

from dataclasses import dataclass

from bench.cohorts.architectures import AT_LOWER_RATE, PARAMETERS
from bench.cohorts.data import ROWS, TEST_USERS, VALIDATION_USERS
from bench.cohorts.worlds import (
    ALL_SHARED,
    BASE,
    CONTROLS,
    DRAWN,
    FEW_NEW,
    IDS,
    NOTHING_SHARED,
    ONE_DIAL,
    World,
)

TUNING_SEED = 1000
RATES = (0.008, 0.016, 0.032, 0.064)
DECAYS = (0.0, 1e-5)
EMBEDDING_DECAY = 1e-4
MOST_TUNED_ROWS = ROWS[1]
RATES_OF_TAUGHT = (0.004, 0.008, 0.016)
OWN_SIZES = (20_000, PARAMETERS, 180_000)
CELLS = "shared bottom, tower per cell"
HIDING_CELLS = f"{CELLS}, history dropout"
POOLED = "pooled towers"
HIDING_POOLED = f"{POOLED}, history dropout"
LARGEST = ("ple", HIDING_CELLS, HIDING_POOLED, "mfh of the paper")
"""Variants of 480,000 and of 2 million rows, at their own size, and in the worlds of the quick form."""
PAIRS = (
    (HIDING_CELLS, "ple"),
    (HIDING_POOLED, "ple"),
    (CELLS, "ple"),
    (CELLS, "shared bottom"),
    (POOLED, CELLS),
    (HIDING_CELLS, CELLS),
    ("mfh of the paper", "ple"),
    ("mfh of the paper", "ple on level 0"),
)
"""(ours, theirs): whose differences are tested, and corrected for their number."""
PAIRS_DRAWN = ((HIDING_POOLED, "ple"), (HIDING_POOLED, "shared bottom"))
"""The same in the drawn worlds."""


@dataclass(frozen=True)
class Block:
    """Finals that answer one question: every variant in every world with every seed.

    Attributes:
        name: of the question.
        worlds, rows, variants, seeds: of the trainings.
        is_own_size: at each variant's best number of parameters, in place of PARAMETERS.
    """

    name: str
    worlds: tuple[World, ...]
    rows: int
    variants: tuple[str, ...]
    seeds: tuple[int, ...]
    is_own_size: bool = False


@dataclass(frozen=True)
class Plan:
    """What one run of the command does; `results` is the name of its file."""

    results: str
    blocks: tuple[Block, ...]
    rates: tuple[float, ...] = RATES
    decays: tuple[float, ...] = DECAYS
    validation_users: int = VALIDATION_USERS
    test_users: int = TEST_USERS


DIALS, CONTROL, NAMED, MAP, OWN_SIZE = "one dial", "controls", "named pairs", "map", "own size"
DRAWN_WORLDS = "drawn worlds"
BOUND, TRUE_FORM_NAME = "bound", "true form"
PARTS, CANDIDATES, TRAINING, RATE = "parts of mfh", "candidates", "training", "lower rate"
MAIN = (
    "ple",
    "ple on level 0",
    "shared bottom",
    CELLS,
    HIDING_CELLS,
    "mfh of the paper",
    POOLED,
    HIDING_POOLED,
)
"""Variants of all worlds of 120,000 rows but the drawn ones; PAIRS and LARGEST are among them."""
OF_MFH = (
    "mfh of the paper",
    "mfh of the paper, no level 0",
    "mfh, one-level switchers",
    "mfh, one expert each",
    "mfh, one level, one expert each",
)
"""What of MFH's gain is level 0, which the two levels of switchers, which the number of experts."""
OF_TRAINING = (
    "ple, last weights",
    f"{CELLS}, last weights",
    "ple, history dropout",
    "mfh of the paper, history dropout",
)
"""What averaging the weights and hiding histories bring; the others of the comparison are in MAIN."""
PUBLISHED = ("star", "poso", "pepnet", "mlora", "biasnet")
FAMILIES = (((DIALS, NAMED), PAIRS), ((DRAWN_WORLDS,), PAIRS_DRAWN))
"""(blocks, pairs): what is corrected together."""
PAIRED = tuple(dict.fromkeys(name for pair in PAIRS for name in pair))
OF_TRUE_FORM = tuple(
    world
    for world in ONE_DIAL
    if not (world.dials.separation or world.has_user_ids or world.has_sample_space)
)
"""Worlds in which bench/cohorts/true_form.py has the form of the truth."""
SIGMAS = (NOTHING_SHARED, BASE, ALL_SHARED)
FIVE = (1, 2, 3, 4, 5)

FULL = Plan(
    "regimes",
    (
        Block(DIALS, ONE_DIAL, ROWS[0], MAIN, FIVE),
        Block(PARTS, SIGMAS, ROWS[0], OF_MFH, FIVE),
        Block(TRAINING, SIGMAS, ROWS[0], OF_TRAINING, FIVE),
        Block(DRAWN_WORLDS, DRAWN, ROWS[0], tuple(dict.fromkeys(sum(PAIRS_DRAWN, ()))), (1, 2)),
        Block(RATE, (BASE, FEW_NEW), ROWS[0], tuple(AT_LOWER_RATE.values()), FIVE),
        Block(CANDIDATES, SIGMAS, ROWS[0], PUBLISHED, FIVE),
        Block(CONTROL, CONTROLS, ROWS[0], MAIN, FIVE),
        Block(BOUND, OF_TRUE_FORM, ROWS[0], (TRUE_FORM_NAME,), (1, 2)),
        Block(NAMED, (BASE,), ROWS[0], PAIRED, (6, 7, 8, 9, 10)),
        Block(OWN_SIZE, (BASE,), ROWS[0], LARGEST, FIVE, is_own_size=True),
        Block(MAP, SIGMAS, ROWS[1], (*LARGEST, "shared bottom"), (1, 2, 3)),
        Block(MAP, SIGMAS, ROWS[2], LARGEST, (1, 2)),
    ),
)
QUICK = Plan(
    "regimes_quick",
    (
        Block(DIALS, (*SIGMAS, IDS, FEW_NEW), ROWS[0], LARGEST, (1, 2)),
        Block(CONTROL, CONTROLS, ROWS[0], (*LARGEST, "shared bottom"), (1, 2)),
        Block(BOUND, (BASE,), ROWS[0], (TRUE_FORM_NAME,), (1, 2)),
    ),
    rates=(0.032, 0.064),
    decays=(0.0,),
)
