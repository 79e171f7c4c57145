"""docs/models and the code agree: costs, every option and its default, a page per architecture."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic.fields import FieldInfo

from core.config_model import ConfigModel
from core.inputs import Inputs
from core.load import load_config
from core.model import Model
from core.schema import Task
from models import architectures
from models.modules.trunk import find_architecture
from tools.model_guide import FOLDER, GUIDE, MODELS, written

TEXT = GUIDE.read_text(encoding="utf-8")
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("*.md"))}
TABLES = [
    found for page in PAGES.values() for found in re.findall(r"<!-- options: (\S+) -->\n((?:\|.*\n)+)", page)
]
"""(class, the table of its options), over all pages."""
ARCHITECTURES = sorted(file.stem for file in Path(architectures.__path__[0]).glob("[a-z]*.py"))


def classes_in(annotation: Any) -> Iterator[type[ConfigModel]]:
    """Yield the classes of configuration inside of a type, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        yield annotation
    for argument in get_args(annotation):
        yield from classes_in(argument)


def documented(declared: type[ConfigModel]) -> dict[str, type[ConfigModel]]:
    """Return a class of the configuration, its bases and those of its options, if they have options."""
    found: dict[str, type[ConfigModel]] = {}
    for each in declared.__mro__:
        if issubclass(each, ConfigModel) and own_options(each):
            found[f"{each.__module__}.{each.__name__}"] = each
            for field in own_options(each).values():
                for inner in classes_in(field.annotation):
                    found |= documented(inner)
    return found


def own_options(declared: type[ConfigModel]) -> dict[str, FieldInfo]:
    """Return the options that a class adds to those it inherits."""
    return {
        name: declared.model_fields[name]
        for name in vars(declared).get("__annotations__", {})
        if name in declared.model_fields
    }


def default_of(field: FieldInfo) -> str:
    """Return a default as the pages write it."""
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, ConfigModel):
        return "its defaults"
    if value and isinstance(value, tuple):
        value = [*value]  # as a YAML has it
    return "none" if value is None or value == {} else f"`{value}`"


CLASSES = {
    name: declared
    for top in (Model, Inputs, Task, *(find_architecture(name).config for name in ARCHITECTURES))
    for name, declared in documented(top).items()
}


def test_the_generated_parts_of_the_guide_are_those_that_make_docs_writes() -> None:
    assert written(TEXT) == TEXT, "run `make docs`"


def test_a_wrong_figure_is_found() -> None:
    changed = TEXT.replace("| `ple` | ", "| `ple` | 9", 1)

    assert changed != TEXT == written(changed)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_has_a_page_with_equations_and_its_source(name: str) -> None:
    page = PAGES[name]

    assert page.startswith(f"# {name}\n")
    assert "```" in page
    assert "\nSource: " in page
    assert "ifferences:" in page
    assert f"({name}.md)" in TEXT


@pytest.mark.parametrize("name", MODELS)
def test_each_model_yaml_is_explained_on_the_page_of_its_architecture(name: str) -> None:
    architecture = load_config(model=name).model.architecture

    assert name == architecture or f"`{name}.yaml`" in PAGES[architecture]


def test_there_is_one_table_for_each_class_of_the_configuration_that_has_options() -> None:
    assert sorted(name for name, _ in TABLES) == sorted(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_table_names_every_option_with_its_default(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .+ \|$", dict(TABLES)[name], re.M)

    assert dict(rows) == {option: default_of(field) for option, field in own_options(CLASSES[name]).items()}
    module, _, class_name = name.rpartition(".")
    assert getattr(importlib.import_module(module), class_name) is CLASSES[name]


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_and_to_notes_exist(name: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", PAGES[name]):
        assert (FOLDER / target).is_file(), target


def test_the_example_in_python_returns_what_its_comments_say() -> None:
    example = TEXT.split("```python\n")[1].split("```")[0]
    found: dict[str, Any] = {}
    exec(compile(example, str(GUIDE), "exec"), found)

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


def test_the_example_of_gradients_continues_the_one_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    examples = [page.split("```python\n")[1].split("```")[0] for page in (TEXT, PAGES["cells"])]
    found: dict[str, Any] = {}
    exec(compile("\n".join(examples), str(GUIDE), "exec"), found)

    printed = capsys.readouterr().out.splitlines()
    assert "towers.*_tower ('new',) 1.0 None" in {" ".join(line.split()[:4]) for line in printed}
    assert sum(share.row_share for share in found["shares"][:3]) == 1
