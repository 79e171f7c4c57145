"""Ranks are followed and end with their launcher; what a killed training left is removed by the next one."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.errors import LamplighterError
from jobs.tables.faults import explain
from jobs.workers.launch import run_ranks, training_folder
from models.training.run_spec import BlockFiles
from tests.jobs.tables.small_file_system import small_file_system
from tests.models.training_set import make_spec, write_blocks

HOLD = """
import sys, time
from pathlib import Path
from jobs.workers.launch import training_folder
with training_folder(Path(sys.argv[1])) as folder:
    (folder / "weights.part").write_text("x")
    print(folder.name, flush=True)
    time.sleep(600)
"""


def training_elsewhere(models: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Another process that trains, and its folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(models)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, models / process.stdout.readline().strip()


def test_a_folder_is_there_for_the_training_and_then_gone(tmp_path: Path) -> None:
    with training_folder(tmp_path / "models") as folder:
        assert list((tmp_path / "models").iterdir()) == [folder]

    assert list((tmp_path / "models").iterdir()) == []


def test_what_a_killed_training_left_is_removed_and_a_running_one_is_not(tmp_path: Path) -> None:
    killed, left = training_elsewhere(tmp_path)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert (left / "weights.part").exists()
    alive, busy = training_elsewhere(tmp_path)
    try:
        with training_folder(tmp_path) as folder:
            assert {path.name for path in tmp_path.iterdir()} == {busy.name, folder.name}
    finally:
        alive.kill()
        alive.wait()


def test_a_process_id_that_is_used_again_does_not_keep_a_folder(tmp_path: Path) -> None:
    started = int(psutil.Process().create_time())
    host = socket.gethostname()
    for name in (
        f"training-{host}-{os.getpid()}-{started - 60}-a",  # this process id, an earlier process
        f"training-{host}-{os.getpid()}-{started}-b",  # this process
        f"training-other-1-{started}-c",  # nothing is known of another host
        "training-notes",  # not ours
    ):
        (tmp_path / name).mkdir()

    with training_folder(tmp_path):
        pass

    assert sorted(path.name.rpartition("-")[2] for path in tmp_path.iterdir()) == ["b", "c", "notes"]


@pytest.mark.spark  # no session, but ranks take seconds: not for `make check`
def test_epochs_are_reported_while_ranks_train(tmp_path: Path) -> None:
    spec = make_spec(tmp_path).model_copy(update={"distributed": "single"})
    epochs: list[tuple[int, int]] = []

    run_ranks(spec, 1, Path(spec.out_dir), on_epoch=lambda done, most: epochs.append((done, most)))

    assert epochs == [(1, 3), (2, 3), (3, 3)]
    assert (Path(spec.out_dir) / "weights.safetensors").exists()


@pytest.mark.spark  # as above
def test_a_rank_that_fails_ends_the_training_with_its_reason(tmp_path: Path) -> None:
    uneven = (
        *write_blocks(tmp_path, "extra", shards=1, blocks=5),
        *write_blocks(tmp_path, "train", shards=1),
    )
    files = BlockFiles(train=uneven, validation=tuple(write_blocks(tmp_path, "validation")))
    spec = make_spec(tmp_path).model_copy(update={"blocks": files, "distributed": "single"})

    with pytest.raises(
        LamplighterError, match=r"training ended with exit code 1: .*; nothing was registered"
    ):
        run_ranks(spec, 1, Path(spec.out_dir))


@pytest.mark.spark  # as above
def test_a_rank_that_cannot_write_says_where(tmp_path: Path) -> None:
    with small_file_system(tmp_path / "disk", "1m") as disk:
        spec = make_spec(tmp_path).model_copy(update={"distributed": "single", "out_dir": str(disk.folder)})
        disk.fill()

        with pytest.raises(RuntimeError) as error:
            run_ranks(spec, 1, tmp_path / "out")

    file = disk.folder / "weights.safetensors"
    assert f"exit code 1: OSError: [Errno 28] No space left on device: '{file}'; nothing" in str(error.value)
    assert str(explain(error.value)).startswith(f"{file}: the disk is full; ")


TRAIN = """
import sys
from pathlib import Path
from jobs.workers.launch import run_ranks
from models.training.run_spec import RunSpec
spec = RunSpec.read(Path(sys.argv[1]))
run_ranks(spec, 1, Path(spec.out_dir), on_epoch=lambda *_: print("epoch", flush=True))
"""


@pytest.mark.spark  # as above
def test_ranks_end_when_their_launcher_is_killed(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    optimiser = spec.model.optimiser.model_copy(update={"max_epochs": 100_000, "patience": 100_000})
    model = spec.model.model_copy(update={"optimiser": optimiser})
    spec.model_copy(update={"distributed": "single", "model": model}).write(tmp_path / "run.json")
    launcher = subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(tmp_path / "run.json")], stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == "epoch\n"
    ranks = psutil.Process(launcher.pid).children(recursive=True)
    assert ranks

    os.kill(launcher.pid, signal.SIGKILL)
    launcher.wait()

    until = time.monotonic() + 20
    while any(rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE for rank in ranks):
        assert time.monotonic() < until, "a rank outlived its launcher"
        time.sleep(0.1)
