"""What level 0 brings: MFH with and without the layer that all cells share (Liu et al., CIKM 2022, A.4).

Towers are those of all variants of bench.cohorts.
"""

from bench.cohorts.architectures import VARIANTS, Variant, cgc, level0, ple, trees

LEVEL0: dict[str, Variant] = {
    "mfh": Variant("mfh", lambda w: trees(cgc(w))),
    "mfh on level 0": Variant("mfh", lambda w: trees(cgc(w)) | level0(2 * w)),
    "mfh of the paper": VARIANTS["mfh of the paper"],
    "mfh of the paper, no level 0": VARIANTS["mfh of the paper, no level 0"],
    "ple": Variant("ple", ple),
    "shared bottom, tower per cell": VARIANTS["shared bottom, tower per cell"],
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
