"""The architectures compared on Census-Income: all equal but the trunk, whose size is matched."""

from collections.abc import Callable, Mapping
from typing import Any

from bench.census.protocol import BATCH_ROWS, MAX_EPOCHS, PARAMETERS, PATIENCE, TOWER
from bench.fit import trunk_parameters
from bench.widths import closest_width
from core.encoder import Encoder
from core.model import Loss, Model, Optimiser
from core.schema import Task
from models.model import build_model

NORM = {"norm": "layer"}
"""Shared bottom, one seed: income .9447 without, .9475 with it, on the validation split, at the same rate."""

Shape = Callable[[int], Mapping[str, Any]]


def _level(width: int) -> dict[str, Any]:
    return {"task_experts": 1, "shared_experts": 1, "expert_widths": [width], **NORM}


def _experts(*widths: int) -> dict[str, Any]:
    return {"experts": 3, "expert_widths": list(widths), **NORM}


SHAPES: dict[str, tuple[str, Shape]] = {
    "single_task": ("single_task", lambda w: {"widths": [w, w // 2], **NORM}),
    "shared_bottom": ("shared_bottom", lambda w: {"widths": [w, w // 2], **NORM}),
    "asymmetric": (
        "asymmetric",
        lambda w: {"widths": [w, w // 2], "reads": {"income": ["never_married"]}, **NORM},
    ),
    "customized": (
        "customized",
        lambda w: {"shared_widths": [w, w // 2], "task_widths": [w, w // 2], **NORM},
    ),
    "cross_stitch": ("cross_stitch", lambda w: {"widths": [w, w // 2], **NORM}),
    "sluice": ("sluice", lambda w: {"layers": 2, "subspace_width": w // 2, "orthogonality": 0.001, **NORM}),
    "mmoe": ("mmoe", lambda w: {"levels": [_experts(w, w // 2)]}),
    "ml_mmoe": ("mmoe", lambda w: {"levels": [_experts(w), _experts(w // 2)]}),
    "cgc": ("ple", lambda w: {"levels": [_level(w) | {"expert_widths": [w, w // 2]}]}),
    "ple": ("ple", lambda w: {"levels": [_level(w), _level(w // 2)]}),
}
"""Name -> architecture, and its trunk for a width. Two layers each, the second half the width."""


def to_model(name: str, width: int, learning_rate: float) -> Model:
    """Return the model configuration of one architecture."""
    architecture, shape = SHAPES[name]
    return Model(
        name=name,
        architecture=architecture,
        trunk=dict(shape(width)),
        tower=TOWER,
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(
            learning_rate=learning_rate, batch_rows=BATCH_ROWS, max_epochs=MAX_EPOCHS, patience=PATIENCE
        ),
    )


def matched_width(name: str, encoder: Encoder, tasks: tuple[Task, ...]) -> tuple[int, int]:
    """Return the even width whose trunk and towers come closest to PARAMETERS, and their number."""
    names = [task.name for task in tasks]
    return closest_width(
        lambda width: trunk_parameters(build_model(to_model(name, width, 0.001), encoder, names, {}, seed=1)),
        PARAMETERS,
    )
