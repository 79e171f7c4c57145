"""What does each step of a whole night cost as users and events grow, and how much memory does it need?

python -m bench.scale.whole_night                  1, 4 and 16 times the demo's users and events
python -m bench.scale.whole_night --large          1 M users x 500 items, 20 M events, too
python -m bench.scale.whole_night --times 0.02     another size
python -m bench.scale.whole_night --days 7         of a shorter history
python -m bench.scale.whole_night --table          measure nothing; print what has been measured

Each size is a generated log in a folder of its own. The commands are those of a user: `lamplighter history`
over all dates but two, `lamplighter night` that trains PLE over two epochs, then the jobs of one more date up
to `look_back`, each command in processes of its own with 4 GB for Spark's driver. Seconds and rows are the
ledger's; time on a core and resident sets are those of all processes, sampled every 0.2 s while a step runs.
A size that docs/benchmarks/results/whole_night.jsonl holds is not measured again.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from bench.results import Results
from bench.scale.processes import KINDS, Sample, used, watched
from bench.scale.sizes import DAYS, Size
from bench.tables import print_table
from core.load import PROJECT_DIR
from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project

DRIVER_MEMORY = "4g"
EPOCHS = 2
GB = 1e9
Step = dict[str, Any]


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--times", type=float, nargs="*", default=[1, 4, 16])
    parser.add_argument("--days", type=int, default=DAYS, help="dates of these logs; default: the demo's")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--results", default="whole_night", help="name of the file of results")
    asked = parser.parse_args()
    sizes = [
        *(Size.times(factor, asked.days) for factor in asked.times),
        *([Size.large()] if asked.large else []),
    ]
    results = Results(asked.results)
    if not asked.table:
        for size in sizes:
            print(size.text, flush=True)
            results.once({"size": size.name, "days": size.spec.days}, partial(measure, size))
    measured = {(each["size"], each["days"]): each["steps"] for each in results.all()}
    keys = {size.name: (size.name, size.spec.days) for size in sizes}
    print_steps({name: measured[key] for name, key in keys.items() if key in measured})


def measure(size: Size) -> Mapping[str, Any]:
    """Generate a log, run its nights, and remove both; return the steps, in order.

    Raises:
        SystemExit: a command fails.
    """
    with tempfile.TemporaryDirectory(prefix="whole-night-") as folder:
        night = WholeNight(size, Path(folder))
        night.generate()
        night.run()
        return {"text": size.text, "steps": night.steps()}


class WholeNight:
    """One log and its warehouse.

    Args:
        size: of the log.
        folder: that gets both, and the log of what is run.
    """

    def __init__(self, size: Size, folder: Path) -> None:
        self._size, self._folder = size, folder
        self._samples: list[Sample] = []

    def generate(self) -> None:
        """Write the log."""
        spec = self._size.spec.model_dump(include={"events_per_day", "days", "users", "items", "seed"})
        flags = [word for name, value in spec.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        self._command("generate", str(self._folder / "source"), *flags, sets=self._session)

    def run(self) -> None:
        """Run history, training night and the jobs up to `look_back` of the date after."""
        first, night = self._size.spec.first_date, self._size.training_night
        after = str(night + timedelta(days=1))
        self._command("history", "--data-date", f"{first}..{night - timedelta(days=1)}")
        self._command("night", "--data-date", str(night), "--model", "ple")
        self._command("history", "--data-date", after)
        self._command("look_back", "--data-date", after)

    def steps(self) -> list[Step]:
        """Return what each step took: `JOB` of the night, `history JOB` before it, `next JOB` after it."""
        project = Project(self._arguments())
        ended = [row for row in project.ledger.rows() if row["state"] != "started"]
        by_run = {row["run_id"]: row for row in ended}
        dates = {run: sum(row["run_id"] == run for row in ended) for run in by_run}
        return [self._step(row, dates[run] > 1) for run, row in sorted(by_run.items())]

    def _step(self, row: Mapping[str, Any], is_history: bool) -> Step:
        end = row["recorded_at"]
        needed = used(self._samples, end - timedelta(seconds=row["seconds"]), end)
        is_after = row["data_date"] > self._size.training_night
        prefix = "history " if is_history else "next " if is_after else ""
        return {
            "step": f"{prefix}{row['job']}",
            "seconds": row["seconds"],
            "rows": sum(json.loads(row["rows"]).values()),
            **asdict(needed),
        }

    def _command(self, *words: str, sets: Sequence[str] | None = None) -> None:
        sets = self._settings if sets is None else sets
        asked = [word for each in sets for word in ("--set", each)]
        dataset = [] if words[0] == "generate" else ["--dataset", "synthetic"]
        line = [sys.executable, "-m", "jobs.cli.main", *words, *dataset, *asked]
        log = self._folder / "output.txt"
        self._samples += watched(line, PROJECT_DIR, log)

    def _arguments(self) -> Arguments:
        night = self._size.training_night
        return Arguments(night, night, dataset="synthetic", settings=tuple(self._settings))

    @property
    def _session(self) -> tuple[str, ...]:
        return (f"runtime.driver_memory={DRIVER_MEMORY}",)

    @property
    def _settings(self) -> tuple[str, ...]:
        return (
            *self._session,
            *self._size.settings,
            f"source.root={self._folder / 'source'}",
            f"paths.warehouse={self._folder / 'warehouse'}",
            f"paths.reports={self._folder / 'reports'}",
            f"model.optimiser.max_epochs={EPOCHS}",
        )


def print_steps(measured: Mapping[str, Sequence[Step]]) -> None:
    """Print seconds and time on a core by step and size, with ratios to the first size; then memory."""
    by_size = {name: {step["step"]: step for step in steps} for name, steps in measured.items()}
    names = [*next(iter(by_size.values()), {})]
    for value, title in (("seconds", "seconds"), ("cpu_seconds", "seconds on a core")):
        print(f"\n{title}\n")
        print_table(["step", *_with_ratios([*by_size])], [[n, *_values(n, value, by_size)] for n in names])
        sums = {size: sum(step[value] for step in steps.values()) for size, steps in by_size.items()}
        print(f"\nin all: {', '.join(f'{size} {total:,.0f}' for size, total in sums.items())}")
    print("\nlargest process, GB\n")
    print_table(
        ["step", *(f"{kind}, {size}" for kind in KINDS for size in by_size)],
        [*_memory(names, by_size)],
    )


def _with_ratios(sizes: Sequence[str]) -> list[str]:
    return [*sizes, *(f"{size} / {sizes[0]}" for size in sizes[1:])]


def _values(name: str, value: str, by_size: Mapping[str, Mapping[str, Step]]) -> Iterator[str]:
    found = [steps[name][value] if name in steps else None for steps in by_size.values()]
    yield from ("" if each is None else f"{each:.1f}" for each in found)
    yield from ("" if each is None or not found[0] else f"{each / found[0]:.1f}" for each in found[1:])


def _memory(names: Sequence[str], by_size: Mapping[str, Mapping[str, Step]]) -> Iterator[list[str]]:
    for name in names:
        of_step = [steps.get(name, {}).get("bytes_of", {}) for steps in by_size.values()]
        yield [name, *(f"{found[k] / GB:.2f}" if k in found else "" for k in KINDS for found in of_step)]


if __name__ == "__main__":
    main()
