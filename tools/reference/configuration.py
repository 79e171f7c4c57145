"""The page of configuration keys, read from the source of the schema: type, default, comment."""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from core.config_model import ConfigModel
from core.load import CONF_DIR
from core.schema import Config
from tools.reference.markdown import code, page, sheet

TYPES = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "date": "date",
    "Any": "any value",
    "Name": "name",
    "Window": "window",
    "Positive": "integer >= 1",
    "Days": "integer of 1 .. 36525",
    "Share": "number of 0 .. 1",
    "SqlType": "SQL type",
    "EntityName": "`user` or `item`",
    "TimeUnit": "`s`, `ms` or `us`",
    "DurationUnit": "`ms`, `s`, `min` or `h`",
    "GainMetric": "`auc`, `gauc`, `mse` or `mae`",
    "FileFormat": "`parquet`, `csv`, `json`, `orc`, `delta` or `table`",
    "StoragePath": "path",
    "SourcePath": "text",
    "PoolSource": "one of "
    "[MostShown](#mostshown), [Newest](#newest), [Active](#active), [MostLiked](#mostliked), "
    "[OwnFile](#ownfile), [LikedAttribute](#likedattribute)",
    "None": "null",
}
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


@dataclass(frozen=True)
class Key:
    """One key of a class of the schema: its name in YAML, type in words, default as YAML, meaning."""

    name: str
    type: str
    default: str
    meaning: str


@dataclass(frozen=True)
class SchemaClass:
    """A class of the schema: the paths at which it stands, its docstring, its keys."""

    name: str
    paths: tuple[str, ...]
    text: str
    keys: tuple[Key, ...]


def schema_classes(top: type[ConfigModel]) -> list[SchemaClass]:
    """Return each class that can be reached from the top, in the order of the keys."""
    paths: dict[type[ConfigModel], list[str]] = {}
    waiting = [(top, "")]
    while waiting:
        model, path = waiting.pop(0)
        paths.setdefault(model, []).append(path)
        below = [
            (inner, f"{path}.{_yaml_name(name, field)}{suffix}".lstrip("."))
            for name, field in model.model_fields.items()
            for inner, suffix in _models_in(field.annotation, "")
        ]
        if others := inspect.get_annotations(model).get("__pydantic_extra__"):
            below += [(inner, f"{path}{suffix}") for inner, suffix in _models_in(others, "")]
        waiting = [*below, *waiting]
    return [
        SchemaClass(model.__name__, tuple(found), inspect.getdoc(model) or "", tuple(_keys(model)))
        for model, found in paths.items()
    ]


def _models_in(annotation: Any, suffix: str) -> Iterator[tuple[type[ConfigModel], str]]:
    """Yield the classes inside of a type, with `[]` for a list's elements, `.<name>` for a mapping's."""
    if isinstance(annotation, type) and issubclass(annotation, ConfigModel):
        yield annotation, suffix
        return
    step = {tuple: "[]", dict: ".<name>"}.get(get_origin(annotation), "")
    for inner in get_args(annotation):
        yield from _models_in(inner, suffix + step)


def _keys(model: type[ConfigModel]) -> Iterator[Key]:
    """Yield the keys of a class, those of its base classes first."""
    for each in reversed(model.__mro__):
        if issubclass(each, ConfigModel) and each is not ConfigModel:
            yield from _own_keys(each)


def _own_keys(model: type[ConfigModel]) -> Iterator[Key]:
    source = inspect.cleandoc(f"\n{inspect.getsource(model)}")
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    comments = {
        token.start[0]: token.string.removeprefix("#").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    for node, after in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.target.id == "__pydantic_extra__":
                yield Key("<name>", _type(node.annotation.slice.elts[1]), "none", "")
                continue
            field = model.model_fields[node.target.id]
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            said = [comments[line] for line in lines if line in comments]
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                said.append(" ".join(str(after.value.value).split()))
            yield Key(
                _yaml_name(node.target.id, field), _type(node.annotation), _default(field), "; ".join(said)
            )


def _yaml_name(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, ConfigModel):
        return "its defaults"
    if value is None:
        return "null"
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _type(node: ast.expr) -> str:
    """Return a type in words."""
    if isinstance(node, ast.BinOp):
        return f"{_type(node.left)} or {_type(node.right)}"
    if isinstance(node, ast.Constant):
        return str(node.value).lower() if node.value is not None else "null"
    if isinstance(node, ast.Name):
        return TYPES.get(node.id, f"[{node.id}](#{node.id.lower()})")
    assert isinstance(node, ast.Subscript)
    outer = ast.unparse(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer == "Literal":
        return " or ".join(f"`{ast.literal_eval(value)}`" for value in inner)
    if outer == "Annotated":
        return ", ".join([_type(inner[0]), *map(_bounds, inner[1:])])
    if outer == "tuple":
        return f"list of {_type(inner[0])}"
    return f"mapping of {_type(inner[0])} to {_type(inner[1])}"


def _bounds(node: ast.expr) -> str:
    """Return what `Field(ge=0)` asks for."""
    assert isinstance(node, ast.Call)
    given = {word.arg or "": ast.literal_eval(word.value) for word in node.keywords}
    texts = [f"{BOUNDS[name]} {value}" for name, value in given.items() if name in BOUNDS]
    texts += [f"like `{given['pattern']}`"] if "pattern" in given else []
    texts += ["not empty"] if given.get("min_length") else []
    return " and ".join(texts)


def configuration_page() -> str:
    """Return the page of all configuration keys."""
    base = yaml.safe_load((CONF_DIR / "base.yaml").read_text(encoding="utf-8"))
    return page(
        "Configuration",
        "YAML layers in `conf/`, the later wins: `base.yaml`, the environment (`local.yaml`, "
        "`cluster.yaml`), `datasets/NAME.yaml`, `suites/NAME/*.yaml`, `models/NAME.yaml`, then "
        "`--set a.b=c`. Unknown keys are errors, and everything is checked before Spark starts "
        "(`core/load.py`, `core/schema.py`).",
        "A *name* has lower-case letters, digits and `_`. A *window* is `7d` (days that end with the data "
        "date) or `all`. A *path* is relative to the project's folder, absolute, or a URI that begins with "
        "`file://`, `s3a://` or `hdfs://`. In places, `[]` stands for the elements of a list and `<name>` "
        "for the entries of a mapping. "
        "`model.trunk` holds the options of the architecture: [models](../models/README.md).",
        *(_section(found, base) for found in schema_classes(Config)),
    )


def _section(found: SchemaClass, base: Any) -> str:
    """Return the section of one class."""
    paths = [path for path in found.paths if path]
    first = paths[0].split(".") if paths else []
    rows = [
        (f"`{key.name}`", key.type, _in_force(key.default, [*first, key.name], base), key.meaning)
        for key in found.keys
    ]
    at = f"At {code(paths)}." if paths else "The top level."
    keys = sheet(("key", "type", "default", "meaning"), rows)
    return "\n\n".join([f"## {found.name}", at, found.text, keys])


def _in_force(default: str, path: Sequence[str], base: Any) -> str:
    """Return a key's default; what conf/base.yaml sets counts."""
    value = base
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return default
        value = value[name]
    return default if isinstance(value, dict) else f"`{value}` (base.yaml)"
