"""The variants with and without level 0: what they differ in, and that they are of one size."""

import pytest

from bench.cohorts.architectures import COMPARED, PARAMETERS, matched_width, of_paper
from bench.cohorts.data import to_tasks
from bench.cohorts.first.level0 import LEVEL0, PAIRS
from bench.cohorts.worlds import BASE
from core.encoder import DenseEncoding, Encoder

ENCODER = Encoder(
    categorical=(),
    dense=tuple(
        DenseEncoding(column=f"user_{i}", transform="identity", mean=0.0, std=1.0) for i in range(46)
    ),
)


@pytest.mark.parametrize("name", LEVEL0)
def test_all_variants_have_about_the_same_number_of_parameters(name: str) -> None:
    cohorts = {"user_cohort": ("new", "low", "high")}

    _, parameters = matched_width(LEVEL0[name], ENCODER, to_tasks(BASE), cohorts)

    assert parameters == pytest.approx(PARAMETERS, rel=0.1)


def test_widths_are_in_the_proportions_of_the_paper() -> None:
    """A.4: 512; 256 and 128 with 2 experts per branch and 2 shared; 128 with 1 and 1."""
    trunk = of_paper(512)

    level1, level2 = (
        [
            (lv["task_experts"], lv["shared_experts"], *lv["expert_widths"])
            for lv in trunk[key]["trunk"]["levels"]
        ]
        for key in ("level1", "level2")
    )
    assert trunk["level0"]["widths"] == [512]
    assert level1 == [(2, 2, 256), (2, 2, 128)]
    assert level2 == [(1, 1, 128)]


def test_level_0_is_the_only_difference_between_a_variant_and_its_like_without() -> None:
    on, without = of_paper(64), of_paper(64, has_level0=False)
    assert without == {key: value for key, value in on.items() if key != "level0"}

    built = LEVEL0["mfh on level 0"].trunk(8)
    assert LEVEL0["mfh"].trunk(8) == {key: value for key, value in built.items() if key != "level0"}


def test_mfh_and_ple_are_those_of_the_first_comparison() -> None:
    for name in ("mfh", "ple"):
        assert LEVEL0[name].trunk(8) == COMPARED[name].trunk(8)
    assert {name for pair in PAIRS for name in pair} == set(LEVEL0)
