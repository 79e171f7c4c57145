"""What level 0 brings: MFH with and without the layer that all cells share (Liu et al., CIKM 2022, A.4).

The paper's sizes are 512 units of level 0; on level 1 PLE of two levels, 256 and 128 wide, with two
experts per branch and two shared; on level 2 CGC, 128 wide, with one and one. A width w stands for 512
here. Towers are those of all variants of bench.cohorts.
"""

from typing import Any

from bench.cohorts.architectures import FACETS, Variant, cgc, level, ple, trees


def of_paper(width: int, has_level0: bool = True) -> dict[str, Any]:
    """Return MFH's trunk in the proportions of the paper's appendix."""
    two = {"task_experts": 2, "shared_experts": 2}
    level1 = {"kind": "ple", "trunk": {"levels": [level(width // 2, **two), level(width // 4, **two)]}}
    trunk = {**FACETS, "level1": level1, "level2": cgc(width // 4)}
    return trunk | (_level0(width) if has_level0 else {})


def _level0(width: int) -> dict[str, Any]:
    return {"level0": {"widths": [width], "norm": "layer"}}


def _bottom(width: int) -> dict[str, Any]:
    return {"kind": "shared_bottom", "trunk": {"widths": [width, width // 2], "norm": "layer"}}


LEVEL0: dict[str, Variant] = {
    "mfh": Variant("mfh", lambda w: trees(cgc(w))),
    "mfh on level 0": Variant("mfh", lambda w: trees(cgc(w)) | _level0(2 * w)),
    "mfh of the paper": Variant("mfh", of_paper),
    "mfh of the paper, no level 0": Variant("mfh", lambda w: of_paper(w, has_level0=False)),
    "ple": Variant("ple", ple),
    "shared bottom, tower per cell": Variant("flat", lambda w: {**FACETS, "switcher": _bottom(w)}),
}
"""`mfh` and `ple` are those of bench.cohorts, whose cohort feature all variants read."""

PAIRS = (
    ("mfh of the paper", "mfh"),
    ("mfh of the paper", "mfh of the paper, no level 0"),
    ("mfh on level 0", "mfh"),
    ("mfh of the paper", "ple"),
    ("shared bottom, tower per cell", "ple"),
)
"""(ours, theirs): whose differences are shown, named before the first training."""
