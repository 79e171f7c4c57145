"""Shape, parameters and cost of each part of a model, counted along its graph.

FLOPs are those of one row's forward pass, a multiplication and an addition counted as two. `flops` are
matrix products, as torch's own counter has them; `weighted_sum_flops` are the sums of experts by the weights
of gates and of layers by sluice's beta, as the equations ask for them, however they are computed. Left out:
biases, activations, norms, softmax, sums of cells, averages of bags, transforms of dense columns, products of
probabilities.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from core.encoder import CategoricalEncoding, DenseEncoding, Encoder, Entity
from core.inputs import Inputs
from models.model import MultiTaskModel
from models.modules.experts import Stack
from models.modules.graph import Graph, Kind, Node
from models.modules.id_default import LearntDefault
from models.modules.input import InputLayer
from models.modules.made import MadeExperts, MadeLinear
from models.modules.network import Network, logit_of
from models.modules.trunk import CELL


@dataclass(frozen=True)
class ModelPart:
    """One part with parameters: name of its module or parameter, shape, and costs of one row."""

    name: str
    kind: Kind
    shape: str
    parameters: int
    flops: int = 0
    weighted_sum_flops: int = 0


@dataclass(frozen=True)
class Description:
    """The parts of a model, and its graph.

    Attributes:
        input_width: D.
        tables: embedding tables, and learnt defaults of ids.
        parts: of trunk and towers, each after those that it reads.
        needed_by_group: group -> names of the parts that its pruned forward pass runs; the only group is
            "all" where no cohort has cells of its own.
        graph: which part reads which.
    """

    input_width: int
    tables: tuple[ModelPart, ...]
    parts: tuple[ModelPart, ...]
    needed_by_group: dict[str, set[str]]
    graph: Graph

    def needed_for(self, group: str) -> list[ModelPart]:
        """Parts that one group's pruned forward pass runs."""
        return [part for part in self.parts if part.name in self.needed_by_group[group]]


def describe(model: MultiTaskModel) -> Description:
    """Describe a model. Its parameters may be on the meta device: no value is read."""
    graph = model.network.draw()
    parts = [_part(model.network, node) for node in graph.nodes.values() if _has_parameters(node)]
    return Description(
        input_width=model.input.width,
        tables=(*_tables(model.input), *_defaults(model.input)),
        parts=tuple(parts),
        needed_by_group={
            _group(column): graph.needed_for(map(logit_of, column))
            for column in zip(*model.network.cells_KG, strict=True)
        },
        graph=graph,
    )


def _tables(layer: InputLayer) -> Iterator[ModelPart]:
    for name, table in layer.tables.items():
        rows, width = cast(nn.Embedding, table).weight.shape
        yield ModelPart(f"input.tables.{name}", "input", f"{rows:,} x {width}", rows * width)


def _defaults(layer: InputLayer) -> Iterator[ModelPart]:
    for name, default in layer.defaults.items():
        linears = [*cast(LearntDefault, default).hidden, cast(LearntDefault, default).last]
        shapes = [cast(Tensor, linear.weight).shape for linear in linears]
        widths = [shapes[0][1], *(out for out, _ in shapes)]
        parameters = sum(parameter.numel() for parameter in default.parameters())
        yield ModelPart(
            f"input.defaults.{name}", "input", _chain(widths), parameters, _product_flops(default)
        )


def largest_encoder(inputs: Inputs, sides: Mapping[str, Entity]) -> Encoder:
    """Return the encoder of declared inputs with every vocabulary as large as it may become.

    A fitted vocabulary holds at most `vocabulary_max_size` values, and row 0 for all others. Statistics
    of dense columns are placeholders: they do not change what a model costs.

    Args:
        inputs: of the configuration.
        sides: column -> whose it is; `core.columns.input_sides` of the configuration.
    """
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(
                column=c.column,
                side=sides[c.column],
                kind="hash" if c.hash_size else "vocabulary",
                size=c.hash_size or 1 + inputs.vocabulary_max_size,
                dim=c.dim,
                split=c.split,
                max_values=c.max_values,
                table=c.table,
            )
            for c in inputs.categorical
        ),
        dense=tuple(
            DenseEncoding(column=d.column, side=sides[d.column], transform=d.transform, mean=0.0, std=1.0)
            for d in inputs.dense
        ),
    )


def parameters_of(parts: Iterable[ModelPart]) -> int:
    """Return the sum of parameters."""
    return sum(part.parameters for part in parts)


def flops_of(parts: Iterable[ModelPart]) -> tuple[int, int]:
    """Return the sums of FLOPs: of matrix products, and of weighted sums of experts and layers."""
    parts = list(parts)
    return sum(part.flops for part in parts), sum(part.weighted_sum_flops for part in parts)


def module_of(network: Network, name: str) -> nn.Module | Tensor:
    """Return the module, or parameter, of a node's name."""
    owner, _, last = name.rpartition(".")
    return cast(nn.Module | Tensor, getattr(network.get_submodule(owner), last))


def _has_parameters(node: Node) -> bool:
    return node.kind not in ("input", "join", "output")


def _part(network: Network, node: Node) -> ModelPart:
    module = module_of(network, node.name)
    own = [module] if isinstance(module, Tensor) else list(module.parameters())
    module = _as_scored(module)
    flops, weighted_sums = _product_flops(module) if node.flops is None else node.flops, 0
    if node.kind == "gate":
        experts = [cast(Stack, module_of(network, name)) for name in node.reads]
        weighted_sums = 2 * sum(stack.count for stack in experts) * _widths(experts[0])[-1]
    elif node.kind == "mix":
        flops, weighted_sums = 0, flops
    parameters = sum(parameter.numel() for parameter in own)
    return ModelPart(node.name, node.kind, _shape(module), parameters, flops, weighted_sums)


def _as_scored(module: nn.Module | Tensor) -> nn.Module | Tensor:
    """Return the module as `fold` leaves it."""
    if isinstance(module, MadeLinear | MadeExperts):
        return module.folded()
    if isinstance(module, nn.Sequential):
        return nn.Sequential(*(cast(nn.Module, _as_scored(layer)) for layer in module))
    return module


def _product_flops(module: nn.Module | Tensor) -> int:
    """Return FLOPs of a row's matrix products, if every number of a matrix is multiplied and added once."""
    if isinstance(module, Tensor):
        return 2 * module.numel()
    if isinstance(module, nn.Linear):
        return 2 * module.weight.numel()
    if isinstance(module, Stack):
        return sum(2 * layer.weight.numel() for layer in module.layers())
    return sum(map(_product_flops, module.children()))


def _widths(experts: Stack) -> list[int]:
    """Return D, and the width of each layer of an expert."""
    layers = experts.layers()
    return [layers[0].weight.shape[1], *(layer.bias.shape[1] for layer in layers)]


def _shape(module: nn.Module | Tensor) -> str:
    if isinstance(module, Tensor):
        return " x ".join(map(str, module.shape))
    if isinstance(module, Stack):
        return f"{module.count} x ({_chain(_widths(module))})"
    linears = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if isinstance(module, nn.Linear | nn.Sequential):
        return _chain([linears[0].in_features, *(layer.out_features for layer in linears)])
    return ", ".join(_chain([layer.in_features, layer.out_features]) for layer in linears)


def _chain(widths: Iterable[int]) -> str:
    return " -> ".join(map(str, widths))


def _group(column: tuple[str, ...]) -> str:
    """Return the group that all cells of a column have in common."""
    return column[0].partition(CELL)[2] or "all"
