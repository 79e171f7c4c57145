"""A study resumes one training at a time, and its learning rates lie inside of what was tried."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from bench.cohorts import study as module
from bench.cohorts.architectures import AT_LOWER_RATE, LOWER_RATE, PARAMETERS, VARIANTS
from bench.cohorts.outcomes import Outcomes
from bench.cohorts.plan import Block, Plan
from bench.cohorts.study import Study
from bench.cohorts.trial import Trained, train
from bench.cohorts.worlds import CONTROLS, World
from bench.fit import Dataset
from bench.results import Results
from core.errors import LamplighterError
from jobs.workers.synthetic.dials import COHORTS, Dials
from models.model import MultiTaskModel
from tests.bench.cohorts.made_up import in_folder

NO_MODEL = cast(MultiTaskModel, None)
WORLD = World("small", Dials(), share_of_new=0.3)
NAMES = ("ple", "shared bottom")
SMALL = Plan(
    "small",
    (Block("one", (WORLD,), 1_600, NAMES, (1, 2)),),
    rates=(0.02, 0.04),
    decays=(0.0,),
    validation_users=60,
    test_users=90,
)
VARIANTS_OF = {name: replace(VARIANTS[name], width=16) for name in NAMES}


@pytest.fixture(autouse=True)
def results_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Results, "__init__", in_folder(tmp_path))
    return tmp_path


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], list[Any]]:
    """Return what counts real trainings from now on, and ends the process before the one of a number."""

    def count(end_at: int | None) -> list[Any]:
        done: list[Any] = []

        def counted(*arguments: Any) -> Trained:
            if len(done) + 1 == end_at:
                raise KeyboardInterrupt
            trained = train(*arguments)
            done.append(arguments)
            return trained

        monkeypatch.setattr(module, "train", counted)
        return done

    return count


def test_a_study_that_was_ended_trains_only_what_is_missing(
    trainings: Callable[[int | None], list[Any]], results_in: Path
) -> None:
    before = trainings(6)
    with pytest.raises(KeyboardInterrupt):
        Study(SMALL, VARIANTS_OF).run()
    kept = Results("small").path.read_text(encoding="utf-8")

    after = trainings(None)
    Study(SMALL, VARIANTS_OF).run()
    again = trainings(None)
    Study(SMALL, VARIANTS_OF).run()

    rows = Results("small").all()
    assert Results("small").path.read_text(encoding="utf-8").startswith(kept)
    assert len(before) == 5
    assert again == []
    assert len(before) + len(after) == sum(row["step"] in ("tune", "final") for row in rows)
    assert [row["step"] for row in rows].count("final") == 4
    assert [row["step"] for row in rows].count("ceiling") == 2
    outcomes = Outcomes(Study(SMALL))
    for seed in (1, 2):
        found = outcomes.distance(SMALL.blocks[0], WORLD, seed, "ple")
        assert found is not None
        assert all(-0.05 < found[cohort] < 0.35 for cohort in COHORTS)  # below the ceiling, but for noise

    _a_changed_world_is_trained_anew(trainings)


def _a_changed_world_is_trained_anew(trainings: Callable[[int | None], list[Any]]) -> None:
    changed = replace(WORLD, dials=Dials(difference=0.6))
    done = trainings(None)

    Study(
        replace(SMALL, blocks=(replace(SMALL.blocks[0], worlds=(changed,), seeds=(1,)),)), VARIANTS_OF
    ).run()

    assert len(done) == 2  # a final of either variant; rates are those of the base world


def test_parts_share_all_variants_and_all_ceilings() -> None:
    parts = [Study(SMALL, part=part, parts=2).own(SMALL.blocks[0]) for part in (1, 2)]
    every = [Study(SMALL, part=part, parts=3) for part in (1, 2, 3)]
    block = replace(SMALL.blocks[0], variants=tuple(VARIANTS))

    assert sorted(parts[0] + parts[1]) == sorted(NAMES)
    assert sorted(name for study in every for name in study.own(block)) == sorted(VARIANTS)


@pytest.mark.parametrize(("best", "tried"), [(0.016, 4), (0.1, 7), (0.0009, 7), (0.0028, 6)])
def test_the_grid_of_rates_grows_until_the_best_lies_inside(
    best: float, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is the distance of the rate's logarithm from that of the best; the best decay is .1."""
    rates: list[tuple[float, float]] = []

    def losses(_v: Any, _d: Any, rate: float, _s: int, decay: float, *_rest: Any) -> Trained:
        rates.append((rate, decay))
        loss = abs(math.log2(rate / best)) + abs(decay - 0.1)
        return Trained(NO_MODEL, {"validation_loss": loss})

    monkeypatch.setattr(module, "train", losses)
    plan = replace(SMALL, rates=(0.004, 0.008, 0.016, 0.032), decays=(0.0, 0.1))

    found = Study(plan).tuned("ple", SMALL.blocks[0].rows)

    own = sorted({rate for rate, decay in rates if decay == found.weight_decay})
    assert found.weight_decay == 0.1
    assert own[0] < found.learning_rate < own[-1]
    assert abs(math.log2(found.learning_rate / best)) <= 0.5
    assert len(own) == tried
    assert len(rates) == len(own) + 4  # what lies beyond the grid is tried with the best decay alone


