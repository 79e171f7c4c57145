"""Merge the YAML layers of one run and read them into a frozen `Config`.

base <- env <- data set <- suites of the data set <- model <- `--set key=value`; the later layer wins.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from core.derived import with_code
from core.errors import ConfigError
from core.expressions import check_expressions
from core.layers import NOT_FILLED_IN, Key, Layer, Layers, read_file, read_overrides
from core.no_items import with_one_item
from core.own_files import ROOT, Place
from core.schema import Config
from core.suites import with_suites

PROJECT_DIR = Path(__file__).resolve().parents[1]
CONF_DIR: Place = ROOT / "conf"
DEFAULT_DATASET = ""
"""Stands for the only data set of a project; of several, for that of the demo."""
DEMO_DATASET = "kuairand"
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
        dataset: name of a file in conf/datasets; empty: see `DEFAULT_DATASET`.
        env: name of a file in conf: local, cluster.
        model: name of a file in conf/models of the project, else of this code, or the absolute path of one
            elsewhere.
        overrides: `a.b=c` each, the value read as YAML.
        folder: the project's folder, which holds conf/; None: as of `default_project`.

    Raises:
        ConfigError: a layer is missing, empty or no YAML, a key is unknown, is not filled in, or has a wrong
            value, an expression reads what is not declared; with the layer's file, the line and the key.
    """
    return _read(dataset, env, model, tuple(overrides), (folder or default_project()) / "conf")


def default_project() -> Path:
    """Return the project folder where none is named: the current one if it is one, else that of this code.

    Code that was installed is in no project: then it is the current one, whatever it holds.
    """
    here = Path.cwd()
    is_checkout = (PROJECT_DIR / "conf" / "datasets").is_dir()
    return PROJECT_DIR if is_checkout and not is_project(here) else here


def is_project(folder: Path) -> bool:
    """Return whether a folder is that of a project."""
    return (folder / "conf" / "base.yaml").is_file()


def read_layers(
    dataset: str, env: str, model: str, overrides: Sequence[str], folder: Path | None = None
) -> Layers:
    """Return the layers that `load_config` merges; arguments and errors as there."""
    conf_dir = (folder or default_project()) / "conf"
    if not is_project(conf_dir.parent):
        raise ConfigError(
            f"{conf_dir.parent} holds no conf/base.yaml; expected the folder of a project: name another one, "
            "or make one with `lamplighter init`"
        )
    dataset = dataset or _only_dataset(conf_dir)
    layers = {
        "base.yaml": _read_layer(conf_dir, "base"),
        f"{env}.yaml": _read_layer(conf_dir, env),
        f"datasets/{dataset}.yaml": _read_layer(conf_dir, dataset, "datasets"),
        **_read_suites(conf_dir, dataset),
    }
    if Path(model).is_absolute():
        layers[model] = read_file(Path(model), model)
    else:
        layers[f"models/{model}.yaml"] = _read_layer(conf_dir, model, "models")
    return Layers(layers | {"--set": read_overrides(overrides)})


@lru_cache(maxsize=16)
def _read(dataset: str, env: str, model: str, overrides: tuple[str, ...], conf_dir: Path) -> Config:
    layers = read_layers(dataset, env, model, overrides, conf_dir.parent)
    try:
        merged = layers.merged()
        _require_filled_in(layers, sorted(OmegaConf.missing_keys(merged)))
        values: dict[str, Any] = OmegaConf.to_container(merged, resolve=True)  # type: ignore[assignment]
        config = Config.model_validate(with_one_item(values))
    except OmegaConfBaseException as error:
        raise ConfigError(f"configuration does not resolve: {str(error).splitlines()[0]}") from error
    except TypeError as error:  # what OmegaConf raises for a mapping that meets a list
        raise ConfigError(
            f"layers of {layers.names} do not fit together: {error}; a list is set as a whole, a.b=[1,2]"
        ) from error
    except ValidationError as error:
        faults = "; ".join(_fault(layers, fault["loc"], fault["msg"]) for fault in error.errors())
        raise ConfigError(faults) from error
    (stem,) = (Path(name).stem for name in layers.names if name.startswith("datasets/"))
    if config.dataset != stem:
        raise ConfigError(
            f"{layers.place('dataset')}: dataset: {config.dataset}, expected {stem}, as the file is called: "
            "it names the folder of the tables"
        )
    if not Path(model).is_absolute() and config.model.name != model:
        raise ConfigError(
            f"{layers.place('model.name')}: model.name: {config.model.name}, expected {model}, as the file is"
            " called: runs and versions go by it"
        )
    try:
        check_expressions(config)
    except ConfigError as error:
        raise ConfigError(layers.located(str(error))) from error
    config = config.model_copy(update={"derived": with_code(config.derived, conf_dir.parent)})
    return with_suites(config)


