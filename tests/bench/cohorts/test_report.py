"""Tables on results whose answers are known by hand."""

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.cohorts import beside
from bench.cohorts.architectures import PARAMETERS
from bench.cohorts.outcomes import Outcomes
from bench.cohorts.pairs import over_worlds, to_gains
from bench.cohorts.plan import (
    CONTROL,
    FAMILIES,
    FULL,
    LARGEST,
    MAIN,
    MAP,
    OWN_SIZE,
    OWN_SIZES,
    PAIRS,
    PARTS,
    SIGMAS,
    Block,
    Plan,
)
from bench.cohorts.questions import QUESTIONS, gains_of, question_table
from bench.cohorts.report import print_report
from bench.cohorts.study import final_key
from bench.cohorts.verdicts import control_sentences, map_table
from bench.cohorts.worlds import ALL_SHARED, BASE, ONE_DIAL, World
from bench.results import Results
from jobs.workers.synthetic.dials import COHORTS
from tests.bench.cohorts.made_up import Distance, final_of, in_folder, lines, outcomes_of

CELLS, PLE, MFH = "shared bottom, tower per cell", "ple", "mfh of the paper"
GAIN = 0.01
OTHERS = len(ONE_DIAL) - 1
"""Worlds beside the base world, which has more seeds."""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcomes]:
    """Return a maker of outcomes: distances, or lines of a results file, and a plan."""
    monkeypatch.setattr(Results, "__init__", in_folder(tmp_path))

    def make(distance: Distance, plan: Plan = FULL, keep: Callable[[dict], bool] | None = None) -> Outcomes:
        rows = [row for row in lines(plan.blocks, distance) if keep is None or keep(row)]
        return outcomes_of(plan, rows, tmp_path)

    return make


def noisy(world: World, rows: int, seed: int, name: str) -> np.ndarray:
    """Return noise of each cohort, .001 wide, the same whenever it is asked for."""
    text = f"{world.name} {rows} {seed} {name}"
    return 0.001 * np.random.default_rng(zlib.crc32(text.encode())).standard_normal(len(COHORTS))


def planted(block: Block, world: World, seed: int, name: str) -> dict[str, float]:
    """Towers per cell are closer by GAIN for new users alone; all else is noise."""
    found = dict(zip(COHORTS, 0.03 + noisy(world, block.rows, seed, name), strict=True))
    return found | ({"new": found["new"] - GAIN} if name == CELLS else {})


def test_a_planted_difference_of_a_pair_is_found_and_nothing_else(made: Callable[..., Outcomes]) -> None:
    gains = to_gains(made(planted), *FAMILIES[0])

    assert [len(by_seed) for by_seed in gains[CELLS, PLE].values()] == [10, *[5] * OTHERS]
    family = over_worlds(gains)
    assert len(family) == 3 * len(PAIRS)
    found = {key for key, compared in family.items() if compared.p < 0.05}
    assert found == {(pair, "new") for pair in PAIRS if CELLS in pair}
    cells = family[(CELLS, PLE), "new"]
    assert cells.alone.mean == pytest.approx(GAIN, abs=0.001)
    assert cells.together.low > 0.8 * GAIN
    assert cells.closer == cells.pairs == 10 + 5 * OTHERS


def test_a_pair_without_results_is_left_out_and_two_worlds_are_no_family(
    made: Callable[..., Outcomes],
) -> None:
    gains = to_gains(made(planted, keep=lambda row: row.get("variant") in (CELLS, PLE, None)), *FAMILIES[0])
    assert {pair for pair, _ in over_worlds(gains)} == {(CELLS, PLE)}

    two = to_gains(made(planted, keep=lambda row: row["world"]["name"] in ("base", "sigma 0")), *FAMILIES[0])
    assert {len(by_world) for by_world in two.values()} == {2}
    assert over_worlds(two) == {}


def test_seeds_that_one_pair_lacks_are_left_out_for_all(made: Callable[..., Outcomes]) -> None:
    family = over_worlds(
        to_gains(made(planted, keep=lambda row: (row.get("variant"), row["seed"]) != (MFH, 4)), *FAMILIES[0])
    )

    assert {compared.pairs for compared in family.values()} == {9 + OTHERS * 4}


