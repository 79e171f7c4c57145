"""The typed schema of a model YAML: architecture, loss, optimiser."""

from typing import Annotated, Any, Literal

from pydantic import Field

from core.config_model import ConfigModel, Name, Positive


class InputLayer(ConfigModel):
    """How inputs are embedded and trained.

    id_dropout: categorical column -> share of training rows whose value is hidden, so that the row of
    missing and unseen values is learnt. sparse_rows: tables with at least as many rows get sparse
    gradients, whose cost grows with the batch and not with the table; they know no weight decay.
    """

    id_dropout: dict[Name, Annotated[float, Field(ge=0, lt=1)]] = Field(default_factory=dict)
    sparse_rows: Positive | None = None


class Loss(ConfigModel):
    """How cells add up to one number (docs/models/options.md).

    weighting: `fixed` weighs tasks by their `weight` and `decay`, `uncertainty` learns a factor for each
    beside them (Kendall et al., CVPR 2018).
    """

    normalise: Literal["per_cell", "per_task", "global"]
    weighting: Literal["fixed", "uncertainty"] = "fixed"
    decay_per: Literal["epoch", "step"] = "epoch"


class Optimiser(ConfigModel):
    """Adam; an epoch is one pass over the training blocks."""

    learning_rate: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
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
