"""Tables of results as Markdown, ready for a note in docs/benchmarks/."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def mean_and_spread(values: Sequence[float]) -> str:
    """Return mean, and standard deviation if there are several, of values in [0, 1]: `.9508 (.0007)`."""
    mean = f"{np.mean(values):.4f}".removeprefix("0")
    if len(values) == 1:
        return mean
    return f"{mean} ({f'{np.std(values, ddof=1):.4f}'.removeprefix('0')})"


def print_table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a Markdown table."""
    lines = [list(map(str, head)), ["---"] * len(head), *(list(map(str, row)) for row in rows)]
    for line in lines:
        print("| " + " | ".join(line) + " |")
