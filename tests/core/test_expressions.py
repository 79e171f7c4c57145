"""SQL in a configuration reads declared columns by allowed functions, and nothing else."""

import pytest

from core.errors import ConfigError
from core.expressions import FUNCTIONS, columns_of
from core.load import PROJECT_DIR, load_config


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("user_impression_count_all <= 3", {"user_impression_count_all"}),
        ("hour(from_utc_timestamp(timestamp_millis(time_ms), 'Asia/Shanghai'))", {"time_ms"}),
        ("a between 1 and 2 and not b is null or c in (1, 2)", {"a", "b", "c"}),
        ("case when a > 1 then b else 0 end", {"a", "b"}),
        ("element_at(split(tag, ','), 1)", {"tag"}),
        ("to_timestamp(a, 'yyyy-MM-dd HH:mm:ss.SSS')", {"a"}),
        ("to_date(a, 'dd/MM/yyyy')", {"a"}),
        ("cast(a AS decimal(9, 1)) * 60", {"a"}),
    ],
)
def test_columns_are_read_off_the_expression(text: str, columns: set[str]) -> None:
    assert columns_of(text, "key") == columns


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("reflect('java.lang.System', 'getenv')", "reflect is not allowed"),
        ("java_method('java.lang.System', 'getenv')", "java_method is not allowed"),
        ("a in (select b from events)", "is not allowed"),
        ("exists(select 1)", "is not allowed"),
        ("rand() < 0.5", "Rand is not allowed"),
        ("a < current_date()", "CurrentDate is not allowed"),
        ("other.a = 1", "names a table"),
        ("split(a, b)[0]", "the pattern in"),
        ("a like b", "the pattern in"),
        ("from_utc_timestamp(a, b)", "the time zone in"),
        ("from_utc_timestamp(a, 'Nowhere')", "'Nowhere' in"),
        ("to_timestamp(a, b)", "the format in"),
        ("to_date(a, '%Y')", "the format in"),
        ("element_at(split(a, ','), 0)", "counts from 1"),
        ("a <= ", "is no Spark SQL expression"),
    ],
)
def test_what_could_reach_further_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        columns_of(text, "cohorts.user.rules.new.when")

    assert str(error.value).startswith("cohorts.user.rules.new.when: ")
    assert fault in str(error.value)


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ("cohorts.item.rules=[{name: new, when: item_views < 3}]", "cohorts.item.rules.new.when"),
        ("cohorts.item.rules=[{name: new, when: user_recency_days < 3}]", "cohorts.item.rules.new.when"),
        (
            "tasks=[{name: click, label: is_bought = 1, kind: binary}, {name: long_view, label: is_click = 1,"
            " kind: binary}, {name: like, label: is_like = 1, kind: binary}]",
            "tasks.click.label",
        ),
        ("inputs.dense=[{column: user_age}]", "inputs.dense"),
        ("features.user.attributes=[user_age]", "features.user.attributes"),
        ("source.events.keep=[is_bought DESC]", "source.events.keep"),
        ("examples.repeats=[is_bought DESC]", "examples.repeats"),
    ],
)
def test_an_undeclared_column_is_an_error_with_its_key(override: str, where: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(overrides=[override])

    assert str(error.value).split(": ")[1] == where  # after the file
    assert "declared" in str(error.value)


def test_sums_are_of_behaviours() -> None:
    hours = "{name: hours, agg: sum, of: hour, windows: [7d]}"
    shown = "{name: impression_count, agg: count, windows: [7d, all]}"
    declared = [f"features.user.aggregates=[{shown}, {hours}]", "features.user.rates=[]"]

    with pytest.raises(
        ConfigError,
        match=r"^--set: features\.user\.aggregates\.hours\.of: hour is no behaviour; sum is exact",
    ):
        load_config(overrides=declared)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("source.events.columns.user_type={from: t, type: int}", None),  # a context column as any other
        ("source.events.columns.item_tag={from: t, type: int}", "source.items.columns: column item_tag"),
        ("source.events.columns.user_recency_days={from: t, type: int}", "features.user: column user_rec"),
        (
            "source.events.columns.is_like={from: t, type: int}",
            "behaviours: column is_like",
        ),
        ("source.events.columns.weight={from: t, type: int}", "source.events.columns: column weight"),
        ("source.events.columns.p_click={from: t, type: int}", "source.events.columns: column p_click"),
        ("source.events.columns.row_status={from: t, type: int}", "source.events.columns: column row_st"),
        ("source.events.columns.label_click={from: t, type: int}", "source.events.columns: column label_cl"),
        ("source.users.columns.user_click_count_7d={from: t, type: int}", "features.user: column user_click"),
        (
            "behaviours.user_fans_range={from: t, kind: binary}",
            "source.users.columns: column user_fans_range",
        ),
    ],
)
def test_a_column_has_one_owner(override: str, message: str | None) -> None:
    name = override.removeprefix("source.events.columns.").split("=")[0]
    context = [f"lists.home.context.{name}=1"] if override.startswith("source.events") else []
    if message is None:
        assert name in load_config(overrides=[override, *context]).source.events.columns
        return

    with pytest.raises(ConfigError, match=f": {message}.*is declared twice, by .*; rename one of them"):
        load_config(overrides=[override, *context])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_functions_that_are_named_to_people_are_allowed(function: str) -> None:
    arguments = {
        "abs": "a", "ceil": "a", "dayofweek": "a", "floor": "a", "from_utc_timestamp": "a, 'Europe/Berlin'",
        "hour": "a", "if": "a > 1, a, 0", "length": "a", "lower": "a", "replace": "a, 'x', 'y'",
        "round": "a, 1", "split": "a, ','", "substring": "a, 1, 2", "timestamp_micros": "a",
        "timestamp_millis": "a", "timestamp_seconds": "a", "to_date": "a", "to_timestamp": "a, 'yyyy'",
        "trim": "a", "try_cast": "a AS int", "upper": "a",
    }  # fmt: skip

    assert "a" in columns_of(f"{function}({arguments.get(function, 'a, b')})", "key")
    assert f"`{function}`" in (PROJECT_DIR / "docs/how-to/add-a-data-set.md").read_text()
