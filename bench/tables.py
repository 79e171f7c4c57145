"""Tables of results as Markdown, ready for a note in docs/benchmarks/."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import sem
from scipy.stats import t as student


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean, and standard deviation over seeds: `.9508 (.0007)`."""
    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return f"{mean:.4f} ({spread:.4f})".replace("0.", ".")


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a Markdown table."""
    lines = [list(map(str, head)), ["---"] * len(head), *(list(map(str, row)) for row in rows)]
    for line in lines:
        print("| " + " | ".join(line) + " |")


def t_interval(values: Sequence[float]) -> str:
    """Mean of paired differences and its 95 % interval by Student's t: `+.0012 [+.0003, +.0021]`."""
    mean, error = float(np.mean(values)), float(sem(values))
    reach = float(student.ppf(0.975, len(values) - 1)) * error
    return f"{mean:+.4f} [{mean - reach:+.4f}, {mean + reach:+.4f}]"
