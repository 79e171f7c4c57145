"""Other seeds and worlds are trained as the plan's are, and only tunings are stored."""

from pathlib import Path

import pytest

from bench.cohorts.again import main, print_again, read_world, train
from bench.cohorts.outcomes import Outcomes
from bench.cohorts.study import Study
from bench.cohorts.worlds import BASE, World
from bench.results import Results
from jobs.workers.synthetic.dials import COHORTS, Dials
from tests.bench.cohorts.made_up import in_folder
from tests.bench.cohorts.test_study import NAMES, SMALL, VARIANTS_OF, WORLD


@pytest.fixture(autouse=True)
def results_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Results, "__init__", in_folder(tmp_path))


def test_a_seed_of_the_plan_has_the_distances_that_are_stored() -> None:
    block, study = SMALL.blocks[0], Study(SMALL, VARIANTS_OF)
    study.run()
    stored = study.results.all()

    found = train(study, WORLD, block.rows, [1, 3], NAMES)

    assert study.results.all() == stored
    for name in NAMES:
        assert [*found[name]] == [1, 3]
        assert found[name][1] == Outcomes(study).distance(block, WORLD, 1, name)
        assert found[name][3] != found[name][1]


def test_a_world_is_a_file_of_its_fields(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("{name: mine, dials: {difference: 0.7, shared: 0.3}, share_of_new: 0.02}")

    assert read_world(file) == World("mine", Dials(0.7, 0.3), share_of_new=0.02)


@pytest.mark.parametrize(
    ("world", "why"),
    [
        ("{name: mine, newness: 1}", "newness"),
        ("{name: mine, dials: {difference: 2}}", "difference is 2; expected a number in"),
        ("{dials: {}}", "name"),
        ("just text", "it holds str"),
        ("[", "parsing"),
        (None, "No such file"),
    ],
)
def test_what_is_no_world_is_named(
    world: str | None, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.yaml"
    if world is not None:
        file.write_text(world)

    with pytest.raises(SystemExit):
        main(["ple", "--world", str(file), "--seeds", "1"])

    told = capsys.readouterr().err
    assert why in told
    assert str(file) in told


def test_an_unknown_variant_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ple", "plea", "--world", BASE.name, "--seeds", "1"])

    assert "['plea']: expected variants of" in capsys.readouterr().err


def test_the_first_is_compared_with_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    found = {
        "ours": {7: dict.fromkeys(COHORTS, 0.01), 8: dict.fromkeys(COHORTS, 0.03)},
        "theirs": {7: dict.fromkeys(COHORTS, 0.03), 8: dict.fromkeys(COHORTS, 0.07)},
    }

    print_again(found)

    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert ["ours", "7", "0.0100", "0.0100", "0.0100"] in rows
    assert next(row for row in rows if row[0] == "theirs" and len(row) == 4)[1].startswith("+.03000 [")
