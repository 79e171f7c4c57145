"""The decision between champion and candidate: cells as (gain, standard error over users), what follows."""

from dataclasses import replace

import pytest

from core.schema import Promotion
from quality.candidate import Candidate
from quality.gains import Gain, Measured
from quality.promotion import Cell, Comparison, Decision, Status, cell_status, decide
from tests.quality.measured import REPLICATES, RULES, SOUND, cell, constant, noise

CHAMPION = "ple-1"
BETTER = cell(0.02, 0.001)


def decided(*cells: Cell, candidate: Candidate = SOUND, rules: Promotion = RULES) -> Decision:
    """The decision about a candidate that meets a champion."""
    return decide(candidate, CHAMPION, cells, rules)


def first(*cells: Cell, candidate: Candidate = SOUND) -> Decision:
    """The decision about a candidate where there is no champion."""
    alone = [replace(each, champion=None) for each in cells]
    return decide(candidate, None, alone, RULES)


def rules(**changed: object) -> Promotion:
    return RULES.model_copy(update=changed)


# --- the mean gain ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "std", "margin", "promoted"),
    [  # low = gain - 1.96 std
        (0.0040, 0.001, 0.001, True),  # .00204
        (0.0030, 0.001, 0.001, True),  # .00104
        (0.0029, 0.001, 0.001, False),  # .00094: above 0, not above the margin
        (0.0029, 0.001, 0.0, True),
        (0.0010, 0.001, 0.0, False),  # -.00096: positive is not enough
        (0.0000, 0.001, 0.0, False),
        (0.0000, 0.000, 0.0, False),  # an end at the margin does not lie above it
        (-0.0040, 0.001, 0.0, False),
    ],
)
def test_the_interval_of_the_mean_gain_must_lie_above_the_margin(
    gain: float, std: float, margin: float, promoted: bool
) -> None:
    assert decided(cell(gain, std), rules=rules(margin={"auc": margin})).promoted is promoted


def test_a_gain_that_another_seed_could_have_brought_is_not_enough() -> None:
    lucky = cell(0.005, 0.001)  # low .0030 over users; .0005 over users and seeds

    assert decided(lucky).promoted
    assert not decided(lucky, rules=rules(seed_std=RULES.seed_std | {"auc": 0.002})).promoted


@pytest.mark.parametrize("gain_of_likes", [-0.03, 0.0, 0.06])
def test_the_noise_of_likes_does_not_decide(gain_of_likes: float) -> None:
    likes = cell(gain_of_likes, 0.02, number=1, task="like")

    assert decided(cell(0.006, 0.001), likes).promoted
    assert not decided(cell(0.0, 0.001), likes).promoted


def test_the_mean_counts_the_cells_with_enough_users_and_says_how_many() -> None:
    found = decided(BETTER, cell(0.0, 0.001, number=1, task="like", users=(29, 5000)))

    assert found.champion_comparison is not None
    assert (found.champion_comparison.counted, found.champion_comparison.cells) == (1, 2)
    assert found.reasons[0] == "mean gain +0.020 [+0.018, +0.022] against ple-1 over 1 of 2 cells"


# --- regressions and GAUC -----------------------------------------------------------------------


@pytest.mark.parametrize(("error", "promoted"), [(0.9, True), (1.0, False), (1.1, False)])
def test_a_smaller_error_of_a_regression_is_a_gain(error: float, promoted: bool) -> None:
    seconds = Cell(
        "seconds",
        "user:new",
        "mse",
        1000,
        None,
        Measured(error, error + 0.002 * noise(0)),
        constant(1.0),
        {"popularity": constant(None), "group_mean": constant(1.5)},
    )

    found = decided(seconds)

    assert found.promoted is promoted
    assert [each.rival for each in found.baselines] == ["group_mean"]  # popularity predicts no seconds


def test_margins_are_by_metric_and_the_mean_has_that_of_its_cells() -> None:
    thresholds = rules(margin={"auc": 0.001, "gauc": 0.003})
    cells = [cell(0.02, 0.001, metric="auc"), cell(0.02, 0.001, number=1, metric="gauc")]

    found = decided(*cells, rules=thresholds).champion_comparison

    assert found is not None
    assert found.margin == pytest.approx(0.002)


def test_each_task_has_its_own_variance_of_seeds() -> None:
    seeds = rules(task_seed_std={"like": {"auc": 0.05}})

    assert decided(cell(0.02, 0.001), rules=seeds).promoted
    assert not decided(cell(0.02, 0.001, task="like"), rules=seeds).promoted


