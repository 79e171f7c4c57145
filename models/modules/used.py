"""Which architectures a model YAML uses, so that its fingerprint covers their code and no other's."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from core.errors import ConfigError
from core.model import Model
from models.modules.facets import SwitcherConfig
from models.modules.trunk import find_architecture, read_trunk


def architectures_in(model: Model) -> frozenset[str]:
    """Return the names of all architectures that a model is built from: its own and those of its switchers.

    Switchers in defaults of omitted keys count, too. No module is built: the trunk's configuration is
    validated, and searched for switchers.

    Raises:
        ConfigError: an architecture is unknown, or its part of the trunk is invalid; messages name the key.
    """
    try:
        return frozenset(_used("architecture", model.architecture, model.trunk))
    except ConfigError as error:
        raise ConfigError(f"conf/models/{model.name}.yaml: model.{error}") from error


def _used(key: str, name: str, trunk: Mapping[str, Any]) -> Iterator[str]:
    yield name
    for switcher in _switchers_in(read_trunk(find_architecture(name, key), trunk)):
        yield from _used("trunk: kind", switcher.kind, switcher.trunk)


def _switchers_in(part: Any) -> Iterator[SwitcherConfig]:
    """Yield the switchers inside of a configuration, however deep; their own trunks are not validated yet."""
    if isinstance(part, SwitcherConfig):
        yield part
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _switchers_in(getattr(part, name))
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from _switchers_in(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _switchers_in(value)
