"""MFH, and PLE, with one thing changed at a time; each takes the learning rate of what it changes."""

from collections.abc import Mapping
from typing import Any

from bench.cohorts.architectures import Variant, cgc, ple, trees


def _switchers(kind: str, trunk: Mapping[str, Any]) -> dict[str, Any]:
    return trees({"kind": kind, "trunk": dict(trunk)})


def _mmoe(width: int) -> dict[str, Any]:
    return {"levels": [{"experts": 4, "expert_widths": [width], "norm": "layer"}]}


FACETS_ALONE = {
    # The other facet alone, behaviour first, is `h_mtl` of the comparison.
    "group tree alone": Variant("h_mtl", lambda w: trees(cgc(w), first="user_cohort"), tuned_as="h_mtl"),
}
SWITCHERS = {
    "switchers shared bottom": Variant(
        "mfh", lambda w: _switchers("shared_bottom", {"widths": [w], "norm": "layer"}), tuned_as="mfh"
    ),
    "switchers MMoE": Variant("mfh", lambda w: _switchers("mmoe", _mmoe(w)), tuned_as="mfh"),
    "switchers PLE of 2 levels": Variant("mfh", lambda w: _switchers("ple", ple(w)), tuned_as="mfh"),
}
LOSSES = {
    "mean per cell": Variant("mfh", lambda w: trees(cgc(w)), normalise="per_cell", tuned_as="mfh"),
    "mean over all cells": Variant("mfh", lambda w: trees(cgc(w)), normalise="global", tuned_as="mfh"),
}
TOWERS = {
    "smaller towers for new users": Variant(
        "mfh", lambda w: trees(cgc(w)), towers={"new": [8]}, tuned_as="mfh"
    ),
    "no hidden layer for new users": Variant(
        "mfh", lambda w: trees(cgc(w)), towers={"new": []}, tuned_as="mfh"
    ),
}


def _with_experts(name: str, options: Mapping[str, Any]) -> Variant:
    """Return MFH or PLE with other options of experts or gates."""
    if name == "mfh":
        return Variant("mfh", lambda w: trees(cgc(w, **options)), tuned_as="mfh")
    return Variant("ple", lambda w: ple(w, **options), tuned_as="ple")


OPTIONS: dict[str, dict[str, Any]] = {
    "sigmoid gates": {"gate": "sigmoid"},
    "no norm": {"norm": "none"},
}
EXPERTS = {
    f"{name}, {what}": _with_experts(name, options)
    for name in ("mfh", "ple")
    for what, options in OPTIONS.items()
}
SIZES = {
    # PLE's width at the parameters that all variants have is 94, MFH's 38.
    "as wide as PLE, so with more parameters": Variant(
        "mfh", lambda w: trees(cgc(w)), tuned_as="mfh", width=94
    ),
}
ABLATIONS: dict[str, Variant] = {**SIZES, **FACETS_ALONE, **SWITCHERS, **LOSSES, **TOWERS, **EXPERTS}
