"""Whole training runs over a small block table, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from safetensors.numpy import load_file

from models.calibration import Calibration
from models.run_spec import BlockFiles, RunSpec
from tests.models.conftest import MODEL, block_rows

RANK = [sys.executable, "-m", "models.rank"]
HOROVOD = [
    str(Path(sys.executable).with_name("horovodrun")),
    "--gloo",
    "-np",
    "2",
    "-H",
    "localhost:2",
    *RANK,
]


def run(spec: RunSpec, command: list[str]) -> subprocess.CompletedProcess[str]:
    path = Path(spec.out_dir) / "run.json"
    spec.write(path)
    return subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=120, check=False)


def test_a_run_leaves_weights_calibration_and_history(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec()

    done = run(spec, RANK)

    assert done.returncode == 0, done.stderr
    out = Path(spec.out_dir)
    history = json.loads((out / "history.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1]["validation_auc"]["click"] > 0.7
    assert "epoch 1/3 train 1." in done.stderr
    assert done.stdout == ""  # logging only
    calibration = Calibration.model_validate_json((out / "calibration.json").read_text())
    assert calibration.tasks == ("click", "like")
    assert load_file(out / "weights.safetensors")


def test_equal_specs_give_equal_bytes(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec()
    contents = []
    for _ in range(2):
        assert run(spec, RANK).returncode == 0
        contents.append(
            [(Path(spec.out_dir) / name).read_bytes() for name in ("weights.safetensors", "calibration.json")]
        )

    assert contents[0] == contents[1]


def test_files_that_cannot_be_shared_out_end_in_one_line_and_exit_code_1(
    make_spec: Callable[..., RunSpec], write_blocks: Callable[..., list[str]]
) -> None:
    uneven = write_blocks("train", shards=1, blocks=5) + write_blocks("validation", shards=1)
    spec = make_spec()
    spec = spec.model_copy(update={"blocks": BlockFiles(train=uneven, validation=spec.blocks.validation)})

    done = run(spec, RANK)

    assert done.returncode == 1
    reason = (Path(spec.out_dir) / "failure.txt").read_text()
    assert "different numbers of blocks" in reason
    assert uneven[0] in reason
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_two_horovod_ranks_train_from_a_delta_table_and_repeat_themselves(
    make_spec: Callable[..., RunSpec], tmp_path: Path
) -> None:
    table = str(tmp_path / "training_blocks")
    for split in ("train", "validation"):
        for shard in range(4):
            rows = pa.Table.from_pylist(block_rows(split, shard, 3))
            write_deltalake(table, rows, mode="append", partition_by=["training_set", "split"])
    files = {
        split: tuple(f"file://{path}" for path in DeltaTable(table).file_uris([("split", "=", split)]))
        for split in ("train", "validation")
    }
    spec = make_spec(distributed="horovod", blocks=files)
    weights = []
    for _ in range(2):
        done = run(spec, HOROVOD)
        assert done.returncode == 0, done.stderr + done.stdout
        weights.append((Path(spec.out_dir) / "weights.safetensors").read_bytes())

    assert weights[0] == weights[1]
    history = json.loads((Path(spec.out_dir) / "history.json").read_text())
    assert history[-1]["validation_auc"]["click"] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("distributed", ["horovod", "torch"])
def test_two_ranks_end_where_one_rank_with_the_doubled_batch_ends(
    make_spec: Callable[..., RunSpec], distributed: str
) -> None:
    # All blocks in one batch: however rows fall on ranks, the same rows make each update.
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--nproc-per-node", "2", "-m", "models.rank"]
    final = {}
    for name, command, batch_rows in (
        ("single", RANK, 768),
        (distributed, HOROVOD if distributed == "horovod" else torchrun, 384),
    ):
        optimiser = MODEL.optimiser.model_copy(update={"batch_rows": batch_rows})
        model = MODEL.model_copy(update={"optimiser": optimiser})
        spec = make_spec(distributed=name, model=model, shuffle_blocks=100)
        done = run(spec, command)
        assert done.returncode == 0, done.stderr + done.stdout
        final[name] = load_file(Path(spec.out_dir) / "weights.safetensors")

    for key, expected in final["single"].items():
        np.testing.assert_allclose(final[distributed][key], expected, rtol=2e-3, atol=2e-5, err_msg=key)


@pytest.mark.slow
def test_ranks_end_when_their_launcher_is_killed(make_spec: Callable[..., RunSpec]) -> None:
    optimiser = MODEL.optimiser.model_copy(update={"max_epochs": 100_000, "patience": 100_000})
    spec = make_spec(distributed="horovod", model=MODEL.model_copy(update={"optimiser": optimiser}))
    path = Path(spec.out_dir) / "run.json"
    spec.write(path)
    launcher = subprocess.Popen(
        [*HOROVOD, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert launcher.stdout is not None
    line = next(line for line in launcher.stdout if "epoch 1/" in line)
    ranks = [
        child
        for child in psutil.Process(launcher.pid).children(recursive=True)
        if "models.rank" in " ".join(child.cmdline())
    ]
    assert len(ranks) >= 2, line

    os.kill(launcher.pid, signal.SIGKILL)

    launcher.wait()
    deadline = time.monotonic() + 30
    while (
        alive := [r for r in ranks if r.is_running() and r.status() != psutil.STATUS_ZOMBIE]
    ) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert alive == []
