"""Flat: cells of behaviour x user group by one trunk."""

import pytest
import torch

from core.errors import ConfigError
from models.architectures.flat import FlatConfig, FlatTrunk
from models.architectures.ple import PleConfig, PleTrunk
from tests.models.conftest import TWO_LEVELS

FACETS = {"task": ("click", "like"), "user_cohort": ("new", "old")}
CELLS = ("click|new", "click|old", "like|new", "like|old")


def test_it_is_the_switchers_trunk_with_a_cell_in_place_of_each_task() -> None:
    flat = FlatTrunk(6, FACETS, FlatConfig(facets=["user_cohort"], switcher=TWO_LEVELS))
    ple = PleTrunk(6, CELLS, PleConfig(**TWO_LEVELS["trunk"]))
    ple.load_state_dict(flat.switcher.state_dict())
    x = torch.randn(5, 6)

    assert tuple(flat.out_dims) == CELLS
    assert all(torch.equal(y, ple(x)[cell]) for cell, y in flat(x).items())
    assert list(flat(x, ["like|new"])) == ["like|new"]


def test_a_fault_of_the_switcher_is_named_by_its_key() -> None:
    with pytest.raises(ConfigError, match=r"switcher\.kind mfh has cells for outputs"):
        FlatTrunk(6, FACETS, FlatConfig(facets=["user_cohort"], switcher={"kind": "mfh", "trunk": {}}))