def _only_dataset(conf_dir: Path) -> str:
    known = _known(conf_dir, "datasets")
    if DEMO_DATASET not in known and len(known) > 1:
        raise ConfigError(f"conf/datasets holds {known}; name one of them: --dataset {known[0]}")
    return known[0] if len(known) == 1 else DEMO_DATASET


def _require_filled_in(layers: Layers, keys: Sequence[str]) -> None:
    """Raise a ConfigError that names each key whose value is still to be filled in."""
    faults = [f"{layers.place(_parts(key))}: {key}: {NOT_FILLED_IN} is to be filled in" for key in keys]
    if faults:
        raise ConfigError(f"{'; '.join(faults)}; the comment beside each says what is expected")


def _parts(key: str) -> Key:
    """Return the parts of a key as OmegaConf spells it: tasks[0].label."""
    return tuple(re.findall(r"[^.\[\]]+", key))


def _read_layer(conf_dir: Path, name: str, kind: str = "") -> Layer:
    """Read the layer of one name: an environment, or a data set or model in the folder of its kind.

    A model that the project does not have is that of this code.
    """
    known = _known(conf_dir, kind)
    shared = _known(CONF_DIR, kind) if kind == "models" else []
    where = f"{kind}/{name}.yaml" if kind else f"{name}.yaml"
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} is no name of {_KINDS[kind]}; expected the name of a file in {Path('conf', kind)}, "
            f"without folder and ending: {sorted({*known, *shared})}"
        )
    if name not in {*known, *shared}:
        raise ConfigError(f"{where} does not exist; there are {sorted({*known, *shared})}")
    folder: Place = conf_dir if name in known else CONF_DIR
    return read_file(folder.joinpath(where), where)


def _known(conf_dir: Place, kind: str) -> list[str]:
    folder = conf_dir / kind if kind else conf_dir
    if not folder.is_dir():
        return []
    return sorted(file.stem for file in folder.iterdir() if file.suffix == ".yaml")


def _read_suites(conf_dir: Path, dataset: str) -> dict[str, Layer]:
    """Read what people added to the suites of one data set, one layer per table."""
    return {
        f"suites/{dataset}/{file.name}": read_file(
            file, f"suites/{dataset}/{file.name}", below=("suites", file.stem)
        )
        for file in sorted((conf_dir / "suites" / dataset).glob("*.yaml"))
    }


def _fault(layers: Layers, loc: Key, message: str) -> str:
    """Return one fault in one line: the last layer that sets the key, the line, the key, what is wrong.

    A key that no layer sets is missing where its parent is set, or from the data set.
    """
    if not loc:  # each key is valid by itself, and they do not fit together
        return layers.located(_plain(message))
    message = _plain(message)
    return f"{layers.place_of_fault(loc, message)}: {'.'.join(map(str, loc))}: {message}"


def _plain(message: str) -> str:
    if message == "Extra inputs are not permitted":
        return "unknown key; remove it or correct its spelling (core/schema.py lists the keys)"
    return message.removeprefix("Value error, ")
