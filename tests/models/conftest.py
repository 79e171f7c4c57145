"""Small encoders, models and batches that the model tests share."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.model import Loss, Model, Optimiser
from models.model import MultiTaskModel, build_model

LEVEL = {"task_experts": 1, "shared_experts": 2, "expert_widths": [5]}
ONE_LEVEL, TWO_LEVELS = ({"kind": "ple", "trunk": {"levels": [LEVEL] * n}} for n in (1, 2))
TREES = {"facets": ["user_cohort"], "level1": ONE_LEVEL, "level2": TWO_LEVELS}
LEVEL0 = {"level0": {"widths": [7], "norm": "layer"}}
PRIOR = ["user_is_never_seen", "user_fans_range"]
EXPERTS = {"experts": 3, "expert_widths": [5]}
TRUNKS: dict[str, tuple[str, dict[str, Any]]] = {
    "single_task": ("single_task", {"widths": [6, 5]}),
    "shared_bottom": ("shared_bottom", {"widths": [6, 5]}),
    "asymmetric": ("asymmetric", {"widths": [6, 5], "reads": {"like": ["click"]}}),
    "customized": ("customized", {"shared_widths": [6, 5], "task_widths": [4]}),
    "cross_stitch": ("cross_stitch", {"widths": [6, 5]}),
    "sluice": ("sluice", {"layers": 2, "subspace_width": 3, "orthogonality": 0.01}),
    "mmoe": ("mmoe", {"levels": [EXPERTS]}),
    "ml_mmoe": ("mmoe", {"levels": [EXPERTS, EXPERTS, EXPERTS]}),
    "cgc": ("ple", {"levels": [LEVEL]}),
    "ple": ("ple", {"levels": [LEVEL, LEVEL]}),
    "flat": ("flat", {"facets": ["user_cohort"], "switcher": TWO_LEVELS}),
    "h_mtl": ("h_mtl", TREES),
    "mfh": ("mfh", TREES),
    "flat_on_level_0": ("flat", {"facets": ["user_cohort"], "switcher": TWO_LEVELS} | LEVEL0),
    "h_mtl_on_level_0": ("h_mtl", TREES | LEVEL0),
    "mfh_on_level_0": ("mfh", TREES | LEVEL0),
    "normed": ("ple", {"levels": [LEVEL | {"norm": "layer"}] * 2}),
    "esmm": ("esmm", {"widths": [5], "after": {"like": "click"}}),
    "aitm": ("aitm", {"widths": [6, 5], "after": {"like": "click"}}),
    "poso": ("poso", {"widths": [6, 5], "gate_width": 3, "reads": PRIOR}),
    "pepnet": ("pepnet", {"widths": [6, 5], "gate_width": 3, "domain": PRIOR, "prior": ["item_tag"]}),
    "epnet": ("pepnet", {"widths": [6, 5], "gate_width": 3, "domain": PRIOR}),
    "ppnet": ("pepnet", {"widths": [6, 5], "gate_width": 3, "prior": PRIOR}),
    "biasnet": ("biasnet", {"main": TWO_LEVELS, "reads": PRIOR, "bias_tower": [6, 5]}),
    "star": ("star", {"facets": ["user_cohort"], "widths": [6, 5], "auxiliary_width": 4}),
    "mlora": ("mlora", {"facets": ["user_cohort"], "widths": [6, 5], "rank": 2}),
    "pooled": ("pooled", {"facets": ["user_cohort"], "widths": [6, 5]}),
}
"""Name in tests -> architecture and trunk, small, for tasks that have `click` and `like` among them."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """One thread, so that sums have one order on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def encoder() -> Encoder:
    """Three categorical and three dense columns, sides deliberately out of order."""
    return Encoder(
        categorical=(
            CategoricalEncoding(
                column="item_tag", kind="vocabulary", size=4, dim=3, vocabulary=("a", "b", "c")
            ),
            CategoricalEncoding(column="user_fans_range", kind="hash", size=6, dim=2),
            CategoricalEncoding(column="tab", kind="hash", size=3, dim=2),
        ),
        dense=(
            DenseEncoding(column="user_click_count_7d", transform="log1p", mean=1.0, std=2.0),
            DenseEncoding(column="item_click_rate_7d", transform="identity", mean=0.5, std=0.25),
            DenseEncoding(column="user_is_never_seen", transform="identity", mean=0.0, std=1.0),
        ),
    )


@pytest.fixture
def make_model(encoder: Encoder) -> Callable[..., MultiTaskModel]:
    """Build one of TRUNKS, or its architecture with a trunk of one's own, with tower [4]."""

    def make(
        name: str,
        tasks: tuple[str, ...] = ("click", "like"),
        groups: tuple[str, ...] = ("new", "low", "high"),
        trunk: dict[str, Any] | None = None,
        towers: dict[str, tuple[int, ...]] | None = None,
        seed: int = 1,
        items: tuple[str, ...] = (),
    ) -> MultiTaskModel:
        architecture, of_name = TRUNKS[name]
        model = Model(
            name=name,
            architecture=architecture,
            trunk=of_name if trunk is None else trunk,
            tower=(4,),
            towers=towers or {},
            loss=Loss(normalise="per_task"),
            optimiser=Optimiser(learning_rate=0.01, batch_rows=8, max_epochs=1, patience=1),
        )
        cohorts = {"user_cohort": groups} | ({"item_cohort": items} if items else {})
        return build_model(model, encoder, tasks, cohorts, seed)

    return make


@pytest.fixture
def make_batch() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Make ids, dense values (one of them NaN) and groups that fit `encoder`."""

    def make(rows: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        categorical = torch.stack(
            [torch.randint(0, size, (rows,), generator=generator) for size in (4, 6, 3)], dim=1
        )
        dense = torch.rand(rows, 3, generator=generator) * 3
        dense[0, 1] = torch.nan
        return categorical, dense, torch.arange(rows) % 3

    return make


@pytest.fixture
def positive() -> Callable[[nn.Module], nn.Module]:
    """As a fixture: `make_positive`."""
    return make_positive


def make_positive(module: nn.Module) -> nn.Module:
    """Make all parameters positive and double, so that no ReLU is dead for positive inputs."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_().add_(0.01)
    return module
