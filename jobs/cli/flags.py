"""The flags that nearly all commands have: data set, environment, settings, project."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.load import DEFAULT_DATASET
from jobs.runtime.arguments import LATEST, Arguments
from jobs.runtime.command import Dataset, Env, ProjectFolder, Settings, arguments_for, exit_codes
from jobs.runtime.project import Project

BY_NAME = inspect.Parameter.KEYWORD_ONLY
KINDS: dict[str, tuple[Any, Any]] = {
    "dataset": (Dataset, DEFAULT_DATASET),
    "env": (Env, "local"),
    "settings": (Settings, []),
    "project": (ProjectFolder, ""),
}
"""Name -> type and default."""


@dataclass(frozen=True)
class Flags:
    """The values of these flags, as typer gives them."""

    dataset: str
    env: str
    settings: list[str]
    project: str

    def arguments(self, first: date = LATEST, last: date = LATEST, **more: Any) -> Arguments:
        """Return the arguments of data dates; `more` are those of other flags.

        Raises:
            ConfigError: the project's folder is a URI of a scheme that is not supported.
        """
        values = {name: getattr(self, name) for name in KINDS}
        return arguments_for(first, last, **values, **more)

    def opened(self) -> Project:
        """Return the project that they name."""
        return Project(self.arguments())


def with_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes these flags in place of its argument `flags`; an error is an exit code."""
    own = inspect.signature(command).parameters
    parameters = [each.replace(kind=BY_NAME) for name, each in own.items() if name != "flags"]
    parameters += [
        inspect.Parameter(name, BY_NAME, default=default, annotation=kind)
        for name, (kind, default) in KINDS.items()
    ]

    @functools.wraps(command)
    def typed(**values: Any) -> None:
        with exit_codes():
            flags = Flags(**{name: values.pop(name) for name in KINDS})
            command(flags=flags, **values)

    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    typed.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    return typed
