"""A short training of the gradients' benchmark, and its table."""

import json
from pathlib import Path

import pytest

from bench.cohorts import gradients
from bench.results import Results


def test_new_users_own_towers_alone_are_theirs_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "shared bottom, tower per cell"
    found = gradients.train(name, seed=1, rows=4_096)
    results = Results("unused")
    results.path = tmp_path / "gradients.jsonl"
    results.path.write_text(json.dumps({"variant": name, "seed": 1, **found}) + "\n", encoding="utf-8")
    monkeypatch.setattr(gradients, "RESULTS", results)
    monkeypatch.setattr(gradients, "PLOT", tmp_path / "plot.svg")
    capsys.readouterr()

    gradients.table(name, [1])
    gradients.plot([1])

    assert 0.02 < found["share_of_rows"] < 0.08
    assert [*found["after"]] == ["0", "1", "5"]
    for lines in found["after"].values():
        assert [(line["module"], line["serves"]) for line in lines] == [
            ("input.tables", "all"),
            ("trunk.switcher.bottom", "all"),
            ("towers.*_tower", "new"),
        ]
        assert lines[2]["share"] == 1
        assert lines[1]["share"] < 0.5
    first, last = (found["after"][epochs][1] for epochs in ("0", "5"))
    assert first["cosine"] != last["cosine"]  # weights have moved
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith(f"{name}: 60,199 parameters, seeds 1, new users 0.0")
    assert [line.split(" | ")[1:4] for line in printed[-2:-1]] == [["new", "5,955", "1.000"]]
    assert "tower per cell" in (tmp_path / "plot.svg").read_text(encoding="utf-8")
