"""Checks of the logs: columns, times, rules of rows, the event's id, and actions."""

from datetime import UTC, date, datetime
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from core.expressions import columns_of
from core.source import EventSource
from features.casts import read_mapping
from features.events import to_events, with_row_status
from jobs.onboarding.checking import Checks, Expression, behaviours_of, identified, lacks, mapped, reader_of
from jobs.onboarding.zones import guess_zone
from quality.failing import failing_filters, with_failed_rules
from quality.verdicts import percent

MOST_EVENTS = 200_000
"""Rows of the newest files that are looked at."""
MOST_TIMES = 2_000
"""Times that zones are tried on."""
LEAST_ON_DATE, BETTER = 0.5, 0.02
"""Share of times that must be of the date of their file; what another zone must be better by."""


def check_events(checks: Checks, data_date: date | None) -> DataFrame | None:
    """Check the log; return accepted events of the sample, None where an expression is wrong."""
    source, where = checks.config.source.events, "source.events"
    raw, day = _raw_log(checks, source, data_date)
    if raw is None or day is None:
        return None
    missing = sorted(set(source.event_id) - set(raw.columns))
    if missing:
        checks.fault(f"{where}.event_id", f"{lacks(missing, raw)}")
    expressions = [
        *(mapped(f"{where}.columns", name, column) for name, column in source.columns.items()),
        *behaviours_of(checks.config, None),
    ]
    sound = checks.evaluate(raw, expressions, zone=checks.config.source.time_zone)
    if missing or len(sound) < len(expressions):
        return None
    rows = to_events(_with_provenance(raw, day), checks.config).localCheckpoint()
    _check_times(checks, rows, day)
    _check_wheres(checks, rows)
    return _accepted(checks, rows)


def check_actions(checks: Checks, data_date: date | None) -> None:
    """Check the logs of actions."""
    for name, source in checks.config.source.actions.items():
        log, where = checks.project.sources.actions[name], f"source.actions.{name}"
        day = data_date or log.last_date()
        files = [] if day is None else log.of(day)
        if not files:
            checks.fault(f"{where}.path", f"no files of {day or 'any date'} at {source.path!r}")
            continue
        raw = checks.read(source, files, where)
        if raw is None:
            continue
        if missing := sorted(set(source.action_id) - set(raw.columns)):
            checks.fault(f"{where}.action_id", f"{lacks(missing, raw)}")
        types = {column: checks.config.source.events.columns[column].type for column in source.join}
        time = Expression(
            f"{where}.action_time.from",
            source.action_time.expr,
            partial(read_mapping, source.action_time),
        )
        keys = [
            identified(f"{where}.join.{column}", text, types[column]) for column, text in source.join.items()
        ]
        checks.evaluate(raw.limit(MOST_EVENTS), [time, *keys, *behaviours_of(checks.config, name)])


def _raw_log(
    checks: Checks, source: EventSource, data_date: date | None
) -> tuple[DataFrame | None, date | None]:
    sources = checks.project.sources
    day = data_date or sources.log.last_date()
    files = [] if day is None else sources.log_files(day)
    if day is None or not files:
        last = sources.log.last_date()
        newest = "there are none at all" if last is None else f"the newest are of {last}"
        checks.fault(
            "source.events.path", f"no files of {day or 'any date'} at {source.path!r}; {newest}, under "
            f"source.root {checks.config.source.root}"
        )  # fmt: skip
        return None, day
    raw = checks.read(source, files, "source.events")
    if raw is not None and source.date_column is not None:
        raw = raw.where(F.col(source.date_column).try_cast("date") == F.lit(day))
    if raw is None:
        return None, day
    sample = raw.limit(MOST_EVENTS).localCheckpoint()
    rows = sample.count()
    whole = "all" if rows < MOST_EVENTS else "the first"
    checks.found.notes.append(f"events: {whole} {rows:,} rows of {len(files)} files of {day}")
    if not rows:
        checks.fault("source.events.path", f"{files[0].path}: no rows; name another date with --data-date")
        return None, day
    return sample, day


