"""What one part of a configuration checks about itself."""

from typing import Any

import pytest
import yaml

from core.features import Aggregate, FeatureGroup
from core.schema import Config, Promotion, Task
from tests.features.small import CONFIG


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


def small(**changes: Any) -> dict[str, Any]:
    """The small configuration of the feature tests, as YAML has it, with some sections changed."""
    values: dict[str, Any] = yaml.safe_load(CONFIG)
    for section, change in changes.items():
        values[section] = change if isinstance(change, list) else values.get(section, {}) | change
    return values


def test_labels_do_not_mature_later_than_nights_repair() -> None:
    click, play = small()["tasks"]

    def with_horizon(days: int) -> Config:
        values = small(tasks=[click, play | {"matures_days": 2}])
        values["source"]["events"]["lateness_days"] = days
        return Config.model_validate(values)

    assert [task.matures_days for task in with_horizon(2).tasks] == [0, 2]
    with pytest.raises(ValueError, match=r"tasks\.play\.matures_days is 2, .*lateness_days to 2, or lower"):
        with_horizon(1)


def test_a_share_of_negatives_is_kept_and_never_none() -> None:
    assert Config.model_validate(small()).training.keep_negatives == 1
    assert Config.model_validate(small(training={"keep_negatives": 0.1})).training.keep_negatives == 0.1
    with pytest.raises(ValueError, match=r"keep_negatives\n.*greater than or equal to 0.000001"):
        Config.model_validate(small(training={"keep_negatives": 0}))


def test_repeats_are_an_order_of_columns() -> None:
    order = ["is_click DESC", "event_time"]
    assert Config.model_validate(small(examples={"repeats": order})).examples.repeats == tuple(order)
    with pytest.raises(ValueError, match=r"'max\(tab\)' is no order; write a column of events"):
        Config.model_validate(small(examples={"repeats": ["max(tab)"]}))