def test_the_report_takes_any_part_of_the_plan(
    made: Callable[..., Outcomes], capsys: pytest.CaptureFixture[str]
) -> None:
    for keep in (lambda row: False, lambda row: row["seed"] == 1, lambda row: row["rows"] == 480_000):
        print_report(made(planted, keep=keep))
    one_seed = capsys.readouterr().out.split("## Distance")[2]

    assert "one dial, 120,000 rows: new / low / high\n\n| world | seeds | ple | ple on level 0 |" in one_seed
    assert "| base | 1 | .03" in one_seed
    assert "| 120,000 | 0.5 | 1 | shared bottom, tower per cell .0" in one_seed


@pytest.mark.parametrize(
    ("gain", "verdict"), [(GAIN, "wins; the least gain is +"), (0.0, "the bed cannot decide")]
)
def test_a_control_holds_only_where_its_teacher_beats_all_others(
    made: Callable[..., Outcomes], gain: float, verdict: str
) -> None:
    def distance(block: Block, world: World, seed: int, name: str) -> dict[str, float]:
        own = gain if name == world.teacher else 0.0
        return dict(zip(COHORTS, 0.03 - own + noisy(world, block.rows, seed, name), strict=True))

    sentences = control_sentences(made(distance))

    assert len(sentences) == 4
    assert [sentence.split(",")[0] for sentence in sentences[::2]] == ["MFH teacher", "shared-bottom teacher"]
    assert all(verdict in sentence for sentence in sentences)


def test_a_rival_that_is_closer_or_uncertain_keeps_a_control_undecided(made: Callable[..., Outcomes]) -> None:
    def distance(block: Block, world: World, seed: int, name: str) -> dict[str, float]:
        own = {world.teacher: 0.01, PLE: 0.02}.get(name, 0.0)
        if name == "ple on level 0":  # farther on average, by seeds -.007 to .013
            own = 0.007 - 0.01 * (-1) ** seed
        return dict(zip(COHORTS, 0.03 - own + noisy(world, block.rows, seed, name), strict=True))

    sentence = control_sentences(made(distance))[0]

    assert "cannot decide mfh of the paper, which is not shown to be closer than ple (-.0" in sentence
    assert "; ple on level 0 (+.0" in sentence
    assert "tower per cell" not in sentence  # that it is closer than


def test_the_map_names_the_closest_and_what_is_tied_with_it(
    made: Callable[..., Outcomes], capsys: pytest.CaptureFixture[str]
) -> None:
    exact = {CELLS: 0.02, MFH: 0.0201, "ple": 0.03}

    def distance(block: Block, world: World, seed: int, name: str) -> dict[str, float]:
        value = exact.get(name, 0.04)
        if name == MFH and world == BASE:  # of five seeds closer in three, farther in two
            value += 0.002 * (-1) ** seed
        return dict.fromkeys(COHORTS, value)

    of_map = (
        Block(MAP, SIGMAS, 480_000, MAIN, (1, 2, 3, 4, 5)),
        Block(MAP, SIGMAS, 2_000_000, LARGEST, (1, 2, 3)),
    )
    plan = replace(FULL, blocks=(*(block for block in FULL.blocks if block.name == CONTROL), *of_map))
    map_table(made(distance, plan))

    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (number, shared, seeds)
        for shared in ("0.0", "0.5", "1.0")
        for number, seeds in (("480,000", "5"), ("2,000,000", "3"))
    ]
    by_place = {(row[0], row[1]): row[3:] for row in rows}
    closest, tied, farther = by_place["480,000", "0.5"]
    assert closest == "mfh of the paper .0197"  # its mean of five seeds: .0201 - .0004
    assert tied.startswith("shared bottom, tower per cell .0200, +.00030 [-")
    assert farther.startswith("ple .0300, ")
    closest, tied, farther = by_place["480,000", "1.0"]
    assert closest == "shared bottom, tower per cell .0200"
    assert tied == "none"
    assert farther.startswith("mfh of the paper .0201, +.00010 [+.00010, +.00010]")


