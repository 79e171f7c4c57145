"""KuaiRand-Pure by task x cohort: variants of the regime map (bench.cohorts), on real users, ten seeds.

python -m bench.kuairand            train what is not yet in the results, then print the tables
python -m bench.kuairand --table    print the tables only

All that is fixed before the first training is in bench/kuairand/plan.py. Intervals cover users of the test
days and seeds, paired between variants (bench/kuairand/crossed.py); not other days or data sets. Log loss is
of the logits as they are, with no calibration.
"""

from bench.command_line import is_table_only
from bench.kuairand.plan import RESULTS
from bench.kuairand.report import print_report
from bench.kuairand.study import run
from bench.results import Results


def main() -> None:
    """Train, then print."""
    if not is_table_only(__doc__ or ""):
        run()
    print_report(Results(RESULTS).all())


if __name__ == "__main__":
    main()
