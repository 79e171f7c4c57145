"""Some variants in one world, with seeds or a world that the plan does not have.

python -m bench.cohorts.again ple "shared bottom, tower per cell" --seeds 101 102 103
python -m bench.cohorts.again ple "mfh of the paper" --world mine.yaml --seeds 1 2 3

The file of a world has the fields of World (bench/cohorts/worlds.py), `dials` those of Dials
(jobs/workers/synthetic/dials.py):

    name: mine
    dials: {difference: 0.7, shared: 0.3, base_spread: 0.5}
    share_of_new: 0.02

Learning rates and decays are those of the plan's tunings, in the base world, "ids" or the control; a variant
without them is tuned first, which is stored in the plan's results. Finals are not stored. Printed are
distances to the second ceiling as in bench.cohorts, and by how much the first variant is closer than each
other one, with Student's t interval over the seeds.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from bench.cohorts.data import ROWS
from bench.cohorts.outcomes import BySeed, distance
from bench.cohorts.plan import FULL
from bench.cohorts.study import Study
from bench.cohorts.worlds import CONTROLS, ONE_DIAL, World
from bench.paired import paired_difference
from bench.tables import print_table
from jobs.workers.synthetic.dials import COHORTS, Dials

WORLDS = {world.name: world for world in (*ONE_DIAL, *CONTROLS)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--world", default="base", help=f"a file, or one of {[*WORLDS]}")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--rows", type=int, choices=ROWS, default=ROWS[0], help="of training")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("variants", nargs="+", help="of VARIANTS in bench/cohorts/architectures.py")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    study = Study(FULL)
    if unknown := sorted(set(asked.variants) - set(study.variants)):
        parser.error(f"{unknown}: expected variants of {sorted(study.variants)}")
    try:
        world = WORLDS.get(asked.world) or read_world(Path(asked.world))
    except (OSError, TypeError, ValueError, yaml.YAMLError) as error:
        parser.error(f"--world {asked.world}: {error}; expected a file of fields of World, or {[*WORLDS]}")
    print_again(train(study, world, asked.rows, asked.seeds, asked.variants))


def read_world(file: Path) -> World:
    """Return the world of a YAML file.

    Raises:
        OSError: the file cannot be read.
        TypeError: a field is missing, or unknown.
        ValueError: the value of a dial is out of range.
    """
    fields = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(fields, dict):
        raise TypeError(f"it holds {type(fields).__name__}")
    return World(**{**fields, "dials": Dials(**fields.get("dials", {}))})


def train(
    study: Study, world: World, rows: int, seeds: Sequence[int], variants: Sequence[str]
) -> dict[str, BySeed]:
    """Return the distances of variants by seed; data of a seed are drawn once."""
    found: dict[str, BySeed] = {name: {} for name in variants}
    for name in variants:
        study.tuned(name, rows, world=world)
    for seed in seeds:
        ceiling = study.ceilings(world, rows, seed)
        for name in variants:
            found[name][seed] = distance(ceiling, study.measured(world, rows, seed, name))
    return found


def print_again(found: dict[str, BySeed]) -> None:
    """Print distances, then differences to the first variant."""
    rows = [
        [name, seed, *(f"{by_cohort[cohort]:.4f}" for cohort in COHORTS)]
        for name, by_seed in found.items()
        for seed, by_cohort in by_seed.items()
    ]
    print_table(["distance", "seed", *COHORTS], rows)
    first, *others = found
    closer = [
        [other, *(str(paired_difference(_of(found[other], c), _of(found[first], c))) for c in COHORTS)]
        for other in others
    ]
    if closer:
        print()
        print_table([f"{first} is closer than", *COHORTS], closer)


def _of(by_seed: BySeed, cohort: str) -> dict[int, float]:
    return {seed: by_cohort[cohort] for seed, by_cohort in by_seed.items()}


if __name__ == "__main__":
    main()
