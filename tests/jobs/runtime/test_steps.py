"""Fingerprints: a chain from the sha256 of source files to what a night leaves."""

from datetime import date

import pytest

from core.load import load_config
from jobs.runtime.steps import (
    STEPS,
    Lineage,
    config_hash,
    evaluation_days,
    training_days,
    training_end,
)
from jobs.tables.sources import SourceFile, Sources

DAY = date(2022, 5, 7)


class TwoFiles:
    """Stands for a folder of sources: attributes never change, the log's file of a day has this hash."""

    def __init__(self, log_hash: str) -> None:
        self.log_hash = log_hash

    def attribute_file(self, source: object) -> SourceFile:
        return SourceFile("a.parquet", None, "attributes", None)  # type: ignore[arg-type]

    def covering(self, day: date) -> list[SourceFile]:
        return [SourceFile("log.parquet", None, f"{self.log_hash}{day}", day)]  # type: ignore[arg-type]


def lineage(log_hash: str = "x", champion: str | None = "ple-1", settings: tuple[str, ...] = ()) -> Lineage:
    sources: Sources = TwoFiles(log_hash)  # type: ignore[assignment]
    return Lineage(
        config=load_config(overrides=settings),
        sources=sources,
        known={("build_features", "", date(2022, 5, 6)): "before"},
        champions=lambda day, candidate: champion,
        dates=frozenset([DAY]),
        expected=frozenset(STEPS),
    )


def changed(one: Lineage, other: Lineage) -> set[str]:
    return {job for job in STEPS if one.make(job, DAY) != other.make(job, DAY)}


def test_equal_inputs_give_equal_fingerprints() -> None:
    assert changed(lineage(), lineage()) == set()


def test_another_source_file_changes_all_that_is_made_of_it() -> None:
    assert changed(lineage("x"), lineage("y")) == set(STEPS) - {"pack", "train"}  # these read earlier days


def test_another_champion_changes_what_it_scores() -> None:
    assert changed(lineage(champion="ple-1"), lineage(champion="mfh-2")) >= {"score", "publish", "report"}
    assert "build_features" not in changed(lineage(champion="ple-1"), lineage(champion="mfh-2"))


@pytest.mark.parametrize(
    ("setting", "first_changed"),
    [
        ("cohorts.user.version=2", "label_cohorts"),
        ("training.seed=5", "pack"),
        ("model.optimiser.learning_rate=0.1", "train"),
        ("ranking.top_k=5", "score"),
    ],
)
def test_a_setting_changes_the_job_that_reads_it_and_no_job_before(setting: str, first_changed: str) -> None:
    found = changed(lineage(), lineage(settings=(setting,)))
    order = list(STEPS)

    assert min(found, key=order.index) == first_changed


def test_paths_are_not_part_of_the_configuration_that_counts() -> None:
    here, there = load_config(), load_config(overrides=["paths.warehouse=/elsewhere", "source.root=/other"])

    assert config_hash(here) == config_hash(there)


def test_a_training_set_ends_the_day_before_it_is_pinned() -> None:
    config = load_config()  # anchor 2022-05-07, every 7 days, window of 8

    assert training_end(config, date(2022, 5, 6)) is None
    assert training_end(config, date(2022, 5, 8)) == date(2022, 5, 7)
    assert training_end(config, date(2022, 5, 14)) == date(2022, 5, 14)
    assert training_days(config, date(2022, 5, 7))[0] == date(2022, 4, 29)
    assert training_days(config, date(2022, 5, 7))[-1] == date(2022, 5, 6)
    assert evaluation_days(config, date(2022, 5, 8)) == [date(2022, 5, 7), date(2022, 5, 8)]


def test_a_range_has_the_fingerprints_of_its_dates_one_by_one() -> None:
    """The second date continues the first as it will be, not as it was recorded before."""
    first, second = date(2022, 5, 6), date(2022, 5, 7)

    def of(dates: set[date], known: dict[tuple[str, str, date], str]) -> Lineage:
        return Lineage(
            config=load_config(),
            sources=TwoFiles("x"),  # type: ignore[arg-type]
            known={("ingest", "", first): "a", ("ingest", "", second): "b", **known},
            champions=lambda day, candidate: None,
            dates=frozenset(dates),
            expected=frozenset(["build_features"]),
        )

    together = of({first, second}, {("build_features", "", first): "outdated"}).make("build_features", second)
    made = of({first}, {}).make("build_features", first)
    alone = of({second}, {("build_features", "", first): made}).make("build_features", second)

    assert together == alone
