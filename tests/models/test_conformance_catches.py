"""Every conformance test fails when its rule is broken: a rule that no test notices is no rule.

Each case patches the code with a mistake, most of them made by a published library, and expects the
test of that number to fail.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.architectures import ple
from models.architectures.flat import FlatTrunk
from models.architectures.h_mtl import HMtlTrunk
from models.architectures.mfh import MfhTrunk
from models.architectures.ple import SHARED, PleLevel, PleTrunk
from models.modules.experts import Gates
from models.modules.facets import Level0
from models.modules.mixture import ExpertOutputs
from models.modules.network import Network
from models.modules.tree import FacetTree
from models.training import losses
from models.training.optimisers import Optimisers
from tests.models import test_conformance as conformance
from tests.models import test_conformance_level0 as conformance_level0
from tests.models import test_conformance_mfh as conformance_mfh
from tests.models import test_golden
from tests.models.architectures import test_ple
from tests.models.training import test_losses

Fixtures = Callable[[str], Any]
Break = Callable[[pytest.MonkeyPatch], None]
Test = Callable[[Fixtures], None]


def network_of(fixtures: Fixtures, **changes: Any) -> Network:
    return fixtures("make_model")("mfh", conformance.TASKS, conformance.GROUPS, **changes).network.double()


def with_sees(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Break:
    """Change which experts the gates of a PLE level see."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        init = PleLevel.__init__
        monkeypatch.setattr(
            PleLevel, "__init__", lambda self, d, experts, sees, c: init(self, d, experts, change(sees), c)
        )

    return patch


def shared_gate_without_task_experts(sees: dict[str, Any]) -> dict[str, Any]:
    return {branch: [SHARED] if branch == SHARED else seen for branch, seen in sees.items()}


def every_gate_sees_every_expert(sees: dict[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(sees, sorted({branch for seen in sees.values() for branch in seen}))


def all_gates_select_by_one_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Gates.forward
    monkeypatch.setattr(
        Gates, "forward", lambda self, x, branches: forward(self, dict.fromkeys(x, x["click"]), branches)
    )


def every_task_gets_as_many_experts_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    experts_of_tasks = ple._experts_of_tasks

    def equal(*args: Any) -> dict[str, int]:
        found = experts_of_tasks(*args)
        return dict.fromkeys(found, next(iter(found.values())))

    monkeypatch.setattr(ple, "_experts_of_tasks", equal)


def squeezed_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = Network._logits
    monkeypatch.setattr(Network, "_logits", lambda *args: logits(*args).squeeze())


def a_shared_gate_at_the_last_level(monkeypatch: pytest.MonkeyPatch) -> None:
    init = PleTrunk.__init__

    def with_gate(self: PleTrunk, *args: Any) -> None:
        init(self, *args)
        self.unused = nn.Linear(5, 3)

    monkeypatch.setattr(PleTrunk, "__init__", with_gate)


def towers_found_by_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    def logits(self: Network, x_BD: Tensor, cells: list[str]) -> Tensor:
        outputs = self.trunk(x_BD, cells)
        keys = [next(k for k in self.towers if c.startswith(k.removesuffix("_tower"))) for c in cells]
        return torch.cat([self.towers[k](outputs[c]) for k, c in zip(keys, cells, strict=True)], dim=1)

    monkeypatch.setattr(Network, "_logits", logits)


def experts_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    mix = ExpertOutputs.mix

    def flip(self: ExpertOutputs, *args: Any) -> dict[str, Tensor]:
        flipped = [[tensor.flip(dim) for tensor in of] for of, dim in ((self.stacks, 1), (self.biases, 0))]
        return mix(ExpertOutputs(*flipped, self.branches), *args)

    monkeypatch.setattr(ExpertOutputs, "mix", flip)


def probabilities_for_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Network.forward
    monkeypatch.setattr(Network, "forward", lambda self, x: forward(self, x).sigmoid())


def sums_for_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "_ratio", lambda sums, counts: sums + 0 * counts)


def means_of_each_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean of the ranks' means, in which a row counts more on a rank with few of them."""
    loss_of = test_losses.loss_of

    def with_own_counts(rows: list[int], logits: Tensor, _: Tensor, normalise: Any, __: int) -> Tensor:
        return loss_of(rows, logits, test_losses.counts_of(rows, normalise), normalise, 1)

    monkeypatch.setattr(test_losses, "loss_of", with_own_counts)


def a_facet_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    init = MfhTrunk.__init__

    def with_one_tree(self: MfhTrunk, *args: Any) -> None:
        init(self, *args)
        del self.trees["by_user_cohort"]

    monkeypatch.setattr(MfhTrunk, "__init__", with_one_tree)


def trees_added_as(combine: Callable[[list[Tensor]], Tensor]) -> Break:
    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        def forward(self: MfhTrunk, x_BD: Tensor, wanted: Any = None) -> dict[str, Tensor]:
            cells = tuple(self.out_dims) if wanted is None else wanted
            found = [tree(x_BD, cells) for tree in self.trees.values()]
            return {cell: combine([of_tree[cell] for of_tree in found]) for cell in cells}

        monkeypatch.setattr(MfhTrunk, "forward", forward)

    return patch


def cells_that_read_all_switchers(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = FacetTree.forward

    def leaking(self: FacetTree, x_BD: Tensor, cells: Any) -> dict[str, Tensor]:
        found = forward(self, x_BD, cells)
        return {cell: y + 0.1 * sum(found.values()) for cell, y in found.items()}

    monkeypatch.setattr(FacetTree, "forward", leaking)


def a_group_by_computing_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Network, "for_group", lambda self, x, group: self(x)[:, :, group])


def other_initial_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    init = PleTrunk.__init__

    def larger(self: PleTrunk, *args: Any) -> None:
        init(self, *args)
        with torch.no_grad():
            next(self.parameters()).mul_(1.1)

    monkeypatch.setattr(PleTrunk, "__init__", larger)


def gradients_that_are_never_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Optimisers, "clear", lambda self: None)


