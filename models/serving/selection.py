"""From scores of users against the items of a pool to their lists.

Letters: U users, I items of the pool, n rows of the lists of these users.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray

NO_VALUE = -1


class Cap(NamedTuple):
    """How many items of one value of an attribute a list has at most.

    Attributes:
        value: number of each item's value, NO_VALUE for none, (I,).
        at_most: items of one value.
    """

    value: NDArray[np.int64]
    at_most: int


@dataclass(frozen=True)
class Rules:
    """What makes a list of scores.

    Attributes:
        key: what draws depend on beside the user and the item: data date and list.
        length: items of a list, at most.
        caps: any number of them.
        new_places: places that are kept for new items.
        is_new: which items these are drawn from, (I,).
        item_keys: hashes of the items, (I,) uint64, see `item_keys`.
    """

    key: str
    length: int
    caps: tuple[Cap, ...]
    new_places: int
    is_new: NDArray[np.bool_]
    item_keys: NDArray[np.uint64]


class Selected(NamedTuple):
    """Rows of lists, by user and rank.

    Shapes: all (n,). owner: place of the user. rank: from 1. item: place in the pool. probability: that this
    item has this place; 1 unless it was drawn.
    """

    owner: NDArray[np.int64]
    rank: NDArray[np.int32]
    item: NDArray[np.int64]
    probability: NDArray[np.float64]


def select(
    score: NDArray[np.float64], allowed: NDArray[np.bool_], users: Sequence[Any], rules: Rules
) -> Selected:
    """Return the lists of some users.

    Best scores first, equal ones in the order of the pool, each item as far as the caps allow. Of the places
    the last ones of `new_places` equal parts of the list are kept for new items: of those that the other
    places have left, and that even all together meet the caps, each has the same probability of each kept
    place, 1 / their number. Where there are fewer of them than kept places, the others take what is left.

    Args:
        score: (U, I).
        allowed: which items may be in whose list, (U, I).
        users: their ids, (U,).
        rules: of the list.
    """
    order = np.argsort(-score, axis=1, kind="stable")
    ranked = np.take_along_axis(allowed, order, axis=1)
    if not rules.caps and not rules.new_places:
        place = np.cumsum(ranked, axis=1)
        owner, at = np.nonzero(ranked & (place <= rules.length))
        rank = place[owner, at].astype(np.int32)
        return Selected(owner, rank, order[owner, at], np.ones(len(owner)))
    if not rules.caps:
        return _with_drawn(order, ranked, users, rules)
    lists = [_list_of(order[u][ranked[u]], user, rules) for u, user in enumerate(users)]
    lengths = [len(items) for items, _ in lists]
    return Selected(
        owner=np.repeat(np.arange(len(lists)), lengths),
        rank=np.concatenate([np.arange(1, n + 1, dtype=np.int32) for n in lengths]),
        item=np.concatenate([items for items, _ in lists]),
        probability=np.concatenate([probability for _, probability in lists]),
    )


def item_keys(item_ids: Sequence[Any]) -> NDArray[np.uint64]:
    """Return the XXH64 hash of each id as text, (I,)."""
    return np.array([xxhash.xxh64_intdigest(str(item).encode()) for item in item_ids], np.uint64)


def _with_drawn(
    order: NDArray[np.int64], ranked: NDArray[np.bool_], users: Sequence[Any], rules: Rules
) -> Selected:
    """Return the lists of some users without caps: `_list_of`, of all at once.

    Args:
        order: items best first, (U, I).
        ranked: which of these are allowed, (U, I).
        users: their ids.
        rules: of the list.
    """
    is_best = ranked & (np.cumsum(ranked, axis=1) <= rules.length - rules.new_places)
    is_eligible = ranked & ~is_best & rules.is_new[order]
    eligible = is_eligible.sum(axis=1)
    draws = np.stack([_draw(user, items, rules) for user, items in zip(users, order, strict=True)])
    first = np.argsort(np.where(is_eligible, draws, np.iinfo(np.uint64).max), axis=1, kind="stable")
    drawn = np.minimum(eligible, rules.new_places)
    is_drawn = np.zeros_like(ranked)
    places = np.arange(rules.new_places)
    owner, turn = np.nonzero(places < drawn[:, None])
    is_drawn[owner, first[owner, turn]] = True
    is_rest = ranked & ~is_best & ~is_drawn
    missing = rules.length - is_best.sum(axis=1) - drawn
    is_best |= is_rest & (np.cumsum(is_rest, axis=1) <= missing[:, None])
    length = is_best.sum(axis=1) + drawn
    kept = (turn + 1) * length[owner] // drawn[owner] - 1
    starts = np.concatenate([[0], np.cumsum(length)])
    is_kept = np.zeros(starts[-1], bool)
    is_kept[starts[owner] + kept] = True
    item, probability = np.empty(starts[-1], np.int64), np.ones(starts[-1])
    item[starts[owner] + kept] = order[owner, first[owner, turn]]
    probability[starts[owner] + kept] = 1 / eligible[owner]
    item[~is_kept] = order[is_best]
    owners = np.repeat(np.arange(len(length)), length)
    rank = (np.arange(starts[-1]) - starts[owners] + 1).astype(np.int32)
    return Selected(owners, rank, item, probability)


def _list_of(
    order: NDArray[np.int64], user: Any, rules: Rules
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the items of one user's list and their probabilities.

    Args:
        order: items that are allowed, best first.
        user: its id.
        rules: of the list.
    """
    counts = [dict[int, int]() for _ in rules.caps]
    best = _taken(order, rules, counts, rules.length - rules.new_places)
    left = order[~np.isin(order, best)]
    with_left = [dict(count) for count in counts]
    eligible = _taken(left[rules.is_new[left]], rules, with_left, len(left))
    drawn = eligible[np.argsort(_draw(user, eligible, rules), kind="stable")][: rules.new_places]
    for item in drawn:
        _count(int(item), rules, counts)
    rest = left[~np.isin(left, drawn)]
    best = np.concatenate([best, _taken(rest, rules, counts, rules.length - len(best) - len(drawn))])
    length = len(best) + len(drawn)
    kept = np.array([(part + 1) * length // len(drawn) - 1 for part in range(len(drawn))], np.int64)
    items, probability = np.empty(length, np.int64), np.ones(length)
    items[kept], probability[kept] = drawn, 1 / max(len(eligible), 1)
    items[np.setdiff1d(np.arange(length), kept)] = best
    return items, probability


def _taken(
    order: NDArray[np.int64], rules: Rules, counts: list[dict[int, int]], most: int
) -> NDArray[np.int64]:
    """Return the first items that the caps allow, and count them."""
    if not rules.caps:
        return order[:most]
    taken: list[int] = []
    for item in order:
        if len(taken) >= most:
            break
        if all(
            cap.value[item] == NO_VALUE or count.get(cap.value[item], 0) < cap.at_most
            for cap, count in zip(rules.caps, counts, strict=True)
        ):
            _count(int(item), rules, counts)
            taken.append(int(item))
    return np.array(taken, np.int64)


def _count(item: int, rules: Rules, counts: list[dict[int, int]]) -> None:
    for cap, count in zip(rules.caps, counts, strict=True):
        value = int(cap.value[item])
        count[value] = count.get(value, 0) + 1


def _draw(user: Any, items: NDArray[np.int64], rules: Rules) -> NDArray[np.uint64]:
    """Return a number per item by which the first ones are drawn: the finaliser of SplitMix64 over hashes."""
    z = rules.item_keys[items] ^ np.uint64(xxhash.xxh64_intdigest(f"{rules.key} {user}".encode()))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    drawn: NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return drawn
