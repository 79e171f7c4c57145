"""What the truth of a synthetic log says of cohorts and items."""

import numpy as np
import pytest

from jobs.workers.synthetic.dials import Dials
from jobs.workers.synthetic.truth import BEHAVIOURS, item_of, to_world

ITEMS = np.arange(400)


@pytest.mark.parametrize("difference", [0.0, 0.5, 1.0])
def test_directions_have_the_cosines_that_were_asked_for(difference: float) -> None:
    alike = to_world(5, Dials(0.0, cosine=0.3), ITEMS).directions[:, 0]
    own = to_world(5, Dials(difference, cosine=0.3), ITEMS).directions

    assert alike @ alike.T == pytest.approx(np.where(np.eye(len(BEHAVIOURS)), 1, 0.3))
    assert np.linalg.norm(own, axis=-1) == pytest.approx(np.ones(own.shape[:2]))
    assert np.einsum("kcd,kd->kc", own, alike) == pytest.approx(
        np.full(own.shape[:2], np.sqrt(1 - difference**2))
    )


def test_some_items_are_the_same_as_among_all() -> None:
    some = np.array([3, 399, 7])

    assert np.array_equal(to_world(5, Dials(), some).items, to_world(5, Dials(), ITEMS).items[some])


def test_one_item_is_shown_as_often_as_asked_and_the_others_equally() -> None:
    shown = item_of(1, "past", np.arange(40_000)[:, None], np.arange(5), items=10, hot_item=0.2)

    shares = np.bincount(shown.ravel(), minlength=10) / shown.size
    assert shares == pytest.approx([0.28, *[0.08] * 9], abs=0.005)
