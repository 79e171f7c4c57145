"""Tables of results that nobody trained, with differences that are known."""

from typing import Any

import numpy as np
import pytest

from bench.kuairand.plan import FAMILY, NAMES, PAIRS, SEEDS, TUNING_SEED
from bench.kuairand.report import compared, of_common_seeds, print_report
from jobs.workers.synthetic.hashing import Floats

CELLS = [f"{task}|{of}" for task in ("click", "like") for of in ("all", *FAMILY, "new items")]
DRAWS = 100
BEST, BETTER_BY = PAIRS[0][0], 0.01


def measure(random: np.random.Generator, level: float, users: Floats) -> dict[str, Any]:
    """Return a measure of a seed, 1e-3 of noise of its own, and its draws: shared and own noise of users."""
    value = level + 1e-3 * random.standard_normal()
    return {"value": value, "draws": (users + 10 * random.standard_normal(DRAWS)).round().tolist()}


def line(name: str, seed: int) -> dict[str, Any]:
    """Return a final: BEST ranks new users better, and has as much lower a log loss for them."""
    random = np.random.default_rng([NAMES.index(name), seed])
    users = 500 * np.random.default_rng(0).standard_normal(DRAWS)
    cells = {}
    for cell in CELLS:
        gain = BETTER_BY if name == BEST and cell.endswith("|new") else 0.0
        cells[cell] = {
            "positives": 100,
            "negatives": 900,
            "auc": measure(random, 0.7 + gain, users),
            "log_loss": measure(random, 0.5 - gain, users),
        }
    cells["like|new items"] = {"positives": 3, "negatives": 900}
    return {"step": "final", "variant": name, "seed": seed, "cells": cells}


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    return [line(name, seed) for seed in SEEDS for name in NAMES]


def bare(name: str, seed: int) -> dict[str, Any]:
    """Return a final whose cells name its variant and seed."""
    return {"variant": name, "seed": seed, "cells": {f"click|{name}{seed}": {}}}


def test_seeds_that_one_variant_lacks_are_left_out() -> None:
    one, other = NAMES[:2]
    rows = [bare(other, 2), bare(one, 1), bare(other, 1), bare(one, 3), bare(other, 3)]
    assert of_common_seeds(rows) == {
        one: [{f"click|{one}1": {}}, {f"click|{one}3": {}}],
        other: [{f"click|{other}1": {}}, {f"click|{other}3": {}}],
    }


def test_variants_without_a_common_seed_are_not_compared() -> None:
    assert of_common_seeds([bare(NAMES[0], 2), bare(NAMES[1], 1)]) == {}
    assert of_common_seeds([]) == {}


@pytest.mark.parametrize("of", ["auc", "log_loss"])
def test_a_planted_gain_is_found_and_none_else(lines: list[dict[str, Any]], of: Any) -> None:
    found = compared(of_common_seeds(lines), of, is_in_family=True)

    assert len(found) == len(PAIRS) * 2 * len(FAMILY)
    decided = {comparison for comparison, one in found.items() if one.p < 0.05}
    with_best = [pair for pair in PAIRS if BEST in pair]
    assert decided == {(*pair, f"{task}|new") for pair in with_best for task in ("click", "like")}
    for comparison in decided:
        assert comparison[0] == BEST
        assert found[comparison].alone.mean == pytest.approx(BETTER_BY, abs=0.0015)
        assert found[comparison].together.low > 0
        assert found[comparison].closer == len(SEEDS)


def test_users_that_all_variants_share_cancel(lines: list[dict[str, Any]]) -> None:
    """Draws of users move every AUC by .005, and gains by .0001."""
    found = compared(of_common_seeds(lines), "auc", is_in_family=True)

    assert all(one.alone.high - one.alone.low < 0.003 for one in found.values())


def test_cells_beside_the_family_are_those_with_enough_rows(lines: list[dict[str, Any]]) -> None:
    found = compared(of_common_seeds(lines), "auc", is_in_family=False)

    assert {cell for *_, cell in found} == {"click|all", "like|all", "click|new items"}


def test_a_run_that_was_cut_off_is_shown_by_the_seeds_that_all_variants_have(
    lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    tuning = {"step": "tune", "variant": "ple", "seed": TUNING_SEED, "validation_loss": 0.5}

    print_report([tuning, *lines[: 3 * len(NAMES) + 2]])

    shown = capsys.readouterr().out
    assert shown.startswith(f"3 seeds that all of {len(NAMES)} variants have")
    assert "of 3 |" in shown
    assert "| like, new items | 3 | too few |" in shown


@pytest.mark.parametrize(("kept", "tables"), [(0, 0), (1, 2), (2, 6)])
def test_intervals_need_two_seeds(
    kept: int, tables: int, lines: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    print_report(lines[: kept * len(NAMES)])

    assert capsys.readouterr().out.count("\n| --- |") == tables
