"""Learnt weights between networks, the same for all rows: cross-stitch and sluice have them."""

import torch
from torch import nn

OWN = 0.9
"""Weight of a network's own outputs at the start; the paper recommends a large one (Misra et al., 2016)."""


def stitches(count: int) -> nn.Parameter:
    """Return initial weights, (count, count): OWN on the diagonal, the rest in equal shares, in sum 1."""
    others = (1 - OWN) / (count - 1) if count > 1 else 0.0
    alpha = torch.full((count, count), others)
    return nn.Parameter(alpha.fill_diagonal_(OWN if count > 1 else 1.0))
