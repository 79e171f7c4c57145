"""The architectures that a model YAML uses, and that nothing else imports one."""

import ast
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from core.config_model import ConfigModel
from core.errors import ConfigError
from core.load import load_config
from core.model import Loss, Model, Optimiser
from models import architectures
from models.modules import used
from models.modules.facets import SwitcherConfig
from models.modules.trunk import Architecture, Trunk
from models.modules.used import architectures_in

ROOT = Path(__file__).resolve().parents[3]
BOTTOM = {"kind": "shared_bottom", "trunk": {"widths": [4]}}
MMOE = {"kind": "mmoe", "trunk": {"levels": [{"experts": 2, "expert_widths": [4]}]}}


def model_of(architecture: str, trunk: dict[str, Any]) -> Model:
    return Model(
        name="mine",
        architecture=architecture,
        trunk=trunk,
        tower=(4,),
        loss=Loss(normalise="per_task"),
        optimiser=Optimiser(learning_rate=0.01, batch_rows=8, max_epochs=1, patience=1),
    )


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("ple", {"ple"}),
        ("cgc", {"ple"}),
        ("esmm", {"esmm"}),
        ("flat", {"flat", "ple"}),
        ("mfh", {"mfh", "ple"}),
        ("mfh_paper", {"mfh", "ple"}),
    ],
)
def test_a_model_yaml_uses_its_architecture_and_those_of_its_switchers(name: str, names: set[str]) -> None:
    assert architectures_in(load_config(model=name).model) == names


def test_switchers_of_both_levels_count() -> None:
    trunk = {"facets": ["user_cohort"], "level1": BOTTOM, "level2": MMOE}

    assert architectures_in(model_of("h_mtl", trunk)) == {"h_mtl", "shared_bottom", "mmoe"}


class _Inner(ConfigModel):
    switcher: SwitcherConfig = SwitcherConfig.model_validate(MMOE)


class _Outer(ConfigModel):
    parts: tuple[_Inner, ...] = (_Inner(),)
    by_name: dict[str, SwitcherConfig] = Field(default_factory=dict)


def test_switchers_in_defaults_of_omitted_keys_count_however_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    find = used.find_architecture
    invented = Architecture(_Outer, Trunk)
    monkeypatch.setattr(
        used, "find_architecture", lambda name, key: invented if name == "invented" else find(name, key)
    )

    assert architectures_in(model_of("invented", {})) == {"invented", "mmoe"}
    both = {"by_name": {"click": BOTTOM}}
    assert architectures_in(model_of("invented", both)) == {"invented", "mmoe", "shared_bottom"}


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        (
            {"level1": BOTTOM | {"kind": "os"}, "level2": BOTTOM},
            r"model\.trunk: kind 'os' is unknown; known are",
        ),
        ({"level1": BOTTOM}, r"model\.trunk: level2: Field required"),
    ],
)
def test_a_trunk_that_cannot_be_read_names_file_and_key(trunk: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"conf/models/mine\.yaml: {message}"):
        architectures_in(model_of("mfh", trunk | {"facets": ["user_cohort"]}))


def imports_of(file: Path) -> set[str]:
    """Modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {f"{node.module}"}
    return found


def test_no_module_imports_an_architecture_but_by_its_name() -> None:
    """Not even another architecture: what several of them use is in models/modules."""
    names = {
        f"models.architectures.{file.stem}" for file in Path(architectures.__path__[0]).glob("[a-z]*.py")
    }
    importers = {
        str(file.relative_to(ROOT))
        for folder in ("core", "features", "models", "quality", "jobs")
        for file in (ROOT / folder).rglob("*.py")
        if imports_of(file) & names
    }

    assert len(names) > 10
    assert importers == set()
