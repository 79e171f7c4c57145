"""How numbers are told in a report: thousands, shares, seconds, intervals, and what is missing."""

from quality.report.model import MetricCell

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def count(value: int | None) -> str:
    """27285 -> 27,285; None is a dash."""
    return MISSING if value is None else f"{value:,}"


def counted(number: int, noun: str) -> str:
    """1 rule, 2 rules, 1,204 rules."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def change(now: int, before: int | None) -> str:
    """+1,204 or -7 or 0; a dash when there is nothing before."""
    if before is None:
        return MISSING
    difference = now - before
    return f"{'+' if difference > 0 else MINUS if difference < 0 else ''}{abs(difference):,}"


def share(value: float | None) -> str:
    """A share in percent with two decimals; None is a dash."""
    return MISSING if value is None else f"{100 * value:.2f} %"


def probability(value: float) -> str:
    """Four decimals."""
    return f"{value:.4f}"


def spread(mean: float, std: float) -> str:
    """0.312 ± 0.104: mean and standard deviation."""
    return f"{mean:.3f} \N{PLUS-MINUS SIGN} {std:.3f}"


def duration(seconds: float) -> str:
    """3.2 s, 71 s, 5 min 03 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min {whole % 60:02d} s"


def signed(value: float) -> str:
    """A difference with its sign, four decimals."""
    return f"{value:+.4f}".replace("-", MINUS)


def interval(cell: MetricCell) -> str:
    """0.7123 [0.7001, 0.7245], or why there is none."""
    if cell.value is None:
        return not_enough(cell)
    number = signed if cell.metric.endswith("_gain") else probability
    if cell.low is None or cell.high is None:
        return number(cell.value)
    return f"{number(cell.value)} [{number(cell.low)}, {number(cell.high)}]"


def not_enough(cell: MetricCell) -> str:
    """Not enough positives (17): what is short, and how many of it there are."""
    if cell.metric.startswith("gauc"):
        return f"not enough users with both classes ({count(cell.users)})"
    if cell.positives is None or cell.negatives is None:
        return f"not enough rows ({count(cell.rows)})"
    if cell.positives <= cell.negatives:
        return f"not enough positives ({cell.positives:,})"
    return f"not enough negatives ({cell.negatives:,})"
