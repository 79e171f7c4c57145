"""Counts along the graph against torch's own counters."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from core.encoder import Encoder
from core.inputs import CategoricalInput, DenseInput, Inputs
from core.load import load_config
from core.model import InputLayer
from models.architectures.sluice import SluiceTrunk
from models.describe.shapes import describe, flops_of, largest_encoder, parameters_of
from models.model import MultiTaskModel, build_model
from models.modules.made import fold
from models.modules.mixture import ExpertOutputs
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]
Batch = Callable[..., tuple[Tensor, Tensor, Tensor]]

TASKS, GROUPS, ROWS = ("click", "like", "share"), ("new", "low"), 8
DEEP = {"task_experts": {"click": 3, "like": 1, "share": 2}, "shared_experts": 2, "expert_widths": [6, 5]}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **TRUNKS,
    "deep": ("ple", {"levels": [DEEP, DEEP, DEEP]}),
    "mfh_of_sluice": ("mfh", TRUNKS["mfh"][1] | {"level2": {"kind": "sluice", "trunk": TRUNKS["sluice"][1]}}),
    "mfh_of_ml_mmoe": ("mfh", TRUNKS["mfh"][1] | {"level2": {"kind": "mmoe", "trunk": TRUNKS["ml_mmoe"][1]}}),
}


@pytest.fixture
def model_of(make_model: Make) -> Callable[[str], MultiTaskModel]:
    """A model of one of VARIANTS, one of its towers deeper than the others where they may be."""

    def make(name: str) -> MultiTaskModel:
        architecture, trunk = VARIANTS[name]
        base = next(known for known, (kind, _) in TRUNKS.items() if kind == architecture)
        towers = {} if base in ("star", "mlora", "pooled") else {"like": (7, 3)}  # made of terms of one shape
        return make_model(base, TASKS, GROUPS, trunk=trunk, towers=towers)

    return make


def flops_by_torch(run: Callable[[], object]) -> int:
    """Matrix products but for those of gate-weighted sums, which are counted apart."""
    inside = 0
    mix = ExpertOutputs.mix

    def count_apart(self: ExpertOutputs, *arguments: Any) -> dict[str, Tensor]:
        nonlocal inside
        with FlopCounterMode(display=False) as counter:
            mixed = mix(self, *arguments)
        inside += int(counter.get_total_flops())
        return mixed

    with pytest.MonkeyPatch.context() as patch, FlopCounterMode(display=False) as counter:
        patch.setattr(ExpertOutputs, "mix", count_apart)
        run()
    return int(counter.get_total_flops()) - inside


def weighted_sums_by_hand(run: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> int:
    """Sums of experts, and of layers, as they happen: twice the numbers that are multiplied."""
    seen = 0
    mix, forward = ExpertOutputs.mix, SluiceTrunk.forward

    def count_mix(self: ExpertOutputs, weights_BN: dict[str, Tensor], sees: Any) -> dict[str, Tensor]:
        nonlocal seen
        mixed = mix(self, weights_BN, sees)
        seen += sum(2 * weights_BN[gate].numel() * y_BH.shape[1] for gate, y_BH in mixed.items())
        return mixed

    def count_layers(self: SluiceTrunk, x_BD: Tensor, wanted: Any = None) -> dict[str, Tensor]:
        nonlocal seen
        outputs = forward(self, x_BD)
        seen += sum(2 * len(self.layers) * y_BW.numel() for y_BW in outputs.values())
        return outputs if wanted is None else {task: outputs[task] for task in wanted}

    with monkeypatch.context() as patch:
        patch.setattr(ExpertOutputs, "mix", count_mix)
        patch.setattr(SluiceTrunk, "forward", count_layers)
        run()
    return seen


@pytest.mark.parametrize("name", VARIANTS)
def test_parameters_add_up_to_those_of_the_model(
    model_of: Callable[[str], MultiTaskModel], name: str
) -> None:
    model = model_of(name)

    found = describe(model)

    assert parameters_of(found.tables) == sum(p.numel() for p in model.input.parameters())
    assert parameters_of(found.parts) == sum(p.numel() for p in model.network.parameters())
    assert found.input_width == model.input.width


def test_a_learnt_default_is_among_the_parts_of_the_input(encoder: Encoder) -> None:
    config = load_config(model="ple").model.model_copy(
        update={
            "input": InputLayer(
                id_dropout={"item_tag": 0.1},
                id_default={"item_tag": {"columns": ["item_click_rate_7d"], "widths": [5]}},
            )
        }
    )
    model = build_model(config, encoder, TASKS, {}, seed=1)

    found = describe(model)

    assert parameters_of(found.tables) == sum(p.numel() for p in model.input.parameters())
    part = found.tables[-1]
    assert (part.name, part.shape) == ("input.defaults.item_tag_default", "1 -> 5 -> 3")
    assert (part.parameters, part.flops) == (5 + 5 + 15, 2 * (5 + 15))


@pytest.mark.parametrize("name", VARIANTS)
def test_flops_of_a_forward_pass_are_those_that_torch_counts(
    model_of: Callable[[str], MultiTaskModel], make_batch: Batch, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model, (ids, dense, _) = model_of(name), make_batch(ROWS)

    products, weighted_sums = flops_of(describe(model).parts)
    fold(model)

    assert products == flops_by_torch(lambda: model.all_cells(ids, dense)) / ROWS
    assert weighted_sums == weighted_sums_by_hand(lambda: model.all_cells(ids, dense), monkeypatch) / ROWS


@pytest.mark.parametrize("name", VARIANTS)
def test_flops_of_one_group_are_those_of_its_pruned_forward_pass(
    model_of: Callable[[str], MultiTaskModel], make_batch: Batch, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    model, (ids, dense, _) = model_of(name), make_batch(ROWS)
    found = describe(model)
    fold(model)

    assert list(found.needed_by_group) == (["all"] if model.cell_groups == 1 else list(GROUPS))
    for number, group in enumerate(found.needed_by_group):
        products, weighted_sums = flops_of(found.needed_for(group))
        assert products == flops_by_torch(lambda n=number: model.for_group(ids, dense, n)) / ROWS
        assert (
            weighted_sums
            == weighted_sums_by_hand(lambda n=number: model.for_group(ids, dense, n), monkeypatch) / ROWS
        )


def test_a_part_is_named_as_in_the_weights_with_its_shape_and_costs(make_model: Make) -> None:
    """PLE of one level: one expert 10 -> 5 of click, two shared ones, a gate over the three, a tower."""
    found = {part.name: part for part in describe(make_model("cgc", ("click",))).parts}

    costs = {name: (p.shape, p.parameters, p.flops, p.weighted_sum_flops) for name, p in found.items()}
    assert costs == {
        "trunk.levels.0.experts.click_experts": ("1 x (10 -> 5)", 55, 2 * 50, 0),
        "trunk.levels.0.experts.SHARED_experts": ("2 x (10 -> 5)", 110, 2 * 100, 0),
        "trunk.levels.0.gates.linear.click_gate": ("10 -> 3", 30, 2 * 30, 2 * 3 * 5),
        "towers.click_tower": ("5 -> 4 -> 1", 5 * 4 + 4 + 4 + 1, 2 * (5 * 4 + 4), 0),
    }


def test_the_largest_encoder_has_full_vocabularies_and_hash_tables_as_declared(make_model: Make) -> None:
    inputs = Inputs(
        categorical=(
            CategoricalInput(column="item_id", hash_size=64, dim=3),
            CategoricalInput(column="item_tag", dim=2, split=",", max_values=3),
        ),
        dense=(DenseInput(column="user_age", transform="quantile"),),
        vocabulary_min_count=5,
        vocabulary_max_size=10,
    )

    encoder = largest_encoder(inputs, {"item_id": "item", "item_tag": "item", "user_age": "pair"})

    assert [(c.column, c.kind, c.size, c.dim, c.max_values) for c in encoder.categorical] == [
        ("item_id", "hash", 64, 3, 1),
        ("item_tag", "vocabulary", 11, 2, 3),
    ]
    assert encoder.columns == ("item_id", "item_tag", "user_age")
    assert encoder.dense[0].side == "pair"


def test_a_model_on_the_meta_device_is_described_without_reading_values(encoder: Encoder) -> None:
    model = load_config(model="mfh").model
    cohorts = {"user_cohort": GROUPS}
    with torch.device("meta"):
        unreal = build_model(model, encoder, TASKS, cohorts, seed=1)
    real = build_model(model, encoder, TASKS, cohorts, seed=1)

    assert all(p.is_meta for p in unreal.parameters())
    assert describe(unreal).parts == describe(real).parts
