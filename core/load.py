"""Merge the YAML layers of one run and read them into a frozen `Config`.

base <- where <- data set <- suites <- model <- `--set key=value`; the later layer wins.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from core.errors import ConfigError
from core.expressions import check_expressions
from core.schema import Config

PROJECT_DIR = Path(__file__).resolve().parents[1]
CONF_DIR = PROJECT_DIR / "conf"
DEFAULT_DATASET = "kuairand"
DEFAULT_MODEL = "ple"


def load_config(
    dataset: str = DEFAULT_DATASET,
    where: str = "local",
    model: str = DEFAULT_MODEL,
    overrides: Sequence[str] = (),
    conf_dir: Path = CONF_DIR,
) -> Config:
    """Read and check one configuration; the same question again gets the same answer, from memory.

    A night asks twice a step, and reading takes 0.4 s. Layers that change while a process runs are read
    by the next one.

    Args:
        dataset: name of a file in conf/datasets.
        where: name of a file in conf: local, cluster.
        model: name of a file in conf/models, or the absolute path of one elsewhere.
        overrides: `a.b=c` each, the value read as YAML.
        conf_dir: folder of the layers.

    Raises:
        ConfigError: a layer is missing or no YAML, a key is unknown, a value is wrong, an
            expression reads what is not declared; with the layer's file and the key.
    """
    return _read(dataset, where, model, tuple(overrides), conf_dir)


@lru_cache(maxsize=16)
def _read(dataset: str, where: str, model: str, overrides: tuple[str, ...], conf_dir: Path) -> Config:
    model_file = model if Path(model).is_absolute() else f"models/{model}.yaml"
    layers = {
        name: _read_layer(conf_dir / name)  # an absolute path replaces the left side
        for name in ("base.yaml", f"{where}.yaml", f"datasets/{dataset}.yaml", model_file)
    }
    layers["conf/suites"] = OmegaConf.create(
        {"suites": {file.stem: OmegaConf.load(file) for file in sorted((conf_dir / "suites").glob("*.yaml"))}}
    )
    layers["--set"] = _read_overrides(overrides)
    try:
        merged = OmegaConf.merge(*layers.values())
        values = OmegaConf.to_container(merged, resolve=True)
        config = Config.model_validate(values)
    except OmegaConfBaseException as error:
        raise ConfigError(f"configuration does not resolve: {str(error).splitlines()[0]}") from error
    except TypeError as error:  # OmegaConf's word for a mapping that meets a list
        raise ConfigError(
            f"layers of {[*layers]} do not go together: {error}; a list is set as a whole, a.b=[1,2]"
        ) from error
    except ValidationError as error:
        faults = "; ".join(_fault(layers, fault["loc"], fault["msg"]) for fault in error.errors())
        raise ConfigError(faults) from error
    check_expressions(config)
    return config


def resolve_path(path: str) -> Path:
    """A path of a configuration; relative ones are relative to the project's folder."""
    return PROJECT_DIR / path  # an absolute path replaces the left side


def _read_layer(file: Path) -> DictConfig:
    if not file.is_file():
        known = sorted(other.stem for other in file.parent.glob("*.yaml"))
        raise ConfigError(f"{file.parent.name}/{file.name} does not exist; there are {known}")
    try:
        layer = OmegaConf.load(file)
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file.name} is no YAML: {' '.join(str(error).split())}") from error
    except OSError:  # OmegaConf's word for a file that holds one bare value
        layer = None
    if not isinstance(layer, DictConfig):
        raise ConfigError(f"{file.name} holds no keys; expected a mapping, as conf/base.yaml is one")
    return layer


def _read_overrides(overrides: Sequence[str]) -> DictConfig:
    malformed = [text for text in overrides if "=" not in text]
    if malformed:
        raise ConfigError(f"--set {malformed[0]!r}: expected key=value, such as training.seed=3")
    return OmegaConf.from_dotlist(list(overrides))


def _fault(layers: dict[str, Any], loc: tuple[int | str, ...], message: str) -> str:
    """One fault in one line: the last layer that sets the key, the key, what is wrong."""
    if not loc:  # the parts are sound, and do not go together
        return _plain(message)
    key = ".".join(str(part) for part in loc)
    file = next((name for name in reversed(layers) if _holds(layers[name], loc)), "configuration")
    return f"{file}: {key}: {_plain(message)}"


def _holds(layer: Any, loc: tuple[int | str, ...]) -> bool:
    values: Any = OmegaConf.to_container(layer, resolve=False)
    for part in loc:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _plain(message: str) -> str:
    if message == "Extra inputs are not permitted":
        return "unknown key; remove it or correct its spelling (core/schema.py lists the keys)"
    return message.removeprefix("Value error, ")
