"""Rows with ids of users and items of whom training has no, few or many rows; with known truth, or real.

Of known truth: `jobs/workers/synthetic/truth.py`, in which all users behave alike (q = 0). The inputs are
the six attributes of each side and the ids: what attributes do not explain of a user or an item can be learnt
of its rows alone. Training has 118,000 rows of 4,000 users with 27 rows each and 2,000 with five, and of 300
items that have nearly all rows and 200 with about five; 2,000 users and 200 items have none. Of the rows of
validation 5 % are of users, and 5 % of items, without any, as on a day after training. A third each of the
test rows is of users, and independently of items, of each kind. Coded attributes are read as a s and s, s
random signs, so that no layer without a hidden one can make an embedding of them.

Letters: n rows, K tasks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.fit import ONE_COHORT, Dataset
from bench.kuairand.data import kuairand
from core.encoder import CategoricalEncoding, DenseEncoding, Encoder
from core.schema import Task
from jobs.workers.synthetic.dials import LATENT, Dials
from jobs.workers.synthetic.hashing import normals
from jobs.workers.synthetic.truth import (
    BEHAVIOURS,
    World,
    to_events,
    to_world,
    user_attributes,
    user_vectors,
)
from models.training.reader import Rows

IDS = ("user_id", "item_id")
HISTORIES = ("none", "few", "many")
FEW = 10  # rows from which on there are many
USERS, ITEMS = {"none": 2000, "few": 2000, "many": 4000}, {"none": 200, "few": 200, "many": 300}
ROWS_OF_USER, ROWS_OF_FEW_ITEMS = {"few": 5, "many": 27}, 5
VALIDATION_ROWS, TEST_ROWS = 16_000, 45_000
UNSEEN = 0.05  # share of the validation rows without history, by user and by item
DIM = 8
TASKS = tuple(Task(name=name, label=name, kind="binary") for name in BEHAVIOURS)

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class IdRows:
    """One data set; ids are the first columns, 0 for those without training rows.

    Attributes:
        data: training and validation rows.
        test: test rows.
        history: `user|none`, `item|few` and so on -> which test rows, (n,).
        attributes: id column -> columns of its side that say what it is.
        truth: true probabilities of the test rows, (n, K), where they are known.
    """

    data: Dataset
    test: Rows
    history: Mapping[str, NDArray[np.bool_]]
    attributes: Mapping[str, tuple[str, ...]]
    truth: NDArray[np.float64] | None = None

    def with_ids(self, wanted: bool) -> "IdRows":
        """Return it, or the same without its ids."""
        if wanted:
            return self
        encoder = self.data.encoder
        data = replace(
            self.data,
            encoder=encoder.model_copy(update={"categorical": encoder.categorical[len(IDS) :]}),
            train=_without_ids(self.data.train),
            validation=_without_ids(self.data.validation),
        )
        return replace(self, data=data, test=_without_ids(self.test), attributes={})


@lru_cache(maxsize=1)
def of_known_truth(seed: int, explained: float, is_coded: bool) -> IdRows:
    """Draw the rows of one seed.

    Args:
        seed: of everything.
        explained: share of a vector that attributes explain.
        is_coded: attributes are read as a s and s, s random signs of each user and item.
    """
    dials = Dials(difference=0.0, explained=explained)
    world = to_world(seed, dials, np.arange(sum(ITEMS.values())))
    random = np.random.default_rng(seed)
    users, items = _places(USERS), _places(ITEMS)
    train_users = np.concatenate([np.repeat(users[name], rows) for name, rows in ROWS_OF_USER.items()])
    share = ROWS_OF_FEW_ITEMS * ITEMS["few"] / len(train_users)
    natural = {"none": 0.0, "few": share, "many": 1 - share}
    later = {name: UNSEEN if name == "none" else (1 - UNSEEN) * part for name, part in natural.items()}
    third = dict.fromkeys(HISTORIES, 1 / 3)
    seen = random.choice(train_users, VALIDATION_ROWS)
    is_new = random.random(VALIDATION_ROWS) < UNSEEN
    validation_users = np.where(is_new, random.choice(users["none"], VALIDATION_ROWS), seen)
    pairs = {
        "train": (train_users, _drawn(random, items, natural, len(train_users))),
        "validation": (validation_users, _drawn(random, items, later, VALIDATION_ROWS)),
        "test": (_drawn(random, users, third, TEST_ROWS), _drawn(random, items, third, TEST_ROWS)),
    }
    known = [np.unique(ids) for ids in pairs["train"]]
    made = {name: _rows(world, name, *both, known, is_coded) for name, both in pairs.items()}
    columns = range(LATENT * (1 + is_coded))
    attributes = {of: tuple(f"{of.removesuffix('_id')}_attribute_{d}" for d in columns) for of in IDS}
    dense = [
        DenseEncoding(column=column, transform="identity", mean=0.0, std=1.0)
        for names in attributes.values()
        for column in names
    ]
    encoder = Encoder(categorical=_id_encodings(known), dense=tuple(dense))
    return IdRows(
        data=Dataset(encoder, TASKS, ONE_COHORT, made["train"][0], made["validation"][0]),
        test=made["test"][0],
        history=_histories(pairs["train"], pairs["test"]),
        attributes=attributes,
        truth=made["test"][1],
    )


@lru_cache(maxsize=1)
def of_kuairand() -> IdRows:
    """Return KuaiRand-Pure with both ids by vocabularies of the training days, the cohort a feature.

    Attributes are the categorical columns of a side, and the duration of an item.
    """
    found = kuairand()
    splits = {"train": found.data.train, "validation": found.data.validation, "test": found.test}
    pairs = {name: (found.users[name], found.items[name]) for name in splits}
    known = [np.unique(ids) for ids in pairs["train"]]
    categorical = found.data.encoder.categorical
    place = found.data.encoder.id_columns.index("cat_item_id")  # the hashed one goes
    rows = {
        name: _with_categorical(of, [*_numbers(known, pairs[name]), np.delete(of.categorical, place, axis=1)])
        for name, of in splits.items()
    }
    others = tuple(c for c in categorical if c.column != "item_id")
    encoder = found.data.encoder.model_copy(update={"categorical": (*_id_encodings(known), *others)})
    attributes = {of: tuple(c.column for c in others if f"{c.side}_id" == of) for of in IDS}
    attributes["item_id"] += ("item_duration_seconds",)
    return IdRows(
        data=replace(found.data, encoder=encoder, train=rows["train"], validation=rows["validation"]),
        test=rows["test"],
        history=_histories(pairs["train"], pairs["test"]),
        attributes=attributes,
    )


WORLDS: dict[str, Callable[[int], IdRows]] = {
    "control": lambda seed: of_known_truth(seed, 0.9, is_coded=True),
    "half": lambda seed: of_known_truth(seed, 0.5, is_coded=False),
    "kuairand": lambda _: of_kuairand(),
}
"""Name -> rows of a seed."""


def _places(counts: Mapping[str, int]) -> dict[str, Ids]:
    ends = np.cumsum([*counts.values()])
    return {name: np.arange(end - counts[name], end) for name, end in zip(counts, ends, strict=True)}


def _drawn(
    random: np.random.Generator, ids: Mapping[str, Ids], shares: Mapping[str, float], count: int
) -> Ids:
    """Draw ids: first the kind by its share, then one of the kind."""
    kind = random.choice(len(HISTORIES), count, p=[shares[name] for name in HISTORIES])
    by_kind = np.stack([random.choice(ids[name], count) for name in HISTORIES])
    drawn: Ids = by_kind[kind, np.arange(count)]
    return drawn


def _rows(
    world: World, stream: str, users: Ids, items: Ids, known: list[Ids], is_coded: bool
) -> tuple[Rows, NDArray[np.float64]]:
    """Return rows and their true probabilities, (n, K)."""
    vectors = user_vectors(world.seed, users, world.dials.explained)
    number = np.arange(len(users))[:, None]
    events = to_events(world, stream, users, vectors, number, items[:, None], np.zeros_like(number))
    attributes = {"user": user_attributes(world.seed, users), "item": world.item_attributes[items]}
    if is_coded:
        for side, ids in (("user", users), ("item", items)):
            signs = np.sign(normals(world.seed, f"{side} signs", ids, LATENT))
            attributes[side] = np.concatenate([attributes[side] * signs, signs], axis=1)
    labels = events.labels[:, 0].astype(np.float32)
    group = np.zeros(len(users), dtype=np.uint8)
    rows = Rows(
        categorical=np.column_stack(_numbers(known, (users, items))).astype(np.int32),
        dense=np.concatenate([*attributes.values()], axis=1).astype(np.float32),
        labels=labels,
        mask=np.ones(labels.shape, dtype=np.bool_),
        weight=np.ones(len(users), dtype=np.float32),
        user_group=group,
        item_group=group,
    )
    return rows, events.probabilities[:, 0]


def _id_encodings(known: list[Ids]) -> tuple[CategoricalEncoding, ...]:
    return tuple(
        CategoricalEncoding(column=column, kind="vocabulary", size=1 + len(ids), dim=DIM)
        for column, ids in zip(IDS, known, strict=True)
    )


def _numbers(known: list[Ids], pairs: tuple[Ids, Ids]) -> list[Ids]:
    """Return the ids' numbers in the vocabularies, 0 for unknown ones, (n,) each."""
    found = []
    for vocabulary, ids in zip(known, pairs, strict=True):
        place = np.searchsorted(vocabulary, ids).clip(max=len(vocabulary) - 1)
        found.append(np.where(vocabulary[place] == ids, place + 1, 0))
    return found


def _histories(train: tuple[Ids, Ids], test: tuple[Ids, Ids]) -> dict[str, NDArray[np.bool_]]:
    found: dict[str, NDArray[np.bool_]] = {}
    for column, past, ids in zip(IDS, train, test, strict=True):
        known, counts = np.unique(past, return_counts=True)
        rows = dict(zip(known.tolist(), counts.tolist(), strict=True))
        count = np.array([rows.get(each, 0) for each in ids.tolist()])
        kind = np.digitize(count, [1, FEW])
        side = column.removesuffix("_id")
        found |= {f"{side}|{name}": kind == place for place, name in enumerate(HISTORIES)}
    return found


def _without_ids(rows: Rows) -> Rows:
    return _with_categorical(rows, [rows.categorical[:, len(IDS) :]])


def _with_categorical(rows: Rows, columns: list[NDArray[np.int32] | Ids]) -> Rows:
    values = {field.name: getattr(rows, field.name) for field in fields(Rows)}
    return Rows(**values | {"categorical": np.column_stack(columns).astype(np.int32)})
