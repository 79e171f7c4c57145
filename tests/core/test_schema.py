"""What one part of a configuration checks about itself."""

import pytest

from core.features import Aggregate, FeatureGroup
from core.schema import Promotion, Task


@pytest.mark.parametrize("option", ["weight", "decay"])
def test_a_weight_of_a_task_is_not_negative(option: str) -> None:
    assert getattr(Task.model_validate({"name": "a", "label": "b", "kind": "binary", option: 0}), option) == 0
    with pytest.raises(ValueError, match=f"{option}\n.*greater than or equal to 0"):
        Task.model_validate({"name": "a", "label": "b", "kind": "binary", option: -1})


@pytest.mark.parametrize("name", ["recency_days", "first_event_time"])
def test_a_feature_that_every_entity_has_is_not_declared_again(name: str) -> None:
    with pytest.raises(ValueError, match=f"features \\['{name}'\\] are named twice"):
        FeatureGroup(aggregates=(Aggregate(name=name, agg="count", windows=("all",)),))


def test_the_variance_of_seeds_of_each_metric_that_decides_is_declared() -> None:
    values = {
        "primary_tasks": ["click"],
        "metric": "gauc",
        "regression_metric": "mse",
        "margin": {"gauc": 0.001, "mse": 0.01},
        "cell_margin": {"gauc": 0.01, "mse": 0.05},
        "min_users": 30,
    }

    assert Promotion.model_validate(values | {"seed_std": {"gauc": 0.001, "mse": 0.01}}).metric == "gauc"
    with pytest.raises(ValueError, match=r"seed_std lacks \['gauc'\]; set one for each metric"):
        Promotion.model_validate(values | {"seed_std": {"auc": 0.001, "mse": 0.01}})


def test_the_variance_of_seeds_of_a_task_says_of_which_metric_it_is() -> None:
    values = {
        "primary_tasks": ["click"],
        "metric": "gauc",
        "regression_metric": "mse",
        "margin": {"gauc": 0.001, "mse": 0.01},
        "cell_margin": {"gauc": 0.01, "mse": 0.05},
        "min_users": 30,
        "seed_std": {"gauc": 0.015, "mse": 0.02},
    }

    rules = Promotion.model_validate(values | {"task_seed_std": {"click": {"auc": 0.001}}})

    assert rules.seed_std_of("click", "auc") == 0.001
    assert rules.seed_std_of("click", "gauc") == 0.015  # not that of AUC
    with pytest.raises(ValueError, match=r"task_seed_std\.click\n"):
        Promotion.model_validate(values | {"task_seed_std": {"click": 0.001}})
