"""The peers' multi-task models on one float matrix of inputs: columns of ids, then dense ones.

Shapes are those of bench/census/architectures.py as far as a peer has them. Of both, all levels of PLE
have experts of one shape, so both levels are as wide as the first (ours: the second half as wide).
Gates are one linear map, as in the papers. torch-rechub normalises by batch everywhere, and has no option.
DeepCTR-Torch has its batch norm on, which is off by default; see `bench.peers.census`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.census.protocol import EMBEDDING_DIM, TASKS, TOWER
from bench.peers.stand_in import stand_in_for_tensorflow

ARCHITECTURES = ("shared_bottom", "mmoe", "cgc", "ple")

Network = Callable[[Tensor], Tensor]
"""Inputs (B, C + F) -> probabilities (B, K)."""


def build(
    peer: str,
    architecture: str,
    width: int,
    table_rows: Sequence[int],
    dense: int,
    seed: int,
    batch_norm: bool,
) -> tuple[nn.Module, Network]:
    """Return a peer's model, and what calls it.

    Args:
        peer: torch-rechub or deepctr-torch.
        architecture: one of ARCHITECTURES.
        width: of the first layer of bottom or experts.
        table_rows: rows of the table of each categorical column.
        dense: number of dense columns.
        seed: of the weights.
        batch_norm: DeepCTR-Torch's option.
    """
    torch.manual_seed(seed)
    if peer == "torch-rechub":
        names = [f"c{n}" for n in range(len(table_rows))] + [f"d{n}" for n in range(dense)]
        model = _rechub(architecture, width, table_rows, dense)
        return model, lambda x_BC: model(dict(zip(names, x_BC.unbind(1), strict=True)))
    model = _deepctr(architecture, width, table_rows, dense, seed, batch_norm)
    return model, model


def trunk_parameters(model: nn.Module) -> int:
    """Return the number of parameters above the embeddings: trunk and towers."""
    embeddings = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    is_table = {id(embedding.weight) for embedding in embeddings}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in is_table)


def _rechub(architecture: str, width: int, table_rows: Sequence[int], dense: int) -> nn.Module:
    from torch_rechub.basic.features import DenseFeature, SparseFeature
    from torch_rechub.models import multi_task

    # A feature keeps its table: with features of one's own, no model starts from another's embeddings.
    features = [SparseFeature(f"c{n}", rows, EMBEDDING_DIM) for n, rows in enumerate(table_rows)]
    features += [DenseFeature(f"d{n}") for n in range(dense)]
    common: dict[str, Any] = {
        "features": features,
        "task_types": ["classification"] * len(TASKS),
        "tower_params_list": [{"dims": [*TOWER]} for _ in TASKS],
    }
    two_layers = {"dims": [width, width // 2]}
    ple = {"n_expert_specific": 1, "n_expert_shared": 1, **common}
    models: dict[str, Callable[[], nn.Module]] = {
        "shared_bottom": lambda: multi_task.SharedBottom(bottom_params=two_layers, **common),
        "mmoe": lambda: multi_task.MMOE(n_expert=3, expert_params=two_layers, **common),
        "cgc": lambda: multi_task.PLE(n_level=1, expert_params=two_layers, **ple),
        "ple": lambda: multi_task.PLE(n_level=2, expert_params={"dims": [width]}, **ple),
    }
    return models[architecture]()


def _deepctr(
    architecture: str, width: int, table_rows: Sequence[int], dense: int, seed: int, batch_norm: bool
) -> nn.Module:
    stand_in_for_tensorflow()
    from deepctr_torch import models as multi_task
    from deepctr_torch.inputs import DenseFeat, SparseFeat

    columns = [SparseFeat(f"c{n}", rows, EMBEDDING_DIM) for n, rows in enumerate(table_rows)]
    columns += [DenseFeat(f"d{n}", 1) for n in range(dense)]
    common: dict[str, Any] = {
        "dnn_feature_columns": columns,
        "tower_dnn_hidden_units": TOWER,
        "dnn_use_bn": batch_norm,
        "task_types": ["binary"] * len(TASKS),
        "task_names": list(TASKS),
        "seed": seed,  # the constructor sets torch's seed itself, to 1024 otherwise
    }
    two_layers = (width, width // 2)
    gated = {"gate_dnn_hidden_units": (), **common}
    ple = {"specific_expert_num": 1, "shared_expert_num": 1, **gated}
    models: dict[str, Callable[[], nn.Module]] = {
        "shared_bottom": lambda: multi_task.SharedBottom(bottom_dnn_hidden_units=two_layers, **common),
        "mmoe": lambda: multi_task.MMOE(num_experts=3, expert_dnn_hidden_units=two_layers, **gated),
        "cgc": lambda: multi_task.PLE(num_levels=1, expert_dnn_hidden_units=two_layers, **ple),
        "ple": lambda: multi_task.PLE(num_levels=2, expert_dnn_hidden_units=(width,), **ple),
    }
    return models[architecture]()
