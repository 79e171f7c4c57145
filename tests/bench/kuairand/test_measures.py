"""Only trainings of the same seeds are compared."""

from bench.kuairand.measures import cells_in_order, of_common_seeds


def row(name: str, seed: int) -> dict[str, object]:
    """Return a result whose cells name their model and seed."""
    return {"name": name, "seed": seed, "cells": {f"click|{name}{seed}": {}}}


def test_seeds_that_one_model_lacks_are_left_out() -> None:
    rows = [row("mfh", 2), row("ple", 1), row("mfh", 1), row("ple", 3), row("mfh", 3)]
    assert of_common_seeds(rows, ["ple", "mfh", "flat"]) == {
        "ple": [{"click|ple1": {}}, {"click|ple3": {}}],
        "mfh": [{"click|mfh1": {}}, {"click|mfh3": {}}],
    }


def test_models_without_a_common_seed_are_not_compared() -> None:
    assert of_common_seeds([row("mfh", 2), row("ple", 1)], ["ple", "mfh"]) == {}
    assert of_common_seeds([], ["ple", "mfh"]) == {}


def test_cells_stand_by_task() -> None:
    cells = {"click|all": {}, "like|all": {}, "click|new": {}, "like|new": {}}
    assert cells_in_order(cells) == ["click|all", "click|new", "like|all", "like|new"]
