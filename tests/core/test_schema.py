"""Numbers that would turn a loss round are refused."""

import pytest

from core.schema import Aggregate, EntityFeatures, Task


@pytest.mark.parametrize("knob", ["weight", "decay"])
def test_a_task_is_never_learnt_the_wrong_way_round(knob: str) -> None:
    assert getattr(Task.model_validate({"name": "a", "label": "b", "kind": "binary", knob: 0}), knob) == 0
    with pytest.raises(ValueError, match=f"{knob}\n.*greater than or equal to 0"):
        Task.model_validate({"name": "a", "label": "b", "kind": "binary", knob: -1})


@pytest.mark.parametrize("name", ["recency_days", "first_event_time"])
def test_a_feature_that_every_entity_has_is_not_declared_again(name: str) -> None:
    with pytest.raises(ValueError, match=f"features \\['{name}'\\] are named twice"):
        EntityFeatures(aggregates=(Aggregate(name=name, agg="count", windows=("all",)),))
