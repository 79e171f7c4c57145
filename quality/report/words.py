"""How numbers are written in a report: thousands, shares, seconds, intervals, and what is missing."""

from quality.gains import (
    MOST_DIGITS,
    Z,
    exact_digits,
    normal_interval_error,
    percentile_interval_error,
)
from quality.report.model import DecisionCell, MetricCell

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def count(value: int | None) -> str:
    """Return 27285 as 27,285, and None as a dash."""
    return MISSING if value is None else f"{value:,}"


def counted(number: int, noun: str) -> str:
    """Return `1 rule`, `2 rules`, `1,204 rules`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def change(now: int, before: int | None) -> str:
    """Return `+1,204`, `-7` or `0`; a dash if there is nothing before."""
    if before is None:
        return MISSING
    difference = now - before
    return f"{'+' if difference > 0 else MINUS if difference < 0 else ''}{abs(difference):,}"


def share(value: float | None) -> str:
    """Return a share in percent with two decimals; None is a dash."""
    return MISSING if value is None else f"{100 * value:.2f} %"


def probability(value: float) -> str:
    """Return a probability with four decimals."""
    return f"{value:.4f}"


def spread(mean: float, std: float) -> str:
    """Return mean and standard deviation as `0.312 ± 0.104`."""
    return f"{mean:.3f} \N{PLUS-MINUS SIGN} {std:.3f}"


def number(value: float) -> str:
    """Return a number with at most four significant digits, whole ones with all: `0.4412`, `12,345`."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"


def duration(seconds: float) -> str:
    """Return `3.2 s`, `71 s` or `5 min 03 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02d} s"


def signed(value: float, digits: int = MOST_DIGITS) -> str:
    """Return a difference with its sign."""
    return f"{value:+.{digits}f}".replace("-", MINUS)


def interval(cell: MetricCell) -> str:
    """Return `0.7123 [0.7001, 0.7245]` with the digits that are exact, or why there is no value."""
    if cell.value is None:
        return not_enough(cell)
    digits = digits_of(cell)

    def number(value: float) -> str:
        return signed(value, digits) if cell.metric.endswith("_gain") else f"{value:.{digits}f}"

    if cell.low is None or cell.high is None:
        return number(cell.value)
    return f"{number(cell.value)} [{number(cell.low)}, {number(cell.high)}]"


def digits_of(cell: MetricCell) -> int:
    """Return how many decimals of a percentile interval its replicates leave exact."""
    if cell.replicates is None or cell.low is None or cell.high is None:
        return MOST_DIGITS
    std = (cell.high - cell.low) / (2 * Z)
    return exact_digits(percentile_interval_error(std, cell.replicates))


def gain(cell: DecisionCell, replicates: int | None) -> str:
    """Return `+0.0123 [+0.0045, +0.0201]` with the digits that are exact, or that users are too few.

    Args:
        cell: of a decision.
        replicates: that its interval is taken from. None: four digits.
    """
    if cell.gain is None or cell.low is None or cell.high is None:
        return f"not enough users ({count(cell.users)})"
    std = (cell.high - cell.low) / (2 * Z)
    digits = MOST_DIGITS if replicates is None else exact_digits(normal_interval_error(std, replicates))
    low, high = (signed(end, digits) for end in (cell.low, cell.high))
    return f"{signed(cell.gain, digits)} [{low}, {high}]"


def not_enough(cell: MetricCell) -> str:
    """Return `not enough positives (17)`: what is short, and how many of it there are."""
    if cell.metric.startswith("gauc"):
        return f"not enough users with both classes ({count(cell.users)})"
    if cell.positives is None or cell.negatives is None:
        return f"not enough rows ({count(cell.rows)})"
    if cell.positives <= cell.negatives:
        return f"not enough positives ({cell.positives:,})"
    return f"not enough negatives ({cell.negatives:,})"
