"""A generated log as training reads it: what a pipeline would know of users as of the data date.

Letters: n rows, D latent width, K behaviours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.cohorts.ceiling import expected_probabilities
from bench.cohorts.generate import DAY, Log, Users, to_log, to_users, to_world
from bench.cohorts.worlds import World
from bench.fit import Dataset
from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.schema import Task
from jobs.workers.synthetic.dials import COHORTS, LATENT, Behaviour
from jobs.workers.synthetic.hashing import Floats, Ints
from jobs.workers.synthetic.truth import Events
from jobs.workers.synthetic.truth import World as Truth
from models.training.reader import Rows

EXAMPLES = 8  # per user
ROWS = (120_000, 480_000, 2_000_000)
"""Numbers of training examples. Those of a smaller number are among those of a larger one."""
VALIDATION_USERS, TEST_USERS = 2_000, 9_000
FIRST_VALIDATION, FIRST_TEST, AFTER_TEST = 15_000, 17_000, 26_000
"""Ids that no training user has: validation and test rows are the same for every number of training rows."""
PRIOR_EVENTS = 5  # a user's rates and profiles are shrunk towards 0 as by so many events
USERS_AT_ONCE = 4_096
FACETS: dict[str, tuple[str, ...]] = {"user_cohort": COHORTS, "item_cohort": ("all",)}


@dataclass(frozen=True)
class TestBed:
    """One data set of known truth.

    Attributes:
        world: that it is from.
        data: training and validation rows, new users in their share.
        test: rows of users of all cohorts in equal shares, so that each can be measured.
        test_log: what the test rows are made from.
        also_known: what of test users is known beside their past: examples of training users.
    """

    __test__ = False  # no class of tests

    world: World
    data: Dataset
    test: Rows
    test_log: Log
    also_known: Events | None

    def ceilings(self) -> dict[str, Floats]:
        """Return probabilities of the test rows, (n, K): `true`, `expected`, and `half_1`, `half_2` of this.

        Those of a behaviour with a sample space are given that the row lies in it.
        """
        expected = expected_probabilities(self.test_log, self.also_known)
        found = {"true": self.test_log.examples.probabilities, "expected": expected.all}
        found |= {f"half_{n}": half for n, half in enumerate(expected.halves, start=1)}
        behaviours = self.test_log.world.behaviours
        return {
            name: _given_sample_space(self.world, behaviours, p.reshape(len(self.test), -1))
            for name, p in found.items()
        }


@lru_cache(maxsize=1)
def to_test_bed(
    world: World, rows: int, seed: int, validation_users: int = VALIDATION_USERS, test_users: int = TEST_USERS
) -> TestBed:
    """Generate training, validation and test users; labels are the truth's, whoever the world's teacher is.

    Args:
        world: what they are drawn from.
        rows: training examples, 8 per user.
        seed: of the data.
        validation_users, test_users: numbers of them.
    """
    truth = to_world(seed, world.dials, world.items)
    new, rest = world.share_of_new, 1 - world.share_of_new
    shares = {"new": new, "low": rest * 3 / 8, "high": rest * 5 / 8}
    ids = np.arange(rows // EXAMPLES)
    ids[FIRST_VALIDATION:] += AFTER_TEST - FIRST_VALIDATION
    train = to_users(seed, ids, shares)
    validation = to_users(seed, FIRST_VALIDATION + np.arange(validation_users), shares)
    test = to_users(seed, FIRST_TEST + np.arange(test_users), dict.fromkeys(COHORTS, 1 / 3))
    also_known, days = None, dict.fromkeys(("validation", "test"), DAY)
    if world.has_user_ids:
        validation, test = (_returning(users, train) for users in (validation, test))
        days = {name: f"{name} examples" for name in days}
        first = to_log(truth, test, EXAMPLES).examples  # of the day that training is of
        is_known = np.broadcast_to(np.isin(test.ids, train.ids)[:, None], first.item.shape)
        also_known = replace(first, labels=first.labels * is_known[..., None], happened=is_known)
    known_ids = train.ids if world.has_user_ids else None
    test_log = to_log(truth, test, EXAMPLES, days["test"])
    train_rows = _rows_of_users(world, truth, train, DAY, known_ids)
    return TestBed(
        world=world,
        data=Dataset(
            _to_encoder(world, test_log, train_rows, len(train.ids)),
            to_tasks(world),
            FACETS,
            train_rows,
            _rows_of_users(world, truth, validation, days["validation"], known_ids),
        ),
        test=_to_rows(world, test_log, known_ids),
        test_log=test_log,
        also_known=also_known,
    )


def to_tasks(world: World) -> tuple[Task, ...]:
    """Return the tasks of a world: its behaviours."""
    return tuple(Task(name=b.name, label=b.name, kind="binary") for b in world.dials.to_behaviours())


def _returning(users: Users, train: Users) -> Users:
    """Return users of whom those of low and high activity are replaced by training users of their cohort."""
    ids = users.ids.copy()
    for cohort, name in enumerate(COHORTS):
        wanted, known = (np.flatnonzero(of.cohort == cohort) for of in (users, train))
        if name == "new":
            continue
        if len(wanted) > len(known):
            raise ValueError(
                f"{len(known)} training users of cohort {name}, {len(wanted)} are to return; ask for more"
            )
        ids[wanted] = train.ids[known[: len(wanted)]]
    return Users(ids, users.cohort)


def _given_sample_space(world: World, behaviours: tuple[Behaviour, ...], p: Floats) -> Floats:
    """Return probabilities (n, K) on all impressions as those given what a task's sample space says."""
    if not world.has_sample_space:
        return p
    return np.stack(
        [p[:, k] if b.after is None else p[:, k] / p[:, b.after] for k, b in enumerate(behaviours)], axis=1
    )


