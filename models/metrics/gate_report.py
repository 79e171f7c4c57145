"""Weights of a model's gates on held-out rows, by cohort, and experts that have collapsed.

Mean and spread of each gate's weights are those of Tang et al., RecSys 2020, fig. 8. A gate is named by
its place in the trunk and the branch that it mixes for, an expert by its branch and number.

Letters: B rows, C cohorts, N experts of a gate, H expert width.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.model import MultiTaskModel
from models.modules.experts import Mixture

NEAR_ONE = 0.95
"""Mean share of a gate's weight from which one expert counts as the only one that it uses."""

ALL = "all"
"""The cohort of all rows; warnings follow from it."""


class GateKey(NamedTuple):
    """Gate, expert and cohort of some sums."""

    gate: str
    expert: str
    cohort: str


class GateSums(NamedTuple):
    """Sums over the rows of one cohort, of one expert at one gate; they add up over any partitions.

    Attributes:
        rows: unweighted.
        active_rows: those for which an output of the expert is not 0.
        row_weight: of rows' own weights.
        weight, squares: of the gate's weight and of its square, times the row's weight.
    """

    rows: int
    active_rows: int
    row_weight: float
    weight: float
    squares: float


GateState = dict[GateKey, GateSums]


@dataclass(frozen=True)
class GateWeight:
    """Mean and standard deviation of a gate's weight of an expert, and how often the expert is active."""

    gate: str
    expert: str
    cohort: str
    rows: int
    mean: float
    std: float
    active_share: float


def gate_state(
    model: MultiTaskModel,
    categorical_BC: Tensor,
    dense_BF: Tensor,
    group_B: NDArray[np.int64],
    weight_B: NDArray[np.float64],
    cohorts: Mapping[str, NDArray[np.bool_]],
) -> GateState:
    """Run a model over rows, and add up the weights of each of its gates; empty for a model without gates.

    A row counts at the gates that its own group's outputs need: cells of other groups never learnt from
    it. Cost: one forward of the rows, with all experts' outputs at hand.

    Args:
        model: in eval mode.
        categorical_BC: as `MultiTaskModel.forward` takes them.
        dense_BF: likewise.
        group_B: likewise.
        weight_B: of each row; those of weight 0 do not count.
        cohorts: C names, `all` among them -> rows that belong to them, (B,).
    """
    parts: list[GateState] = []
    counted_B = weight_B > 0
    by_group = model.cell_groups > 1
    for group in np.unique(group_B) if by_group else (0,):
        own_B = counted_B & (group_B == group) if by_group else counted_B
        if not own_B.any():
            continue
        rows = torch.from_numpy(np.flatnonzero(own_B))
        members = {cohort: is_member_B[own_B] for cohort, is_member_B in cohorts.items()}
        with _mixtures_of(model) as mixtures, torch.inference_mode():
            model.for_group(categorical_BC[rows], dense_BF[rows], int(group))
        for level, active, weights_BN, sees in mixtures:
            for branch, w_BN in weights_BN.items():
                names = [f"{seen}.{n}" for seen in sees[branch] for n in range(active[seen].shape[1])]
                active_BN = np.concatenate([active[seen] for seen in sees[branch]], axis=1)
                numbers = (w_BN.double().numpy(), active_BN, weight_B[own_B])
                parts.append(_sums(f"{level}.{branch}", names, *numbers, members))
    return merge(parts)


def merge(states: Iterable[GateState]) -> GateState:
    """Add up states of disjoint rows; exactly rounded, so in any order."""
    parts: dict[GateKey, list[GateSums]] = defaultdict(list)
    for state in states:
        for key, sums in state.items():
            parts[key].append(sums)
    return {
        key: GateSums(
            sum(part.rows for part in found),
            sum(part.active_rows for part in found),
            *(math.fsum(values) for values in zip(*(part[2:] for part in found), strict=True)),
        )
        for key, found in parts.items()
    }


def gate_weights(state: GateState) -> list[GateWeight]:
    """Return mean and spread of every gate, expert and cohort, over weighted rows."""
    found = []
    for key, sums in state.items():
        mean = sums.weight / sums.row_weight
        variance = max(sums.squares / sums.row_weight - mean**2, 0.0)
        share = sums.active_rows / sums.rows
        found.append(GateWeight(*key, rows=sums.rows, mean=mean, std=math.sqrt(variance), active_share=share))
    return found


def collapsed(state: GateState) -> list[str]:
    """Return warnings, over all rows, of experts whose outputs are all 0 and gates that use one expert.

    A gate of a single expert has no choice, and is left out.
    """
    active: dict[tuple[str, str], list[GateSums]] = defaultdict(list)
    of_gate: dict[str, list[tuple[str, float]]] = defaultdict(list)
    for (gate, expert, cohort), sums in sorted(state.items()):
        if cohort == ALL:
            level, _, _ = gate.rpartition(".")
            active[level, expert].append(sums)
            of_gate[gate].append((expert, sums.weight))
    warnings = []
    for (level, expert), found in active.items():
        if not any(sums.active_rows for sums in found):
            rows = max(sums.rows for sums in found)
            warnings.append(f"expert {expert} of {level} is dead: its output is zero in all {rows:,} rows")
    for gate, weights in of_gate.items():
        total = sum(weight for _, weight in weights)
        expert, most = max(weights, key=lambda of_expert: of_expert[1])
        if len(weights) > 1 and most >= NEAR_ONE * total:
            warnings.append(f"gate {gate} gives {most / total:.1%} of its weight to expert {expert}")
    return warnings


def _sums(
    gate: str,
    experts: Sequence[str],
    w_BN: NDArray[np.float64],
    active_BN: NDArray[np.bool_],
    row_weight_B: NDArray[np.float64],
    cohorts: Mapping[str, NDArray[np.bool_]],
) -> GateState:
    """Return one gate's sums over some rows; cohorts without a row are left out."""
    state = {}
    for cohort, is_member_B in cohorts.items():
        v_B, w_own_BN = row_weight_B[is_member_B], w_BN[is_member_B]
        if not len(v_B):
            continue
        sums_3N = (active_BN[is_member_B].sum(0), v_B @ w_own_BN, v_B @ w_own_BN**2)
        for expert, active, weight, squares in zip(experts, *sums_3N, strict=True):
            state[GateKey(gate, expert, cohort)] = GateSums(
                len(v_B), int(active), float(v_B.sum()), float(weight), float(squares)
            )
    return state


class _Mixed(NamedTuple):
    """One mixture of a forward: where it is, which experts were active by branch, (B, N), and the gates."""

    level: str
    active: dict[str, NDArray[np.bool_]]
    weights: Mapping[str, Tensor]
    sees: Mapping[str, Sequence[str]]


@contextmanager
def _mixtures_of(model: MultiTaskModel) -> Iterator[list[_Mixed]]:
    """Collect the arguments of every mixture of a trunk while the context is open."""
    found: list[_Mixed] = []

    def watch(level: str, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        outputs, weights_BN, sees = arguments
        # Before the mixture runs: it overwrites the experts' outputs.
        active = {branch: (y_BNH != 0).any(2).numpy() for branch, y_BNH in outputs.by_branch().items()}
        found.append(_Mixed(level, active, weights_BN, sees))

    hooks = [
        module.register_forward_pre_hook(partial(watch, place.removesuffix(".mixture")))
        for place, module in model.network.trunk.named_modules()
        if isinstance(module, Mixture)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
