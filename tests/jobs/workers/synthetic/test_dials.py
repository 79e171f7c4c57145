"""What each dial of a synthetic world does, and that at 0 it does nothing."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from jobs.workers.synthetic.dials import COHORTS, KNOWN, LATENT, Dials, to_bases, to_directions, to_turns
from jobs.workers.synthetic.hashing import Floats
from jobs.workers.synthetic.truth import to_world

SEEDS = range(300)


def shifts(seed: int, dials: Dials) -> Floats:
    """Return what cohorts change of the directions, unit vectors, (K, C, D)."""
    alike, own = to_directions(seed, replace(dials, difference=0.0)), to_directions(seed, dials)
    return (own - np.sqrt(1 - dials.difference**2) * alike) / dials.difference


def pairs_of(values: Floats) -> tuple[Floats, Floats]:
    """Return one and the other of all pairs of behaviours, values (K, ...)."""
    one, other = np.array([*combinations(range(len(values)), 2)]).T
    return values[one], values[other]


@pytest.mark.parametrize("behaviours", [3, 6])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_sigma_is_the_share_of_the_shift_that_behaviours_share(shared: float, behaviours: int) -> None:
    dials = Dials(0.5, shared, behaviours=behaviours)
    cosines = []
    for seed in SEEDS:
        one, other = pairs_of(shifts(seed, dials))
        cosines.append((one * other).sum(-1))

    assert np.linalg.norm(shifts(1, dials), axis=-1) == pytest.approx(1.0)
    assert np.mean(cosines) == pytest.approx(shared, abs=0.02)


@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_bases_have_the_spread_asked_for_of_which_behaviours_share_sigma(shared: float) -> None:
    bases = np.array([b.base for b in KNOWN[:3]])[:, None]
    offsets = np.array([to_bases(seed, Dials(shared=shared, base_spread=0.4)) - bases for seed in SEEDS])

    one, other = pairs_of(np.moveaxis(offsets, 1, 0))

    assert offsets.std() == pytest.approx(0.4, rel=0.05)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] == pytest.approx(shared, abs=0.05)


@pytest.mark.parametrize("separation", [0.5, 1.0])
def test_what_cohorts_see_of_an_item_is_turned_and_as_long_as_before(separation: float) -> None:
    turns = to_turns(4, Dials(separation=separation))
    world = to_world(4, Dials(separation=separation), np.arange(50))

    assert turns @ np.swapaxes(turns, -1, -2) == pytest.approx(np.broadcast_to(np.eye(LATENT), turns.shape))
    assert world.views is not None
    lengths = np.linalg.norm(world.views, axis=-1)
    assert lengths == pytest.approx(
        np.broadcast_to(np.linalg.norm(world.items, axis=-1)[:, None], lengths.shape)
    )
    for one, other in combinations(turns.reshape(-1, LATENT, LATENT), 2):
        assert np.abs(one - other).max() > 0.05


def test_separation_1_turns_by_a_right_angle_in_the_root_mean_square() -> None:
    m = 0.01  # small, so that the angles of both turns add up as their matrices do
    turns = np.array([to_turns(seed, Dials(separation=m)) for seed in SEEDS])

    angles = np.angle(np.linalg.eigvals(turns))

    assert np.sqrt(np.square(angles).mean() / 2) == pytest.approx(m * np.pi / 2, rel=0.02)


def test_a_dial_at_0_leaves_its_part_out() -> None:
    bases = to_bases(6, Dials(shared=0.7, base_spread=0.0))
    assert np.array_equal(bases, np.array([[b.base] * len(COHORTS) for b in KNOWN[:3]]))

    alike = to_directions(6, Dials(difference=0.0, shared=0.7))
    assert np.array_equal(alike, np.broadcast_to(alike[:, :1], alike.shape))

    assert to_turns(6, Dials(separation=0.0)) == pytest.approx(
        np.broadcast_to(np.eye(LATENT), (len(COHORTS), 3, LATENT, LATENT))
    )
    assert to_world(6, Dials(separation=0.0), np.arange(3)).views is None

    assert Dials(rarity=0.0).to_behaviours() == KNOWN[:3]


def test_sigma_0_leaves_out_what_all_behaviours_share() -> None:
    """Cohorts' own parts are then those that do not know of a shared one: of the demo's world."""
    nothing, a_little = (shifts(6, Dials(0.5, shared)) for shared in (0.0, 1e-12))

    assert (
        np.abs(nothing - a_little).max() > 0.01
    )  # the shared one is taken out of it as soon as there is one
    for cohort in range(len(COHORTS)):
        common = shifts(6, Dials(0.5, 1.0))[:, cohort]
        assert common == pytest.approx(np.broadcast_to(common[0], common.shape))
        assert np.abs(a_little[:, cohort] @ common[0]).max() < 1e-5
        assert np.abs(nothing[:, cohort] @ common[0]).max() > 0.01


def test_further_behaviours_leave_the_first_three_as_they_are() -> None:
    few, many = (to_directions(6, Dials(0.5, 0.5, behaviours=n)) for n in (3, 6))

    assert many[:3] == pytest.approx(few, abs=1e-9)
    assert np.linalg.norm(many, axis=-1) == pytest.approx(1.0)


def test_rarity_is_taken_off_the_base_of_a_like_alone() -> None:
    common, rare = (Dials(rarity=rarity).to_behaviours() for rarity in (0.0, 2.0))

    assert rare[2].base == common[2].base - 2.0
    assert rare[2].rate < common[2].rate
    assert rare[:2] == common[:2]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"behaviours": 7}, "behaviours is 7; expected 3 to 6"),
        ({"shared": 1.5}, r"shared is 1.5; expected a number in \[0, 1\]"),
        ({"difference": -0.1}, "difference is -0.1"),
    ],
)
def test_impossible_dials_are_refused_with_the_reason(values: dict[str, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Dials(**values)  # type: ignore[arg-type]
