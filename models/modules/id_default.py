"""A learnt default: what stands for the embedding of an id that is missing, unseen or hidden in training.

    e = e_0 + g(x)        of a row whose id is 0
    e = e_id              of every other row, whatever g is

e_0 is row 0 of the table, x are other columns of the id's own side, as the input layer has made them
(embeddings, standardised numbers), g is an MLP with ReLU. Its last layer has no bias, which e_0 is, and
starts at zero: training starts from row 0 alone, and weight decay pulls back to it. Ids hidden by id dropout
train e_0 and g, by the loss of the tasks; rows whose id is seen have no part in their gradients.

After Volkovs, Yu, Poutanen: "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017 (inputs
hidden at random, so that content alone has to do); Pan, Li, Ao, Tang, He: "Warm Up Cold-start Advertisements:
Improving CTR Predictions via Learning to Learn ID Embeddings", SIGIR 2019 (an embedding generated from the
other features of a new id); Zhu et al.: "Learning to Warm Up Cold Item Embeddings for Cold-start
Recommendation with Meta Scaling and Shifting Networks", SIGIR 2021 (that starts from one row for all).

Differences:
    1. One training of everything, as DropoutNet's; in the other two the model is trained first, and then
       the generator alone. Nothing is learnt to learn: an id is seen when the next training has rows of it.
    2. No term that pulls g(x) to the embeddings of seen ids (DropoutNet's loss is one of scores). It would
       weigh directions that nothing reads as much as others, and take ids of few rows, whose embeddings
       are mostly where they started, for targets.
    3. SIGIR 2021 scales and shifts what an id has learnt; here a seen id keeps what it has learnt.

Letters: B rows, J width of the columns that g reads, E embedding width.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from core.encoder import CategoricalEncoding, Encoder
from core.errors import ConfigError
from core.model import IdDefault


class LearntDefault(nn.Module):
    """The generator g of one column.

    Args:
        in_dim: J.
        widths: of its hidden layers; none: a linear map.
        out_dim: E.
    """

    def __init__(self, in_dim: int, widths: Sequence[int], out_dim: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(nn.Linear(d, h) for d, h in pairwise([in_dim, *widths]))
        self.last = nn.Linear([in_dim, *widths][-1], out_dim, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, x_BJ: Tensor) -> Tensor:
        """Map (B, J) to (B, E).

        Outside of training it is computed in float64 and rounded once, so that the numbers of a row do not
        depend on the rows beside it (models/modules/pairs.py).
        """
        kind = x_BJ.dtype
        y = x_BJ if self.training else x_BJ.double()
        for layer in cast(Iterable[nn.Linear], self.hidden):
            y = F.linear(y, layer.weight.to(y.dtype), layer.bias.to(y.dtype)).relu()
        return F.linear(y, self.last.weight.to(y.dtype)).to(kind)


def check_sources(column: str, config: IdDefault, with_default: Sequence[str], encoder: Encoder) -> None:
    """Check that a column's default can be made of the columns that it names.

    Args:
        column: whose default it is.
        config: names of columns.
        with_default: the columns that have one.
        encoder: of all inputs.

    Raises:
        ConfigError: one is no input, is of another side, or has a default itself.
    """
    where = f"input.id_default.{column}"
    of = {each.column: each for each in encoder.categorical}
    if column not in of:
        raise ConfigError(f"{where}: {column} is no categorical input; those are {sorted(of)}")
    side = of[column].side
    sides = {c.column: c.side for c in encoder.categorical} | {d.column: d.side for d in encoder.dense}
    expected = sorted(name for name, own in sides.items() if own == side and name not in with_default)
    if unknown := sorted(set(config.columns) - set(sides)):
        raise ConfigError(
            f"{where}.columns names {unknown}, which are no inputs; expected some of {expected}"
        )
    if others := sorted(name for name in config.columns if sides[name] != side):
        raise ConfigError(
            f"{where}.columns names {others} of another side: {column} is of the side {side}, whose part of "
            f"the input is computed by itself; expected some of {expected}"
        )
    if chained := sorted(set(config.columns) & set(with_default)):
        raise ConfigError(
            f"{where}.columns names {chained}, which have a learnt default themselves; expected some of "
            f"{expected}"
        )


def width_of(columns: Sequence[str], categorical: Sequence[CategoricalEncoding]) -> int:
    """Return J of columns, of which those that are not categorical are one number each."""
    dims = {each.column: each.dim for each in categorical}
    return sum(dims.get(column, 1) for column in columns)