def test_a_rare_task_whose_seeds_vary_gets_little_weight_however_many_users_there_are() -> None:
    clicks, likes = cell(0.004, 0.0001), cell(0.0, 0.0001, number=1, task="like")
    seeds = rules(task_seed_std={"click": {"auc": 0.001}, "like": {"auc": 0.01}})

    assert 0 < decided(clicks, likes, rules=seeds).cells[1].weight < 0.02


def test_the_weights_of_cells_add_up_and_a_cell_with_too_few_users_has_none() -> None:
    few = cell(0.02, 0.001, number=1, users=(29, 5000))
    likes = cell(0.02, 0.002, number=2, task="like")  # four times the variance

    assert [each.weight for each in decided(BETTER, few, likes).cells] == [
        pytest.approx(0.8), 0, pytest.approx(0.2)
    ]  # fmt: skip


def test_a_gain_that_does_not_lie_above_the_margin_is_the_reason() -> None:
    assert decided(cell(0.0029, 0.001)).reasons[0] == (
        "mean gain +0.003 [+0.001, +0.005] against ple-1 over 1 of 1 cells does not lie above 0.001"
    )


def test_each_metric_has_its_own_variance_of_seeds() -> None:
    seeds = rules(seed_std=RULES.seed_std | {"gauc": 0.05})

    assert decided(cell(0.02, 0.001, metric="auc"), rules=seeds).promoted
    assert not decided(cell(0.02, 0.001, metric="gauc"), rules=seeds).promoted


def test_a_variance_of_seeds_that_was_measured_of_auc_says_nothing_of_gauc() -> None:
    cautious = RULES.seed_std | {"gauc": 0.05}
    seeds = rules(seed_std=cautious, task_seed_std={"click": {"auc": 0.0}})
    of_both = rules(seed_std=cautious, task_seed_std={"click": {"auc": 0.0, "gauc": 0.0}})

    assert not decided(cell(0.02, 0.001, metric="gauc"), rules=seeds).promoted
    assert decided(cell(0.02, 0.001, metric="gauc"), rules=of_both).promoted


# --- cells --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "std", "status"),
    [  # interval: gain -+ 1.96 std; with a margin of .01 power takes a std of at most .00357
        (0.010, 0.003, "better"),  # [.0041, .0159]
        (0.004, 0.003, "not worse"),  # [-.0019, .0099]
        (-0.003, 0.003, "not worse"),  # [-.0089, .0029]
        (-0.006, 0.001, "not worse"),  # [-.0080, -.0040]: a loss, within the margin
        (-0.005, 0.003, "worse"),  # [-.0109, .0009]: could have excluded .01, and does not
        (-0.020, 0.003, "worse"),  # [-.0259, -.0141]
        (0.000, 0.004, "undecided"),  # [-.0078, .0078]: excludes .01 by luck, has no power
        (0.030, 0.010, "undecided"),  # [.0104, .0496]
        (-0.010, 0.010, "undecided"),  # [-.0296, .0096]
        (-0.020, 0.008, "undecided"),  # [-.0357, -.0043]: a loss, and perhaps within the margin
        (-0.030, 0.010, "worse"),  # [-.0496, -.0104]: more than the margin is shown, with few users, too
    ],
)
def test_what_a_cell_shows(gain: float, std: float, status: Status) -> None:
    assert cell_status(interval_of(gain, std), 0.01) == status


def interval_of(gain: float, std: float) -> Gain:
    """A gain with its interval."""
    return Gain(gain, gain - 1.96 * std, gain + 1.96 * std, std, digits=4)


@pytest.mark.parametrize(
    ("low", "high", "std", "status"),
    [  # of a margin of .01, which takes a std of at most .00357
        (0.0001, 0.02, 0.003, "better"),
        (0.0, 0.02, 0.003, "not worse"),
        (-0.0099, 0.001, 0.003, "not worse"),
        (-0.01, 0.001, 0.003, "worse"),  # a loss of the margin is not excluded
        (-0.03, -0.0101, 0.005, "worse"),
        (-0.03, -0.01, 0.005, "undecided"),  # perhaps the margin and no more
        (-0.0099, 0.001, 0.005, "undecided"),
        (0.0001, 0.02, 0.005, "undecided"),
    ],
)
def test_the_ends_of_an_interval_decide_what_a_cell_shows(
    low: float, high: float, std: float, status: Status
) -> None:
    assert cell_status(Gain((low + high) / 2, low, high, std, 4), 0.01) == status


@pytest.mark.parametrize("std", [0.004, 0.008, 0.012, 0.016, 0.02, 0.03])
def test_a_loss_of_three_hundredths_in_a_small_cell_never_counts_as_passed(std: float) -> None:
    assert cell_status(interval_of(-0.03, std), 0.01) in ("worse", "undecided")


