"""Each architecture against its own equations, written as a loop over tasks, experts and layers.

PLE and CGC are in test_ple.py, MFH and H-MTL in test_conformance_mfh.py.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from core.encoder import Encoder
from core.errors import ConfigError
from core.load import load_config
from core.schema import Task
from models.architectures.aitm import AitmConfig, AitmTrunk
from models.architectures.asymmetric import AsymmetricConfig, AsymmetricTrunk
from models.architectures.cross_stitch import CrossStitchConfig, CrossStitchTrunk
from models.architectures.customized import CustomizedConfig, CustomizedTrunk
from models.architectures.esmm import EsmmConfig, EsmmTrunk, logit_of_product
from models.architectures.mmoe import MmoeConfig, MmoeTrunk
from models.architectures.shared_bottom import SharedBottomConfig, SharedBottomTrunk
from models.architectures.single_task import SingleTaskConfig, SingleTaskTrunk
from models.architectures.sluice import SluiceConfig, SluiceTrunk
from models.describe.shapes import describe
from models.model import MultiTaskModel, build_model
from models.modules.experts import Experts
from models.modules.trunk import Trunk
from tests.models import oracles
from tests.models.conftest import TRUNKS
from tests.models.oracles import expert

TASKS = ("click", "like", "share")


def x_of(rows: int = 5, width: int = 6) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def assert_equal(trunk: Trunk, expected: dict[str, Tensor], x: Tensor) -> None:
    """The trunk's outputs are the expected ones, all together and each alone."""
    outputs = trunk(x)
    assert list(outputs) == list(expected)
    for task, y in expected.items():
        assert y.shape[1] == trunk.out_dims[task]
        torch.testing.assert_close(outputs[task], y, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(trunk(x, [task])[task], y, rtol=1e-10, atol=1e-10)


def perturbed(trunk: Trunk) -> Trunk:
    """Double, and no two parameters alike: numbers that start equal would hide a mistaken place."""
    generator = torch.Generator().manual_seed(4)
    trunk.double()
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return trunk


def test_single_task_is_one_network_per_task() -> None:
    trunk, x = perturbed(SingleTaskTrunk(6, TASKS, SingleTaskConfig(widths=(7, 4)))), x_of()

    assert_equal(trunk, {task: expert(trunk.bottoms[f"{task}_bottom"], 0, x) for task in TASKS}, x)


def test_shared_bottom_is_one_network() -> None:
    trunk, x = perturbed(SharedBottomTrunk(6, TASKS, SharedBottomConfig(widths=(7, 4)))), x_of()

    assert_equal(trunk, dict.fromkeys(TASKS, expert(trunk.bottom, 0, x)), x)


@pytest.mark.parametrize("fusion", ["concat", "sum", "mean"])
def test_asymmetric_sharing_reads_one_way(fusion: str) -> None:
    reads = {"like": ("click",), "share": ("like", "click")}
    config = AsymmetricConfig(widths=(7, 4), reads=reads, fusion=fusion)
    trunk, x = perturbed(AsymmetricTrunk(6, TASKS, config)), x_of()
    click, like, share = (expert(trunk.bottoms[f"{task}_bottom"], 0, x) for task in TASKS)

    fuse = {
        "concat": lambda *parts: torch.cat(parts, dim=1),
        "sum": lambda *parts: sum(parts),
        "mean": lambda *parts: sum(parts) / len(parts),
    }[fusion]

    assert_equal(trunk, {"click": click, "like": fuse(like, click), "share": fuse(share, like, click)}, x)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ({"like": ("clik",)}, r"reads names \['clik'\], but the outputs are \['click', 'like', 'share'\]"),
        ({"click": ("like",), "like": ("click",)}, "reads is a cycle: .* reads .* reads"),
        ({"click": ("click",)}, "reads is a cycle: click reads click"),
    ],
)
def test_asymmetric_sharing_refuses_unknown_tasks_and_cycles(
    reads: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        AsymmetricTrunk(6, TASKS, AsymmetricConfig(widths=(4,), reads=reads))


def test_customized_sharing_puts_the_shared_bottom_beside_each_tasks_own() -> None:
    config = CustomizedConfig(shared_widths=(7, 4), task_widths=(3,))
    trunk, x = perturbed(CustomizedTrunk(6, TASKS, config)), x_of()
    shared = expert(trunk.shared, 0, x)

    own = {task: expert(trunk.bottoms[f"{task}_bottom"], 0, x) for task in TASKS}
    assert_equal(trunk, {task: torch.cat([shared, y], dim=1) for task, y in own.items()}, x)


@pytest.mark.parametrize("gate", ["softmax", "sigmoid"])
@pytest.mark.parametrize("counts", [[3], [3, 2], [2, 4, 3]])
def test_mmoe_mixes_all_experts_for_each_task_and_several_levels_for_each_next_expert(
    counts: list[int], gate: str
) -> None:
    levels = [{"experts": n, "expert_widths": [5, 4 + n], "gate": gate} for n in counts]
    trunk, x = perturbed(MmoeTrunk(6, TASKS, MmoeConfig(levels=levels))), x_of()

    assert_equal(trunk, oracles.mmoe(trunk, x), x)


def test_cross_stitch_mixes_the_networks_after_each_layer() -> None:
    trunk, x = perturbed(CrossStitchTrunk(6, TASKS, CrossStitchConfig(widths=(7, 4)))), x_of()

    branch = dict.fromkeys(TASKS, x)
    for layers, alpha in zip(trunk.layers, trunk.alphas, strict=True):
        own = [expert(layers[f"{task}_layer"], 0, branch[task]) for task in TASKS]
        branch = {task: sum(alpha[k, j] * own[j] for j in range(3)) for k, task in enumerate(TASKS)}

    assert_equal(trunk, branch, x)


def test_stitches_start_mostly_with_oneself_and_add_up_to_one() -> None:
    (alpha,) = CrossStitchTrunk(6, TASKS, CrossStitchConfig(widths=(4,))).alphas

    assert alpha.diagonal().tolist() == pytest.approx([0.9] * 3)
    assert alpha.sum(1).tolist() == pytest.approx([1.0] * 3)
    (alone,) = CrossStitchTrunk(6, ("click",), CrossStitchConfig(widths=(4,))).alphas
    assert alone.tolist() == [[1.0]]


def test_sluice_mixes_subspaces_after_each_layer_and_layers_at_the_end() -> None:
    config = SluiceConfig(layers=3, subspace_width=2, orthogonality=0.5)
    trunk, x = perturbed(SluiceTrunk(6, TASKS, config)), x_of()

    branch, of_layers = dict.fromkeys(TASKS, x), []
    penalty = 0.0
    for layers, alpha in zip(trunk.layers, trunk.alphas, strict=True):
        spaces = [expert(layers[f"{task}_layer"], half, branch[task]) for task in TASKS for half in (0, 1)]
        mixed = [sum(alpha[i, j] * spaces[j] for j in range(6)) for i in range(6)]
        branch = {task: torch.cat(mixed[2 * k : 2 * k + 2], dim=1) for k, task in enumerate(TASKS)}
        of_layers.append(branch)
        for task in TASKS:
            weight = layers[f"{task}_layer"].first.weight.detach()
            penalty += 0.5 * sum(float(weight[i] @ weight[2 + j]) ** 2 for i in range(2) for j in range(2))
    expected = {
        task: sum(trunk.beta_KL[k, j] * layer[task] for j, layer in enumerate(of_layers))
        for k, task in enumerate(TASKS)
    }

    assert_equal(trunk, expected, x)
    assert trunk.penalty().item() == pytest.approx(penalty)
    assert SluiceTrunk(6, TASKS, SluiceConfig(layers=1, subspace_width=2)).penalty() is None


def test_esmm_multiplies_probabilities_along_a_chain() -> None:
    config = EsmmConfig(widths=(4,), after={"share": "like", "like": "click"})
    trunk, x = perturbed(EsmmTrunk(6, TASKS, config)), x_of()
    assert_equal(trunk, {task: expert(trunk.bottoms[f"{task}_bottom"], 0, x) for task in TASKS}, x)
    of_towers = {task: torch.randn(5, 1, dtype=torch.float64) for task in TASKS}

    linked = trunk.link(of_towers, x)

    click, like, share = (of_towers[task].sigmoid() for task in TASKS)
    torch.testing.assert_close(linked["click"].sigmoid(), click)
    torch.testing.assert_close(linked["like"].sigmoid(), click * like)
    torch.testing.assert_close(linked["share"].sigmoid(), click * like * share)


@pytest.mark.parametrize("a", [-300.0, -20.0, 0.0, 20.0, 300.0])
@pytest.mark.parametrize("b", [-300.0, -20.0, 0.0, 20.0, 300.0])
def test_the_logit_of_a_product_stays_finite_and_has_a_gradient(a: float, b: float) -> None:
    of = torch.tensor([a, b], requires_grad=True)

    z = logit_of_product(of[0], of[1])
    z.backward()

    exact = -(math.log1p(math.exp(-abs(a))) if a > 0 else -a + math.log1p(math.exp(a)))
    exact -= math.log1p(math.exp(-abs(b))) if b > 0 else -b + math.log1p(math.exp(b))
    if exact < -20:  # there a logit is the logarithm of the probability
        assert z.item() == pytest.approx(exact, rel=1e-5)
    assert torch.isfinite(z)
    assert torch.isfinite(of.grad).all()
    assert (of.grad >= 0).all()


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"like": "clik"}, r"after names \['clik'\], but the outputs are"),
        ({"like": "click", "click": "like"}, "after is a cycle: "),
    ],
)
def test_esmm_refuses_unknown_tasks_and_cycles(after: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EsmmTrunk(6, TASKS, EsmmConfig(widths=(4,), after=after))


def test_aitm_transfers_information_along_a_chain() -> None:
    config = AitmConfig(widths=(7, 4), after={"share": "like", "like": "click"})
    trunk, x = perturbed(AitmTrunk(6, TASKS, config)), x_of()

    z = {"click": expert(trunk.bottoms["click_bottom"], 0, x)}
    for earlier, later in (("click", "like"), ("like", "share")):
        ait = trunk.transfers[f"{later}_transfer"]
        p = (z[earlier] @ ait.g.weight.T + ait.g.bias).relu()
        q = expert(trunk.bottoms[f"{later}_bottom"], 0, x)
        e_p, e_q = (
            torch.exp(((u @ ait.h2.weight.T) * (u @ ait.h3.weight.T)).sum(1, keepdim=True) / math.sqrt(4))
            for u in (p, q)
        )
        z[later] = (e_p * (p @ ait.h1.weight.T) + e_q * (q @ ait.h1.weight.T)) / (e_p + e_q)

    assert_equal(trunk, z, x)


def test_aitm_tasks_that_follow_none_are_their_bottoms() -> None:
    trunk, x = perturbed(AitmTrunk(6, TASKS, AitmConfig(widths=(4,), after={"share": "click"}))), x_of()

    for task in ("click", "like"):
        torch.testing.assert_close(trunk(x)[task], expert(trunk.bottoms[f"{task}_bottom"], 0, x))


def test_aitm_penalises_a_later_task_that_is_more_probable_than_what_it_follows() -> None:
    config = AitmConfig(widths=(4,), after={"share": "like", "like": "click"}, calibrator=2.0)
    probabilities_BK = torch.tensor(
        [
            [0.5, 0.25, 0.125],  # as it must be
            [0.5, 0.75, 0.125],  # like above click by .25
            [0.25, 0.5, 0.625],  # like by .25, share above like by .125
        ]
    )

    penalty_B = AitmTrunk(6, TASKS, config).row_penalty(probabilities_BK.logit())

    assert penalty_B.tolist() == pytest.approx([0.0, 2 * 0.25, 2 * (0.25 + 0.125)])
    for changed in ({"calibrator": 0.0}, {"after": {}}):
        assert AitmTrunk(6, TASKS, config.model_copy(update=changed)).row_penalty(probabilities_BK) is None


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"like": "clik"}, r"after names \['clik'\], but the outputs are"),
        ({"like": "click", "click": "like"}, "after is a cycle: "),
    ],
)
def test_aitm_refuses_unknown_tasks_and_cycles(after: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AitmTrunk(6, TASKS, AitmConfig(widths=(4,), after=after))


@pytest.mark.parametrize("name", TRUNKS)
def test_all_experts_of_every_architecture_have_the_options_of_its_configuration(
    make_model: Callable[..., MultiTaskModel], name: str
) -> None:
    """Wherever experts have widths, in a trunk, a level or a switcher's trunk, they have options."""
    options = {"norm": "layer"}

    def with_options(part: Any) -> Any:
        if isinstance(part, list):
            return [with_options(entry) for entry in part]
        if not isinstance(part, dict):
            return part
        has_widths = any("width" in key for key in part)
        return {key: with_options(value) for key, value in part.items()} | (options if has_widths else {})

    trunk = make_model(name, trunk=with_options(TRUNKS[name][1])).network.trunk

    stacks = [module for module in trunk.modules() if isinstance(module, Experts)]
    assert stacks
    for stack in stacks:
        assert len(stack.scales) == 1 + len(stack.weights)


@pytest.mark.parametrize("name", [n for n in TRUNKS if n != "normed" and "level_0" not in n])
def test_every_architecture_has_a_configuration_that_users_can_start_from(name: str) -> None:
    config = load_config(model=name)

    assert config.model.name == name
    assert config.model.architecture == TRUNKS[name][0]


def test_mfh_of_the_paper_has_the_sizes_of_its_appendix(encoder: Encoder) -> None:
    """A.4: 512; PLE of 256 and 128 with 2 experts per branch; CGC of 128 with one; towers by user group."""
    cohorts = {"user_cohort": ("new", "low", "high")}
    with torch.device("meta"):
        model = build_model(load_config(model="mfh_paper").model, encoder, TASKS, cohorts, seed=1)

    shapes = {part.name.removeprefix("trunk."): part.shape for part in describe(model).parts}
    assert shapes["level0.bottom"] == "1 x (10 -> 512)"
    for tree, values, others in (
        ("task", TASKS, ("new", "low", "high")),
        ("user_cohort", ("new", "low", "high"), TASKS),
    ):
        for branch in (*values, "SHARED"):
            level1 = f"trees.by_{tree}.level1.levels"
            assert shapes[f"{level1}.0.experts.{branch}_experts"] == "2 x (512 -> 256)"
            assert shapes[f"{level1}.1.experts.{branch}_experts"] == "2 x (256 -> 128)"
        for value in values:
            for branch in (*others, "SHARED"):
                level2 = f"trees.by_{tree}.level2.{value}_switcher.levels.0"
                assert shapes[f"{level2}.experts.{branch}_experts"] == "1 x (128 -> 128)"
    for task in TASKS:
        assert shapes[f"towers.{task}|high_tower"] == "128 -> 128 -> 64 -> 1"
        for cohort in ("low", "new"):
            assert int(shapes[f"towers.{task}|{cohort}_tower"].split(" -> ")[1]) < 128


def of_kinds(**changes: dict[str, str]) -> list[Task]:
    """Binary tasks on all rows, with changes by name."""
    plain = {"label": "x", "kind": "binary"}
    return [Task.model_validate({"name": name, **plain, **changes.get(name, {})}) for name in TASKS]


AFTER = {"like": "click"}
CHAINS = {
    "esmm": EsmmTrunk(6, TASKS, EsmmConfig(widths=(4,), after=AFTER)),
    "aitm": AitmTrunk(6, TASKS, AitmConfig(widths=(4,), after=AFTER)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_regressions_are_refused_in_a_chain_and_nowhere_else(name: str) -> None:
    CHAINS[name].check(of_kinds(share={"kind": "regression"}))
    for task in ("click", "like"):
        with pytest.raises(ConfigError, match=rf"after names \['{task}'\], which are regressions"):
            CHAINS[name].check(of_kinds(**{task: {"kind": "regression"}}))


def test_esmm_refuses_a_later_task_on_some_rows_only() -> None:
    CHAINS["esmm"].check(of_kinds(click={"where": "a > 0"}, share={"where": "a > 0"}))
    CHAINS["aitm"].check(of_kinds(like={"where": "a > 0"}))
    with pytest.raises(ConfigError, match=r"after: \['like'\] have a `where`"):
        CHAINS["esmm"].check(of_kinds(like={"where": "a > 0"}))


def test_a_task_does_not_read_another_twice() -> None:
    config = AsymmetricConfig(widths=(4,), reads={"like": ("click", "click")})
    with pytest.raises(ConfigError, match=r"reads: \['like'\] name a task twice"):
        AsymmetricTrunk(6, TASKS, config)


@pytest.mark.parametrize("name", TRUNKS)
def test_no_rows_have_no_logits_and_gradients_of_zero(
    name: str, make_model: Callable[..., MultiTaskModel]
) -> None:
    network = make_model(name).network

    cells_BKG = network(torch.empty(0, 10))
    cells_BKG.sum().backward()

    assert cells_BKG.shape == (0, len(network.cells_KG), network.cell_groups)
    assert all(p.grad is not None and not p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("name", ["ple", "ml_mmoe", "h_mtl", "mfh"])
def test_a_compiler_traces_the_network_as_one_graph_with_the_same_gradients(
    name: str, make_model: Callable[..., MultiTaskModel]
) -> None:
    network, x = make_model(name, groups=("new", "low")).network, x_of(width=10).float()
    compiled = torch.compile(network, backend="eager", fullgraph=True)

    ours, plain = (
        torch.autograd.grad(run(x).square().sum(), list(network.parameters())) for run in (compiled, network)
    )

    torch.testing.assert_close(ours, plain)
