"""Distances of one seed are one number, however many shares of new users it has."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cohorts.architectures import COMPARED
from bench.cohorts.first import study
from bench.cohorts.first.__main__ import mean_distances, pooled_table
from bench.cohorts.first.study import Study
from bench.results import Results
from jobs.workers.synthetic.dials import COHORTS


def of_file(path: Path, rows: list[dict[str, Any]]) -> Results:
    results = Results("unused")
    results.path = path
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return results


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A ceiling of .8 everywhere; `mfh` and `ple` below it, seed by seed."""
    distances = {  # q, share, seed -> distance of mfh, of ple
        (0.5, 0.05, 1): (0.04, 0.05),
        (0.5, 0.2, 1): (0.02, 0.03),
        (0.5, 0.05, 2): (0.01, 0.03),  # of seed 2 a share is missing
        (1.0, 0.05, 1): (0.06, 0.05),
        (1.0, 0.2, 1): (0.06, 0.05),
    }
    ceilings, finals = [], []
    for (q, share, seed), of_variants in distances.items():
        where = {"difference": q, "share_of_new": share, "seed": seed}
        top = {cohort: {"click": 0.8} for cohort in COHORTS}
        ceilings.append({"step": "ceiling", **where, "auc": {"expected": top}})
        for name, distance in zip(("mfh", "ple"), of_variants, strict=True):
            auc = {cohort: {"click": 0.8 - distance} for cohort in COHORTS}
            finals.append({"step": "final", "variant": name, **where, "auc": auc})
    monkeypatch.setattr(study, "CEILINGS", of_file(tmp_path / "ceilings.jsonl", ceilings))
    results = of_file(tmp_path / "finals.jsonl", finals)
    return Study(results, COMPARED, (0.5, 1.0), (0.05, 0.2), learning_rates=(), tuning={})


def test_the_distance_of_a_seed_is_the_mean_over_its_shares(done: Study) -> None:
    found = mean_distances(done, "mfh", 0.5, (0.05, 0.2))

    assert list(found) == [1]
    assert {cohort: round(value, 6) for cohort, value in found[1].items()} == dict.fromkeys(COHORTS, 0.03)


def test_pairs_of_all_data_sets_are_pooled_with_the_number_in_which_the_first_is_closer(
    done: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """Closer by .01 at q = .5, farther by .01 at q = 1."""
    pooled_table(done, [("mfh", "ple")])

    *_, row = capsys.readouterr().out.splitlines()
    assert row.startswith("| mfh | ple | ")
    assert row.count("00000 [") == 3
    assert row.count("(1 of 2)") == 3
