"""Of a user's impressions of one item on a data date, the first in the declared order counts."""

import random
from collections import Counter

import pytest
from pyspark.sql import SparkSession

from features.repeats import counts_among_repeats, to_repeat_counts
from tests.features.small import Event, to_frame


def shown(seed: int) -> list[Event]:
    chance = random.Random(seed)
    return [
        Event(
            user=chance.randint(1, 3),
            item=chance.randint(1, 3),
            day=chance.randint(1, 2),
            hour=chance.randint(1, 4),  # some at the same time
            click=chance.randint(0, 1),
            number=number,
        )
        for number in range(60)
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_first_last_and_best_are_those_of_plain_python(spark: SparkSession, seed: int) -> None:
    events = shown(seed)
    frame = to_frame(spark, events).repartition(7)
    orders = {
        ("event_time ASC",): lambda event: (event.hour, event.event_id),
        ("event_time DESC",): lambda event: (-event.hour, event.event_id),
        ("is_click DESC", "event_time"): lambda event: (-event.click, event.hour, event.event_id),
    }
    found = frame.select(
        "event_id", *(counts_among_repeats(order).alias(str(n)) for n, order in enumerate(orders))
    ).collect()

    for number, place in enumerate(orders.values()):
        first: dict[tuple[int, int, int], Event] = {}
        for event in sorted(events, key=place):
            first.setdefault((event.user, event.item, event.day), event)
        expected = {event.event_id for event in first.values()}
        assert {row["event_id"] for row in found if row[str(number)]} == expected

    keys = Counter((event.user, event.item, event.day) for event in events)
    assert tuple(to_repeat_counts(frame).collect()[0]) == (60, 60 - len(keys))


def test_without_an_order_every_event_counts(spark: SparkSession) -> None:
    frame = to_frame(spark, [Event(user=1, item=1, day=1), Event(user=1, item=1, day=1, number=1)])

    assert [row[0] for row in frame.select(counts_among_repeats(())).collect()] == [True, True]
    assert tuple(to_repeat_counts(frame.limit(0)).collect()[0]) == (0, 0)
