"""Rules follow from declarations; a file of the data set adds, replaces and leaves out."""

from pathlib import Path

import pytest
import yaml

from core.columns import feature_columns
from core.errors import ConfigError
from core.load import load_config
from core.rule_words import expected, rule_columns, rule_name
from core.schema import Config
from core.suites import derived_suites
from tests.features.small import small_config
from tests.second_data_set import NAME, write_second_data_set


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_second_data_set(tmp_path, rows_per_day=10)


def add(project: Path, table: str, **suite: object) -> Config:
    """The library's configuration with a file of conf/suites."""
    folder = project / "conf" / "suites" / NAME
    folder.mkdir(parents=True)
    (folder / f"{table}.yaml").write_text(yaml.safe_dump(suite))
    return load_config(NAME, folder=project)


def words(config: Config, table: str) -> dict[str, str]:
    """Rule -> what it asks for, and the share that may fail."""
    return {
        rule_name(rule): f"{expected(rule)}, {rule.max_failing_share:g}, {rule.severity}"
        for rule in config.suites[table].rules
    }


def test_rules_of_events_follow_from_columns_and_behaviours(project: Path) -> None:
    assert words(load_config(NAME, folder=project), "events") == {
        "user_id_not_null": "not null, 0.1, critical",
        "item_id_not_null": "not null, 0.1, critical",
        "event_time_not_null": "not null, 0.1, critical",
        "too_late": "at most 1, 0.1, critical",
        "after_its_file": "at least 0, 0.1, critical",
        "has_borrowed_not_null": "not null, 0.1, critical",
        "has_borrowed_in_set": "in {0, 1}, 0.1, critical",
        "reading_seconds_not_null": "not null, 0.1, critical",
        "reading_seconds_between": "at least 0, 0.1, critical",
        "stars_not_null": "not null, 0.1, critical",
        "stars_between": "in [-1.0, 5.0], 0.1, critical",
    }


def test_rules_of_a_cross_are_of_both_keys_and_of_what_is_declared(project: Path) -> None:
    measures = (
        "aggregates: [{name: offers, agg: count, windows: [2d]}, "
        "{name: borrowed, agg: sum, of: has_borrowed, windows: [2d]}], "
        "rates: [{name: rate, of: borrowed, per: offers, windows: [2d]}]"
    )
    cross = f"features.taste={{key: [user_id, item_authors], split: ';', {measures}}}"

    assert words(load_config(NAME, folder=project, overrides=[cross]), "taste_features") == {
        "user_id_not_null": "not null, 0, critical",
        "taste_id_not_null": "not null, 0, critical",
        "data_date_not_null": "not null, 0, critical",
        "taste_offers_2d_not_null": "not null, 0, critical",
        "taste_offers_2d_between": "at least 0, 0, critical",
        "taste_borrowed_2d_not_null": "not null, 0, critical",
        "taste_borrowed_2d_between": "at least 0, 0, critical",
        "taste_rate_2d_between": "in [0, 1], 0, critical",
    }


def test_the_horizon_of_late_rows_is_the_sources(project: Path) -> None:
    config = load_config(NAME, folder=project, overrides=["source.events.lateness_days=3"])

    assert words(config, "events")["too_late"] == "at most 3, 0.1, critical"


def test_counts_are_never_null_extremes_may_be_and_shares_are_at_most_1(project: Path) -> None:
    assert words(load_config(NAME, folder=project), "user_features") == {
        "user_id_not_null": "not null, 0, critical",
        "data_date_not_null": "not null, 0, critical",
        "user_is_never_seen_not_null": "not null, 0, critical",
        "user_recency_days_between": "at least 0, 0, critical",
        "user_offer_count_3d_not_null": "not null, 0, critical",
        "user_offer_count_3d_between": "at least 0, 0, critical",
        "user_offer_count_all_not_null": "not null, 0, critical",
        "user_offer_count_all_between": "at least 0, 0, critical",
        "user_borrowed_count_3d_not_null": "not null, 0, critical",
        "user_borrowed_count_3d_between": "at least 0, 0, critical",
        "user_borrowed_count_all_not_null": "not null, 0, critical",
        "user_borrowed_count_all_between": "at least 0, 0, critical",
        "user_star_sum_3d_not_null": "not null, 0, critical",
        "user_borrowing_rate_all_between": "in [0, 1], 0, critical",
    }


def test_numbers_of_a_further_group_are_bounded_by_their_behaviours(project: Path) -> None:
    assert words(load_config(NAME, folder=project), "genre_features") == {
        "genre_id_not_null": "not null, 0, critical",
        "data_date_not_null": "not null, 0, critical",
        "genre_is_never_seen_not_null": "not null, 0, critical",
        "genre_recency_days_between": "at least 0, 0, critical",
        "genre_offer_count_2d_not_null": "not null, 0, critical",
        "genre_offer_count_2d_between": "at least 0, 0, critical",
        "genre_offer_count_all_not_null": "not null, 0, critical",
        "genre_offer_count_all_between": "at least 0, 0, critical",
        "genre_mean_stars_3d_between": "in [-1.0, 5.0], 0, critical",
        "genre_mean_stars_all_between": "in [-1.0, 5.0], 0, critical",
        "genre_reader_count_3d_not_null": "not null, 0, critical",
        "genre_reader_count_3d_between": "at least 0, 0, critical",
        "genre_reader_count_all_not_null": "not null, 0, critical",
        "genre_reader_count_all_between": "at least 0, 0, critical",
        "genre_offer_trend_2d_between": "in [0, 1], 0, critical",
    }


