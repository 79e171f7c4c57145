"""What is compared on the test bed: all equal but the trunk, whose size is matched.

All read the same columns, the cohort among them, and have layer normalisation and towers of 16 units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bench.fit import Build, trunk_parameters
from bench.widths import closest_width
from core.encoder import Encoder
from core.model import InputLayer, Loss, Model, Optimiser
from core.schema import Task
from models.model import build_model
from models.modules.trunk import Facets
from models.training.losses import Normalise

PARAMETERS = 60_000
"""Of trunk and towers, to within 10 %."""

TOWER = (16,)
BATCH_ROWS = 1024
WARMUP_STEPS = 100
"""At the rates that are best, the first steps without a warm-up leave few ReLUs of a tower alive."""
FACETS = {"facets": ["user_cohort"]}
HOW_NEW = ["user_cohort", "user_event_count"]
"""Columns that say how new a user is: what gates and bias towers read."""


@dataclass(frozen=True)
class Variant:
    """One way to serve all cohorts.

    Attributes:
        architecture: of the trunk.
        trunk: of a width.
        normalise, towers: as in the model YAML.
        tower: hidden widths of the towers.
        hidden_history: share of training rows that are as of a user who has just arrived.
        average_last: as in the model YAML.
        rate: the learning rate, where it is not tuned but given; the decay is 0 then.
        width: not matched to a number of parameters but given.
        build: makes the model, where it is none of models/architectures.
    """

    architecture: str
    trunk: Callable[[int], Mapping[str, Any]]
    normalise: Normalise = "per_task"
    towers: Mapping[str, Sequence[int]] = field(default_factory=dict)
    tower: tuple[int, ...] = TOWER
    hidden_history: float = 0.0
    average_last: float = 0.1
    rate: float | None = None
    width: int | None = None
    build: Build = build_model


def level(width: int, **options: Any) -> dict[str, Any]:
    """Return one level of PLE."""
    return {"task_experts": 1, "shared_experts": 1, "expert_widths": [width], "norm": "layer", **options}


def ple(width: int, **options: Any) -> dict[str, Any]:
    """Return PLE of two levels."""
    return {"levels": [level(width, **options)] * 2}


def cgc(width: int, **options: Any) -> dict[str, Any]:
    """Return a switcher: CGC."""
    return {"kind": "ple", "trunk": {"levels": [level(width, **options)]}}


def of_paper(width: int, has_level0: bool = True, experts: int = 2, levels: int = 2) -> dict[str, Any]:
    """Return MFH's trunk in the proportions of the paper's appendix (Liu et al., CIKM 2022, A.4).

    Its sizes are 512 units of level 0; on level 1 PLE of two levels, 256 and 128 wide, with two
    experts per branch and two shared; on level 2 CGC, 128 wide, with one and one. `width` stands for 512.

    Args:
        width: of level 0.
        has_level0: whether there is one.
        experts: per branch, and shared ones, on level 1.
        levels: of PLE on level 1; with one, CGC of the first one's width.
    """
    many = {"task_experts": experts, "shared_experts": experts}
    widths = [width // 2, width // 4][:levels]
    level1 = {"kind": "ple", "trunk": {"levels": [level(each, **many) for each in widths]}}
    trunk = {**FACETS, "level1": level1, "level2": cgc(width // 4)}
    return trunk | (level0(width) if has_level0 else {})


def level0(width: int) -> dict[str, Any]:
    """Return the layer that all cells share."""
    return {"level0": {"widths": [width], "norm": "layer"}}


def bottom(width: int) -> dict[str, Any]:
    """Return a bottom of two layers."""
    return {"widths": [width, width // 2], "norm": "layer"}


def flat(switcher: Mapping[str, Any], facet: str = "user_cohort", **options: Any) -> dict[str, Any]:
    """Return one switcher to all cells of behaviour and a facet."""
    return {"facets": [facet], "switcher": switcher, **options}


def ple_on_level0(width: int) -> dict[str, Any]:
    """Return PLE on a layer that all read: `flat` over cells of the one cohort that all items are in."""
    return flat({"kind": "ple", "trunk": ple(width // 2)}, "item_cohort", **level0(width))


def pooled(width: int) -> dict[str, Any]:
    """Return a bottom with towers that are sums over subsets of facets."""
    return {**FACETS, **bottom(width)}


def star(width: int) -> dict[str, Any]:
    """Return STAR, a bottom's own factors per cohort."""
    return {**FACETS, **bottom(width), "auxiliary_width": 16}


def poso(width: int) -> dict[str, Any]:
    """Return POSO, a bottom whose units are weighted by how new a user is."""
    return {**bottom(width), "reads": HOW_NEW, "gate_width": 16}


