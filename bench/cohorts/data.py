"""A generated log as training reads it: what a pipeline would know of users as of the data date.

Letters: n rows, D latent width, K behaviours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.cohorts.ceiling import expected_probabilities
from bench.cohorts.generate import ITEMS, Log, to_log, to_world
from bench.fit import Dataset
from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.schema import Task
from jobs.workers.synthetic.hashing import Floats
from jobs.workers.synthetic.truth import BEHAVIOURS, COHORTS, LATENT
from models.training.reader import Rows

TASKS = tuple(Task(name=name, label=name, kind="binary") for name in BEHAVIOURS)
EXAMPLES = 8  # per user
TRAIN_USERS, VALIDATION_USERS, TEST_USERS = 15_000, 2_000, 9_000
PRIOR_EVENTS = 5  # a user's rates and profiles are shrunk towards 0 as by so many events


@dataclass(frozen=True)
class TestBed:
    """One data set of known truth.

    Attributes:
        data: training and validation rows, new users in their share.
        test: rows of users of all cohorts in equal shares, so that each can be measured.
        true, expected: probabilities of the test rows, (n, K): of the truth, and given what can be known.
        halves: `expected` from either half of the particles.
    """

    data: Dataset
    test: Rows
    true: Floats
    expected: Floats
    halves: tuple[Floats, Floats]


@lru_cache(maxsize=1)
def to_test_bed(difference: float, share_of_new: float, seed: int) -> TestBed:
    """Generate training, validation and test users, 208,000 examples in all.

    Args:
        difference: q of `generate.to_world`.
        share_of_new: of the users of training and validation; of the others 3 in 8 are low.
        seed: of the data.
    """
    world = to_world(seed, difference)
    shares = {"new": share_of_new, "low": (1 - share_of_new) * 3 / 8, "high": (1 - share_of_new) * 5 / 8}
    train = to_log(world, TRAIN_USERS, shares, EXAMPLES)
    validation = to_log(world, VALIDATION_USERS, shares, EXAMPLES, first_user=TRAIN_USERS)
    test = to_log(
        world, TEST_USERS, dict.fromkeys(COHORTS, 1 / 3), EXAMPLES, first_user=TRAIN_USERS + VALIDATION_USERS
    )
    dense = _dense_columns(train)
    encoder = Encoder(
        categorical=(
            CategoricalEncoding(column="item_id", kind="hash", size=1 + ITEMS, dim=8),
            CategoricalEncoding(column="user_cohort", kind="hash", size=1 + len(COHORTS), dim=4),
        ),
        dense=tuple(
            DenseEncoding(column=name, transform="identity", mean=values.mean(), std=values.std())
            for name, values in dense.items()
        ),
    )
    ceiling = expected_probabilities(test)
    flat = (TEST_USERS * EXAMPLES, len(BEHAVIOURS))
    return TestBed(
        data=Dataset(encoder, TASKS, {"user_cohort": COHORTS}, _to_rows(train), _to_rows(validation)),
        test=_to_rows(test),
        true=test.examples.probabilities.reshape(flat),
        expected=ceiling.all.reshape(flat),
        halves=(ceiling.halves[0].reshape(flat), ceiling.halves[1].reshape(flat)),
    )


def _to_rows(log: Log) -> Rows:
    examples = log.examples
    cohort = examples.cohort.reshape(-1)
    labels = examples.labels.reshape(len(cohort), -1).astype(np.float32)
    return Rows(
        categorical=np.stack([examples.item.reshape(-1), cohort], axis=1).astype(np.int32) + 1,
        dense=np.stack(list(_dense_columns(log).values()), axis=1).astype(np.float32),
        labels=labels,
        mask=np.ones(labels.shape, dtype=np.bool_),
        weight=np.ones(len(cohort), dtype=np.float32),
        user_group=cohort.astype(np.uint8),
        item_group=np.zeros(len(cohort), dtype=np.uint8),
    )


def _dense_columns(log: Log) -> Mapping[str, NDArray[np.float64]]:
    """Return columns of all examples: attributes of both, and of the past a count, rates and profiles.

    A profile is a sum over past events of (behaviour - its rate) x the item's attributes. Sums and
    counts only, as tiles hold them.
    """
    examples = log.examples.item.shape[1]
    users: dict[str, Floats] = {f"user_attribute_{d}": log.attributes[:, d] for d in range(LATENT)}
    users["user_event_count"] = np.log1p(log.past_count)
    past, size = log.past, log.past_count + PRIOR_EVENTS
    surplus = (past.labels - _MEANS) * past.happened[..., None]
    profiles = np.einsum("nek,ned->nkd", surplus, log.world.item_attributes[past.item])
    for k, name in enumerate(BEHAVIOURS):
        users[f"user_{name}_surplus"] = surplus[..., k].sum(1) / size
        users |= {f"user_{name}_profile_{d}": profiles[:, k, d] / size for d in range(LATENT)}
    columns = {name: np.repeat(values, examples) for name, values in users.items()}
    item = log.examples.item.reshape(-1)
    columns |= {f"item_attribute_{d}": log.world.item_attributes[item, d] for d in range(LATENT)}
    columns["item_duration"] = np.log(log.world.duration_seconds[item])
    return columns


_MEANS = np.array([0.45, 0.38, 0.11])  # about the behaviours' rates; a profile measures from there
