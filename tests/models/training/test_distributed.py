"""The three kinds of groups of ranks have one contract."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.training.distributed import Single

PROGRAM = """
import sys
import numpy as np, torch
from torch import nn
from models.training.distributed import create

ranks = create(sys.argv[1])
r = ranks.rank
assert ranks.size == 2

mine = torch.tensor([1.0, 10.0]) * (r + 1)
assert ranks.all_reduce_sum(mine).tolist() == [3.0, 30.0]
assert mine.tolist() == [r + 1.0, 10.0 * (r + 1)], "the argument stays"
exact = ranks.all_reduce_sum(torch.tensor([2.0**53, 1.0], dtype=torch.float64))
assert exact.tolist() == [2.0**54, 2.0]

layer = nn.Linear(2, 1)
nn.init.constant_(layer.weight, float(r + 1))
ranks.broadcast(layer)
assert layer.weight.tolist() == [[1.0, 1.0]]

(layer.weight.sum() * (r + 1)).backward()
layer.bias.grad = None if r else torch.tensor([4.0])  # no valid row for the bias on rank 1
unused = nn.Parameter(torch.ones(3))
ranks.average_gradients([*layer.parameters(), unused])
assert layer.weight.grad.tolist() == [[1.5, 1.5]]
assert layer.bias.grad.tolist() == [2.0]
assert unused.grad.tolist() == [0.0, 0.0, 0.0]

table, untouched = (nn.Embedding(9, 2, sparse=True) for _ in range(2))
table(torch.tensor([[4, 4, 7], [7, 7, 8]])[r][: 3 - r]).sum().backward()  # 4, 4, 7 and 7, 7
ranks.average_sparse_gradients([table.weight, untouched.weight])
dense = table.weight.grad.to_dense()[:, 0].tolist()
assert dense == [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.5, 0.0], dense
assert untouched.weight.grad.to_dense().tolist() == [[0.0, 0.0]] * 9

rows = ranks.all_gather(np.full((2, 3), r, dtype=np.float32))
assert rows[:, 0].tolist() == [0, 0, 1, 1]
ranks.close()
"""


def test_a_single_process_sums_and_gathers_only_its_own_values() -> None:
    ranks = Single()
    layer = nn.Linear(2, 1)
    layer.weight.grad = torch.ones(1, 2)

    ranks.average_gradients(layer.parameters())

    assert (ranks.rank, ranks.size) == (0, 1)
    assert layer.weight.grad.tolist() == [[1, 1]]
    assert layer.bias.grad is not None
    assert layer.bias.grad.tolist() == [0]
    table, untouched = (nn.Embedding(3, 2, sparse=True) for _ in range(2))
    table(torch.tensor([1, 1])).sum().backward()
    ranks.average_sparse_gradients([table.weight, untouched.weight])
    assert table.weight.grad.to_dense()[:, 0].tolist() == [0, 2, 0]
    assert untouched.weight.grad.to_dense().tolist() == [[0, 0]] * 3
    assert ranks.all_reduce_sum(torch.tensor([2.0])).tolist() == [2]
    np.testing.assert_array_equal(ranks.all_gather(np.eye(2, dtype=np.float32)), np.eye(2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "launcher"),
    [
        ("horovod", ["horovodrun", "--gloo", "-np", "2", "-H", "localhost:2", sys.executable]),
        ("torch", ["torchrun", "--nproc-per-node", "2"]),
    ],
)
def test_two_ranks_keep_the_contract(name: str, launcher: list[str], tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [str(Path(sys.executable).with_name(launcher[0])), *launcher[1:], str(program), name]

    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