def test_a_worse_cell_keeps_the_champion_whatever_the_mean() -> None:
    found = decided(BETTER, cell(-0.03, 0.01, number=1, task="like"))

    assert (found.promoted, found.champion_after) == (False, CHAMPION)
    assert found.reasons == (
        "a loss of 0.01 against ple-1 is not excluded in like of user:new (-0.03 [-0.05, -0.01])",
    )


def test_an_undecided_cell_is_named_and_prevents_no_promotion() -> None:
    found = decided(BETTER, cell(0.0, 0.02, number=1, task="like"))

    assert found.promoted
    assert found.reasons[-1] == "undecided in 1 of 2 cells: like of user:new"


def test_cells_are_about_these_weights_so_seeds_do_not_hide_a_loss() -> None:
    seeds = rules(seed_std=RULES.seed_std | {"auc": 0.004})

    found = decided(BETTER, cell(-0.012, 0.003, number=1, task="like"), rules=seeds)

    assert found.cells[1].status == "worse"  # [-.018, -.006]; with seeds [-.022, -.002], undecided


@pytest.mark.parametrize(
    ("users", "status"),
    [((30, 30), "not worse"), ((29, 5000), "undecided"), ((5000, 29), "undecided")],
)
def test_a_cell_needs_users_with_a_positive_and_users_with_a_negative(
    users: tuple[int, int], status: Status
) -> None:
    found = decided(BETTER, cell(0.0, 0.001, number=1, users=users)).cells[1]

    assert (found.status, found.users) == (status, min(users))


def test_a_cohort_without_rows_is_named_as_undecided() -> None:
    nothing = Cell(
        "click", "user:low", "auc", 0, None, constant(None), constant(None),
        {"popularity": constant(None), "group_mean": constant(None)},
    )  # fmt: skip

    found = decided(BETTER, nothing)

    assert found.reasons[-1] == "undecided in 1 of 2 cells: click of user:low"


def test_a_cell_without_classes_needs_users() -> None:
    few, enough = (
        replace(cell(0.0, 0.001), metric="gauc", users=users, users_by_class=None) for users in (29, 30)
    )

    assert [each.status for each in decided(few, enough).cells] == ["undecided", "not worse"]


def test_no_cell_with_enough_users_keeps_the_champion() -> None:
    found = decided(cell(0.1, 0.001, users=(3, 3)))

    assert (found.promoted, found.champion_after) == (False, CHAMPION)
    assert "none of 1 cells has enough users to compare with ple-1" in found.reasons
    assert found.champion_comparison == Comparison(CHAMPION, None, margin=0.0, counted=0, cells=1)


def test_a_champion_that_was_not_measured_is_not_beaten() -> None:
    found = decided(replace(BETTER, champion=None))

    assert not found.promoted
    assert found.reasons[0] == "none of 1 cells has enough users to compare with ple-1"


@pytest.mark.parametrize("champion", [CHAMPION, None])
def test_a_model_that_was_measured_in_no_cell_is_not_promoted(champion: str | None) -> None:
    found = decide(SOUND, champion, [], RULES)

    assert (found.promoted, found.champion_after) == (False, champion)
    assert found.reasons[:2] == (
        "none of 0 cells has enough users to compare with popularity",
        "none of 0 cells has enough users to compare with group_mean",
    )


# --- baselines ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("auc", "popularity", "group_mean", "objection"),
    [  # of the candidate, with a standard error of .001, and of the baselines
        (0.72, 0.60, 0.60, None),
        (0.54, 0.50, 0.62, "it does not beat group_mean"),
        (0.54, 0.62, 0.50, "it does not beat popularity"),
        (0.621, 0.50, 0.62, "it does not beat group_mean"),  # by .001 +- .002
        (0.624, 0.50, 0.62, None),  # by .004 +- .002
        (0.72, None, 0.60, "none of 1 cells has enough users to compare with popularity"),
        (0.72, 0.60, None, "none of 1 cells has enough users to compare with group_mean"),
    ],
)
@pytest.mark.parametrize("champion", [CHAMPION, None])
def test_a_model_that_does_not_beat_both_baselines_is_not_promoted(
    auc: float,
    popularity: float | None,
    group_mean: float | None,
    objection: str | None,
    champion: str | None,
) -> None:
    worse_champion = constant(0.4) if champion else None
    measured = cell(auc - 0.7, 0.001, popularity=popularity, group_mean=group_mean)

    found = decide(SOUND, champion, [replace(measured, champion=worse_champion)], RULES)

    assert found.promoted is (objection is None)
    assert found.champion_after == ("mfh-1" if objection is None else champion)
    assert [reason.split(":")[0] for reason in found.reasons] == [objection] or objection is None


