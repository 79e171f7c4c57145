"""The part of a configuration that a job declares: what it may read, and what its fingerprint covers.

A key is a path of field names: `features`, `source.events.columns`, `tasks[].label` (a field of every
element of a list), `lists[].pool` (of every entry of a mapping), `suites.events` (one entry of a mapping).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from core.config_model import ConfigModel
from core.errors import ConfigError
from core.schema import Config

_Model = TypeVar("_Model", bound=ConfigModel)
_Tree = dict[str, Any]  # field -> the tree below it; an empty tree: all of it


def declared_part(config: Config, keys: Iterable[str]) -> Config:
    """Return a configuration that holds the declared keys only; reading another one raises.

    Args:
        config: the whole configuration.
        keys: the paths that are declared.

    Raises:
        ConfigError: a key is no path of the configuration.
    """
    return _pruned(config, _tree(keys), "")


def hashes_of_keys(config: Config, keys: Iterable[str]) -> dict[str, str]:
    """Return path -> hash of every value below the declared keys."""
    declared: dict[str, str] = {}
    values = config.model_dump(mode="json")
    for key in keys:
        for path, value in _selected(values, key.split("."), ""):
            declared.update(_leaves(value, path))
    return dict(sorted(declared.items()))


def _tree(keys: Iterable[str]) -> _Tree:
    tree: _Tree = {}
    for key in keys:
        below = tree
        for part in key.split("."):
            below = below.setdefault(part, {})
    return tree


def _pruned(model: _Model, tree: _Tree, path: str) -> _Model:
    kept: dict[str, Any] = {}
    for part, below in tree.items():
        name, is_list = part.removesuffix("[]"), part.endswith("[]")
        if name not in type(model).model_fields:
            raise ConfigError(
                f"{path}{name} is declared by a job, and the configuration has no such key; "
                f"there are {sorted(type(model).model_fields)}"
            )
        value = getattr(model, name)
        if is_list and isinstance(value, Mapping):
            kept[name] = {
                entry: _pruned(each, below, f"{path}{part}{entry}.") for entry, each in value.items()
            }
        elif is_list:
            kept[name] = tuple(_pruned(element, below, f"{path}{part}.") for element in value)
        elif not below:
            kept[name] = value
        elif isinstance(value, ConfigModel):
            kept[name] = _pruned(value, below, f"{path}{name}.")
        else:  # a mapping: its declared entries
            kept[name] = {entry: value[entry] for entry in below if entry in value}
    pruned = type(model).model_construct(**kept)
    for name in type(model).model_fields:  # model_construct fills in defaults, which are not declared
        if name not in kept:
            pruned.__dict__.pop(name, None)
    return pruned


def _selected(value: Any, parts: Sequence[str], path: str) -> Iterable[tuple[str, Any]]:
    if not parts:
        yield path.removesuffix("."), value
        return
    name, is_list = parts[0].removesuffix("[]"), parts[0].endswith("[]")
    if not isinstance(value, Mapping) or name not in value:
        return
    if not is_list:
        yield from _selected(value[name], parts[1:], f"{path}{name}.")
        return
    if isinstance(value[name], Mapping):
        for entry, each in value[name].items():
            yield from _selected(each, parts[1:], f"{path}{name}.{entry}.")
        return
    for number, element in enumerate(value[name]):
        yield from _selected(element, parts[1:], f"{path}{name}[{_label(element, number)}].")


def _leaves(value: Any, path: str) -> dict[str, str]:
    if isinstance(value, Mapping) and value:
        return {k: v for name, each in value.items() for k, v in _leaves(each, f"{path}.{name}").items()}
    if isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        found = {f"{path}[order]": _hash([_label(each, n) for n, each in enumerate(value)])}
        for number, each in enumerate(value):
            found.update(_leaves(each, f"{path}[{_label(each, number)}]"))
        return found
    return {path: _hash(value)}


def _label(element: Any, number: int) -> str:
    """Return what an element of a list is called in a path: its name where it has one."""
    if isinstance(element, Mapping):
        for key in ("name", "column"):
            if isinstance(element.get(key), str):
                return str(element[key])
        if element.get("source"):  # of a rule: what it follows from, which several rules may share
            return f"{number}: {element['source']}"
    return str(number)


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


NULL_HASH = _hash(None)
"""Hash of a key that is not set."""
