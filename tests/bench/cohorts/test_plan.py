"""The plan of the regime map: all variants can be built in all of its worlds, in one size."""

from collections.abc import Mapping
from typing import cast

import numpy as np
import pytest
import torch

from bench.cohorts.architectures import PARAMETERS, VARIANTS, Variant, matched_width, of_paper, ple, to_model
from bench.cohorts.data import TestBed, to_test_bed
from bench.cohorts.plan import (
    FULL,
    LARGEST,
    MAIN,
    OWN_SIZES,
    PAIRED,
    QUICK,
    TRUE_FORM_NAME,
    TUNING_SEED,
    Plan,
)
from bench.cohorts.teacher import PARAMETERS as OF_TEACHER
from bench.cohorts.worlds import BASE, DRAWN, World, drawn
from models.architectures.flat import FlatTrunk
from models.model import build_model
from models.modules.columns import Layout
from models.modules.trunk import make_trunk

WORLDS = {world.name: world for plan in (FULL, QUICK) for block in plan.blocks for world in block.worlds}


def small(world: World) -> TestBed:
    return to_test_bed(world, 3_200, 1, validation_users=60, test_users=90)


@pytest.fixture(scope="module")
def beds() -> Mapping[str, TestBed]:
    """Beds of worlds, one for each layout of inputs and tasks."""
    found = {}
    for world in WORLDS.values():
        bed = small(world)
        columns = tuple((column.column, column.dim) for column in bed.data.encoder.categorical)
        layout = (columns, len(bed.data.encoder.dense), tuple(task.name for task in bed.data.tasks))
        found.setdefault(layout, (world.name, bed))
    assert {"base", "ids", "six behaviours"} <= {name for name, _ in found.values()}
    return dict(found.values())


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_is_built_in_every_world_within_10_percent_of_the_size(
    name: str, beds: Mapping[str, TestBed]
) -> None:
    for world, bed in beds.items():
        assert size_of(VARIANTS[name], bed, PARAMETERS) == pytest.approx(PARAMETERS, rel=0.1), world


@pytest.mark.parametrize("name", MAIN)
def test_own_sizes_can_be_had_within_10_percent_in_the_base_world(
    name: str, beds: Mapping[str, TestBed]
) -> None:
    for size in {*OWN_SIZES, OF_TEACHER}:
        assert size_of(VARIANTS[name], beds[BASE.name], size) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("plan", [FULL, QUICK])
def test_blocks_name_what_there_is(plan: Plan) -> None:
    for block in plan.blocks:
        assert set(block.variants) <= {*VARIANTS, TRUE_FORM_NAME}, block.name
        assert len(set(block.seeds)) == len(block.seeds)
        assert TUNING_SEED not in block.seeds  # no final on the data that rates were chosen on
    assert {*LARGEST, *PAIRED} <= set(MAIN)  # else a pair has no worlds to be compared in
    assert {world.teacher for world in WORLDS.values()} - {None} <= set(MAIN)


def test_the_parts_of_mfh_differ_in_what_their_names_say() -> None:
    def trunk(name: str) -> dict:  # type: ignore[type-arg]
        return dict(VARIANTS[name].trunk(64))

    paper = of_paper(64)
    assert trunk("mfh of the paper") == paper
    assert trunk("mfh of the paper, no level 0") == {k: v for k, v in paper.items() if k != "level0"}
    one_level, one_expert = trunk("mfh, one-level switchers"), trunk("mfh, one expert each")
    assert {k: v for k, v in one_level.items() if k != "level1"} == {
        k: v for k, v in paper.items() if k != "level1"
    }
    assert one_level["level1"]["trunk"]["levels"] == paper["level1"]["trunk"]["levels"][:1]
    levels = one_expert["level1"]["trunk"]["levels"]
    assert {(each["task_experts"], each["shared_experts"]) for each in levels} == {(1, 1)}
    assert [each["expert_widths"] for each in levels] == [[32], [16]]
    assert one_expert["level2"] == paper["level2"]


def test_ple_on_level_0_is_ple_by_behaviour_on_one_layer(beds: Mapping[str, TestBed]) -> None:
    data, width = beds[BASE.name].data, 16
    names = [task.name for task in data.tasks]
    model = build_model(
        to_model(VARIANTS["ple on level 0"], width, 0.01), data.encoder, names, data.cohorts, seed=1
    )
    assert model.cell_groups == 1  # a tower per behaviour, whatever the user's cohort
    assert set(model.group_of(data.train.user_group, data.train.item_group)) == {0}
    trunk = cast(FlatTrunk, model.network.trunk)
    alone = make_trunk("ple", Layout(width), {"task": names}, ple(width // 2))
    weights = {name.replace("|all", ""): value for name, value in trunk.switcher.state_dict().items()}
    alone.load_state_dict(weights)
    rows = data.train.take(slice(0, 50))

    x_BD = model.input(*(torch.from_numpy(each) for each in (rows.categorical.astype(np.int64), rows.dense)))

    expected = alone(trunk.level0(x_BD))
    found = trunk(x_BD)
    for name in names:
        assert torch.equal(found[f"{name}|all"], expected[name])


def size_of(variant: Variant, bed: TestBed, parameters: int) -> int:
    data = bed.data
    return matched_width(variant, data.encoder, data.tasks, data.cohorts, parameters)[1]


def test_drawn_worlds_are_the_same_whenever_they_are_drawn_and_of_many_kinds() -> None:
    assert [drawn(place) for place in range(1, 13)] == [*DRAWN]
    assert len({world.dials for world in DRAWN}) == len(DRAWN)
    assert {world.dials.behaviours for world in DRAWN} == {3, 4, 5, 6}
    for kind in ("has_user_ids", "has_sample_space"):
        assert {getattr(world, kind) for world in DRAWN} == {False, True}
    assert min(world.share_of_new for world in DRAWN) < 0.01 < 0.1 < max(w.share_of_new for w in DRAWN)
