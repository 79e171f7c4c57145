"""Merge the YAML layers of one run and read them into a frozen `Config`.

base <- env <- data set <- suites of the data set <- model <- `--set key=value`; the later layer wins.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from core.derived import with_code
from core.errors import ConfigError
from core.expressions import check_expressions
from core.schema import Config
from core.suites import with_suites

PROJECT_DIR = Path(__file__).resolve().parents[1]
CONF_DIR = PROJECT_DIR / "conf"
DEFAULT_DATASET = "kuairand"
DEFAULT_ENV = "local"
DEFAULT_MODEL = "ple"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_KINDS = {"": "an environment", "datasets": "a data set", "models": "a model"}


def load_config(
    dataset: str = DEFAULT_DATASET,
    env: str = DEFAULT_ENV,
    model: str = DEFAULT_MODEL,
    overrides: Sequence[str] = (),
    folder: Path | None = None,
) -> Config:
    """Read and check one configuration; the same arguments again return the same object, from memory.

    A night loads it twice per step, and reading takes 0.4 s. Layers that change while a process runs are read
    by the next one.

    Args:
        dataset: name of a file in conf/datasets.
        env: name of a file in conf: local, cluster.
        model: name of a file in conf/models, or the absolute path of one elsewhere.
        overrides: `a.b=c` each, the value read as YAML.
        folder: the project's folder, which holds conf/; None: as of `default_project`.

    Raises:
        ConfigError: a layer is missing, empty or no YAML, a key is unknown, a value is wrong, an
            expression reads what is not declared; with the layer's file and the key.
    """
    return _read(dataset, env, model, tuple(overrides), (folder or default_project()) / "conf")


def default_project() -> Path:
    """Return the project folder where none is named: the current one if it is one, else that of this code."""
    here = Path.cwd()
    return here if (here / "conf" / "base.yaml").is_file() else PROJECT_DIR


@lru_cache(maxsize=16)
def _read(dataset: str, env: str, model: str, overrides: tuple[str, ...], conf_dir: Path) -> Config:
    if not (conf_dir / "base.yaml").is_file():
        raise ConfigError(
            f"{conf_dir.parent} holds no conf/base.yaml; expected the folder of a project: name another one, "
            "or copy conf/ into it"
        )
    layers = {
        "base.yaml": _read_layer(conf_dir, "base"),
        f"{env}.yaml": _read_layer(conf_dir, env),
        f"datasets/{dataset}.yaml": _read_layer(conf_dir, dataset, "datasets"),
        **_read_suites(conf_dir, dataset),
    }
    if Path(model).is_absolute():
        layers[model] = _read_file(Path(model), model)
    else:
        layers[f"models/{model}.yaml"] = _read_layer(conf_dir, model, "models")
    layers["--set"] = _read_overrides(overrides)
    try:
        merged = OmegaConf.merge(*layers.values())
        values = OmegaConf.to_container(merged, resolve=True)
        config = Config.model_validate(values)
    except OmegaConfBaseException as error:
        raise ConfigError(f"configuration does not resolve: {str(error).splitlines()[0]}") from error
    except TypeError as error:  # what OmegaConf raises for a mapping that meets a list
        raise ConfigError(
            f"layers of {[*layers]} do not fit together: {error}; a list is set as a whole, a.b=[1,2]"
        ) from error
    except ValidationError as error:
        faults = "; ".join(_fault(layers, fault["loc"], fault["msg"]) for fault in error.errors())
        raise ConfigError(faults) from error
    if config.dataset != dataset:
        raise ConfigError(
            f"datasets/{dataset}.yaml: dataset: {config.dataset}, expected {dataset}, as the file is called: "
            "it names the folder of the tables"
        )
    if not Path(model).is_absolute() and config.model.name != model:
        raise ConfigError(
            f"models/{model}.yaml: model.name: {config.model.name}, expected {model}, as the file is called: "
            "runs and versions go by it"
        )
    check_expressions(config)
    config = config.model_copy(update={"derived": with_code(config.derived, conf_dir.parent)})
    return with_suites(config)


def _read_layer(conf_dir: Path, name: str, kind: str = "") -> DictConfig:
    """Read the layer of one name: an environment, or a data set or model in the folder of its kind."""
    folder = conf_dir / kind
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    where = f"{kind}/{name}.yaml" if kind else f"{name}.yaml"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of {_KINDS[kind]}; expected the name of a file in {Path('conf', kind)}, "
            f"without folder and ending: {known}"
        )
    if name not in known:
        raise ConfigError(f"{where} does not exist; there are {known}")
    return _read_file(folder / f"{name}.yaml", where)


def _read_suites(conf_dir: Path, dataset: str) -> dict[str, DictConfig]:
    """Read what people added to the suites of one data set, one layer per table."""
    layers = {}
    for file in sorted((conf_dir / "suites" / dataset).glob("*.yaml")):
        where = f"suites/{dataset}/{file.name}"
        layers[where] = OmegaConf.create({"suites": {file.stem: _read_file(file, where)}})
    return layers


def _read_file(file: Path, where: str) -> DictConfig:
    try:
        layer = OmegaConf.load(file)
    except FileNotFoundError as error:
        raise ConfigError(f"{where} does not exist; name a file, or write it") from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where} is no YAML: {' '.join(str(error).split())}") from error
    except OSError as error:
        if error.errno is not None:
            raise ConfigError(f"{where} cannot be read ({error.strerror}); expected a YAML file") from error
        layer = None  # what OmegaConf raises for a file that holds one bare value
    if not isinstance(layer, DictConfig) or not layer:
        raise ConfigError(f"{where} holds no keys; expected a mapping, as conf/base.yaml is one")
    return layer


def _read_overrides(overrides: Sequence[str]) -> DictConfig:
    malformed = [text for text in overrides if "=" not in text]
    if malformed:
        raise ConfigError(f"--set {malformed[0]!r}: expected key=value, such as training.seed=3")
    layer = OmegaConf.create()
    for text in overrides:
        try:
            layer.merge_with_dotlist([text])
        except YAMLError as error:
            raise ConfigError(
                f"--set {text!r}: the value is no YAML: {' '.join(str(error).split())}"
            ) from error
    return layer


def _fault(layers: dict[str, Any], loc: tuple[int | str, ...], message: str) -> str:
    """Return one fault in one line: the last layer that sets the key, the key, what is wrong.

    A key that no layer sets is missing where its parent is set, or from the data set.
    """
    if not loc:  # each key is valid by itself, and they do not fit together
        return _plain(message)
    parents = [loc[:length] for length in range(len(loc), 0, -1)]
    holders = (name for parent in parents for name in reversed(layers) if _holds(layers[name], parent))
    dataset = next(name for name in layers if name.startswith("datasets/"))
    return f"{next(holders, dataset)}: {'.'.join(map(str, loc))}: {_plain(message)}"


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
