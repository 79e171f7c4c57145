"""What the declaration of a model's inputs checks about itself."""

from typing import Any

import pytest
from pydantic import ValidationError

from core.inputs import Inputs

INPUTS: dict[str, Any] = {
    "categorical": [{"column": "tab", "dim": 4}],
    "dense": [],
    "vocabulary_min_count": 1,
    "vocabulary_max_size": 10,
}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "neither categorical nor dense inputs are declared"),
        ([{"column": "tag", "dim": 4, "split": ""}], "at least 1 character"),
        ([{"column": "tag", "dim": 0}], "greater than or equal to 1"),
        ([{"column": "tag", "dim": 4, "hash_size": 1}], "greater than or equal to 2"),  # 0 is for missing
        (
            [{"column": "tag", "dim": 4}, {"column": "shelf", "dim": 8, "table": "tag"}],
            "tag and shelf share table tag, but their hash_size and dim are (None, 4) and (None, 8)",
        ),
        (
            [{"column": "tag", "dim": 4, "hash_size": 9}, {"column": "shelf", "dim": 4, "table": "tag"}],
            "their hash_size and dim are (9, 4) and (None, 4)",
        ),
    ],
)
def test_inputs_that_make_no_model_are_refused(columns: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Inputs.model_validate(INPUTS | {"categorical": columns})

    assert message in str(error.value)


def test_columns_share_a_table_by_its_name() -> None:
    columns = [{"column": "tag", "dim": 4}, {"column": "shelf", "dim": 4, "table": "tag"}]

    inputs = Inputs.model_validate(INPUTS | {"categorical": columns})

    assert [column.table_name for column in inputs.categorical] == ["tag", "tag"]


def test_a_model_may_read_numbers_alone() -> None:
    dense = [{"column": "hour", "transform": "quantile"}]

    assert Inputs.model_validate(INPUTS | {"categorical": [], "dense": dense}).dense[0].column == "hour"
