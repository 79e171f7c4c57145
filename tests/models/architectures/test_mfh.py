"""MFH beyond the numbered conformance tests: sizes of towers, configurations that are refused."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from core.errors import ConfigError
from models.model import MultiTaskModel

ONE = {"kind": "shared_bottom", "trunk": {"widths": [5]}}
TRUNK = {"facets": ["user_cohort"], "level1": ONE, "level2": ONE}


@pytest.mark.parametrize(
    ("towers", "widths"),
    [
        ({"new": (2,)}, {"click|new": 2, "like|new": 2, "click|low": 4, "like|low": 4}),
        ({"like": (3,), "new": (2,)}, {"click|new": 2, "like|new": 3, "click|low": 4, "like|low": 3}),
        ({"like|new": (1,), "like": (3,)}, {"click|new": 4, "like|new": 1, "click|low": 4, "like|low": 3}),
    ],
)
def test_a_cell_a_task_or_a_group_may_have_towers_of_its_own_width(
    make_model: Callable[..., MultiTaskModel], towers: dict[str, tuple[int, ...]], widths: dict[str, int]
) -> None:
    network = make_model("mfh", groups=("new", "low"), trunk=TRUNK, towers=towers).network

    hidden = {name.removesuffix("_tower"): t[0].out_features for name, t in network.towers.items()}

    assert hidden == widths


def test_towers_of_an_unknown_name_are_refused(make_model: Callable[..., MultiTaskModel]) -> None:
    with pytest.raises(ConfigError, match=r"conf/models/mfh.yaml: model.towers names \['old'\].*'new'"):
        make_model("mfh", trunk=TRUNK, towers={"old": (2,)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"level2": ONE | {"kind": "mmoo"}},
            r"model\.trunk: level2\.kind 'mmoo' is unknown; known are .*'ple'",
        ),
        ({"level2": ONE | {"kind": "mfh"}}, r"model\.trunk: level2\.kind mfh has cells for outputs"),
        (
            {"level2": {"kind": "shared_bottom", "trunk": {"width": [5]}}},
            r"model\.trunk: level2\.trunk: widths: Field required; width: Extra inputs are not permitted",
        ),
        (
            {"facets": ["item_cohort"]},
            r"model\.trunk: facets names \['item_cohort'\]; rows have \['user_cohort'\]",
        ),
        ({"facets": ["user_cohort"] * 2}, r"model\.trunk: facets names one of .* twice"),
        (
            {"level2": {"kind": "asymmetric", "trunk": {"widths": [5], "reads": {"low": ["new"]}}}},
            r"model\.trunk: level2\.trunk: reads names \['low', 'new'\], but the outputs are .*'like'",
        ),
    ],
)
def test_trees_that_cannot_be_made_are_refused_with_their_key(
    make_model: Callable[..., MultiTaskModel], change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"conf/models/mfh\.yaml: .*{message}"):
        make_model("mfh", trunk=TRUNK | change)


@pytest.mark.parametrize(
    "switcher",
    [
        ONE,
        {"kind": "single_task", "trunk": {"widths": [5]}},
        {"kind": "mmoe", "trunk": {"levels": [{"experts": 2, "expert_widths": [5]}]}},
        {"kind": "cross_stitch", "trunk": {"widths": [5]}},
        {"kind": "sluice", "trunk": {"layers": 1, "subspace_width": 3}},
        {"kind": "customized", "trunk": {"shared_widths": [3], "task_widths": [2]}},
    ],
    ids=lambda switcher: switcher["kind"],
)
@pytest.mark.parametrize("level", ["level1", "level2"])
def test_any_trunk_serves_as_a_switcher_of_either_level(
    make_model: Callable[..., MultiTaskModel], switcher: dict[str, object], level: str
) -> None:
    network = make_model("mfh", trunk=TRUNK | {level: switcher}).network.double()
    x = torch.rand(4, 10, dtype=torch.float64)

    assert network(x).shape == (4, 2, 3)
    for group in range(3):
        torch.testing.assert_close(network.for_group(x, group), network(x)[:, :, group])


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


@pytest.mark.parametrize("kind", ["esmm", "aitm"])
def test_what_works_on_logits_of_tasks_cannot_be_a_switcher(
    make_model: Callable[..., MultiTaskModel], kind: str
) -> None:
    chain = {"kind": kind, "trunk": {"widths": [5], "after": {"like": "click"}}}

    with pytest.raises(ConfigError, match=rf"level1\.kind {kind} works on the logits of tasks"):
        make_model("mfh", groups=("new", "low"), trunk=TRUNK | {"level1": chain})


def test_penalties_of_switchers_add_up(make_model: Callable[..., MultiTaskModel]) -> None:
    sluice = {"kind": "sluice", "trunk": {"layers": 2, "subspace_width": 3, "orthogonality": 0.1}}
    trunk = make_model("mfh", groups=("new", "low"), trunk=TRUNK | {"level2": sluice}).network.trunk
    switchers = [switcher for tree in trunk.trees.values() for switcher in tree.level2.values()]

    assert len(switchers) == 2 + 2
    torch.testing.assert_close(trunk.penalty(), sum(switcher.penalty() for switcher in switchers))
    assert make_model("mfh").network.trunk.penalty() is None
