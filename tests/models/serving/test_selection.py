"""Lists of scores: best first, caps, and places that are kept for new items."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.serving.selection import NO_VALUE, Cap, Rules, Selected, item_keys, select

ITEMS = 9


def rules(
    length: int = 4,
    caps: tuple[Cap, ...] = (),
    new_places: int = 0,
    new: tuple[int, ...] = (),
    items: int = ITEMS,
    key: str = "2022-05-07 home",
) -> Rules:
    is_new = np.isin(np.arange(items), new)
    return Rules(key, length, caps, new_places, is_new, item_keys([*range(items)]))


def of_one(scores: list[float], by: Rules, allowed: list[bool] | None = None, user: int = 1) -> Selected:
    may = np.array([allowed or [True] * len(scores)])
    return select(np.array([scores]), may, [user], by)


SCORES = [0.1, 0.9, 0.5, 0.5, 0.8, 0.2, 0.3, 0.7, 0.6]  # best first: 1, 4, 7, 8, 2, 3, 6, 5, 0


def test_best_scores_come_first_and_equal_ones_in_the_order_of_the_pool() -> None:
    found = of_one(SCORES, rules(length=7))

    assert [*found.item] == [1, 4, 7, 8, 2, 3, 6]
    assert [*found.rank] == [1, 2, 3, 4, 5, 6, 7]
    assert {*found.probability} == {1.0}


def test_items_that_are_not_allowed_are_left_out_and_a_list_may_be_short_or_empty() -> None:
    score = np.array([SCORES] * 3)
    allowed = np.zeros((3, ITEMS), bool)
    allowed[0, [0, 4, 2]] = True
    allowed[2] = True

    found = select(score, allowed, [7, 8, 9], rules())

    assert [*zip(found.owner, found.rank, found.item, strict=True)] == [
        (0, 1, 4), (0, 2, 2), (0, 3, 0), (2, 1, 1), (2, 2, 4), (2, 3, 7), (2, 4, 8)
    ]  # fmt: skip


def test_a_list_has_at_most_so_many_items_of_a_value_and_null_is_no_value() -> None:
    author = Cap(np.array([5, 5, 5, 6, 5, 6, NO_VALUE, NO_VALUE, NO_VALUE]), at_most=1)

    assert [*of_one(SCORES, rules(length=6, caps=(author,))).item] == [1, 7, 8, 3, 6]


def test_caps_on_two_attributes_hold_together() -> None:
    author = Cap(np.array([0, 1, 1, 2, 1, 2, 3, 1, 0]), at_most=2)
    kind = Cap(np.array([0, 0, 0, 0, 1, 1, 1, 1, 0]), at_most=2)
    # 1 (author 1, kind 0), 4 (1, 1), 8 (0, 0), 6 (3, 1); not 7 and 2 (author 1), 3 and 0 (kind 0), 5 (kind 1)
    assert [*of_one(SCORES, rules(length=9, caps=(author, kind))).item] == [1, 4, 8, 6]


def test_kept_places_are_the_last_of_equal_parts_and_hold_new_items_that_ranking_did_not_place() -> None:
    found = of_one(SCORES, rules(length=4, new_places=2, new=(0, 2, 3, 4)))

    assert [found.item[0], found.item[2]] == [1, 4]  # 4 is new, and ranked by itself
    assert {found.item[1], found.item[3]} <= {0, 2, 3}
    assert [*found.probability] == [1, 1 / 3, 1, 1 / 3]


def test_with_fewer_new_items_than_kept_places_the_others_take_what_is_left() -> None:
    found = of_one(SCORES, rules(length=4, new_places=2, new=(0,)))

    assert [*found.item] == [1, 4, 7, 0]
    assert [*found.probability] == [1, 1, 1, 1]
    assert [*of_one(SCORES, rules(length=4, new_places=2)).item] == [1, 4, 7, 8]


def test_drawn_items_keep_the_caps_whatever_is_drawn() -> None:
    author = Cap(np.array([5, 5, 6, 6, 7, 8, NO_VALUE, 8, 9]), at_most=1)
    by = rules(length=5, caps=(author,), new_places=3, new=(0, 2, 3, 5, 6))
    # ranked: 1, 4; of the new ones 0 is of author 5, who is there; 3 of 6, as the better 2: eligible 2, 6, 5
    for user in range(40):
        found = of_one(SCORES, by, user=user)
        assert {*found.item} == {1, 4, 2, 6, 5}
        assert sorted(found.probability) == [pytest.approx(1 / 3)] * 3 + [1, 1]


def test_the_frequency_of_each_placement_is_its_probability() -> None:
    users, by = 6000, rules(length=4, new_places=2, new=(0, 2, 3, 5, 6))
    score = np.broadcast_to(np.array(SCORES), (users, ITEMS))

    found = select(score, np.ones_like(score, bool), range(users), by)

    seen = Counter(zip(found.rank[found.probability < 1], found.item[found.probability < 1], strict=True))
    assert {*seen} == {*product((2, 4), (0, 2, 3, 5, 6))}
    assert {*found.probability} == {1.0, 0.2}
    # standard deviation of a count: sqrt(6000 x .2 x .8) = 31
    assert all(abs(count - users / 5) < 5 * 31 for count in seen.values())


def test_a_draw_depends_on_user_item_and_key_and_not_on_who_else_is_there() -> None:
    users, by = 50, rules(length=2, new_places=1, new=(0, 2, 3, 5, 6))
    score = np.broadcast_to(np.array(SCORES), (users, ITEMS))
    everything = np.ones_like(score, bool)

    together = select(score, everything, range(users), by).item[1::2]
    alone = [of_one(SCORES, by, user=user).item[1] for user in range(users)]
    of_another_night = rules(length=2, new_places=1, new=(0, 2, 3, 5, 6), key="2022-05-08 home")

    assert [*together] == alone
    assert [*together] != [*select(score, everything, range(users), of_another_night).item[1::2]]
    assert len({*together}) == 5


@given(
    scores=st.lists(st.integers(0, 5), min_size=1, max_size=12),
    allowed=st.lists(st.booleans(), min_size=12, max_size=12),
    values=st.lists(st.integers(-1, 3), min_size=12, max_size=12),
    new=st.lists(st.booleans(), min_size=12, max_size=12),
    length=st.integers(1, 8),
    at_most=st.integers(1, 3),
    kept=st.integers(0, 4),
    user=st.integers(0, 99),
)
def test_a_list_is_what_its_rules_say(
    scores: list[int],
    allowed: list[bool],
    values: list[int],
    new: list[bool],
    length: int,
    at_most: int,
    kept: int,
    user: int,
) -> None:
    n, kept = len(scores), min(kept, length)
    value = np.array(values[:n])
    by = Rules("k", length, (Cap(value, at_most),), kept, np.array(new[:n]), item_keys([*range(n)]))

    found = of_one([score / 5 for score in scores], by, allowed[:n], user)

    items = [*found.item]
    assert len(set(items)) == len(items) <= length
    assert all(allowed[item] for item in items)
    assert [*found.rank] == [*range(1, len(items) + 1)]
    counts = Counter(int(value[item]) for item in items)
    assert all(count <= at_most for of, count in counts.items() if of != NO_VALUE)
    drawn = [item for item, p in zip(items, found.probability, strict=True) if p < 1]
    assert len(drawn) <= kept
    assert all(new[item] for item in drawn)
    if len(items) < length:  # nothing that could still be there is missing
        left = [i for i in range(n) if allowed[i] and i not in items]
        assert all(value[i] != NO_VALUE and counts[int(value[i])] >= at_most for i in left)
    sure = [item for item, p in zip(items, found.probability, strict=True) if p == 1]
    if not kept:
        assert [scores[item] for item in sure] == sorted((scores[item] for item in sure), reverse=True)


@given(
    seed=st.integers(0, 10_000),
    length=st.integers(1, 12),
    kept=st.integers(1, 6),
    share_allowed=st.sampled_from([0.0, 0.3, 1.0]),
    share_new=st.sampled_from([0.0, 0.2, 0.7]),
)
def test_lists_of_many_users_at_once_are_those_of_each_alone_under_a_cap_that_never_holds(
    seed: int, length: int, kept: int, share_allowed: float, share_new: float
) -> None:
    random, users, items = np.random.default_rng(seed), 5, 10
    score, allowed = random.integers(0, 6, (users, items)) / 6, random.random((users, items)) < share_allowed
    new, keys = random.random(items) < share_new, item_keys([*range(items)])
    without = Rules("k", length, (), min(kept, length), new, keys)
    never = Rules("k", length, (Cap(np.arange(items), 1),), min(kept, length), new, keys)

    at_once, one_by_one = (select(score, allowed, range(users), by) for by in (without, never))

    for together, alone in zip(at_once, one_by_one, strict=True):
        np.testing.assert_array_equal(together, alone)
