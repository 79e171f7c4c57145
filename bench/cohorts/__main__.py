"""The regime map: which way to serve cohorts is closest to what can be known, in worlds of known truth?

python -m bench.cohorts               train what is not yet in the results, then print the tables
python -m bench.cohorts --table       print the tables only
python -m bench.cohorts --part 1/2    half of the variants: two processes share two cores
python -m bench.cohorts --quick       fewer seeds and a smaller grid, in a results file of its own

All that is fixed before the trainings is in bench/cohorts/plan.py. Distances are to the second ceiling
(bench/cohorts/ceiling.py): AUC of the best that could be known, minus the model's, mean over behaviours.
"""

import argparse

import torch

from bench.cohorts.outcomes import Outcomes
from bench.cohorts.plan import FULL, QUICK
from bench.cohorts.report import print_report
from bench.cohorts.study import Study


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
    print_report(Outcomes(study))


if __name__ == "__main__":
    main()
