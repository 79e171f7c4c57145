"""Whole training runs over a small block table, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from safetensors.numpy import load_file

from core.model import Model
from models.serving.calibration import Calibration
from models.training.run_spec import BlockFiles, RunSpec
from tests.models.training_set import AITM, PLE, make_spec, to_blocks, with_optimiser, write_blocks

BIN = Path(sys.executable).parent
RANK = [sys.executable, "-m", "models.training.process"]
TWO_RANKS = {
    "horovod": [str(BIN / "horovodrun"), "--gloo", "-np", "2", "-H", "localhost:2", *RANK],
    "torch": [
        str(BIN / "torchrun"),
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "models.training.process",
    ],
}


def run(spec: RunSpec, command: list[str]) -> subprocess.CompletedProcess[str]:
    path = Path(spec.out_dir) / "run.json"
    spec.write(path)
    return subprocess.run([*command, str(path)], capture_output=True, text=True, timeout=300, check=False)


def test_a_spec_is_read_back_from_its_file_unchanged(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    spec.write(tmp_path / "run.json")

    assert RunSpec.read(tmp_path / "run.json") == spec


def test_a_run_writes_weights_calibration_and_history(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)

    done = run(spec, RANK)

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""  # logging only
    lines = done.stderr.splitlines()
    assert [line.split(" train ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    out = Path(spec.out_dir)
    history = json.loads((out / "history.json").read_text())
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert history[-1]["validation_metrics"]["click"]["auc"] > 0.7
    calibration = Calibration.model_validate_json((out / "calibration.json").read_text())
    assert calibration.tasks == ("click", "like")
    assert calibration.groups == spec.cohorts["user_cohort"]
    assert load_file(out / "weights.safetensors")


def test_a_failed_run_writes_one_line_with_the_reason_and_exits_with_1(tmp_path: Path) -> None:
    uneven = (
        *write_blocks(tmp_path, "extra", shards=1, blocks=5),
        *write_blocks(tmp_path, "train", shards=1),
    )
    files = BlockFiles(train=uneven, validation=tuple(write_blocks(tmp_path, "validation")))
    spec = make_spec(tmp_path).model_copy(update={"blocks": files})

    done = run(spec, RANK)

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("rank 0 stopped: ")
    assert "different numbers of blocks" in done.stderr


@pytest.mark.slow
def test_two_horovod_ranks_train_from_a_delta_table_with_the_same_result_twice(tmp_path: Path) -> None:
    table = str(tmp_path / "training_blocks")
    for split in ("train", "validation"):
        for shard in range(4):
            rows = pa.Table.from_pylist(to_blocks(split, shard, 3))
            write_deltalake(table, rows, mode="append", partition_by=["training_set", "split"])
    uris = [f"file://{path}" for path in DeltaTable(table).file_uris()]
    files = {split: [u for u in uris if f"split={split}/" in u] for split in ("train", "validation")}
    spec = make_spec(tmp_path, distributed="horovod", blocks=files)
    weights = []
    for _ in range(2):
        done = run(spec, TWO_RANKS["horovod"])
        assert done.returncode == 0, done.stderr + done.stdout
        weights.append((Path(spec.out_dir) / "weights.safetensors").read_bytes())

    assert weights[0] == weights[1]
    history = json.loads((Path(spec.out_dir) / "history.json").read_text())
    assert history[-1]["validation_metrics"]["click"]["auc"] > 0.7


@pytest.mark.slow
@pytest.mark.parametrize("distributed", ["horovod", "torch"])
@pytest.mark.parametrize("model", [PLE, AITM], ids=["ple", "aitm"])
def test_two_ranks_end_where_one_rank_with_the_doubled_batch_ends(
    model: Model, distributed: str, tmp_path: Path
) -> None:
    # All blocks in one batch: however rows fall on ranks, the same rows make each update.
    final = {}
    for name, command, batch_rows in (("single", RANK, 768), (distributed, TWO_RANKS[distributed], 384)):
        whole = with_optimiser(model, batch_rows=batch_rows)
        spec = make_spec(tmp_path, distributed=name, model=whole, shuffle_blocks=100)
        done = run(spec, command)
        assert done.returncode == 0, done.stderr + done.stdout
        final[name] = load_file(Path(spec.out_dir) / "weights.safetensors")

    for key, expected in final["single"].items():
        np.testing.assert_allclose(final[distributed][key], expected, rtol=2e-3, atol=2e-5, err_msg=key)


@pytest.mark.slow
def test_ranks_end_when_their_launcher_is_killed(tmp_path: Path) -> None:
    endless = with_optimiser(PLE, max_epochs=100_000, patience=100_000)
    spec = make_spec(tmp_path, distributed="horovod", model=endless)
    path = Path(spec.out_dir) / "run.json"
    spec.write(path)
    command = [*TWO_RANKS["horovod"], str(path)]
    launcher = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert launcher.stdout is not None
    assert any("epoch 1/" in line for line in launcher.stdout)
    ranks = [
        p
        for p in psutil.Process(launcher.pid).children(recursive=True)
        if "models.training.process" in p.cmdline()
    ]
    assert len(ranks) == 2

    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()

    deadline = time.monotonic() + 30
    while any(is_alive(rank) for rank in ranks) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not any(is_alive(rank) for rank in ranks)


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