def test_another_size_begins_around_the_best_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: dict[int, list[float]] = {PARAMETERS: [], 20_000: []}

    def losses(_v: Any, _d: Any, rate: float, _s: int, _decay: float, size: int, _e: None) -> Trained:
        rates[size].append(rate)
        best = 0.024 if size == PARAMETERS else 0.18
        return Trained(NO_MODEL, {"validation_loss": abs(math.log2(rate / best))})

    monkeypatch.setattr(module, "train", losses)

    found = Study(SMALL).tuned("ple", SMALL.blocks[0].rows, 20_000)

    assert rates[PARAMETERS] == [0.02, 0.04, 0.01]
    assert rates[20_000] == [0.01, 0.02, 0.04, 0.08, 0.16, 0.32]
    assert found.learning_rate == 0.16


def test_more_rows_than_the_most_take_the_rate_of_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []

    def losses(_v: Any, data: Dataset, rate: float, *_rest: Any) -> Trained:
        rows.append(len(data.train))
        return Trained(NO_MODEL, {"validation_loss": abs(math.log2(rate / 0.02))})

    monkeypatch.setattr(module, "train", losses)
    monkeypatch.setattr(module, "MOST_TUNED_ROWS", 3_200)
    study = Study(SMALL)

    assert study.tuned("ple", 6_400) == study.tuned("ple", 3_200)
    assert rows == [1_600] * 3 + [3_200] * 3


def test_a_control_is_tuned_on_labels_of_its_own_teacher(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: dict[float, list[float]] = {}  # by the share of clicks, which tells the data apart

    def losses(_v: Any, data: Dataset, rate: float, *_rest: Any) -> Trained:
        rates.setdefault(float(data.train.labels[:, 0].mean()), []).append(rate)
        best = 0.02 if len(rates) == 1 else 0.01
        return Trained(NO_MODEL, {"validation_loss": abs(math.log2(rate / best))})

    monkeypatch.setattr(module, "train", losses)
    study, (control, _) = Study(SMALL), CONTROLS

    found = study.tuned("ple", SMALL.blocks[0].rows, world=control)

    assert [*rates.values()] == [[0.02, 0.04, 0.01], [0.004, 0.008, 0.016]]
    assert found.learning_rate == 0.008
    worlds = [row["world"]["name"] for row in study.results.all()]
    assert worlds == ["base"] * 3 + [control.name] * 3


def test_worlds_with_ids_are_tuned_with_decays_of_embeddings(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: dict[int, list[tuple[float, float, float | None]]] = {}  # by the number of id columns

    def losses(
        _v: Any, data: Dataset, rate: float, _s: int, decay: float, _p: int, of_ids: float | None
    ) -> Trained:
        tried.setdefault(len(data.encoder.categorical), []).append((rate, decay, of_ids))
        loss = abs(math.log2(rate / 0.02)) + abs(math.log10((of_ids or 1.0) / 1e-4))
        return Trained(NO_MODEL, {"validation_loss": loss})

    monkeypatch.setattr(module, "train", losses)
    study, other = Study(SMALL), replace(WORLD, has_user_ids=True)

    found = study.tuned("ple", SMALL.blocks[0].rows, world=other)

    assert tried[2] == [(0.02, 0.0, None), (0.04, 0.0, None), (0.01, 0.0, None)]
    around = [(0.01, 1e-4), (0.04, 1e-4), (0.02, 3e-5), (0.02, 3e-4), (0.01, 3e-4), (0.04, 3e-5)]
    assert tried[3] == [(rate, 0.0, of_ids) for rate, of_ids in [(0.02, 1e-4), *around]]
    assert (found.learning_rate, found.weight_decay, found.embedding_decay) == (0.02, 0.0, 1e-4)
    assert study.tuned("ple", SMALL.blocks[0].rows, world=WORLD).embedding_decay is None


def test_a_variant_whose_rate_is_given_is_not_tuned() -> None:
    assert Study(SMALL).tuned(AT_LOWER_RATE["ple"], 1_600).learning_rate == LOWER_RATE
    assert Results("small").all() == []


def test_a_training_that_diverges_is_a_bad_rate_and_no_rate_at_all_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def diverges(_v: Any, _d: Any, rate: float, *_rest: Any) -> Trained:
        if rate > 0.03:
            raise LamplighterError("the loss is not finite")
        return Trained(NO_MODEL, {"validation_loss": 0.5 - rate})

    monkeypatch.setattr(module, "train", diverges)
    assert Study(SMALL).tuned("ple", SMALL.blocks[0].rows).learning_rate == 0.02

    def falls(_v: Any, _d: Any, rate: float, *_rest: Any) -> Trained:
        return Trained(NO_MODEL, {"validation_loss": rate})

    monkeypatch.setattr(module, "train", falls)
    with pytest.raises(LamplighterError, match="shared bottom: no best learning rate in"):
        Study(SMALL).tuned("shared bottom", SMALL.blocks[0].rows)