def _rows_of_users(world: World, truth: Truth, users: Users, day: str, known_ids: Ints | None) -> Rows:
    def parts() -> Iterator[Rows]:
        for start in range(0, len(users.ids), USERS_AT_ONCE):
            part = slice(start, start + USERS_AT_ONCE)
            log = to_log(truth, Users(users.ids[part], users.cohort[part]), EXAMPLES, day)
            yield _to_rows(world, log, known_ids)

    return Rows.concat([*parts()])


def _to_rows(world: World, log: Log, known_ids: Ints | None) -> Rows:
    examples = log.examples
    cohort = examples.cohort.reshape(-1)
    labels = examples.labels.reshape(len(cohort), -1).astype(np.float32)
    mask = np.ones(labels.shape, dtype=np.bool_)
    if world.has_sample_space:
        for k, behaviour in enumerate(log.world.behaviours):
            if behaviour.after is not None:
                mask[:, k] = labels[:, behaviour.after] > 0.5
    ids = [examples.item.reshape(-1) + 1, cohort + 1]
    if known_ids is not None:
        place = np.searchsorted(known_ids, log.users.ids).clip(max=len(known_ids) - 1)
        own = np.where(known_ids[place] == log.users.ids, place + 1, 0)
        ids.append(np.repeat(own, examples.item.shape[1]))
    return Rows(
        categorical=np.stack(ids, axis=1).astype(np.int32),
        dense=np.stack(list(_dense_columns(log).values()), axis=1).astype(np.float32),
        labels=labels,
        mask=mask,
        weight=np.ones(len(cohort), dtype=np.float32),
        user_group=cohort.astype(np.uint8),
        item_group=np.zeros(len(cohort), dtype=np.uint8),
    )


def _to_encoder(world: World, log: Log, train: Rows, users: int) -> Encoder:
    """Return the encoder of the columns of any log of the world, fitted on the training rows."""
    sizes = {"item_id": (world.items, 8), "user_cohort": (len(COHORTS), 4)}
    if world.has_user_ids:
        sizes["user_id"] = (users, 8)
    mean, std = train.dense.mean(0, dtype=np.float64), train.dense.std(0, dtype=np.float64)
    return Encoder(
        categorical=tuple(
            CategoricalEncoding(
                column=name,
                kind="vocabulary",
                size=1 + size,
                dim=dim,
                history_of="user" if name == "user_id" else None,
            )
            for name, (size, dim) in sizes.items()
        ),
        dense=tuple(
            DenseEncoding(
                column=name,
                transform="identity",
                mean=mean[place],
                std=std[place],
                history_of="user" if _is_history(name) else None,
                at_arrival=0.0 if _is_history(name) else None,
            )
            for place, name in enumerate(_dense_columns(log))
        ),
    )


def _is_history(column: str) -> bool:
    """Return whether a dense column is made of a user's past, and 0 without one."""
    return column.startswith("user_") and not column.startswith("user_attribute_")


def _dense_columns(log: Log) -> Mapping[str, NDArray[np.float64]]:
    """Return columns of all examples: attributes of both, and of the past a count, rates and profiles.

    A profile is a sum over past events of (behaviour - its rate) x the item's attributes. Sums and
    counts only, as tiles hold them.
    """
    examples, behaviours = log.examples.item.shape[1], log.world.behaviours
    users: dict[str, Floats] = {f"user_attribute_{d}": log.attributes[:, d] for d in range(LATENT)}
    users["user_event_count"] = np.log1p(log.past_count)
    past, size = log.past, log.past_count + PRIOR_EVENTS
    surplus = (past.labels - [b.rate for b in behaviours]) * past.happened[..., None]
    profiles = np.einsum("nek,ned->nkd", surplus, log.world.item_attributes[past.item])
    for k, behaviour in enumerate(behaviours):
        users[f"user_{behaviour.name}_surplus"] = surplus[..., k].sum(1) / size
        users |= {f"user_{behaviour.name}_profile_{d}": profiles[:, k, d] / size for d in range(LATENT)}
    columns = {name: np.repeat(values, examples) for name, values in users.items()}
    item = log.examples.item.reshape(-1)
    columns |= {f"item_attribute_{d}": log.world.item_attributes[item, d] for d in range(LATENT)}
    columns["item_duration"] = np.log(log.world.duration_seconds[item])
    return columns