def _check_times(checks: Checks, rows: DataFrame, day: date) -> None:
    """Say on which dates the events are, and what that says about zone and unit."""
    zone, key = checks.config.source.time_zone, "source.events.columns.event_time"
    local = F.from_utc_timestamp("event_time", zone)
    own, late = F.col("days_late") == 0, F.col("days_late")
    horizon = checks.config.source.events.lateness_days
    first, last, total, *parts = rows.agg(
        F.min(local).cast("string"),
        F.max(local).cast("string"),
        F.count(F.lit(1)),
        F.count_if(own),
        F.count_if(late.between(1, horizon)),
        F.count_if(late > horizon),
        F.count_if(late < 0),
        F.count_if(F.col("event_time").isNull()),
    ).collect()[0]
    shares = [percent(part / total) for part in parts]
    checks.found.notes.append(
        f"event_time: {first} .. {last} in {zone}; {shares[0]} of the rows are of {day}, as their file, "
        f"{shares[1]} of up to {horizon} days before, {shares[2]} earlier, {shares[3]} later; "
        f"{shares[4]} are unreadable"
    )
    seconds = F.col("event_time").cast("double")  # Python would read instants as local times
    found = rows.where(seconds.isNotNull()).select(seconds).limit(MOST_TIMES).collect()
    if not found:
        return
    best = guess_zone({day: [datetime.fromtimestamp(row[0], UTC) for row in found]})
    own_share = parts[0] / (total - parts[4])
    if best.share > max(LEAST_ON_DATE, own_share + BETTER):
        checks.fault(
            "source.time_zone",
            f"{percent(own_share)} of the readable times are of {day}, the date of their file, in "
            f"{zone}, and {percent(best.share)} in {best.name}: set that, if days begin there",
        )
    elif own_share < LEAST_ON_DATE:
        checks.fault(
            f"{key}.from",
            f"{percent(own_share)} of the readable times are of {day}, the date of their file "
            f"({first} .. {last} in {zone}): compare the unit with the values",
        )


def _accepted(checks: Checks, rows: DataFrame) -> DataFrame:
    """Judge rows by the suite of events, and say what would become of them."""
    from quality.suites import run_suite  # Great Expectations takes 4 s to import

    verdict = run_suite(rows, "events", checks.config.suites["events"])
    for result in verdict.results:
        if result.failing_rows:
            text = f"{result.rule}: {result.observed}, {percent(result.max_failing_share)} may fail"
            if result.outcome == "failed":
                checks.fault(result.source, text)
            else:
                checks.found.notes.append(f"rule {text}; those go to quarantine")
    filters = failing_filters(verdict)
    judged = with_row_status(with_failed_rules(rows, filters), checks.config).localCheckpoint()
    counts = {row["row_status"]: row["count"] for row in judged.groupBy("row_status").count().collect()}
    total = sum(counts.values())
    said = ", ".join(f"{percent(counts[name] / total)} {name}" for name in sorted(counts))
    checks.found.notes.append(f"event_id {list(checks.config.source.events.event_id)}: {said}")
    if counts.get("conflict", 0) > 0.05 * total:
        checks.fault(
            "source.events.event_id",
            f"{percent(counts['conflict'] / total)} of the rows have the event_id of another row and "
            "differ from it; name columns that make an event",
        )
    return judged.where(F.col("row_status") == "accepted")


def _check_wheres(checks: Checks, events: DataFrame) -> None:
    """Evaluate the conditions of aggregates, but those that read attributes or derived columns."""
    texts = {
        f"features.{group}.aggregates.{aggregate.name}.where": aggregate.where
        for group, features in checks.config.features.groups.items()
        for aggregate in features.aggregates
        if aggregate.where is not None
    }
    known = set(events.columns)
    of_events = {key: text for key, text in texts.items() if columns_of(text, key) <= known}
    checks.evaluate(events, [Expression(key, text, reader_of(text)) for key, text in of_events.items()])
    if others := [f"{key}: {text}" for key, text in texts.items() if key not in of_events]:
        checks.found.notes.append(
            f"not evaluated here, since they read attributes or derived columns: {'; '.join(others)}"
        )


def _with_provenance(raw: DataFrame, day: date) -> DataFrame:
    """Add what rows of a log carry: here they are all of one file."""
    return raw.withColumns(
        {
            "source_path": F.lit(""),
            "source_sha256": F.lit(""),
            "file_date": F.lit(day),
            "row_index": F.monotonically_increasing_id(),
        }
    )
