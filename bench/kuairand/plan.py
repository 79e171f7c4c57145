"""Everything about the comparison on KuaiRand-Pure that is fixed before the first training.

- Days: training 04-29 .. 05-05, validation 05-06, test 05-07 and 05-08 (bench/kuairand/data.py).
- Variants: those of the regime map (bench/cohorts/architectures.py) that say something of its PAIRS, of
  about 60,000 parameters of trunk and towers each. All read the same columns, the user's cohort among them.
- Cells of variants that have any are task x user cohort: new (at most 3 impressions before), low (at most
  9), high. Items have cohorts as well (new: at most 20 impressions); no variant has cells of them, and
  measures by them are shown beside. What history dropout hides is the user's history.
- Tuning: one seed that no final uses; rate and decay of embeddings together, from START, until none of the
  neighbours is better (bench/cohorts/tuning.py). All other parameters have the decay of START. The first run
  of this comparison, on 2026-11-30, had no weight decay at all; decays were added after its results had been
  seen.
- Seeds change weights and order of rows, not data.
- Compared: PAIRS, in tasks x FAMILY cohorts, by AUC and by log loss; each measure is one family of
  simultaneous intervals (bench/kuairand/crossed.py). All else that is printed is not corrected.
- A final stops three epochs after its lowest validation loss, and keeps the weights of that.
"""

import math

from bench.cohorts.plan import CELLS, HIDING_CELLS, HIDING_POOLED, POOLED
from bench.cohorts.tuning import Tuned

MFH, PLE, BOTTOM = "mfh of the paper", "ple", "shared bottom"
LAST_PLE, HIDING_PLE = "ple, last weights", "ple, history dropout"
NAMES = (PLE, CELLS, HIDING_CELLS, MFH, BOTTOM, HIDING_PLE, LAST_PLE, POOLED, HIDING_POOLED)
PAIRS = (
    (HIDING_CELLS, PLE),
    (HIDING_POOLED, PLE),
    (CELLS, PLE),
    (CELLS, BOTTOM),
    (POOLED, CELLS),
    (HIDING_CELLS, CELLS),
    (MFH, PLE),
    (HIDING_PLE, PLE),
    (PLE, LAST_PLE),
)
"""(ours, theirs): whose differences are tested, and corrected for their number."""
FAMILY = ("new", "low", "high")
"""User cohorts whose cells are compared with a correction."""
SEEDS, TUNING_SEED = tuple(range(1, 11)), 1000
START = Tuned(learning_rate=0.032, weight_decay=1e-5, validation_loss=math.nan, embedding_decay=1e-4)
RESULTS = "kuairand"
