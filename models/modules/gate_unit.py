"""A gate for each unit of a vector, from some columns of the row: POSO and PEPNet are made of it.

Chang, Zhang, et al.: "PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized
Prior Information", KDD 2023 (arXiv 2302.01115), section 3.2: U(z) = 2 sigmoid(relu(z W1 + b1) W2 + b2).
Dai, Lin, et al.: "POSO: Personalized Cold Start Modules for Large-scale Recommender Systems" (arXiv
2108.04690) has the same, with a factor C for 2.

Letters: B rows, D width of the input vector, P columns that are read, G width of the hidden layer, H gates.
"""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from core.config_model import Name, Positive
from models.modules.columns import Columns
from models.modules.experts import ExpertOptions
from models.modules.pairs import Rows, linear

ColumnNames = Annotated[tuple[Name, ...], Field(min_length=1)]
"""Inputs that gates read, in any order."""


class GatedConfig(ExpertOptions):
    """What gated layers have in common: widths of the layers, and of the hidden layer of their gates."""

    widths: Annotated[tuple[Positive, ...], Field(min_length=1)]
    gate_width: Positive


class GateUnit(nn.Module):
    """Gates between 0 and 2; a gate of 1 changes nothing.

    Args:
        columns: that the gates read.
        in_dim: D, where the gates also read the whole input vector, whose gradient stops there; else 0.
        hidden: G.
        out_dim: H.
    """

    def __init__(self, columns: Columns, in_dim: int, hidden: int, out_dim: int) -> None:
        super().__init__()
        self._columns = columns
        self.own = nn.Linear(columns.width, hidden)
        self.all = nn.Linear(in_dim, hidden, bias=False) if in_dim else None
        self.out = nn.Linear(hidden, out_dim)

    def forward(self, x_BD: Rows) -> Tensor:
        """Map input vectors, (B, D), to gates, (B, H)."""
        hidden_BG = F.linear(self._columns.of(x_BD), self.own.weight, self.own.bias)
        if self.all is not None:
            fixed_BD = x_BD.detach() if isinstance(x_BD, Tensor) else x_BD
            hidden_BG = hidden_BG + linear(fixed_BD, [self.all.weight])
        gates_BH: Tensor = 2 * self.out(hidden_BG.relu()).sigmoid()
        return gates_BH
