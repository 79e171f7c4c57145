"""What lists are made by: the champion, or a baseline where no model has become champion."""

from typing import Literal

Baseline = Literal["popularity", "group_mean"]
BASELINES: tuple[Baseline, ...] = ("popularity", "group_mean")
SERVED_WITHOUT_MODEL: Baseline = "group_mean"


def served_by(champion: str | None) -> str:
    """Return what lists are made by: the champion, or `group_mean` where there is none."""
    return champion or SERVED_WITHOUT_MODEL
