"""History dropout: in training some rows are as if their user, or item, had just arrived.

Models learn mostly from users of long history, whose history says more than their attributes. A user who
has none yet is then read through weights that few rows have trained. So the columns that are made of a
user's events (counts, rates, its id) get in a share of the rows, all of them at once, the values that they
have before the first event; the row keeps its labels, its cohort and its cells. What it still shows,
attributes and the item, is what every user's rows can teach for the day of arrival.

After Volkovs, Yu, Poutanen: "DropoutNet: Addressing Cold Start in Recommender Systems", NeurIPS 2017,
section 3, where preference inputs are set to 0 in a share of the training rows. Differences: the values are
those that features have without events, and the loss is that of the tasks.

Letters: B rows, C columns of ids, F dense columns.
"""

import torch
from torch import Tensor, nn

from core.encoder import Arriving, Encoder
from core.errors import ConfigError


class History(nn.Module):
    """Hide the history of a user or an item in a share of the rows, in training only.

    Args:
        of: whose.
        share: of the rows.
        encoder: which columns are made of its events.

    Raises:
        ConfigError: no input is made of its events.
    """

    at_arrival: Tensor
    is_history: Tensor
    is_kept: Tensor

    def __init__(self, of: Arriving, share: float, encoder: Encoder) -> None:
        super().__init__()
        is_history = [d.history_of == of for d in encoder.dense]
        # A hashed id of a new user is any of its values, and 0 is none of a new one's.
        is_id = [
            c.history_of == of and c.kind == "vocabulary" for c in encoder.categorical for _ in c.id_columns
        ]
        if not any(is_history + is_id):
            raise ConfigError(
                f"input.history_dropout names {of}, but no input is made of events of a {of}: none is a "
                f"feature of the {of} that is no attribute, or its id, unless hashed. List one under "
                f"inputs, or leave {of} out"
            )
        self.share = share
        values = [torch.nan if d.at_arrival is None else d.at_arrival for d in encoder.dense]
        self.register_buffer("is_history", torch.tensor(is_history), persistent=False)
        self.register_buffer("at_arrival", torch.tensor(values), persistent=False)
        self.register_buffer("is_kept", ~torch.tensor(is_id, dtype=torch.bool), persistent=False)

    def forward(self, ids_BC: Tensor, dense_BF: Tensor) -> tuple[Tensor, Tensor]:
        """Return ids, (B, C), and raw dense values, (B, F), with the history of some rows hidden."""
        if not self.training:
            return ids_BC, dense_BF
        is_new_B1 = torch.rand(len(ids_BC), 1, device=ids_BC.device) < self.share
        return (
            ids_BC * (self.is_kept | ~is_new_B1),
            torch.where(self.is_history & is_new_B1, self.at_arrival, dense_BF),
        )
