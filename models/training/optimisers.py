"""Optimisers: Adam for all parameters, SparseAdam for large tables."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR

from core.model import Optimiser
from models.training.distributed import Distributed


class Optimisers:
    """The optimisers of one model and of parameters beside it.

    A parameter of a table with sparse gradients is updated only where a batch has touched it, and so are its
    moments (SparseAdam): results differ from Adam's, and there is no weight decay.

    Args:
        model: `sparse` of its embeddings is the kind of their gradient.
        beside: parameters outside of the model, without weight decay.
        config: learning rate, its first steps, weight decay, and that of embeddings.
    """

    def __init__(self, model: nn.Module, beside: Sequence[nn.Parameter], config: Optimiser) -> None:
        embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
        dense, sparse = _tables(embeddings, is_sparse=False), _tables(embeddings, is_sparse=True)
        is_table = {id(table) for table in (*dense, *sparse)}
        rest = [p for p in model.parameters() if id(p) not in is_table]
        self._dense, self._sparse = [*dense, *rest, *beside], sparse
        decay = config.weight_decay
        of_tables = decay if config.embedding_decay is None else config.embedding_decay
        groups: list[dict[str, Any]] = [
            {"params": dense, "weight_decay": of_tables},
            {"params": rest, "weight_decay": decay},
            {"params": list(beside)},
        ]
        # fused: one kernel for all parameters, a sixth less time per step.
        self._optimisers: list[Optimizer] = [torch.optim.Adam(groups, lr=config.learning_rate, fused=True)]
        if sparse:
            self._optimisers.append(torch.optim.SparseAdam(sparse, lr=config.learning_rate))
        first = config.warmup_steps
        self._warmups = [
            LinearLR(each, start_factor=1 / first, total_iters=first - 1)
            for each in self._optimisers
            if first > 1
        ]

    def clear(self) -> None:
        """Clear all gradients."""
        for optimiser in self._optimisers:
            optimiser.zero_grad(set_to_none=True)

    def average(self, ranks: Distributed) -> None:
        """Average the gradients over ranks."""
        ranks.average_gradients(self._dense)
        ranks.average_sparse_gradients(self._sparse)

    def step(self) -> None:
        """Take one step."""
        for optimiser in self._optimisers:
            optimiser.step()
        for warmup in self._warmups:
            warmup.step()


def _tables(embeddings: Sequence[nn.Embedding], is_sparse: bool) -> list[nn.Parameter]:
    return [cast(nn.Parameter, each.weight) for each in embeddings if each.sparse == is_sparse]