def test_calibration_is_the_mean_over_behaviours_and_log_loss_is_against_ple() -> None:
    near, far = (final_of(dict.fromkeys(COHORTS, d), ratio=np.exp(0.2)) for d in (0.02, 0.03))

    found = beside.calibration(near, far)["low"]

    assert found == pytest.approx((0.2, 0.02, -0.01))  # ratios of .2 above and below do not cancel


def test_overfitting_is_training_minus_test_of_new_users(
    made: Callable[..., Outcomes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert beside.overfitting(final_of(dict.fromkeys(COHORTS, 0.02), gap=0.07)) == pytest.approx(0.07)

    beside.overfitting_table(made(planted, keep=lambda row: row["world"]["name"] == "ids"))
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| world | ple |")
    assert len(rows) == 1
    assert rows[0].startswith("| ids | 0.0100 |")


def test_a_question_is_answered_over_the_worlds_of_its_block_by_seed(made: Callable[..., Outcomes]) -> None:
    """Ours is closer by .001, .002, .003 in three worlds, and by as much more in one seed of two."""
    (block,) = (block for block in FULL.blocks if block.name == PARTS)
    gain = {world: 0.001 * place for place, world in enumerate(block.worlds, start=1)}

    def distance(_block: Block, world: World, seed: int, name: str) -> dict[str, float]:
        return dict.fromkeys(COHORTS, 0.03 - (gain[world] * seed if name == MFH else 0.0))

    plan = replace(FULL, blocks=(replace(block, seeds=(1, 2, 3)),))
    lacks = ("sigma 1", 3, "mfh, one-level switchers")
    outcomes = made(
        distance, plan, keep=lambda row: (row["world"]["name"], row["seed"], row.get("variant")) != lacks
    )

    one_level, one_expert = (
        gains_of(outcomes, plan.blocks[0], MFH, theirs)
        for theirs in ("mfh, one-level switchers", "mfh, one expert each")
    )

    assert {seed: by_cohort["new"] for seed, by_cohort in one_level.items()} == pytest.approx(
        {1: 0.002, 2: 0.004}
    )
    assert [*one_expert] == [1, 2, 3]


def test_a_question_finds_finals_of_other_blocks(
    made: Callable[..., Outcomes], capsys: pytest.CaptureFixture[str]
) -> None:
    question_table(made(planted))

    rows = capsys.readouterr().out.splitlines()[2:]
    assert (
        len(rows) == sum(len(QUESTIONS[block.name]) for block in FULL.blocks if block.name in QUESTIONS) - 3
    )
    star = next(row for row in rows if row.startswith("| candidates | 120,000 | 3 | 5 | star | ple |"))
    assert star.count("[") == len(COHORTS)


def test_a_world_that_was_changed_is_not_found(made: Callable[..., Outcomes]) -> None:
    outcomes, block = made(planted), FULL.blocks[0]
    changed = replace(BASE, dials=replace(BASE.dials, difference=0.6))

    assert outcomes.distance(block, BASE, 1, PLE) is not None
    assert outcomes.distance(block, changed, 1, PLE) is None
    assert outcomes.distance(block, ALL_SHARED, 1, PLE) is not None


def test_own_size_is_that_of_the_lowest_validation_loss_once_all_are_tuned(
    made: Callable[..., Outcomes], tmp_path: Path
) -> None:
    (block,) = (block for block in FULL.blocks if block.name == OWN_SIZE)
    outcomes = made(planted)
    assert outcomes.distance(block, BASE, 1, PLE) is None  # no size is known
    large = final_key(BASE, block.rows, 1, PLE, OWN_SIZES[2])
    rows = [
        {
            "step": "tune",
            "variant": PLE,
            "rows": block.rows,
            "size": size,
            "world": BASE.key(),
            "validation_loss": loss,
        }
        for size, loss in zip(OWN_SIZES, (0.5, 0.4, 0.3), strict=True)
    ]
    with (tmp_path / "regimes.jsonl").open("a", encoding="utf-8") as file:
        for row in [*rows, large | final_of(dict.fromkeys(COHORTS, 0.001))]:
            file.write(json.dumps(row) + "\n")

    found = Outcomes(outcomes._study).distance(block, BASE, 1, PLE)

    assert OWN_SIZES[2] != PARAMETERS
    assert found == pytest.approx(dict.fromkeys(COHORTS, 0.001))
