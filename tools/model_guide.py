"""Write what docs/models/README.md takes from the code: what each of conf/models costs.

    make docs        (= .venv/bin/python tools/model_guide.py)

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

import re
from functools import cache
from pathlib import Path

from core.load import CONF_DIR, PROJECT_DIR
from jobs.cli.describe_model import describe_file, trunk_and_towers
from models.describe.shapes import Description, flops_of, parameters_of

FOLDER = PROJECT_DIR / "docs" / "models"
GUIDE = FOLDER / "README.md"
DATASET = "kuairand"
MODELS = sorted(file.stem for file in (CONF_DIR / "models").glob("*.yaml"))

_BLOCK = re.compile(r"<!-- generated: (.*?) -->\n(.*?)<!-- end -->", re.S)


@cache
def costs() -> str:
    """Return the table of what each model costs on the data set."""
    described = {name: describe_file(name, DATASET)[1] for name in MODELS}
    rows = [
        "| model | trunk | towers | FLOPs | gate-weighted sums | FLOPs of one group |",
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
    """Return the guide with all generated parts as they are now.

    Raises:
        KeyError: nothing generates a part of this name.
    """
    makers = {"costs": costs}
    return _BLOCK.sub(lambda m: f"<!-- generated: {m[1]} -->\n{makers[m[1]]()}<!-- end -->", guide)


def main(path: Path = GUIDE) -> None:
    """Rewrite the guide."""
    path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{path.relative_to(PROJECT_DIR)}: costs of {len(MODELS)} models")


if __name__ == "__main__":
    main()
