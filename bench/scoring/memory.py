"""How much memory does a Python worker need that makes lists, as users grow?

python -m bench.scoring.memory
python -m bench.scoring.memory --users 27285 109140 436560

1, 4 and 16 times the demo's users by default, 300 items each, PLE of the demo's size. Each number of users is
scored in a Spark session of its own, with two tasks at once and eight in all, so a worker sees up to 16 times
the rows. The resident sets of all processes are sampled every 0.2 s; printed is the largest Python worker.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from bench.results import PROJECT
from bench.scale.processes import watched
from bench.scoring.lists import our_lists, to_encoded_pool, to_items, to_users, two_tasks
from bench.scoring.models import to_bundle
from bench.tables import print_table

USERS = (27_285, 109_140, 436_560)
WORKER = "Python worker"


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--users", type=int, nargs="*", default=USERS)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)  # one number, in this very process
    asked = parser.parse_args()
    if asked.alone is not None:
        score(asked.alone)
        return
    found = {users: largest_worker(users) for users in asked.users}
    first = found[asked.users[0]]
    rows = [[f"{users:,}", f"{size / 1e6:,.0f}", f"{size / first:.2f}"] for users, size in found.items()]
    print_table(["users", "largest Python worker, MB", f"/ that of {asked.users[0]:,}"], rows)


def largest_worker(users: int) -> int:
    """Return the largest resident set of a Python worker while so many users are scored, in bytes."""
    command = [sys.executable, "-m", "bench.scoring.memory", "--alone", str(users)]
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        samples = watched(command, PROJECT, Path(folder) / "output.txt")
    return max(sample.bytes_of.get(WORKER, 0) for sample in samples)


def score(users: int) -> None:
    """Make the lists of so many users, and write them nowhere."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = two_tasks()
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        bundle = to_bundle(Path(folder), "ple", "demo")
        pool = to_encoded_pool(to_items(spark, bundle.encoder), bundle.encoder)
        lists = our_lists(to_users(spark, users), pool, bundle)
        lists.write.format("noop").mode("overwrite").save()
    spark.stop()


if __name__ == "__main__":
    main()
