"""The demo on a cluster: standalone Spark, an S3-compatible object store and PostgreSQL, on this machine.

    make cluster-demo        (= .venv/bin/python -m tools.cluster_demo)
    .venv/bin/python -m tools.cluster_demo --reduced

History and both nights are submitted to the cluster (`spark-submit --deploy-mode client`), with warehouse,
models and reports in the object store, MLflow and the locks in PostgreSQL. Then the content digests are
compared with those of `make demo` on this machine, which is run first. State and logs: build/cluster, or the
folder in LAMPLIGHTER_CLUSTER. Ends with 1 when a step failed or a digest differs.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

from jobs.cli.demo import FIRST_NIGHT, FULL, MODELS, REDUCED
from tools.cluster.process import ServiceError
from tools.cluster.servers import ROOT, Cluster, servers


def main() -> int:
    """Run the demo here, then on the cluster, and compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--reduced", action="store_true", help="four days of history, two epochs")
    is_reduced = parser.parse_args().reduced
    days = REDUCED if is_reduced else FULL
    name = "reduced" if is_reduced else "full"
    folder = Path(os.environ.get("LAMPLIGHTER_CLUSTER") or ROOT / "build" / "cluster") / name
    signal.signal(signal.SIGTERM, _end)

    print("On this machine:", flush=True)
    here = [str(Path(sys.executable).parent / "lamplighter")]
    if subprocess.run(
        [*here, "demo", *(["--reduced"] if is_reduced else [])], cwd=ROOT, check=False
    ).returncode:
        return 1
    settings = [part for each in days.settings for part in ("--set", each)]
    digest = ["tables", "--digest"]
    local = subprocess.run(
        [*here, *digest, *settings], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )

    settings = [part for each in days.settings if not each.startswith("paths.") for part in ("--set", each)]
    begun = time.monotonic()
    try:
        with servers(folder) as cluster:
            print(
                f"\nOn {cluster.spark.master}, in {cluster.environment['LAMPLIGHTER_WAREHOUSE']}:", flush=True
            )
            before = f"{days.first}..{FIRST_NIGHT - timedelta(days=1)}"
            for command in (
                ["history", "--data-date", before],
                *(["night", "--data-date", str(day), "--model", model] for day, model in MODELS.items()),
            ):
                ended = cluster.submit(*command, *settings).returncode
                if ended:
                    print(f"{' '.join(command)} ended with {ended}; logs of the servers: {folder}")
                    return 1
            there = digests_of(cluster, [*digest, *settings])
    except ServiceError as error:
        print(f"cluster-demo: {error}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - begun:.0f} s on the cluster")
    return compare(local.stdout.splitlines(), there)


def digests_of(cluster: Cluster, command: list[str]) -> list[str]:
    """Return the digests of the cluster's tables, one line per table and data date."""
    found = cluster.submit(*command, quiet=True)
    if found.returncode:
        raise ServiceError(f"{' '.join(command)} ended with {found.returncode}:\n{found.stdout}")
    return [
        line for line in found.stdout.splitlines() if len(line.split()) == 4 and len(line.split()[3]) >= 16
    ]


def compare(local: list[str], there: list[str]) -> int:
    """Print whether both have the same digests, or what one of them has alone; return the exit code."""
    differing = sorted(set(local) ^ set(there))
    print(f"{len(local)} digests on this machine, {len(there)} on the cluster: ", end="")
    print("equal" if not differing else f"{len(differing)} lines DIFFER")
    for line in differing:
        print(f"  {'here ' if line in local else 'there'}  {line}")
    return 1 if differing or not local else 0


def _end(number: int, frame: FrameType | None) -> None:
    """Stop the servers when this process is asked to end."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
