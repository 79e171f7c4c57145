"""The old rule, on cells whose gains are known."""

import pytest

from bench.promotion.rules import old_rule, outcome, rules_with
from tests.quality.measured import RULES, cell


@pytest.mark.parametrize(
    ("likes", "promoted", "veto"),
    [  # (gain, standard error) of likes, beside clicks of -.001 +- .001
        ((0.03, 0.02), True, False),  # noise carried the mean
        ((-0.03, 0.02), False, False),
        ((-0.05, 0.02), False, True),
    ],
)
def test_the_old_rule_took_the_plain_mean_and_any_interval_below_zero(
    likes: tuple[float, float], promoted: bool, veto: bool
) -> None:
    cells = [cell(-0.001, 0.001), cell(*likes, number=1, task="like")]

    assert old_rule(cells) == (promoted, veto)


def test_the_standard_error_over_users_is_that_of_the_mean_without_seeds() -> None:
    rules = RULES.model_copy(update={"task_seed_std": {"click": {"auc": 0.004}}})

    assert outcome([cell(0.0, 0.003)], rules).user_std == pytest.approx(0.003)


def test_measured_standard_deviations_over_seeds_are_those_of_auc() -> None:
    rules = rules_with({"click": 0.004})

    assert rules.seed_std_of("click", "auc") == 0.004
    assert rules.seed_std_of("click", "gauc") == rules.seed_std["gauc"]
