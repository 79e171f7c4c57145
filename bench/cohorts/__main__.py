"""The regime map: which way to serve cohorts is closest to what can be known, in worlds of known truth?

python -m bench.cohorts               train what is not yet in the results, then print the table
python -m bench.cohorts --table       print the table only
python -m bench.cohorts --part 1/2    half of the variants: two processes share two cores
python -m bench.cohorts --quick       fewer seeds and a smaller grid, in a results file of its own

All that is fixed before the first training is in bench/cohorts/plan.py. Distances are to the second ceiling
(bench/cohorts/ceiling.py): AUC of the best that could be known, minus the model's, mean over behaviours.
"""

import argparse

import numpy as np
import torch

from bench.cohorts.architectures import PARAMETERS
from bench.cohorts.measures import mean_over_tasks
from bench.cohorts.plan import FULL, QUICK, Block
from bench.cohorts.study import Key, Study, ceiling_key, final_key
from bench.results import find
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS


def distance_table(study: Study) -> None:
    """Print the mean distance over seeds by cohort, one row per block, world and variant."""
    done, rows = study.results.all(), []
    for block in study.plan.blocks:
        for world, name in ((world, name) for world in block.worlds for name in block.variants):
            keys = [(seed, ceiling_key(world, block.rows, seed)) for seed in block.seeds]
            found = [
                {c: top[c] - own[c] for c in COHORTS}
                for seed, of_ceiling in keys
                if (final := _final(done, study, block, final_key(world, block.rows, seed, name, PARAMETERS)))
                and (ceiling := find(done, of_ceiling))
                for top in [mean_over_tasks(ceiling["auc"]["expected"])]
                for own in [mean_over_tasks(final["auc"])]
            ]
            if found:
                means = [f"{np.mean([d[c] for d in found]):.4f}" for c in COHORTS]
                rows.append([block.name, world.name, f"{block.rows:,}", name, len(found), *means])
    print_table(["block", "world", "rows", "variant", "seeds", *COHORTS], rows)


def _final(done: list[Key], study: Study, block: Block, key: Key) -> Key | None:
    """Return a final; at its own size it is the one of whichever number of parameters was the best."""
    if not block.is_own_size:
        return find(done, key)
    size = study.known_size(key["variant"])
    return None if size is None else find(done, key | {"size": size})


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", default="1/1", help="I/N: the I-th of N processes")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    part, parts = (int(number) for number in arguments.part.split("/"))
    if not 1 <= part <= parts:
        parser.error(f"--part is {arguments.part}; expected I/N with I from 1 to N")
    study = Study(QUICK if arguments.quick else FULL, part=part, parts=parts)
    if not arguments.table:
        study.run()
    distance_table(study)


if __name__ == "__main__":
    main()