def a_tree_that_reads_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """One facet's tree reads the input, not level 0."""

    def forward(self: MfhTrunk, x_BD: Tensor, wanted: Any = None) -> dict[str, Tensor]:
        cells, h_BH = tuple(self.out_dims) if wanted is None else wanted, self.level0(x_BD)
        first, second = self.trees.values()
        one, other = first(h_BH, cells), second(x_BD[:, : h_BH.shape[1]], cells)
        return {cell: one[cell] + other[cell] for cell in cells}

    monkeypatch.setattr(MfhTrunk, "forward", forward)


def a_tree_alone_that_reads_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def forward(self: HMtlTrunk, x_BD: Tensor, wanted: Any = None) -> dict[str, Tensor]:
        found = self.tree(x_BD[:, : self.level0.out_dim], tuple(self.out_dims) if wanted is None else wanted)
        return {cell: found[cell] for cell in self.out_dims if cell in found}

    monkeypatch.setattr(HMtlTrunk, "forward", forward)


def a_flat_switcher_that_reads_the_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        FlatTrunk, "forward", lambda self, x, wanted=None: self.switcher(x[:, : self.level0.out_dim], wanted)
    )


def a_level_0_per_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees read different numbers, as if each had a level 0 of its own."""
    forward = FacetTree.forward
    monkeypatch.setattr(
        FacetTree, "forward", lambda self, h, cells: forward(self, h * (1 + self.place), cells)
    )


def level_0_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Level0.forward
    monkeypatch.setattr(Level0, "forward", lambda self, x: forward(self, x).detach())


def run(test: Callable[..., None], *names: str, **arguments: Any) -> Test:
    """Run a test with these fixtures and arguments."""
    return lambda fixtures: test(**{name: fixtures(name) for name in names}, **arguments)


def run_on_mfh(test: Callable[..., None], *names: str, **arguments: Any) -> Test:
    """Likewise, with a network built after the mistake was made."""
    return lambda fixtures: test(mfh=network_of(fixtures), **{n: fixtures(n) for n in names}, **arguments)


MODEL, POSITIVE = ("make_model", "make_batch"), ("make_model", "make_batch", "positive")
CASES: dict[str, tuple[Break, Test]] = {
    "1": (
        with_sees(shared_gate_without_task_experts),
        run(conformance.test_1_the_shared_gate_sees_all_experts_of_its_level_and_the_last_level_has_none),
    ),
    "2": (
        all_gates_select_by_one_branch,
        run(conformance.test_2_a_level_2_gate_selects_by_its_own_branch_one_level_down, perturbed="like"),
    ),
    "3": (
        with_sees(every_gate_sees_every_expert),
        run(
            conformance.test_3_a_task_reaches_the_other_tasks_experts_only_below_the_last_level,
            "positive",
            levels=1,
        ),
    ),
    "4": (
        every_task_gets_as_many_experts_as_the_first,
        run(conformance.test_1_the_shared_gate_sees_all_experts_of_its_level_and_the_last_level_has_none),
    ),
    "5": (
        squeezed_outputs,
        run(conformance.test_5_a_batch_of_one_trains_and_predicts, *MODEL, architecture="ple"),
    ),
    "6": (
        a_shared_gate_at_the_last_level,
        run(
            conformance.test_6_no_parameter_is_without_gradient_after_all_tasks, *POSITIVE, architecture="ple"
        ),
    ),
    "7": (
        towers_found_by_prefix,
        run(
            conformance.test_7_names_that_are_prefixes_of_each_other_or_of_methods_stay_apart,
            *POSITIVE,
            architecture="mmoe",
        ),
    ),
    "8": (
        experts_in_another_order,
        run(
            test_ple.test_stacked_experts_equal_a_plain_loop_forward_and_backward,
            shape="unequal by task and level",
            dtype=torch.float64,
        ),
    ),
    "9 logits": (
        probabilities_for_logits,
        run(conformance.test_9_outputs_are_logits, *MODEL, architecture="cgc"),
    ),
    "9 batch size": (
        sums_for_means,
        run(test_losses.test_the_loss_does_not_scale_with_the_batch, normalise="per_task"),
    ),
    "10a": (
        a_facet_forgotten,
        run_on_mfh(
            conformance_mfh.test_10a_there_are_2_and_as_many_switchers_as_values_each_fanning_out_to_the_other_facet
        ),
    ),
    "10b": (
        trees_added_as(lambda parts: torch.stack(parts).mean(0)),
        run_on_mfh(
            conformance_mfh.test_10b_without_the_other_tree_every_cell_is_that_of_h_mtl,
            "make_model",
            kept="task",
            dropped="user_cohort",
        ),
    ),
    "10c": (
        cells_that_read_all_switchers,
        run_on_mfh(
            conformance_mfh.test_10c_a_cell_reaches_its_own_level_2_switchers_and_both_of_level_1,
            "positive",
            task="click",
            group="new",
        ),
    ),
    "10d": (
        trees_added_as(lambda parts: 2 * parts[0] + sum(parts[1:])),
        run_on_mfh(conformance_mfh.test_10d_exchanging_the_facets_leaves_all_cells_unchanged, "make_model"),
    ),
    "10e": (
        a_group_by_computing_all,
        run_on_mfh(
            conformance_mfh.test_10e_one_group_alone_is_the_same_and_computes_nothing_for_others,
            "monkeypatch",
            group=1,
        ),
    ),
    "10e of three facets": (
        a_group_by_computing_all,
        lambda fixtures: (
            conformance_mfh.test_10e_one_pair_of_groups_alone_is_the_same_and_computes_nothing_for_others(
                network_of(fixtures, items=conformance_mfh.ITEMS, trunk=conformance_mfh.THREE_FACETS),
                group=4,
                monkeypatch=fixtures("monkeypatch"),
            )
        ),
    ),
    "11": (
        means_of_each_rank,
        run(
            test_losses.test_the_loss_does_not_depend_on_how_rows_are_divided_among_ranks,
            normalise="per_task",
            ranks=[[0, 3], [1, 2], [4]],
        ),
    ),
    **{
        f"level 0, all that is seen of the input: {trunk}": (
            break_it,
            run(
                conformance_level0.test_level_0_is_all_that_trees_and_towers_see_of_the_input,
                "make_model",
                architecture=f"{trunk}_on_level_0",
            ),
        )
        for trunk, break_it in (
            ("mfh", a_tree_that_reads_the_input),
            ("h_mtl", a_tree_alone_that_reads_the_input),
            ("flat", a_flat_switcher_that_reads_the_input),
        )
    },
    "level 0, one for all trees": (
        a_level_0_per_tree,
        run(
            conformance_level0.test_the_first_switchers_of_all_trees_read_the_output_of_level_0,
            "make_model",
            architecture="mfh_on_level_0",
        ),
    ),
    "level 0, trained by every cell": (
        level_0_without_gradients,
        run(
            conformance_level0.test_the_loss_of_every_cell_reaches_level_0,
            "make_model",
            "positive",
            architecture="flat_on_level_0",
        ),
    ),
    "level 0, below the tree of h_mtl": (
        a_tree_alone_that_reads_the_input,
        run(
            conformance_level0.test_10b_on_level_0_every_cell_without_the_other_tree_is_that_of_h_mtl,
            "make_model",
            kept="task",
            dropped="user_cohort",
        ),
    ),
    "12 in training": (
        gradients_that_are_never_cleared,
        run(test_golden.test_twenty_steps_give_the_golden_losses, *MODEL, architecture="ple"),
    ),
    "12": (
        other_initial_weights,
        run(test_golden.test_twenty_steps_give_the_golden_losses, *MODEL, architecture="ple"),
    ),
}


@pytest.fixture
def fixtures(request: pytest.FixtureRequest) -> Fixtures:
    """A fixture by its name."""
    return request.getfixturevalue


@pytest.mark.parametrize("rule", CASES)
def test_a_broken_rule_fails_its_test(rule: str, fixtures: Fixtures, monkeypatch: pytest.MonkeyPatch) -> None:
    break_it, test = CASES[rule]
    test(fixtures)

    with monkeypatch.context() as patch:
        break_it(patch)
        with pytest.raises((AssertionError, RuntimeError, IndexError)):
            test(fixtures)
