"""The suite of each table, as it follows from the declarations of a data set.

What a declaration says of a column is a rule: a binary behaviour is 0 or 1, a count is at least 0, a cohort
has one of the declared names. A file `conf/suites/DATASET/TABLE.yaml` holds only what people add or loosen.
"""

from collections.abc import Iterable, Iterator, Mapping
from math import inf
from typing import Any

from core.columns import built_in_features, key_columns, measured_columns
from core.config_model import EntityName
from core.errors import ConfigError
from core.features import TOTALS, Aggregate, Rate
from core.rule_words import TOO_LATE, rule_name
from core.schema import Cohorts, Config, Expectation, Suite

ENTITIES: tuple[EntityName, ...] = ("user", "item")


def with_suites(config: Config) -> Config:
    """Return the configuration with the whole suite of each table: derived rules, then those of files.

    Raises:
        ConfigError: a file adds two rules of one name, leaves out a rule that does not exist, or is for a
            table without a suite.
    """
    derived = derived_suites(config)
    if unknown := sorted(set(config.suites) - set(derived)):
        raise ConfigError(
            f"conf/suites/{config.dataset}/{unknown[0]}.yaml: no such table has a suite; expected one of "
            f"{sorted(derived)}"
        )
    suites = {
        table: _merged(f"conf/suites/{config.dataset}/{table}.yaml", rules, config.suites.get(table, Suite()))
        for table, rules in derived.items()
    }
    return config.model_copy(update={"suites": suites})


def derived_suites(config: Config) -> dict[str, tuple[Expectation, ...]]:
    """Return table -> the rules that follow from a data set's declarations, each with its source."""
    return {
        "events": tuple(_of_events(config)),
        **{f"{group}_features": tuple(_of_features(config, group)) for group in config.features.groups},
        **{f"{entity}_cohorts": tuple(_of_cohorts(config, entity)) for entity in ENTITIES},
        "examples": tuple(_of_examples(config)),
        "evaluations": tuple(_of_evaluations()),
        "scores": tuple(_of_scores(config)),
    }


def _merged(file: str, derived: Iterable[Expectation], added: Suite) -> Suite:
    rules = {rule_name(rule): rule for rule in derived}
    names = [rule_name(rule) for rule in added.rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"{file}: rules {twice} are named twice; set `name` on one of each")
    if unknown := sorted(set(added.without) - set(rules)):
        raise ConfigError(f"{file}: without: there is no rule {unknown[0]}; there are {sorted(rules)}")
    own = {rule_name(rule): rule.model_copy(update={"source": file}) for rule in added.rules}
    kept = {name: rule for name, rule in rules.items() if name not in added.without}
    return Suite(rules=tuple((kept | own).values()), without=added.without)


# --- rules of each table ------------------------------------------------------------------------


def _of_events(config: Config) -> Iterator[Expectation]:
    source, share = config.source.events, config.source.events.max_failing_share
    for name in ("user_id", "item_id", "event_time"):
        yield _not_null(name, f"source.events.columns.{name}", share)
    lateness = "source.events.lateness_days"
    yield _between("days_late", lateness, share, high=source.lateness_days, name=TOO_LATE)
    yield _between("days_late", lateness, share, low=0, name="after_its_file")
    for name, behaviour in config.behaviours.items():
        where = f"behaviours.{name}"
        yield _not_null(name, where, share)  # missing, or not readable as what it should be
        low, high = behaviour.bounds
        if behaviour.kind == "binary":
            yield _in_set(name, where, [0, 1], share)
        elif behaviour.action is None:  # that of actions is a sum, 0 without one; each action was checked
            yield _between(name, where, share, low=low, high=high)


def _of_features(config: Config, group: str) -> Iterator[Expectation]:
    features, where = config.features.groups[group], f"features.{group}"
    for name in (*key_columns(features, group), "data_date"):
        yield _not_null(name, where)
    if built_in_features(features):
        yield _not_null(f"{group}_is_never_seen", where)
        yield _between(f"{group}_recency_days", where, low=0)
    for aggregate in features.aggregates:
        for window in aggregate.windows:
            column, source = f"{group}_{aggregate.name}_{window}", f"{where}.aggregates.{aggregate.name}"
            if aggregate.agg in TOTALS:  # 0 without events, never null
                yield _not_null(column, source)
            low, high = _bounds(aggregate, config)
            if low is not None or high is not None:
                yield _between(column, source, low=low, high=high)
    aggregates = {aggregate.name: aggregate for aggregate in features.aggregates}
    for rate in features.rates:
        for window in rate.windows:
            high = 1 if _is_share(rate, aggregates, config) else None
            source = f"{where}.rates.{rate.name}"
            if all(_is_at_least_0(aggregates[name], config) for name in (rate.of, rate.per)):
                yield _between(f"{group}_{rate.name}_{window}", source, low=0, high=high)


def _of_cohorts(config: Config, entity: EntityName) -> Iterator[Expectation]:
    cohorts, where = getattr(config.cohorts, entity), f"cohorts.{entity}"
    for name in (f"{entity}_id", "data_date", "rule_version"):
        yield _not_null(name, where)
    yield from _cohort("cohort", where, cohorts)


