"""Write what docs/models.md takes from the code: a picture of each of conf/models, and what they cost.

    make docs        (= .venv/bin/python tools/model_guide.py)

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. A model YAML without a picture
gets a heading and its picture at the end of the architectures; what to say there is left to people.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

from core.load import CONF_DIR, PROJECT_DIR, load_config
from jobs.cli.describe_model import cohorts_of, describe_config, describe_file, picture, trunk_and_towers
from models.describe.shapes import Description, flops_of, parameters_of
from models.modules.trunk import find_architecture

GUIDE = PROJECT_DIR / "docs" / "models.md"
DATASET = "kuairand"
MODELS = sorted(file.stem for file in (CONF_DIR / "models").glob("*.yaml"))

_BLOCK = re.compile(r"<!-- generated: (.*?) -->\n(.*?)<!-- end -->", re.S)
_END = "<!-- end of architectures -->"


@cache
def picture_of(name: str) -> str:
    """Draw a model small: two values of each cohort column, and two tasks where outputs are cells."""
    config = load_config(DATASET, model=name)
    tasks = [task.name for task in config.tasks]
    is_by_cell = find_architecture(config.model.architecture).is_by_cell
    cohorts = {column: names[:2] for column, names in cohorts_of(config).items()}
    found = describe_config(config, tasks[:2] if is_by_cell else tasks, cohorts)
    return f"```mermaid\n{picture(found)}\n```\n"


@cache
def costs() -> str:
    """Lay out what each model costs on the data set."""
    described = {name: describe_file(name, DATASET)[1] for name in MODELS}
    rows = [
        "| model | trunk | towers | FLOPs | mixing | FLOPs of one group |",
        "|---|--:|--:|--:|--:|--:|",
        *(f"| `{name}` | {' | '.join(_costs_of(found))} |" for name, found in described.items()),
    ]
    tables = sorted({parameters_of(found.tables) for found in described.values()})
    beside = f"Beside them, embeddings of at most {' or '.join(f'{n:,}' for n in tables)} parameters."
    return "\n".join([*rows, "", beside, ""])


def _costs_of(found: Description) -> list[str]:
    numbers = [*map(parameters_of, trunk_and_towers(found)), *flops_of(found.parts)]
    groups = sorted({flops_of(found.needed_for(group))[0] for group in found.needed_by_group})
    is_by_cell = set(found.needed_by_group) != {"all"}
    return [*(f"{n:,}" for n in numbers), " or ".join(f"{n:,}" for n in groups) if is_by_cell else "the same"]


def written(guide: str) -> str:
    """Give the guide with all generated parts as they are now.

    Raises:
        KeyError: a generated part of a name that nothing generates, such as a model YAML that is gone.
    """
    makers: dict[str, Callable[[], str]] = {
        f"picture of {name}": lambda n=name: picture_of(n) for name in MODELS
    }
    makers["costs"] = costs
    known = {name for name, _ in _BLOCK.findall(guide)}
    missing = [
        f"### {name}\n\n<!-- generated: picture of {name} -->\n<!-- end -->\n\n"
        for name in MODELS
        if f"picture of {name}" not in known
    ]
    guide = guide.replace(_END, "".join(missing) + _END)
    return _BLOCK.sub(lambda m: f"<!-- generated: {m[1]} -->\n{makers[m[1]]()}<!-- end -->", guide)


def main(path: Path = GUIDE) -> None:
    """Rewrite the guide."""
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{path.relative_to(PROJECT_DIR)}: {len(MODELS)} pictures")


if __name__ == "__main__":
    main()