@pytest.mark.parametrize("baseline", ["popularity", "group_mean"])
def test_a_model_that_predicts_as_a_baseline_does_not_beat_it(baseline: str) -> None:
    equal = replace(cell(0.0, 0.0), baselines=BETTER.baselines | {baseline: constant(0.7)})

    found = first(equal)

    assert not found.promoted
    assert found.reasons[0].startswith(f"it does not beat {baseline}: mean gain +0.0000 [")


def test_where_no_model_has_earned_it_group_mean_is_served() -> None:
    assert first(cell(-0.16, 0.001, group_mean=0.62)).served == "group_mean"
    assert first(BETTER).served == "mfh-1"
    assert decided(cell(-0.16, 0.001, group_mean=0.62)).served == CHAMPION


def test_the_reasons_say_by_how_much_the_baselines_are_beaten() -> None:
    assert decided(BETTER).reasons[1:] == (
        "it beats popularity: mean gain +0.120 [+0.118, +0.122] against popularity over 1 of 1 cells",
        "it beats group_mean: mean gain +0.120 [+0.118, +0.122] against group_mean over 1 of 1 cells",
    )


# --- who becomes champion -----------------------------------------------------------------------


def test_the_first_champion_passes_its_suite_and_beats_the_baselines() -> None:
    found = first(BETTER)

    assert (found.promoted, found.champion_before, found.champion_after) == (True, None, "mfh-1")
    assert [reason.split(":")[0] for reason in found.reasons] == [
        "the first champion", "it beats popularity", "it beats group_mean"
    ]  # fmt: skip
    assert (found.champion_comparison, found.cells) == (None, ())


@pytest.mark.parametrize("champion", [CHAMPION, None])
def test_a_model_whose_suite_fails_is_not_promoted(champion: str | None) -> None:
    found = decide(replace(SOUND, suite_passed=False), champion, [BETTER], RULES)

    assert (found.promoted, found.champion_after) == (False, champion)
    assert found.reasons[0] == "its suite does not pass"


@pytest.mark.parametrize("champion", [CHAMPION, None])
def test_a_model_without_a_value_of_a_primary_task_is_not_promoted(champion: str | None) -> None:
    found = decide(replace(SOUND, not_measured=("gauc of like",)), champion, [BETTER], RULES)

    assert (found.promoted, found.champion_after) == (False, champion)
    assert found.reasons == ("gauc of like was not measured: no rows, or too few of a class",)


@pytest.mark.parametrize("suite_passed", [True, False])
def test_a_candidate_that_is_the_champion_stays_champion(suite_passed: bool) -> None:
    same = replace(SOUND, model_version=CHAMPION, suite_passed=suite_passed)

    found = decided(cell(0.0, 0.0), candidate=same)

    assert (found.promoted, found.champion_before, found.champion_after) == (False, CHAMPION, CHAMPION)
    assert found.reasons[0] == "it is the champion already, and stays"
    assert ("its suite does not pass" in found.reasons) is not suite_passed
    assert found.champion_comparison is None  # it is not compared with itself


def test_another_model_that_predicts_the_same_does_not_replace_the_champion() -> None:
    assert not decided(cell(0.0, 0.0)).promoted


# --- warnings -----------------------------------------------------------------------------------


def test_a_best_epoch_at_the_cap_is_a_warning_and_decides_nothing() -> None:
    found = decided(BETTER, candidate=replace(SOUND, best_epoch=8))

    assert found.promoted
    assert found.warnings == (
        "the best epoch of mfh-1 is the last of 8: it may not have finished learning; "
        "raise model.optimiser.max_epochs",
    )
    assert decided(BETTER).warnings == ()


def test_an_undecided_cell_whose_interval_lies_below_zero_is_a_warning() -> None:
    looks_worse, looks_equal = (
        cell(gain, 0.02, number=1, task="like", users=(40, 900)) for gain in (-0.045, -0.03)
    )

    assert decided(BETTER, looks_worse).warnings == (
        "like of user:new may be worse: -0.05 [-0.08, -0.01] with 40 users",
    )
    assert decided(BETTER, looks_equal).warnings == ()  # [-.07, +.01]


@pytest.mark.parametrize("gain", [-0.006, -0.03])
def test_a_cell_that_is_decided_is_no_warning(gain: float) -> None:
    decided_cell = cell(gain, 0.001, number=1, task="like")  # not worse, and worse

    assert decided(BETTER, decided_cell).warnings == ()


def test_replicates_of_the_helpers_are_what_they_say() -> None:
    assert (noise(3).mean(), noise(3).std(ddof=1)) == (pytest.approx(0), pytest.approx(1))
    assert len(noise(3)) == REPLICATES
