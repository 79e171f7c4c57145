"""Building models: seeds, names, and configurations that no architecture can read."""

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from core.encoder import Encoder
from core.errors import ConfigError
from core.model import Loss, Model, Optimiser
from models.model import MultiTaskModel, build_model
from models.modules.trunk import find_architecture
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]
Batch = Callable[..., tuple[Tensor, Tensor, Tensor]]


@pytest.mark.parametrize("architecture", TRUNKS)
def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone(
    make_model: Make, architecture: str
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    first, again, other = (make_model(architecture, seed=seed).state_dict() for seed in (1, 1, 2))

    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    fixed = ("alpha", "beta", "scales", "shifts")  # they start as they must
    drawn = [name for name in first if not any(part in name for part in fixed)]
    if architecture in ("star", "mlora", "pooled"):  # a cohort's or a cell's own starts as if there were none
        drawn = [name for name in drawn if len(first[name].unique()) > 1]
    assert not any(torch.equal(first[name], other[name]) for name in drawn)


@pytest.mark.parametrize(
    "architecture", [name for name, (kind, _) in TRUNKS.items() if not find_architecture(kind).is_by_cell]
)
def test_without_groups_every_row_reads_the_same_cell(
    make_model: Make, make_batch: Batch, architecture: str
) -> None:
    model, (ids, dense, group) = make_model(architecture), make_batch(6)

    logits = model(ids, dense, group)

    assert model.cell_groups == 1
    assert model.all_cells(ids, dense).shape == (6, 2, 1)
    assert torch.equal(logits, model(ids, dense, torch.zeros_like(group)))
    assert torch.equal(logits, model.for_group(ids, dense, 2))
    assert torch.equal(logits, model.from_input(model.input(ids, dense), 2))
    assert model.group_of(np.array([2, 0]), np.array([1, 0])).tolist() == [0, 0]


@pytest.mark.parametrize("architecture", ["mfh", "h_mtl"])
@pytest.mark.parametrize(
    "facets",
    [["user_cohort"], ["item_cohort"], ["user_cohort", "item_cohort"], ["item_cohort", "user_cohort"]],
)
def test_the_group_of_a_row_is_the_column_of_its_cohorts_cells(
    make_model: Make, architecture: str, facets: list[str]
) -> None:
    users, items = ("new", "low", "high"), ("new", "old")
    trunk = TRUNKS[architecture][1] | {"facets": facets}
    model = make_model(architecture, groups=users, items=items, trunk=trunk)
    pairs = list(product(range(3), range(2)))

    groups = model.group_of(*np.array(pairs, np.uint8).T)

    for (user, item), group in zip(pairs, groups, strict=True):
        names = {"user_cohort": users[user], "item_cohort": items[item]}
        cell = "|".join(["like", *(names[facet] for facet in facets)])
        assert model.network.cells_KG[1][group] == cell
    assert set(groups) == set(range(model.cell_groups))
    with pytest.raises(ValueError, match="invalid entry"):
        model.group_of(np.array([3]), np.array([2]))


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        (
            {"levels": [{"task_experts": 1, "shared_experts": 1, "expert_widths": [4], "depth": 2}]},
            r"conf/models/ple.yaml: model.trunk: levels.0.depth: Extra inputs are not permitted",
        ),
        ({"levels": []}, r"conf/models/ple.yaml: model.trunk: levels: .*at least 1"),
        (
            {"levels": [{"task_experts": 1, "shared_experts": 0, "expert_widths": [4]}]},
            r"model.trunk: levels.0.shared_experts: .*greater than or equal to 1",
        ),
        (
            {"levels": [{"task_experts": {"click": 1}, "shared_experts": 1, "expert_widths": [4]}]},
            r"conf/models/ple.yaml: model.trunk: levels.0.task_experts names \['click'\].*'like'",
        ),
    ],
)
def test_a_trunk_that_cannot_be_read_names_file_and_key(
    make_model: Make, trunk: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_model("ple", trunk=trunk)


@pytest.mark.parametrize("name", ["mmoo", "losses", "os"])
def test_an_unknown_architecture_is_refused_with_a_list_of_the_known_ones(
    encoder: Encoder, name: str
) -> None:
    model = Model(
        name="mine",
        architecture=name,
        trunk={},
        tower=(4,),
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.01, batch_rows=8, max_epochs=1, patience=1),
    )

    with pytest.raises(
        ConfigError,
        match=rf"conf/models/mine.yaml: model.architecture '{name}' is unknown; known are .*'mmoe'",
    ):
        build_model(model, encoder, ("click",), {"user_cohort": ("new",)}, seed=1)
