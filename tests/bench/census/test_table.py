"""What the tables say of results: the better peer, and who ranks above whom."""

from typing import Any

import pytest

from bench.census import table


def final(architecture: str, seed: int, income: float, peer: str | None = None) -> dict[str, Any]:
    row = {"step": "final", "architecture": architecture, "seed": seed, "width": 2, "parameters": 9}
    row |= {"learning_rate": 0.001, "test_auc": {"income": income, "never_married": 1 - income}}
    return row | ({"peer": peer} if peer else {})


OURS = [
    final("single_task", 1, 0.90), final("single_task", 2, 0.92), final("single_task", 3, 0.91),
    final("ple", 1, 0.95), final("ple", 2, 0.971), final("ple", 3, 0.96),
    final("mmoe", 1, 0.90), final("mmoe", 2, 0.93), final("mmoe", 3, 0.90),
]  # fmt: skip
PEERS = [
    final("ple", 1, 0.90, "torch-rechub"), final("ple", 2, 0.96, "torch-rechub"),
    final("ple", 1, 0.94, "deepctr-torch"), final("ple", 2, 0.94, "deepctr-torch"),
]  # fmt: skip


def test_the_better_peer_is_chosen_task_by_task() -> None:
    finals = table.to_finals([*OURS, *PEERS])

    assert table.better_peer(finals, "ple", "income") == "deepctr-torch"  # .94, .93
    assert table.better_peer(finals, "ple", "never_married") == "torch-rechub"  # .06, .07
    assert table.better_peer(finals, "mmoe", "income") is None


def test_an_architecture_ranks_above_those_whose_intervals_lie_below_its_own() -> None:
    found = table.gains(table.to_finals(OURS), "income")  # ple .05, mmoe 0 +- .01

    assert found["single_task"].mean == 0
    assert table.ranked_below(found, "ple") == "single_task, mmoe"
    assert table.ranked_below(found, "mmoe") == ""
    assert table.ranked_below(found, "single_task") == ""


def test_tunings_and_trials_are_no_finals() -> None:
    tuning = final("ple", 1000, 0.99) | {"step": "tune"}

    assert table.to_finals([tuning]) == {}


def test_the_tables_hold_ours_and_peers(capsys: pytest.CaptureFixture[str]) -> None:
    trial = {"peer": "deepctr-torch", "architecture": "shared_bottom", "learning_rate": 0.0005, "seed": 1000}
    trial |= {"validation_auc": {"income": 0.90, "never_married": 0.91}}
    tuning = trial | {"step": "tune", "validation_auc": {"income": 0.94, "never_married": 0.99}}

    table.print_all(OURS, [trial | {"step": "setting", "batch_norm": False}, tuning, *PEERS])

    printed = capsys.readouterr().out.splitlines()
    assert "| ours | ple | 3 | 2 | 9 | 0.001 | .9603 (.0105) | .0397 (.0105) |" in printed
    assert "| deepctr-torch | ple | 2 | 2 | 9 | 0.001 | .9400 (.0000) | .0600 (.0000) |" in printed
    assert any(line.startswith("| ple | deepctr-torch | +.02050 [") for line in printed)
    assert "| ple | .9522 | .9945 | .9603 (.0105) | .0397 (.0105) |" in printed
    assert printed[-2:] == ["| without | 0.9000 | 0.9100 |", "| with | 0.9400 | 0.9900 |"]
