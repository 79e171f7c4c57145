"""Fifty orders of arrival in Spark: late, twice, corrected and withdrawn files end as if all had been there.

The log is made of worlds whose users, items and files no other world has, so that one warehouse proves as
many orders as there are worlds. That a backfill finds what each order alone makes stale, where no other
world's change hides it, is the property of tests/jobs/runtime/test_backfill.py.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from core.rule_words import TOO_LATE
from jobs.runtime.arguments import Arguments
from jobs.runtime.backfill import run_backfill
from jobs.runtime.night import run_history
from jobs.runtime.project import Project
from jobs.runtime.quarantine import count_quarantine, readmit
from jobs.tables.store import Commit, Store
from tests.jobs.test_backfill import ask, at, elsewhere
from tests.tiny_log import DAYS, Row, deliver, withdraw, write_tiny_project

WORLDS, ROUNDS = 50, 3
ONE, LAST = DAYS[0], DAYS[-1]
TABLES = (
    *("events", "quarantine", "row_balance", "examples", "group_means"),
    *(f"{entity}_{kind}" for entity in ("user", "item") for kind in ("daily", "features", "cohorts")),
)

# An event: days before its file's date, hour, which of two users and of two items, clicked.
Event = tuple[int, int, int, int, str]
Content = tuple[Event, ...]
FileKey = tuple[date, str]


@dataclass(frozen=True)
class Order:
    """How the files of one world arrive: before the first run, then round by round; None: withdrawn."""

    before: dict[FileKey, Content]
    rounds: tuple[dict[FileKey, Content | None], ...]

    def kinds(self) -> set[str]:
        """Say what happens to files in words."""
        offered: dict[FileKey, Content | None] = dict(self.before)
        found = set()
        for changes in self.rounds:
            for key, content in changes.items():
                now = offered.get(key)
                if content is None:
                    found |= {"withdrawn"} if now is not None else set()
                elif content == now or content in offered.values():
                    found.add("twice")
                else:
                    found.add("late" if now is None else "corrected")
                offered[key] = content
        return found


AGAIN = "again"
"""The rows of the file of the same date with the other name come again."""


def to_order(before: dict[FileKey, Content], rounds: tuple[dict[FileKey, Any], ...]) -> Order:
    """Return an order in which AGAIN is replaced by the rows of the other file, if there is one."""
    offered: dict[FileKey, Content | None] = dict(before)
    made = []
    for changes in rounds:
        found = {}
        for (day, name), content in changes.items():
            other = offered.get((day, "b" if name == "a" else "a"))
            if content != AGAIN or other is not None:
                found[day, name] = other if content == AGAIN else content
        offered |= found
        made.append(found)
    return Order(before, tuple(made))


events = st.tuples(
    st.sampled_from([0, 0, 0, 1, 1, 2]),
    st.integers(0, 23),
    st.integers(0, 1),
    st.integers(0, 1),
    st.sampled_from(["0", "1", "?"]),
)
own_event = events.map(lambda event: (0, *event[1:]))
contents = st.tuples(own_event) | st.tuples(own_event, events) | st.tuples(own_event, events, events)
keys = st.tuples(st.sampled_from(DAYS), st.sampled_from(["a", "b"]))
changes = st.dictionaries(keys, st.none() | st.just(AGAIN) | contents, min_size=1, max_size=4)
orders = st.builds(
    to_order, st.dictionaries(keys, contents, min_size=2, max_size=6), st.tuples(*[changes] * ROUNDS)
)


def generated(number: int) -> list[Order]:
    """Return different orders, as Hypothesis generates them; the first ones that it makes are trivial."""
    found: list[Order] = []

    @settings(max_examples=3 * number, database=None, derandomize=True, phases=[Phase.generate])
    @given(orders)
    def collect(order: Order) -> None:
        if all(order.rounds) and order not in found:
            found.append(order)

    collect()
    return found[-number:]


def rows_of(world: int, day: date, content: Content) -> list[Row]:
    return [
        (f"u{user}-of-{world}", f"i{item}-of-{world}", at(day - timedelta(days=late), hour), clicked)
        for late, hour, user, item, clicked in content
    ]


def arrive(folder: Path, world: int, changes: dict[FileKey, Any]) -> None:
    for (day, name), content in changes.items():
        file = f"{world}-{name}"
        if content is None:
            withdraw(folder, day, file)
        else:
            deliver(folder, day, file, rows_of(world, day, content))


def tables(project: Project) -> dict[str, list[str]]:
    """Return the content of all tables up to examples, and of the averages made of them."""
    return {name: sorted(map(str, rows)) for name, rows in _rows(project).items()}


def _rows(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    return {
        name: [
            tuple(row[column] for column in project.catalog[name].content) for row in project.store.rows(name)
        ]
        for name in TABLES
    }


def cut_off_at(table: str, asked: Arguments) -> None:
    """Run a backfill that ends with an error when it is about to commit a table."""
    replace = Store.replace

    def replace_or_end(store: Store, name: str, *arguments: Any) -> Commit:
        if name == table:
            raise OSError("no more space")
        return replace(store, name, *arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "replace", replace_or_end)
        with pytest.raises(OSError, match="no more space"):
            run_backfill(asked)


@pytest.mark.slow
def test_fifty_orders_of_arrival_end_as_if_all_files_had_been_there(
    spark: SparkSession, tmp_path: Path
) -> None:
    worlds = generated(WORLDS)
    kinds = [kind for order in worlds for kind in order.kinds()]
    assert len(worlds) == WORLDS
    assert min(kinds.count(kind) for kind in ("late", "twice", "corrected", "withdrawn")) >= 10
    folder = write_tiny_project(tmp_path / "project")
    asked = ask(folder, allow_empty=True)

    for world, order in enumerate(worlds):
        arrive(folder, world, order.before)
    run_history(asked)
    too_late = {each.data_date for each in count_quarantine(Project(asked)) if each.rule == TOO_LATE}
    for day in too_late:
        readmit(Project(asked), day, TOO_LATE, "for a test")
    for number in range(ROUNDS):
        for world, order in enumerate(worlds):
            arrive(folder, world, order.rounds[number])
        if number == 1:
            cut_off_at("user_features", asked)
        run_backfill(asked)
    at_once = elsewhere(asked, tmp_path / "at once")
    run_history(at_once)

    found, expected = tables(Project(asked)), tables(Project(at_once))
    assert {name: len(rows) for name, rows in found.items()} == {n: len(r) for n, r in expected.items()}
    assert found == expected
    assert min(len(rows) for rows in found.values()) > 0
    assert not any(step.dates for step in run_backfill(asked))