@pytest.mark.parametrize(
    ("of", "per", "high"),
    [
        ("{name: a, agg: sum, of: is_click}", "{name: b, agg: count}", 1),
        ("{name: a, agg: count, where: tab = 1}", "{name: b, agg: count}", 1),
        ("{name: a, agg: sum, of: is_click, where: tab = 1}", "{name: b, agg: count, where: tab = 1}", 1),
        ("{name: a, agg: sum, of: is_click}", "{name: b, agg: count, where: tab = 1}", None),
        ("{name: a, agg: sum, of: play_seconds}", "{name: b, agg: count}", None),
        ("{name: a, agg: count}", "{name: b, agg: sum, of: is_click}", None),
    ],
)
def test_a_rate_is_at_most_1_where_it_counts_a_part_of_what_it_is_taken_over(
    of: str, per: str, high: int | None
) -> None:
    values = small_config().model_dump(by_alias=True)
    aggregates = [yaml.safe_load(text) | {"windows": ["3d"]} for text in (of, per)]
    values["features"]["item"] = {
        "aggregates": [*values["features"]["item"]["aggregates"], *aggregates],
        "rates": [{"name": "rate", "of": "a", "per": "b", "windows": ["3d"]}],
        "attributes": ["item_tag"],
    }

    rules = derived_suites(Config.model_validate(values))["item_features"]

    (rate,) = [rule for rule in rules if rule_columns(rule) == ("item_rate_3d",)]
    assert (rate.kwargs["min_value"], rate.kwargs.get("max_value")) == (0, high)


def test_cohorts_and_labels_have_declared_values(project: Path) -> None:
    config = load_config(NAME, folder=project)

    assert words(config, "user_cohorts")["cohort_in_set"] == "in {guest, regular}, 0, critical"
    assert words(config, "examples")["item_cohort_in_set"] == "in {fresh, known}, 0, critical"
    assert words(config, "scores")["cohort_in_set"] == "in {guest, regular}, 0, critical"
    assert words(config, "examples")["label_borrow_in_set"] == "in {0, 1}, 0, critical"
    assert words(config, "examples")["label_minutes_not_null"] == "not null, 0, warning"
    assert "label_minutes_in_set" not in words(config, "examples")
    assert words(config, "scores")["rank_between"] == "in [1, 5], 0, critical"
    assert words(config, "scores")["p_borrow_between"] == "in [0, 1], 0, critical"


def test_each_derived_rule_says_what_it_follows_from() -> None:
    config = load_config()
    sources = {rule.source for suite in config.suites.values() for rule in suite.rules}

    assert {"behaviours.is_click", "features.user.rates.click_rate", "tasks.like", "cohorts.item"} <= sources
    assert "" not in sources


@pytest.mark.parametrize("entity", ["user", "item"])
def test_a_feature_suite_reads_columns_that_the_table_has(entity: str) -> None:
    config = load_config()
    columns = {f"{entity}_id", "data_date", *feature_columns(getattr(config.features, entity), entity)}  # type: ignore[arg-type]

    assert {c for rule in config.suites[f"{entity}_features"].rules for c in rule_columns(rule)} <= columns


def test_a_file_adds_replaces_and_leaves_out(project: Path) -> None:
    config = add(
        project,
        "events",
        rules=[
            {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "shelf"}},
            {
                "type": "expect_column_values_to_not_be_null",
                "kwargs": {"column": "user_id"},
                "max_failing_share": 0.5,
            },
        ],
        without=["reading_seconds_between"],
    )

    rules = words(config, "events")
    assert rules["shelf_not_null"] == "not null, 0, critical"
    assert rules["user_id_not_null"] == "not null, 0.5, critical"
    assert "reading_seconds_between" not in rules
    own = [rule for rule in config.suites["events"].rules if rule.source.startswith("conf/suites")]
    assert {rule.source for rule in own} == {"conf/suites/library/events.yaml"}
    assert [rule_name(rule) for rule in own] == ["user_id_not_null", "shelf_not_null"]


@pytest.mark.parametrize(
    ("table", "suite", "message"),
    [
        ("events", {"without": ["reading_seconds_betwen"]}, "events.yaml: without: there is no rule reading"),
        ("event", {"rules": []}, "event.yaml: no such table has a suite; expected one of"),
        (
            "scores",
            {"rules": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}}] * 2},
            r"scores.yaml: rules \['a_not_null'\] are named twice; set `name` on one of each",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_an_error(
    project: Path, table: str, suite: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=f"^conf/suites/library/{message}"):
        add(project, table, **suite)
