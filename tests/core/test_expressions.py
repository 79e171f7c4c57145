"""SQL in a configuration reads declared columns by allowed functions, and nothing else."""

import pytest

from core.errors import ConfigError
from core.expressions import columns_of
from core.load import load_config


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("user_impression_count_all <= 3", {"user_impression_count_all"}),
        ("hour(from_utc_timestamp(timestamp_millis(time_ms), 'Asia/Shanghai'))", {"time_ms"}),
        ("a between 1 and 2 and not b is null or c in (1, 2)", {"a", "b", "c"}),
        ("case when a > 1 then b else 0 end", {"a", "b"}),
        ("element_at(split(tag, ','), 1)", {"tag"}),
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
    ],
)
def test_an_undeclared_column_is_an_error_with_its_key(override: str, where: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(overrides=[override])

    assert str(error.value).startswith(f"{where}: ")
    assert "declared" in str(error.value)
