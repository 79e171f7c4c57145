"""Every graph against behaviour: what has a path to an output gets a gradient from it, and nothing else."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.describe.shapes import module_of
from models.model import MultiTaskModel
from models.modules import experts as layers
from models.modules.experts import Experts, Gates, Stack
from models.modules.graph import Graph
from models.modules.mixture import ExpertOutputs
from models.modules.network import Network, logit_of
from models.modules.trunk import find_architecture
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]
Positive = Callable[[nn.Module], nn.Module]

TASKS, GROUPS, ITEMS = ("click", "like", "share"), ("new", "low"), ("fresh", "known")
PLE = {"kind": "ple", "trunk": TRUNKS["ple"][1]}
SWITCHERS = {
    name: {"kind": kind, "trunk": trunk}
    for name, (kind, trunk) in TRUNKS.items()
    if not find_architecture(kind).is_by_cell and not find_architecture(kind).reads_columns
}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **TRUNKS,
    "three_levels": ("ple", {"levels": [TRUNKS["cgc"][1]["levels"][0]] * 3}),
    "unequal": (
        "ple",
        {"levels": [TRUNKS["cgc"][1]["levels"][0] | {"task_experts": {"click": 3, "like": 1, "share": 2}}]},
    ),
    "chain": ("esmm", {"widths": [5], "after": {"share": "like", "like": "click"}}),
    "asymmetric_chain": (
        "asymmetric",
        {"widths": [5], "reads": {"like": ["click"], "share": ["like"]}, "fusion": "mean"},
    ),
    "three_facets": ("mfh", TRUNKS["mfh"][1] | {"facets": ["user_cohort", "item_cohort"]}),
    "groups_first": ("h_mtl", TRUNKS["h_mtl"][1] | {"first": "user_cohort"}),
    **{
        f"mfh_of_{name}": ("mfh", TRUNKS["mfh"][1] | {"level1": PLE, "level2": switcher})
        for name, switcher in SWITCHERS.items()
        if not {"reads", "after"}
        & set(switcher["trunk"])  # they name tasks, which in one tree the groups are
    },
}
"""TRUNKS, and shapes of graphs that they leave out."""


@pytest.fixture
def network_of(make_model: Make, positive: Positive) -> Callable[[str], Network]:
    """The network of one of VARIANTS, all of its parameters positive."""

    def make(name: str) -> Network:
        architecture, trunk = VARIANTS[name]
        items = ITEMS if name == "three_facets" else ()
        base = next(known for known, (kind, _) in TRUNKS.items() if kind == architecture)
        network = make_model(base, TASKS, GROUPS, trunk=trunk, items=items).network
        positive(network)
        return network

    return make


def x_of(network: Network) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(4, 10, generator=generator, dtype=torch.float64) + 0.1


def stacks_of(network: Network) -> dict[str, Stack]:
    return {name: module for name, module in network.named_modules() if isinstance(module, Stack)}


def reached(network: Network, y: Tensor) -> set[str]:
    """Names of the experts that get a gradient from y."""
    stacks = stacks_of(network)
    biases = [s.first.bias if isinstance(s, Experts) else s.biases[0] for s in stacks.values()]
    uneven = torch.linspace(1, 2, y.numel(), dtype=y.dtype).view(y.shape)  # a norm's plain sum is constant
    gradients = torch.autograd.grad((y * uneven).sum(), biases, retain_graph=True, allow_unused=True)
    return {
        name
        for name, gradient in zip(stacks, gradients, strict=True)
        if gradient is not None and bool((gradient != 0).any())
    }


def drawn(graph: Graph, name: str) -> set[str]:
    """Names of the experts with a path in the graph."""
    return {found for found in graph.needed_for([name]) if graph.nodes[found].kind == "experts"}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_experts_with_a_path_to_an_output_are_those_that_get_a_gradient_from_its_logit(
    network_of: Callable[[str], Network], name: str
) -> None:
    network = network_of(name)
    graph = network.draw()
    logits_BKG = network(x_of(network))

    for k, row in enumerate(network.cells_KG):
        for g, cell in enumerate(row):
            assert drawn(graph, logit_of(cell)) == reached(network, logits_BKG[:, k, g]), cell


@pytest.mark.parametrize("name", VARIANTS)
def test_the_towers_with_a_path_to_an_output_are_those_that_get_a_gradient_from_its_logit(
    network_of: Callable[[str], Network], name: str
) -> None:
    network = network_of(name)
    graph = network.draw()
    added = {name: torch.zeros(1, requires_grad=True) for name in network.towers}  # to each tower's logit
    for name_of_tower, tower in network.towers.items():
        tower.register_forward_hook(lambda _, __, z_B1, name=name_of_tower: z_B1 + added[name])
    logits_BKG = network(x_of(network))

    for k, row in enumerate(network.cells_KG):
        for g, cell in enumerate(row):
            gradients = torch.autograd.grad(
                logits_BKG[:, k, g].sum(), [*added.values()], retain_graph=True, allow_unused=True
            )
            moved = {
                f"towers.{tower}"
                for tower, gradient in zip(network.towers, gradients, strict=True)
                if gradient is not None and bool((gradient != 0).any())
            }
            towers = {n for n in graph.nodes[logit_of(cell)].reads if graph.nodes[n].kind == "tower"}
            assert towers == moved


@pytest.mark.parametrize("name", VARIANTS)
def test_every_parameter_and_every_stack_of_experts_is_in_the_graph_once(
    network_of: Callable[[str], Network], name: str
) -> None:
    network = network_of(name)
    parts = [
        module_of(network, node.name)
        for node in network.draw().nodes.values()
        if node.kind not in ("input", "join", "output")
    ]

    owned = [p for part in parts for p in ([part] if isinstance(part, Tensor) else part.parameters())]

    assert sorted(map(id, owned)) == sorted(map(id, network.parameters()))


def record_gates(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Fill in, when the network runs: gate -> what it mixed, gate -> what it selected by."""
    mixed: dict[str, Tensor] = {}
    selectors: dict[str, Tensor] = {}
    running: list[str] = []

    def before(path: str, arguments: tuple[Any, ...]) -> None:
        x_BD, branches = arguments
        running.append(path)
        selectors.update({f"{path}.linear.{b}_gate": x_BD[b] for b in branches})

    for path, module in network.named_modules():
        if isinstance(module, Gates):
            module.register_forward_pre_hook(lambda _, arguments, path=path: before(path, arguments))
    mix = ExpertOutputs.mix

    def spy(self: ExpertOutputs, *arguments: Any) -> dict[str, Tensor]:
        result = mix(self, *arguments)
        mixed.update({f"{running[-1]}.linear.{branch}_gate": y_BH for branch, y_BH in result.items()})
        return result

    monkeypatch.setattr(ExpertOutputs, "mix", spy)
    return mixed, selectors


