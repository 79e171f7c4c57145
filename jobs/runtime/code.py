"""Hashes of the code that a job can reach: the part of a fingerprint that follows a change of code.

The code of a job is the static import closure of its module, imports inside functions included, with
the entry points of subprocesses and the template folders that the job declares. Of the architectures
of models/ only those count that the configured model uses. Sources are hashed as syntax trees without
docstrings, comments and messages of errors, so that a change of words changes nothing.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from core.own_files import ROOT, Place, files_below

PACKAGES = frozenset({"core", "features", "models", "quality", "jobs"})
ARCHITECTURES = "models.architectures."
NO_EFFECT_ON_CONTENT = frozenset(
    {
        # The configuration is hashed by value, key by key: how it is declared, merged and checked adds
        # nothing.
        *(
            "core.config_model",
            "core.declared_config",
            "core.expressions",
            "core.derived",
            "core.features",
            "core.inputs",
            "core.layers",
            "core.lists",
            "core.load",
            "core.no_items",
        ),
        *("core.model", "core.schema", "core.source"),
        # Tables are hashed by their declaration (`Lineage.recipe`), source files by their names and content.
        *("core.dated_path", "jobs.tables.catalog", "jobs.tables.table", "jobs.tables.delta_source"),
        *("jobs.tables.attribute_files", "jobs.tables.log_files"),
        *("jobs.tables.declarations.entry", "jobs.tables.declarations.entities"),
        "jobs.tables.declarations.groups",
        *("jobs.tables.declarations.training", "jobs.tables.declarations.evaluation"),
        *("jobs.tables.declarations.serving", "jobs.tables.declarations.records"),
        "jobs.tables.declarations.profiles",
        *("jobs.tables.source_files", "jobs.tables.sources"),
        # They decide when, where and for whom a job runs, whether its rows become visible, and what people
        # see of it; never what a table holds.
        *("core.errors", "core.object_store", "core.own_files", "core.paths", "jobs.runtime.architectures"),
        "jobs.runtime.arguments",
        *("jobs.runtime.checks", "jobs.runtime.code", "jobs.runtime.command", "jobs.runtime.declared"),
        *("jobs.runtime.fingerprints", "jobs.runtime.lacking"),
        *("jobs.runtime.job", "jobs.runtime.logs", "jobs.runtime.lost", "jobs.runtime.models"),
        "jobs.runtime.pipeline",
        *("jobs.runtime.plan", "jobs.runtime.progress", "jobs.runtime.project", "jobs.runtime.readable"),
        "jobs.runtime.reads",
        *(
            "jobs.runtime.record",
            "jobs.runtime.running",
            "jobs.tables.faults",
            "jobs.tables.store_faults",
            "jobs.tables.history",
        ),
        *("jobs.tables.ledger", "jobs.tables.locks", "jobs.tables.machine", "jobs.tables.registry"),
        "jobs.tables.postgres_locks",
        *("jobs.tables.session", "jobs.tables.since"),
    }
)
TEMPLATE_SUFFIXES = frozenset({".j2", ".html", ".css", ".svg"})


def code_of(
    module: str,
    entry_points: Iterable[str] = (),
    templates: Iterable[str] = (),
    architectures: Iterable[str] = (),
) -> dict[str, str]:
    """Return file -> hash of all code that a module can reach.

    Args:
        module: dotted name of the job's module.
        entry_points: modules that subprocesses start with.
        templates: folders of templates, relative to the root of the packages.
        architectures: names of the architectures that the configured model uses.
    """
    begin = [module, *entry_points, *(ARCHITECTURES + name for name in architectures)]
    hashes = {name: _hash_of_source(source) for name, source in _closure(begin).items()}
    for folder in templates:
        for file in files_below(ROOT.joinpath(folder)):
            if file.suffix in TEMPLATE_SUFFIXES:
                hashes[_name_of(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
    return dict(sorted(hashes.items()))


def hash_of(entries: Mapping[str, str]) -> str:
    """Return one hash of named hashes, which does not depend on their order."""
    text = "\n".join(f"{name}={entries[name]}" for name in sorted(entries))
    return hashlib.sha256(text.encode()).hexdigest()


def _closure(begin: Iterable[str]) -> dict[str, bytes]:
    """Return file -> source of all modules that can be reached from some; an architecture only if named."""
    named = set(begin)
    waiting, seen = [*named], set(named)
    sources: dict[str, bytes] = {}
    while waiting:
        module = waiting.pop()
        file = _file_of(module)
        if file is None:
            continue
        source = sources[_name_of(file)] = file.read_bytes()
        packages = (".".join(module.split(".")[:length]) for length in range(1, module.count(".") + 1))
        for imported in (*_imports(source), *packages):
            is_other_architecture = imported.startswith(ARCHITECTURES) and not module.startswith(
                ARCHITECTURES
            )
            if imported not in seen and imported not in NO_EFFECT_ON_CONTENT and not is_other_architecture:
                seen.add(imported)
                waiting.append(imported)
    return sources


def _file_of(module: str) -> Place | None:
    path = module.replace(".", "/")
    for file in (ROOT.joinpath(f"{path}.py"), ROOT.joinpath(f"{path}/__init__.py")):
        if file.is_file():
            return file
    return None


@lru_cache(maxsize=1024)
def _imports(source: bytes) -> frozenset[str]:
    """Return the modules of ours that a file imports anywhere, except for type checkers only."""
    return frozenset(
        name for name in _imported_names(ast.parse(source)) if name.partition(".")[0] in PACKAGES
    )


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for other in node.orelse:
                yield from _imported_names(other)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            # `from package import module` names a module, too; what is none has no file.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _imported_names(node)


@lru_cache(maxsize=1024)
def _hash_of_source(source: bytes) -> str:
    """Return the hash of a file's syntax tree, without docstrings, comments, positions and error messages."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise):
            node.exc = None  # where it raises counts, and not what it says
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _is_text(statement)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a string by itself: a docstring of a module, class, function or attribute."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _name_of(file: Place) -> str:
    return str(file).removeprefix(str(ROOT)).lstrip("/")
