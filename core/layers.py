"""The YAML layers of one configuration, and the file and line of each key in them."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from yaml import YAMLError

from core.errors import ConfigError
from core.own_files import Place

Key = tuple[int | str, ...]
NOT_FILLED_IN = "???"
"""The value of a key that somebody has to fill in; OmegaConf calls it missing."""

_KEY = re.compile(r"[a-z_]+(\.\w+)*")


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        values: what it sets.
        file: where it was read; None: the command line.
        below: key that the file's content is below, of a suite.
    """

    values: DictConfig
    file: Place | None = None
    below: Key = ()


class Layers:
    """Layers by name, such as `datasets/kuairand.yaml`; the later wins."""

    def __init__(self, layers: Mapping[str, Layer]) -> None:
        self._layers = dict(layers)
        self._plain = {
            name: OmegaConf.to_container(layer.values, resolve=False) for name, layer in layers.items()
        }

    @property
    def names(self) -> list[str]:
        """Their names, in order."""
        return [*self._layers]

    def merged(self) -> DictConfig:
        """Return the values of all layers as one."""
        merged = OmegaConf.merge(*(layer.values for layer in self._layers.values()))
        assert isinstance(merged, DictConfig)
        return merged

    def place(self, key: str | Key) -> str:
        """Return `FILE:LINE` of the last layer that sets a key, or the nearest one above it.

        Args:
            key: `tasks.click.label` or ("tasks", 0, "label"): elements of lists by number, name or column.
                If no layer sets it or anything above it, the place is the file of the data set.
        """
        parts = tuple(key.split(".")) if isinstance(key, str) else key
        for length in range(len(parts), 0, -1):
            for name in reversed(self._layers):
                if (path := _path(self._plain[name], parts[:length])) is not None:
                    return self._place_in(name, path)
        return next(name for name in self._layers if name.startswith("datasets/"))

    def located(self, message: str) -> str:
        """Return a message with the place of the key that it begins with, if it does.

        Messages about the configuration begin with the key: `tasks.click.label: what is wrong`.
        """
        key = self._key_of(message, ())
        return f"{self.place(key)}: {message}" if key else message

    def place_of_fault(self, key: Key, message: str) -> str:
        """Return the place of a key; of one below it, if the message begins with its name."""
        return self.place(self._key_of(message, key) or key)

    def _key_of(self, message: str, above: Key) -> Key | None:
        found = _KEY.match(message)
        key = (*above, *found[0].split(".")) if found else None
        is_held = key and any(_path(values, key) is not None for values in self._plain.values())
        return key if is_held else None

    def _place_in(self, name: str, path: Key) -> str:
        layer = self._layers[name]
        line = None if layer.file is None else line_of(layer.file, path[len(layer.below) :])
        return name if line is None else f"{name}:{line}"


def line_of(file: Place, path: Key) -> int | None:
    """Return the line of a key in a YAML file, from 1; None if the file does not hold it."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YAMLError):
        return None
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                return None
            key, node = found
            line = key.start_mark.line + 1
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return None
    return line


def nearest_line(file: Place, path: Key) -> int:
    """Return the line of a key in a YAML file, else of the nearest one above it that it holds, else 1."""
    lines = (line_of(file, path[:length]) for length in range(len(path), 0, -1))
    return next((line for line in lines if line is not None), 1)


def read_file(file: Place, name: str, below: Key = ()) -> Layer:
    """Read one layer.

    Raises:
        ConfigError: the file is missing, is no YAML, or holds no mapping.
    """
    try:
        values = OmegaConf.load(io.StringIO(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise ConfigError(f"{name} does not exist; name a file, or write it") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name} is no YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno is not None:
            raise ConfigError(f"{name} cannot be read ({error.strerror}); expected a YAML file") from error
        values = None  # what OmegaConf raises for a file that holds one bare value
    if not isinstance(values, DictConfig) or not values:
        raise ConfigError(f"{name} holds no keys; expected a mapping, as conf/base.yaml is one")
    for part in reversed(below):
        values = OmegaConf.create({part: values})
    return Layer(values, file, below)


def read_overrides(overrides: Sequence[str]) -> Layer:
    """Read `key=value` texts as a layer.

    Raises:
        ConfigError: there is no =, or the value is no YAML.
    """
    malformed = [text for text in overrides if "=" not in text]
    if malformed:
        raise ConfigError(f"--set {malformed[0]!r}: expected key=value, such as training.seed=3")
    values = OmegaConf.create()
    for text in overrides:
        try:
            values.merge_with_dotlist([text])
        except YAMLError as error:
            raise ConfigError(
                f"--set {text!r}: the value is no YAML: {' '.join(str(error).split())}"
            ) from error
    return Layer(values)


def _path(values: Any, key: Key) -> Key | None:
    """Return a key with elements of lists by number; None if the values do not hold it."""
    path: list[int | str] = []
    for part in key:
        if isinstance(values, list):
            number = _number_of(values, part)
            if number is None:
                return None
            part = number  # noqa: PLW2901  # from here on the element is known by its number
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
        path.append(part)
    return tuple(path)


def _number_of(elements: list[Any], part: int | str) -> int | None:
    if isinstance(part, int) or part.isdecimal():
        return int(part)
    for number, element in enumerate(elements):
        if isinstance(element, dict) and part in (element.get("name"), element.get("column")):
            return number
    return None
