"""Numbers that would turn a loss round are refused."""

import pytest

from core.schema import Task


@pytest.mark.parametrize("knob", ["weight", "decay"])
def test_a_task_is_never_learnt_the_wrong_way_round(knob: str) -> None:
    assert getattr(Task.model_validate({"name": "a", "label": "b", "kind": "binary", knob: 0}), knob) == 0
    with pytest.raises(ValueError, match=f"{knob}\n.*greater than or equal to 0"):
        Task.model_validate({"name": "a", "label": "b", "kind": "binary", knob: -1})
