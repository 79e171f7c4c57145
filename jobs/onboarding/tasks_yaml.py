"""The sections of a data set's YAML from tasks on: what is learnt, when, and which lists are made."""

from collections.abc import Sequence
from datetime import timedelta

from jobs.onboarding.behaviour_guesses import BehaviourGuess
from jobs.onboarding.dataset_guess import DatasetGuess
from jobs.onboarding.yaml_lines import flow, line
from quality.verdicts import percent

MOST_TASKS = 3
LEAST_POSITIVES = 20


def task_lines(guess: DatasetGuess) -> list[str]:
    """Return the sections from `tasks` on."""
    tasks = _labels(guess.behaviours, guess.rows)
    names = [name for name, _, _ in tasks]
    groups = [each.name for each in guess.attributes_of("item") if each.categorical is not None]
    lines = ["tasks:"]
    for name, label, reason in tasks:
        lines.append(line(f"  - {flow({'name': name, 'label': label, 'kind': 'binary'})}", reason))
    context = {column.name: column.usual for column in guess.events.context}
    return [
        *lines,
        "",
        *_training(guess),
        "",
        "evaluation: {replicates: 200, min_class_count: 30}",
        f"promotion: {flow({'primary_tasks': names})}",
        f"baselines: {flow({'group': groups[0] if groups else 'item_id', 'strength': 10, 'window': '7d'})}",
        "",
        "lists:",
        "  home:",
        line(f"    context: {flow(context)}", "the most frequent values" if context else ""),
        "    pool:",
        "      - {source: most_shown, items: 200, window: 7d}",
        "      - {source: newest, items: 20}",
        f"    ranking: {flow(dict.fromkeys(names, 1.0))}",
        "    top_k: 20",
    ]


def _labels(behaviours: Sequence[BehaviourGuess], rows: int) -> list[tuple[str, str, str]]:
    """Return name, label and reason of the tasks: what is done often enough to be learnt."""
    done = [each for each in behaviours if each.kind == "binary" and each.is_wanted]
    often = [
        each for each in done if each.mean * max(rows, 1000) >= LEAST_POSITIVES and each.mean <= 0.98
    ] or done[:1]
    often = sorted(often, key=lambda each: -each.mean)[:MOST_TASKS]
    if often:
        return [(each.name.removeprefix("is_"), f"{each.name} = 1", f"{percent(each.mean)} of the sample")
                for each in often]  # fmt: skip
    measured = sorted((each for each in behaviours if each.kind != "binary"), key=lambda e: e.kind)
    if measured:
        best, word = measured[0], "high" if measured[0].kind == "number" else "long"
        label = f"{best.name} >= {best.middle:g}"
        return [(f"{word}_{best.name.removesuffix('_seconds')}", label, "about the middle of the sample")]
    return [("done", f"{behaviours[0].name} = 1", "")]


def _training(guess: DatasetGuess) -> list[str]:
    first, last = guess.dates[0], guess.dates[-1]
    days = (last - first).days + 1
    burn_in = max(1, min(7, days // 4))
    window = max(2, min(14, days - 1 - burn_in))
    anchor = max(last, first + timedelta(days=burn_in + window))
    block = 1024
    while block > 32 and block * 16 > guess.rows * window:
        block //= 2
    return [
        "training:",
        line(f"  first_data_date: {first + timedelta(days=burn_in)}",
              f"files begin on {first}; counts of the first days know little of the days before"),
        line(f"  anchor: {anchor}", f"the first training night; the newest file is of {last}"),
        "  every_days: 7",
        line(f"  window_days: {window}", f"there are files of {days} days up to the anchor"),
        "  validation_days: 1",
        line(f"  block_rows: {block}", f"{guess.rows:,} rows in the newest files"),
        "  shards: 4",
        "  ranks: 2",
        "  distributed: horovod",
        "  reader: petastorm",
        "  seed: 17",
    ]  # fmt: skip
