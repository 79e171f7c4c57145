"""What all parts of a configuration are made of."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Window = Annotated[str, Field(pattern=r"^([1-9][0-9]*d|all)$")]
EntityName = Literal["user", "item"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class ConfigModel(BaseModel):
    """Base of every part: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
