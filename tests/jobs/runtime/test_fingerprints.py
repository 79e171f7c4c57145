"""Fingerprints: a chain from the SHA-256 of source files to what a night leaves."""

from collections.abc import Mapping
from datetime import date

import pytest

from core.load import PROJECT_DIR, load_config
from jobs.runtime.code import hash_of
from jobs.runtime.fingerprints import Champion, Lineage
from jobs.runtime.pipeline import all_jobs
from jobs.tables.catalog import Catalog
from jobs.tables.ledger import NewestRun, RunKey

BEFORE, DAY = date(2022, 5, 6), date(2022, 5, 7)


def done(fingerprint: str) -> NewestRun:
    return NewestRun("run", "done", fingerprint, "", "", (), 1.0, {}, {}, "")


def lineage(
    log_hash: str = "x",
    champion: str | None = "ple-1",
    settings: tuple[str, ...] = (),
    known: Mapping[RunKey, NewestRun] | None = None,
    dates: tuple[date, ...] = (DAY,),
    expected: tuple[str, ...] | None = None,
    **more: object,
) -> Lineage:
    """Fingerprints where attributes never change, and a day's log file has the given hash."""

    def source_hashes(what: str, day: date) -> Mapping[str, str]:
        if what == "attributes":
            return {"source users.parquet": "a"}
        return {f"source log/{day}.parquet": f"{log_hash}{day}"}

    config = load_config(overrides=settings)
    return Lineage(
        config=config,
        source_hashes=source_hashes,
        known=known or {RunKey("build_features", "", BEFORE): done("before")},
        champion=lambda day, candidate: Champion(champion, ("ple",) if champion else ()),
        table_hashes={
            name: table.declaration_hash for name, table in Catalog(config, PROJECT_DIR).tables.items()
        },
        dates=frozenset(dates),
        expected=frozenset(all_jobs() if expected is None else expected),
        **more,  # type: ignore[arg-type]
    )


def changed(one: Lineage, other: Lineage) -> set[str]:
    return {job for job in all_jobs() if one.make(job, DAY).value != other.make(job, DAY).value}


def test_equal_inputs_give_equal_fingerprints() -> None:
    assert changed(lineage(), lineage()) == set()


def test_another_source_file_changes_all_that_is_made_of_it() -> None:
    of_earlier_days = {"pack", "train"}

    assert changed(lineage("x"), lineage("y")) == set(all_jobs()) - of_earlier_days


def test_another_champion_changes_what_it_scores() -> None:
    found = changed(lineage(champion="ple-1"), lineage(champion="mfh-2"))

    assert found == {"evaluate", "promote", "score", "publish", "report"}


@pytest.mark.parametrize(
    ("setting", "first_changed"),
    [
        ("cohorts.user.version=2", "label_cohorts"),
        ("audits.days_before=3", "check"),
        ("training.seed=5", "pack"),
        ("model.optimiser.learning_rate=0.1", "train"),
        ("promotion.margin.auc=0.5", "promote"),
        ("evaluation.replicates=10", "evaluate"),
        ("lists.home.top_k=5", "score"),
        ("baselines.strength=7", "fit_group_means"),
    ],
)
def test_a_setting_changes_the_job_that_declares_it_and_no_job_before(
    setting: str, first_changed: str
) -> None:
    found = changed(lineage(), lineage(settings=(setting,)))

    assert min(found, key=list(all_jobs()).index) == first_changed


@pytest.mark.parametrize(
    ("task", "first_changed"),
    [
        ({"weight": 2.0}, "train"),  # the encoder and the blocks do not hold it
        ({"label": "is_click = 0"}, "build_examples"),
        ({"where": "play_seconds > 1"}, "build_examples"),
    ],
)
def test_of_a_task_each_job_sees_only_what_it_uses(task: dict[str, object], first_changed: str) -> None:
    config = load_config()
    tasks = [t.model_dump(exclude_defaults=True) for t in config.tasks]
    tasks[0] |= task
    found = changed(lineage(), lineage(settings=(f"tasks={tasks}",)))

    assert min(found, key=list(all_jobs()).index) == first_changed


def test_where_tables_are_and_how_jobs_run_is_no_part_of_it() -> None:
    elsewhere = ("paths.warehouse=/elsewhere", "source.root=/other", "runtime.lock_wait_seconds=5")

    assert changed(lineage(), lineage(settings=elsewhere)) == set()


def test_a_range_has_the_fingerprints_of_its_dates_one_by_one() -> None:
    """The second date continues the first as it will be, not as it was recorded before."""

    def of(dates: tuple[date, ...], known: dict[RunKey, NewestRun]) -> Lineage:
        ingested = {RunKey("ingest", "", day): done(str(day)) for day in (BEFORE, DAY)}
        return lineage(known=ingested | known, dates=dates, expected=("build_features",))

    outdated = {RunKey("build_features", "", BEFORE): done("outdated")}
    together = of((BEFORE, DAY), outdated).make("build_features", DAY).value
    first = of((BEFORE,), {}).make("build_features", BEFORE).value
    alone = of((DAY,), {RunKey("build_features", "", BEFORE): done(first)}).make("build_features", DAY).value

    assert together == alone


def test_before_its_first_date_a_job_is_looked_up() -> None:
    """Averages of a day without examples do not wait for examples that nobody will make."""
    expected = ("build_examples", "fit_group_means")

    waits = lineage(dates=(BEFORE, DAY), expected=expected).make("fit_group_means", BEFORE).inputs
    found = lineage(dates=(BEFORE, DAY), expected=expected, first_dates={"build_examples": DAY})

    assert "examples=none" not in waits
    assert "examples=none" in found.make("fit_group_means", BEFORE).inputs


def test_a_pinned_training_set_keeps_the_inputs_that_it_was_pinned_with() -> None:
    examples = {RunKey("build_examples", "", date(2022, 5, 3)): done("with late rows")}
    fresh = lineage(known=examples, expected=())
    recipe = fresh.recipe_hash("pack")
    pinned = lineage(
        known=examples, expected=(), pinned={(DAY, recipe): ("examples as of 2022-05-03=first",)}
    )

    assert "examples as of 2022-05-03=with late rows" in fresh.make("pack", DAY).inputs
    assert pinned.make("pack", DAY).inputs == ("examples as of 2022-05-03=first",)
    assert pinned.make("pack", date(2022, 5, 9)).value == pinned.make("pack", DAY).value


@pytest.mark.parametrize(
    "setting", ["source.events.lateness_days=2", "training.seed=5", "cohorts.user.version=2"]
)
def test_a_changed_recipe_pins_another_training_set(setting: str) -> None:
    recipe = lineage().recipe_hash("pack")
    found = lineage(settings=(setting,), expected=(), pinned={(DAY, recipe): ("examples=first",)})

    assert found.make("pack", DAY).inputs != ("examples=first",)


def test_code_that_was_adopted_keeps_all_fingerprints() -> None:
    now = lineage()
    new = hash_of(now.recipe("build_features").code)
    adopted = lineage(equal_code={("build_features", new): "old"})

    assert adopted.code_hash("build_features") == "old"
    assert adopted.make("build_features", DAY).value != now.make("build_features", DAY).value
    older = lineage(equal_code={("build_features", new): "middle", ("build_features", "middle"): "old"})
    assert changed(adopted, older) == set()


def test_architectures_that_the_model_does_not_use_do_not_count() -> None:
    files = set(lineage().recipe("train").code)  # PLE

    assert "models/architectures/ple.py" in files
    assert not files & {f"models/architectures/{name}.py" for name in ("mmoe", "mfh", "sluice")}