@pytest.mark.parametrize("name", VARIANTS)
def test_experts_read_what_their_edges_come_from(
    network_of: Callable[[str], Network], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    network = network_of(name)
    graph = network.draw()
    names = {id(stack): path for path, stack in stacks_of(network).items()}
    gave: dict[str, Tensor] = {}
    run = layers._run_as_one

    def spy(stacks: Sequence[Stack], x_BD: Tensor) -> tuple[Tensor, Tensor]:
        y_BNH, bias_NH = run(stacks, x_BD)
        parts = (y_BNH + bias_NH).split([stack.count for stack in stacks], dim=1)
        gave.update({names[id(stack)]: part for stack, part in zip(stacks, parts, strict=True)})
        return y_BNH, bias_NH

    monkeypatch.setattr(layers, "_run_as_one", spy)

    network(x_of(network))

    terms = {node.name for node in graph.nodes.values() if node.kind == "experts" and not node.reads}
    assert {name: reached(network, y_BNH) for name, y_BNH in gave.items()} == {
        name: drawn(graph, name) for name in names.values() if name not in terms
    }


WITH_GATES = [name for name in VARIANTS if any(kind in str(VARIANTS[name]) for kind in ("ple", "mmoe"))]


@pytest.mark.parametrize("name", WITH_GATES)
def test_a_gate_mixes_the_experts_and_selects_by_the_node_of_its_edges(
    network_of: Callable[[str], Network], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    network = network_of(name)
    graph = network.draw()
    gates = {node.name: node for node in graph.nodes.values() if node.kind == "gate"}
    mixed, selectors = record_gates(network, monkeypatch)
    shared: dict[str, Tensor] = {}
    if (level0 := getattr(network.trunk, "level0", None)) is not None:
        level0.register_forward_hook(lambda _, __, h_BH: shared.update({"trunk.level0.bottom": h_BH}))
    x = x_of(network)

    network(x)

    assert set(mixed) == set(gates)
    stacks = stacks_of(network)
    for gate, y_BH in mixed.items():
        assert drawn(graph, gate) == reached(network, y_BH)
        linear = module_of(network, gate)
        assert isinstance(linear, nn.Linear)
        assert linear.out_features == sum(stacks[name].count for name in gates[gate].reads)
        (source,) = gates[gate].selectors
        assert selectors[gate] is ({"x": x} | mixed | shared)[source]


@pytest.mark.parametrize("seen", [("click",), ("click", "like", "SHARED")], ids=["missing", "one too many"])
def test_a_wrong_edge_is_found(network_of: Callable[[str], Network], seen: tuple[str, ...]) -> None:
    network = network_of("cgc")
    by_gradient = reached(network, network(x_of(network))[:, 0, 0])
    assert drawn(network.draw(), logit_of("click")) == by_gradient

    network.trunk.levels[0].sees["click"] = seen

    assert drawn(network.draw(), logit_of("click")) != by_gradient


def test_a_node_is_drawn_once_and_after_what_it_reads() -> None:
    graph = Graph()
    x = graph.add("input", "x", [])
    graph.add("experts", "bottom", [x])

    with pytest.raises(ValueError, match="node bottom is drawn twice"):
        graph.add("experts", "bottom", [x])
    with pytest.raises(ValueError, match=r"node top reads \['bottm'\], not drawn yet"):
        graph.add("experts", "top", ["bottm"])
