"""docs/models.md and the code agree: pictures, costs, every knob and its default."""

import importlib
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from pydantic.fields import FieldInfo

from core.config_model import ConfigModel
from core.inputs import Inputs
from core.load import load_config
from core.model import Model
from core.schema import Task
from models.modules.trunk import find_architecture
from tools.model_guide import GUIDE, MODELS, written

TEXT = GUIDE.read_text(encoding="utf-8")
TABLES = dict(re.findall(r"<!-- knobs: (\S+) -->\n((?:\|.*\n)+)", TEXT))
"""Class -> the table of its knobs."""


def parts_in(annotation: Any) -> Iterator[type[ConfigModel]]:
    """The classes of configuration inside of a type, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        yield annotation
    for argument in get_args(annotation):
        yield from parts_in(argument)


def documented(part: type[ConfigModel]) -> dict[str, type[ConfigModel]]:
    """A class of the configuration, those it inherits from and those of its knobs, if they have knobs."""
    found: dict[str, type[ConfigModel]] = {}
    for each in part.__mro__:
        if issubclass(each, ConfigModel) and own_knobs(each):
            found[f"{each.__module__}.{each.__name__}"] = each
            for field in own_knobs(each).values():
                for inner in parts_in(field.annotation):
                    found |= documented(inner)
    return found


def own_knobs(part: type[ConfigModel]) -> dict[str, FieldInfo]:
    """The knobs that a class adds to those it inherits."""
    return {
        name: part.model_fields[name]
        for name in vars(part).get("__annotations__", {})
        if name in part.model_fields
    }


def default_of(field: FieldInfo) -> str:
    """A default as the guide writes it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, ConfigModel):
        return "its defaults"
    return "none" if value is None or value == {} else f"`{value}`"


ARCHITECTURES = {find_architecture(load_config(model=name).model.architecture).config for name in MODELS}
PARTS = {
    name: part for top in (Model, Inputs, Task, *ARCHITECTURES) for name, part in documented(top).items()
}


def test_the_generated_parts_of_the_guide_are_those_that_make_docs_writes() -> None:
    assert written(TEXT) == TEXT, "run `make docs`"


def test_a_model_yaml_without_a_picture_gets_one_and_a_heading() -> None:
    without = re.sub(r"### ple\n.*?<!-- end -->\n", "", TEXT, flags=re.S)
    assert "### ple\n" not in without

    again = written(without)

    assert "### ple\n\n<!-- generated: picture of ple -->\n```mermaid\nflowchart BT\n" in again


def test_a_wrong_picture_is_found() -> None:
    changed = TEXT.replace("n0 -.-> n5", "n0 --> n5", 1)

    assert changed != TEXT == written(changed)


@pytest.mark.parametrize("name", MODELS)
def test_each_model_yaml_has_a_heading(name: str) -> None:
    assert re.search(rf"^### {name}$", TEXT, re.M)


def test_the_guide_has_a_table_for_each_part_of_a_configuration_that_has_knobs() -> None:
    assert set(TABLES) == set(PARTS)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_table_names_every_knob_with_its_default(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", TABLES[name], re.M)

    assert dict(rows) == {knob: default_of(field) for knob, field in own_knobs(PARTS[name]).items()}
    module, _, part = name.rpartition(".")
    assert getattr(importlib.import_module(module), part) is PARTS[name]


def test_the_example_in_python_gives_what_its_comments_say() -> None:
    example = TEXT.split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(compile(example, "docs/models.md", "exec"), found)

    logits, cells = found["logits"], found["cells"]
    assert logits.shape == (2, 3)
    assert cells.shape == (2, 3, 3)
    assert torch.equal(logits, torch.stack([cells[0, :, 0], cells[1, :, 2]]))
    assert found["x"].shape == (2, 4 + 1)
    outputs = found["outputs"]
    assert list(outputs) == [
        f"{task}|{cohort}" for task in found["tasks"] for cohort in ("new", "low", "high")
    ]
    tower = found["model"].network.towers["click|new_tower"]
    assert torch.equal(tower(outputs["click|new"])[:, 0], cells[:, 0, 0])
