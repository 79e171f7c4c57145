"""MFH beyond the numbered conformance tests: sizes of towers, what is refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from conf.errors import ConfigError
from models.model import MultiTaskModel

LEVEL = {"task_experts": 1, "shared_experts": 1, "expert_widths": [5]}
SWITCHER = {"kind": "ple", "levels": [LEVEL]}
TRUNK = {"groups": "user_cohort", "level1": SWITCHER, "level2": SWITCHER}


def test_a_group_may_have_towers_of_its_own_width(make_model: Callable[..., MultiTaskModel]) -> None:
    network = make_model("mfh", trunk=TRUNK | {"group_towers": {"new": [2]}}).network

    hidden = {name: tower[0].out_features for name, tower in network.towers.items()}

    assert hidden == {
        "click|new_tower": 2,
        "like|new_tower": 2,
        "click|low_tower": 4,
        "like|low_tower": 4,
        "click|high_tower": 4,
        "like|high_tower": 4,
    }


def test_towers_of_an_unknown_group_are_refused(make_model: Callable[..., MultiTaskModel]) -> None:
    with pytest.raises(
        ConfigError, match=r"conf/models/mfh.yaml: model.trunk.group_towers names \['old'\].*'new'"
    ):
        make_model("mfh", trunk=TRUNK | {"group_towers": {"old": [2]}})


def test_an_unknown_kind_of_switcher_is_refused_with_its_key(
    make_model: Callable[..., MultiTaskModel],
) -> None:
    trunk = TRUNK | {"level2": SWITCHER | {"kind": "mmoe"}}

    with pytest.raises(ConfigError, match=r"conf/models/mfh.yaml: model.trunk.level2.kind: .*'ple'"):
        make_model("mfh", trunk=trunk)


def test_a_row_reads_the_cells_of_its_own_group(
    make_model: Callable[..., MultiTaskModel], make_batch: Callable[..., tuple[Tensor, Tensor, Tensor]]
) -> None:
    model, (ids, dense, _) = make_model("mfh"), make_batch(4)
    group_B = torch.tensor([2, 0, 0, 1])

    cells_BKG = model.all_cells(ids, dense)

    assert cells_BKG.shape == (4, 2, 3)
    assert torch.equal(
        model(ids, dense, group_B), torch.stack([cells_BKG[i, :, g] for i, g in enumerate(group_B)])
    )


def test_a_column_of_all_cells_is_a_group_and_a_row_of_them_a_task(
    make_model: Callable[..., MultiTaskModel],
) -> None:
    """Only the tower of (like, low) gives a logit here: it stands at task 1, group 1."""
    network = make_model("mfh").network
    with torch.no_grad():
        for name, tower in network.towers.items():
            tower[-1].weight.zero_()
            tower[-1].bias.fill_(7.0 if name == "like|low_tower" else 0.0)

    cells_BKG = network(torch.randn(1, 10))

    assert cells_BKG[0].tolist() == [[0.0, 0.0, 0.0], [0.0, 7.0, 0.0]]
    assert network.for_group(torch.randn(1, 10), 1).tolist() == [[0.0, 7.0]]
