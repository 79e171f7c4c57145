"""Groups of parameters, over all architectures."""

from collections.abc import Callable

import pytest

from models.describe.module_groups import module_groups
from models.model import MultiTaskModel
from models.modules.graph import Graph
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]
COHORTS = ("new", "low", "high")


@pytest.mark.parametrize("name", TRUNKS)
def test_every_parameter_is_in_one_group_and_a_cohort_has_few_groups(make_model: Make, name: str) -> None:
    model = make_model(name)

    groups = module_groups(model, COHORTS)

    found = [parameter for group in groups for parameter in group.parameters]
    assert sorted(found) == sorted(parameter for parameter, _ in model.named_parameters())
    assert len({(group.name, group.cohorts) for group in groups}) == len(groups)
    for cohort in COHORTS:
        assert 3 <= sum(cohort in group.cohorts for group in groups) <= 20


def test_groups_stand_in_the_order_of_the_forward_pass(make_model: Make) -> None:
    groups = [group.name for group in module_groups(make_model("mfh_on_level_0"), COHORTS)]

    assert groups[:2] == ["input.tables", "trunk.level0.bottom"]
    assert groups.index("trunk.trees.by_task.level1.levels.0 experts") < groups.index(
        "trunk.trees.by_task.level2.*_switcher.levels.0 experts"
    )
    assert groups[-1] == "towers.*_tower"


def test_a_group_serves_whose_logits_it_reaches(make_model: Make) -> None:
    groups = module_groups(make_model("mfh"), COHORTS)

    new = {group.name for group in groups if group.cohorts == ("new",)}

    assert "trunk.trees.by_user_cohort.level2.*_switcher.levels.0 experts" in new
    assert "trunk.trees.by_task.level1.levels.0 experts" not in new
    by_name = {(group.name, group.cohorts): group for group in groups}
    towers = by_name["towers.*_tower", ("new",)].parameters
    assert {parameter.split(".")[2] for parameter in towers} == {"click|new_tower", "like|new_tower"}


def test_a_parameter_that_is_not_drawn_is_an_error(make_model: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model("ple")
    add = Graph.add

    def forget_gates(self: Graph, kind: str, path: str, *arguments: object, **more: object) -> str:
        path = path.replace("click_gate", "no_gate")
        return add(self, kind, path, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Graph, "add", forget_gates)

    with pytest.raises(ValueError, match=r"levels\.0\.gates\.linear\.click_gate\.weight is in no node"):
        module_groups(model, COHORTS)
