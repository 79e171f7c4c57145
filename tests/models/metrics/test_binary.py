"""States of cells against scikit-learn, against merge order, and against their own bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from core.errors import LamplighterError
from models.metrics.binary import METRICS, CellState, from_exact_bins, to_exact_bins
from models.metrics.bootstrap import interval, paired_interval, user_weights

BIN = 32 / 2**14
ROWS = st.lists(
    st.tuples(st.integers(-40, 40), st.booleans(), st.integers(0, 5), st.integers(0, 3)),
    min_size=2,
    max_size=60,
)


def state(rows: list[tuple[int, bool, int, int]], replicates: int = 5) -> CellState:
    """A state of rows (bin of the logit, label, user, weight)."""
    bins, labels, users, weight = (np.array(column) for column in zip(*rows, strict=True))
    return CellState.of((bins + 0.5) * BIN, labels, weight, user_weights(users, replicates))


def sample(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels that have these odds, user ids."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1, n)
    return z, rng.random(n) < 1 / (1 + np.exp(-z)), rng.integers(0, n // 4, n)


def test_auc_counts_won_pairs_and_half_of_the_ties() -> None:
    rows = [(3, True, 1, 1), (1, False, 1, 1), (3, False, 2, 1), (5, False, 2, 1)]  # won, tied, lost

    assert state(rows).value("auc", min_class_count=1) == 0.5


@given(ROWS)
@settings(max_examples=60)
def test_auc_and_log_loss_equal_those_of_scikit_learn(rows: list[tuple[int, bool, int, int]]) -> None:
    bins, labels, _, weight = (np.array(column) for column in zip(*rows, strict=True))
    z = (bins + 0.5) * BIN
    if len(set(labels[weight > 0])) < 2:
        assert state(rows).value("auc", 1) is None
        return

    assert state(rows).value("auc", 1) == pytest.approx(
        roc_auc_score(labels, z, sample_weight=weight), abs=1e-9
    )
    assert state(rows).value("log_loss", 1) == pytest.approx(
        log_loss(labels, 1 / (1 + np.exp(-z)), sample_weight=weight), abs=1e-9
    )


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("seed", range(3))
def test_auc_of_continuous_scores_is_the_rank_auc_to_four_digits(spread: float, seed: int) -> None:
    z, y, users = sample(20_000, seed)

    got = CellState.of(spread * z, y, np.ones(len(z)), user_weights(users, 1)).value("auc")

    assert got == pytest.approx(roc_auc_score(y, z), abs=1e-4)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_metrics_equal_their_plain_definitions_on_weighted_rows(shift: float) -> None:
    z, y, users = sample(20_000, seed=4)
    v = np.random.default_rng(4).choice([1.0, 4.0], len(z))  # inverse sampling rates
    p = 1 / (1 + np.exp(-z - shift))

    state = CellState.of(z + shift, y, v, user_weights(users, 1))

    loss = np.average(-(y * np.log(p) + ~y * np.log(1 - p)), weights=v)
    rate = np.average(y, weights=v)
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert state.value("log_loss") == pytest.approx(loss, rel=1e-12)
    assert state.value("normalised_entropy") == pytest.approx(loss / entropy, rel=1e-12)
    assert state.value("observed_over_predicted") == pytest.approx((v @ y) / (v @ p), rel=1e-12)
    order = np.argsort(p)
    groups = np.minimum((15 * (np.cumsum(v[order]) - v[order] / 2) / v.sum()).astype(int), 14)
    gaps = np.bincount(groups, weights=(v * (y - p))[order])
    # Our groups end between histogram bins, these between rows.
    assert state.value("ece") == pytest.approx(np.abs(gaps).sum() / v.sum(), abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_auc_of_a_small_cell_is_the_rank_auc(seed: int) -> None:
    z, y, users = sample(70, seed)
    z = np.float32(0.05) * z.astype(np.float32)  # about 100 fixed bins for 70 scores
    whole = CellState.of(z, y, np.ones(70), user_weights(users, 1))
    parts = [
        CellState.of(z[n::3], y[n::3], np.ones(len(z[n::3])), user_weights(users[n::3], 1)) for n in range(3)
    ]

    expected = pytest.approx(roc_auc_score(y, z), abs=1e-12)
    assert whole.value("auc", 1) == expected
    assert parts[2].merge(parts[0], parts[1]).value("auc", 1) == expected
    assert whole.in_fixed_bins().value("auc", 1) != expected


def test_exact_bins_are_in_the_order_of_logits_and_lead_back_to_them() -> None:
    logits = np.array([-np.inf, -3e38, -2.5, -1e-45, -0.0, 0.0, 1e-45, 1.0, 1.0000001, 16.0], np.float32)

    bins = to_exact_bins(logits)

    assert (np.diff(bins) > 0).tolist() == [True, True, True, True, False, True, True, True, True]
    np.testing.assert_array_equal(from_exact_bins(bins), logits)


@given(ROWS, ROWS, ROWS)
@settings(max_examples=40)
def test_states_of_too_many_scores_merge_in_any_order_to_the_state_of_all_rows(
    a: list[tuple[int, bool, int, int]],
    b: list[tuple[int, bool, int, int]],
    c: list[tuple[int, bool, int, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.metrics.binary.EXACT_SCORES", 4)
        whole = state(a + b + c)
        for merged in (
            state(a).merge(state(b)).merge(state(c)),
            state(c).merge(state(b).merge(state(a))),
            CellState.from_bytes(state(b).to_bytes()).merge(state(a + c)),
        ):
            assert merged.is_exact == whole.is_exact
            np.testing.assert_array_equal(merged.bins, whole.bins)
            np.testing.assert_array_equal(merged.sums, whole.sums)
            np.testing.assert_allclose(merged.predicted, whole.predicted)


@given(ROWS, ROWS, ROWS)
@settings(max_examples=40)
def test_states_merge_in_any_order_to_the_state_of_all_rows(
    a: list[tuple[int, bool, int, int]],
    b: list[tuple[int, bool, int, int]],
    c: list[tuple[int, bool, int, int]],
) -> None:
    whole = state(a + b + c)
    for merged in (
        state(a).merge(state(b)).merge(state(c)),
        state(c).merge(state(b).merge(state(a))),
        CellState.from_bytes(state(b).to_bytes()).merge(state(a + c)),
    ):
        assert (merged.positives, merged.negatives) == (whole.positives, whole.negatives)
        np.testing.assert_array_equal(merged.bins, whole.bins)
        np.testing.assert_array_equal(merged.sums, whole.sums)
        for metric in METRICS:
            np.testing.assert_allclose(
                merged.replicate_values(metric), whole.replicate_values(metric), rtol=1e-9, atol=1e-12
            )


@pytest.mark.parametrize("scale", [1.0, 200.0, 0.3])
def test_a_state_is_read_back_from_its_bytes_unchanged(scale: float) -> None:
    z, y, users = sample(500)
    before = CellState.of(z, y, np.full(500, scale), user_weights(users, 20))

    after = CellState.from_bytes(before.to_bytes())

    for field in ("bins", "sums", "predicted", "losses", "predictions"):
        np.testing.assert_array_equal(getattr(after, field), getattr(before, field))
    with pytest.raises(LamplighterError, match="are no metric state"):
        CellState.from_bytes(before.to_bytes()[:-9])


def test_too_few_of_a_class_give_null_with_the_counts() -> None:
    rows = [(k, k < 29, k, 1) for k in range(40)] + [(k, False, k, 1) for k in range(40)]
    short = state(rows)

    assert (short.positives, short.negatives) == (29, 51)
    assert [short.value(metric) for metric in METRICS] == [None] * 5
    assert all(short.value(metric, min_class_count=29) is not None for metric in METRICS)


def test_calibration_metrics_change_with_a_shift_of_all_logits() -> None:
    z, y, users = sample(20_000)
    weights = user_weights(users, 1)
    good, high = (CellState.of(logits, y, np.ones(len(z)), weights) for logits in (z, z + 1))

    assert good.value("observed_over_predicted") == pytest.approx(1, abs=0.05)
    assert good.value("ece") == pytest.approx(0, abs=0.02)
    p = 1 / (1 + np.exp(-z - 1))
    assert high.value("observed_over_predicted") == pytest.approx(y.sum() / p.sum(), rel=1e-9)
    assert high.value("ece") == pytest.approx(p.mean() - y.mean(), abs=1e-3)  # too high everywhere


def test_the_base_rate_has_a_normalised_entropy_of_one() -> None:
    y = np.arange(400) % 4 == 0
    z = np.full(400, np.log(0.25 / 0.75))

    got = CellState.of(z, y, np.ones(400), user_weights(np.arange(400), 1)).value("normalised_entropy")

    assert got == pytest.approx(1)


def test_a_replicate_counts_all_rows_of_a_user_as_often_as_it_draws_the_user() -> None:
    z, y, users = sample(400)
    drawn = user_weights(users, 3)
    by_hand = np.repeat(np.arange(400), drawn[:, 2])

    got = CellState.of(z, y, np.ones(400), drawn).replicate_values("log_loss")[2]

    assert got == pytest.approx(log_loss(y[by_hand], 1 / (1 + np.exp(-z[by_hand]))))


def test_weights_of_a_user_are_the_same_in_every_partition_and_poisson_over_users() -> None:
    ids = np.arange(20_000)

    weights = user_weights(ids, 50)

    np.testing.assert_array_equal(user_weights(ids[7_000:7_100][::-1], 50), weights[7_000:7_100][::-1])
    assert weights.mean() == pytest.approx(1, abs=0.01)
    assert weights.var() == pytest.approx(1, abs=0.02)
    shares = np.bincount(weights.ravel())[:4] / weights.size
    np.testing.assert_allclose(shares, np.exp(-1) / np.array([1, 1, 2, 6]), atol=0.002)
    assert np.abs(np.corrcoef(weights[:, :8].T) - np.eye(8)).max() < 0.04  # replicates are independent
    words = user_weights(np.array(["u1", "u2", "u1"]), 50)
    np.testing.assert_array_equal(words[0], words[2])
    assert (words[0] != words[1]).any()


def test_two_models_on_the_same_rows_are_paired() -> None:
    z, y, users = sample(4_000)
    weights = user_weights(users, 200)
    rng = np.random.default_rng(1)
    ours, theirs = (
        CellState.of(logits, y, np.ones(len(z)), weights).replicate_values("auc")
        for logits in (z, z + rng.normal(0, 0.3, len(z)))
    )

    assert paired_interval(ours, ours) == (0, 0)
    low, high = paired_interval(ours, theirs) or (0, 0)
    assert 0 < low < high
    own_low, own_high = interval(ours) or (0, 0)
    assert high - low < (own_high - own_low) / 2
    assert interval(np.array([np.nan])) is None


def test_a_logit_that_is_not_finite_is_refused() -> None:
    with pytest.raises(LamplighterError, match="1 of 2 logits are not finite"):
        CellState.of(np.array([0, np.nan]), np.array([0, 1]), np.ones(2), np.ones((2, 1), np.uint8))
