"""The typed schema of a model YAML: architecture, loss, optimiser."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from core.config_model import ConfigModel, Name, Positive


class IdDefault(ConfigModel):
    """What makes the embedding of an id that is missing, unseen or hidden (docs/models/options.md)."""

    columns: Annotated[tuple[Name, ...], Field(min_length=1)]  # inputs of the id's own side
    widths: tuple[Positive, ...] = (16,)  # of the hidden layers; [] leaves a linear map


class InputLayer(ConfigModel):
    """How inputs are embedded and trained.

    id_dropout: categorical column -> share of training rows whose value is hidden, so that the row of
    missing and unseen values is learnt. history_dropout: user or item -> share of training rows in which
    all that is made of its events is as if it had just arrived. id_default: column of id_dropout -> other
    columns, of which the embedding of such a value is made, beside that row. sparse_rows: tables with at
    least as many rows get sparse gradients, whose cost grows with the batch and not with the table; they
    know no weight decay.
    """

    id_dropout: dict[Name, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    history_dropout: dict[Literal["user", "item"], Annotated[float, Field(ge=0, lt=1)]] = Field(
        default_factory=dict
    )
    id_default: dict[Name, IdDefault] = Field(default_factory=dict)
    sparse_rows: Positive | None = None

    @model_validator(mode="after")
    def _defaults_are_trained(self) -> Self:
        shown = sorted(column for column in self.id_default if not self.id_dropout.get(column))
        if shown:
            raise ValueError(
                f"id_default names {shown}, whose ids are never hidden in training, and a default is trained "
                "by hidden ids; set id_dropout of each of them above 0"
            )
        return self


class Loss(ConfigModel):
    """How cells add up to one number (docs/models/options.md).

    weighting: `fixed` weighs tasks by their `weight` and `decay`, `uncertainty` learns a factor for each
    beside them (Kendall et al., CVPR 2018).
    """

    normalise: Literal["per_cell", "per_task", "global"]
    weighting: Literal["fixed", "uncertainty"] = "fixed"
    decay_per: Literal["epoch", "step"] = "epoch"


class Optimiser(ConfigModel):
    """Adam; an epoch is one pass over the training blocks.

    warmup_steps: in step n of so many the learning rate is n / warmup_steps times `learning_rate`.
    embedding_decay: weight decay of the embedding tables; `weight_decay` where it is not given.
    average_last: share of the steps so far over which the weights are averaged that are validated and kept;
    0 keeps the last ones (models/training/averaging.py).
    """

    learning_rate: Annotated[float, Field(gt=0)]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    embedding_decay: Annotated[float, Field(ge=0)] | None = None
    average_last: Annotated[float, Field(ge=0, lt=1)] = 0.1
    batch_rows: Positive  # of one rank
    max_epochs: Positive
    patience: Positive  # epochs without a better validation loss


class Model(ConfigModel):
    """One model YAML; `trunk` is validated by the architecture that reads it."""

    name: Name
    architecture: Name
    trunk: dict[str, Any]
    tower: tuple[Positive, ...]  # widths of the hidden layers of every task's (or cell's) tower
    towers: dict[str, tuple[Positive, ...]] = Field(default_factory=dict)  # of some cells, tasks or groups
    input: InputLayer = Field(default_factory=InputLayer)
    loss: Loss
    optimiser: Optimiser
