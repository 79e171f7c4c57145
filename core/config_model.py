"""The base class of the configuration's models, and the types of their fields."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Window = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,4}d|all)$")]
Days = Annotated[int, Field(ge=1, le=36_525)]  # a hundred years: the day before so many is still a date
SqlType = Annotated[
    str,
    Field(
        pattern=r"^(tinyint|int|bigint|double|string|boolean|timestamp|date|decimal\(([1-9]|[12]\d|3[0-8]),\d+\))$"
    ),
]
EntityName = Literal["user", "item"]
ENTITIES: tuple[EntityName, ...] = ("item", "user")
"""In the order in which jobs take them; the tables of users are the main ones, and come last."""
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class ConfigModel(BaseModel):
    """Base class of all models of the configuration: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    if not TYPE_CHECKING:  # a type checker would take every name for a field

        def __getattr__(self, name: str) -> Any:
            """Raise an error that says why a field is missing that `core.declared_config` has left out."""
            if name in type(self).model_fields:
                raise AttributeError(
                    f"{type(self).__name__}.{name} is read by a job that does not declare this key of the "
                    "configuration; add it to `config=` of the job's declaration"
                )
            return super().__getattr__(name)


def each_once(names: list[str], what: str) -> None:
    """Raise an error unless each name stands once.

    Raises:
        ValueError: with the names that stand twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} {twice} are named twice; rename one of each")