def pepnet(width: int) -> dict[str, Any]:
    """Return PEPNet: layers of each task, the towers' widths among them, which are gated in the paper."""
    widths = [*bottom(width)["widths"], *TOWER]
    return {
        "widths": widths,
        "norm": "layer",
        "domain": HOW_NEW,
        "prior": [*HOW_NEW, "item_id"],
        "gate_width": 16,
    }


def mlora(width: int) -> dict[str, Any]:
    """Return MLoRA: a bottom and towers, with residuals of rank 4 for each cell."""
    return {**FACETS, **bottom(width), "rank": 4}


def biasnet(width: int) -> dict[str, Any]:
    """Return Biasnet: PLE, and a bias tower of how new a user is."""
    return {
        "main": {"kind": "ple", "trunk": ple(width)},
        "reads": HOW_NEW,
        "bias_tower": [width, width // 2],
    }


HIDDEN = 0.3
"""Share of rows whose history is hidden, in variants with history dropout."""


def tower_per_cell(**options: Any) -> Variant:
    """Return one bottom for all, with a tower per cell of behaviour and cohort."""
    return Variant("flat", lambda w: flat({"kind": "shared_bottom", "trunk": bottom(w)}), **options)


VARIANTS: dict[str, Variant] = {
    "mfh of the paper": Variant("mfh", of_paper),
    "ple": Variant("ple", ple),
    "pooled towers": Variant("pooled", pooled),
    "ple on level 0": Variant("flat", ple_on_level0),
    "shared bottom, tower per cell": tower_per_cell(),
    "shared bottom, tower per cell, history dropout": tower_per_cell(hidden_history=HIDDEN),
    "shared bottom": Variant("shared_bottom", bottom),
    "pooled towers, history dropout": Variant("pooled", pooled, hidden_history=HIDDEN),
    "mfh, one expert each": Variant("mfh", lambda w: of_paper(w, experts=1)),
    "mfh of the paper, no level 0": Variant("mfh", lambda w: of_paper(w, has_level0=False)),
    "mlora": Variant("mlora", mlora),
    "mfh, one-level switchers": Variant("mfh", lambda w: of_paper(w, levels=1)),
    "star": Variant("star", star),
    "pepnet": Variant("pepnet", pepnet, tower=()),
    "poso": Variant("poso", poso),
    "biasnet": Variant("biasnet", biasnet),
    "ple, last weights": Variant("ple", ple, average_last=0.0),
    "ple, history dropout": Variant("ple", ple, hidden_history=HIDDEN),
    "mfh of the paper, history dropout": Variant("mfh", of_paper, hidden_history=HIDDEN),
    "shared bottom, tower per cell, last weights": tower_per_cell(average_last=0.0),
    "mfh, one level, one expert each": Variant("mfh", lambda w: of_paper(w, experts=1, levels=1)),
}
"""What the regime map compares, by name: a line here adds to it. All read the cohort as a feature.

Of two parts of a run each trains every second one, and in this order both take about as long.
"""

LOWER_RATE = 0.016
AT_LOWER_RATE = {
    name: f"{name}, rate {LOWER_RATE}"
    for name in (
        "ple",
        "mfh of the paper",
        "shared bottom, tower per cell",
        "shared bottom, tower per cell, history dropout",
        "pooled towers, history dropout",
    )
}
"""Variant -> its name at a rate below those that tuning finds."""
VARIANTS |= {lower: replace(VARIANTS[name], rate=LOWER_RATE) for name, lower in AT_LOWER_RATE.items()}


def to_model(
    variant: Variant,
    width: int,
    learning_rate: float,
    weight_decay: float = 0.0,
    embedding_decay: float | None = None,
) -> Model:
    """Return the model configuration."""
    return Model(
        name=variant.architecture,
        architecture=variant.architecture,
        trunk=dict(variant.trunk(width)),
        tower=variant.tower,
        towers={key: tuple(widths) for key, widths in variant.towers.items()},
        input=InputLayer(history_dropout={"user": variant.hidden_history} if variant.hidden_history else {}),
        loss=Loss(normalise=variant.normalise),
        optimiser=Optimiser(
            learning_rate=learning_rate,
            warmup_steps=WARMUP_STEPS,
            weight_decay=weight_decay,
            embedding_decay=embedding_decay,
            average_last=variant.average_last,
            batch_rows=BATCH_ROWS,
            max_epochs=100,
            patience=3,
        ),
    )


def matched_width(
    variant: Variant,
    encoder: Encoder,
    tasks: Sequence[Task],
    cohorts: Facets,
    parameters: int = PARAMETERS,
) -> tuple[int, int]:
    """Return the even width at which a variant comes closest to a number of parameters, and its number."""
    names = [task.name for task in tasks]

    def count(width: int) -> int:
        model = to_model(variant, width, 0.001)
        return trunk_parameters(variant.build(model, encoder, names, cohorts, 1))

    if variant.width is not None:
        return variant.width, count(variant.width)
    return closest_width(count, parameters)