def _of_examples(config: Config) -> Iterator[Expectation]:
    for name in ("event_id", "data_date", "user_id", "item_id", "event_time"):
        yield _not_null(name, "source.events")
    for entity in ENTITIES:
        yield _not_null(f"{entity}_is_never_seen", f"features.{entity}")
        for aggregate in config.features.groups[entity].aggregates:
            if aggregate.name == config.exposure:  # never seen before the event: 0, not null
                for window in aggregate.windows:
                    yield _not_null(f"{entity}_{aggregate.name}_{window}", "exposure")
        yield from _cohort(f"{entity}_cohort", f"cohorts.{entity}", getattr(config.cohorts, entity))
    for task in config.tasks:
        where = f"tasks.{task.name}"
        yield _not_null(f"mask_{task.name}", where)
        # Unknown labels are masked; a data set that has some should know of it.
        yield _not_null(f"label_{task.name}", where, severity="warning")
        if task.kind == "binary":
            yield _in_set(f"label_{task.name}", where, [0, 1])
    yield _not_null("weight", "examples")
    yield _between("weight", "examples", low=0)


def _of_evaluations() -> Iterator[Expectation]:
    """Yield rules on a candidate's values over all rows, a row per primary task; null: too few of a class."""
    for name in ("task", "value"):
        yield _not_null(name, "promotion.primary_tasks")


def _of_scores(config: Config) -> Iterator[Expectation]:
    lists = config.lists.values()
    for name in ("user_id", "list", "rank", "model_version"):
        yield _not_null(name, "lists")
    if all(each.has_items for each in lists):
        for name in ("item_id", "score", "placement_probability"):
            yield _not_null(name, "lists")
    yield _in_set("list", "lists", list(config.lists))
    yield _between("rank", "lists", low=1, high=max(each.length for each in lists))
    yield _between("score", "lists.ranking", low=0, high=1)
    yield _between("placement_probability", "lists.new_items", low=0, high=1)
    for task in config.listed_tasks:
        yield _not_null(f"p_{task.name}", "lists.ranking")
        if task.kind == "binary":
            yield _between(f"p_{task.name}", "lists.ranking", low=0, high=1)
    yield from _cohort("cohort", "cohorts.user", config.cohorts.user)


def _bounds(aggregate: Aggregate, config: Config) -> tuple[float | None, float | None]:
    """Return the lowest and the highest value that a declaration allows; None: no bound, or no number."""
    behaviour = measured_columns(config).get(aggregate.of or "")
    match aggregate.agg:
        case "count" | "distinct" | "variance" | "recency":
            return 0, None
        case "sum" if behaviour is not None and behaviour.bounds[0] >= 0:
            return 0, None
        case "mean" if behaviour is not None:
            return behaviour.bounds
        case _:
            return None, None


def _is_at_least_0(aggregate: Aggregate, config: Config) -> bool:
    low, _ = _bounds(aggregate, config)
    return low is not None and low >= 0


def _is_share(rate: Rate, aggregates: Mapping[str, Aggregate], config: Config) -> bool:
    """Return whether a rate counts some of the events that it is taken over: then it is in [0, 1]."""
    of, per = aggregates[rate.of], aggregates[rate.per]
    read = measured_columns(config).get(of.of or "")
    is_binary = read is not None and read.kind == "binary"
    counts_events = of.agg == "count" or (of.agg == "sum" and is_binary)
    is_part = of == per or (per.agg == "count" and per.where in (None, of.where))
    is_inside = rate.per_window is None or all(_days(w) <= _days(rate.per_window) for w in rate.windows)
    is_smooth = rate.smoothing is None or 0 <= rate.smoothing.prior <= 1
    return counts_events and is_part and is_inside and is_smooth


def _days(window: str) -> float:
    return inf if window == "all" else int(window.removesuffix("d"))


# --- one rule -----------------------------------------------------------------------------------


def _cohort(column: str, where: str, cohorts: Cohorts) -> Iterator[Expectation]:
    yield _not_null(column, where)
    yield _in_set(column, where, list(cohorts.names))


def _not_null(column: str, source: str, share: float = 0.0, **more: Any) -> Expectation:
    return _rule("expect_column_values_to_not_be_null", source, share, {"column": column}, **more)


def _in_set(column: str, source: str, values: list[Any], share: float = 0.0) -> Expectation:
    kwargs = {"column": column, "value_set": values}
    return _rule("expect_column_values_to_be_in_set", source, share, kwargs)


def _between(
    column: str,
    source: str,
    share: float = 0.0,
    *,
    low: float | None = None,
    high: float | None = None,
    name: str | None = None,
) -> Expectation:
    bounds = {"min_value": low, "max_value": high}
    kwargs = {"column": column} | {key: value for key, value in bounds.items() if value is not None}
    return _rule("expect_column_values_to_be_between", source, share, kwargs, name=name)


def _rule(type_: str, source: str, share: float, kwargs: dict[str, Any], **more: Any) -> Expectation:
    return Expectation(type=type_, kwargs=kwargs, max_failing_share=share, source=source, **more)
