"""A job sees the keys that it declares, and its fingerprint covers just these."""

import pickle

import pytest

from core.declared_config import declared_part, hashes_of_keys
from core.errors import ConfigError
from core.load import load_config

CONFIG = load_config()


def test_a_declared_section_is_there_as_a_whole() -> None:
    part = declared_part(CONFIG, ["cohorts"])

    assert part.cohorts == CONFIG.cohorts
    assert part.cohorts.user.names == ("new", "low", "high")


def test_a_key_that_is_not_declared_says_so() -> None:
    part = declared_part(CONFIG, ["cohorts.user", "tasks[].name"])

    with pytest.raises(AttributeError, match=r"Config.lists is read by a job that does not declare"):
        part.lists  # noqa: B018
    with pytest.raises(AttributeError, match=r"CohortAxes.item"):
        part.cohorts.item  # noqa: B018
    with pytest.raises(AttributeError, match=r"Task.weight"):
        part.tasks[0].weight  # noqa: B018
    assert [task.name for task in part.tasks] == ["click", "long_view", "like"]


def test_a_default_that_is_not_declared_is_not_filled_in() -> None:
    (task, *_) = declared_part(CONFIG, ["tasks[].label"]).tasks

    assert task.label == CONFIG.tasks[0].label
    assert not hasattr(task, "where")


def test_entries_of_a_mapping_can_be_declared() -> None:
    part = declared_part(CONFIG, ["suites.scores", "suites.no_such_table"])

    assert set(part.suites) == {"scores"} & set(CONFIG.suites)


def test_a_field_of_every_entry_of_a_mapping_can_be_declared() -> None:
    keys = ["lists[].pool", "lists[].where"]
    home = declared_part(CONFIG, keys).lists["home"]

    assert home.pool == CONFIG.lists["home"].pool
    with pytest.raises(AttributeError, match=r"ItemList.top_k"):
        home.top_k  # noqa: B018
    other = load_config(overrides=["lists.home.where=item_type = 'NORMAL'", "lists.home.top_k=3"])
    changed = {
        path for path, sha in hashes_of_keys(other, keys).items() if hashes_of_keys(CONFIG, keys)[path] != sha
    }
    assert changed == {"lists.home.where"}


def test_a_part_can_be_sent_to_a_worker() -> None:
    (task, *_) = pickle.loads(pickle.dumps(declared_part(CONFIG, ["tasks[].name"]).tasks))

    assert task.name == "click"
    assert not hasattr(task, "label")


def test_a_key_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"features\.users is declared by a job"):
        declared_part(CONFIG, ["features.users"])


def changed(keys: list[str], *overrides: str) -> set[str]:
    before, after = hashes_of_keys(CONFIG, keys), hashes_of_keys(load_config(overrides=overrides), keys)
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_a_changed_value_is_named_by_its_path() -> None:
    assert changed(["lists"], "lists.home.top_k=5") == {"lists.home.top_k"}
    assert changed(["cohorts.user"], "cohorts.user.version=2") == {"cohorts.user.version"}


def test_a_change_outside_of_the_declared_keys_is_none() -> None:
    assert changed(["cohorts", "tasks[].name"], "lists.home.top_k=5", "training.seed=3") == set()


def test_elements_of_a_list_are_named_by_their_names() -> None:
    tasks = "tasks=[{name: click, label: is_click = 1, kind: binary, weight: 2.0},"
    tasks += "{name: long_view, label: is_long_view = 1, kind: binary},"
    tasks += "{name: like, label: is_like = 1, kind: binary}]"

    assert changed(["tasks"], tasks) == {"tasks[click].weight"}
    assert changed(["tasks[].label"], tasks) == set()
