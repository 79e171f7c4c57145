"""Which of the metrics that decide are errors."""

from core.schema import GainMetric

ERRORS: tuple[GainMetric, ...] = ("mse", "mae")  # less of them is better
