"""The section `source` of a data set's YAML: files, keys and columns."""

from collections.abc import Sequence
from typing import Any

from core.config_model import ENTITIES
from core.layers import NOT_FILLED_IN
from jobs.onboarding.attribute_guesses import EntityGuesses
from jobs.onboarding.behaviour_guesses import BehaviourGuess
from jobs.onboarding.dataset_guess import DatasetGuess, SourceGuess
from jobs.onboarding.event_guesses import EventGuesses
from jobs.onboarding.key_guesses import TimeGuess, id_type
from jobs.onboarding.names import quoted
from jobs.onboarding.yaml_lines import flow, line


def source_lines(guess: DatasetGuess) -> list[str]:
    """Return the section `source`."""
    found, time = guess.events, guess.events.time
    event_id = found.event_id if len(found.event_id) == 1 else [
        NOT_FILLED_IN if column is None else column.name
        for column in (found.user, found.item, time.column if time else None)
    ]  # fmt: skip
    lateness, why_late = guess.lateness
    lines = [
        "source:",
        f"  root: {flow(guess.root)}",
        line(f"  time_zone: {guess.zone[0]}", guess.zone[1]),
        "  events:",
        *_file_keys(guess.log),
        line(f"    event_id: {flow(event_id)}", found.reasons["event_id"]),
        line(f"    lateness_days: {lateness}", why_late),
        "    # Of conflicting rows of one event the first in this order stays.",
        f"    keep: {flow(_keep(found, guess.behaviours))}",
        "    columns:",
        *(_id_line(entity, getattr(found, entity), found.reasons[entity]) for entity in ("user", "item")),
        _time_line(found),
    ]
    for column in found.context:
        mapping = {"from": column.expr, "type": column.type}
        lines.append(line(f"      {column.name}: {flow(mapping)}", f"context: {column.reason}"))
    lines += [f"      # not used: {name}: {' '.join(reason.split())}" for name, reason in found.unused]
    for entity in reversed(ENTITIES):
        if entity in guess.attributes:
            lines += _attributes(entity, *guess.attributes[entity])
    return lines


def _file_keys(source: SourceGuess) -> list[str]:
    lines = [line(f"    path: {flow(source.path or NOT_FILLED_IN)}", source.reason)]
    if source.form.name != "parquet":
        lines.append(f"    format: {source.form.name}")
    if source.form.options:
        lines.append(line(f"    options: {flow(dict(source.form.options))}", "; ".join(source.form.reasons)))
    if source.null_texts:
        counts = ", ".join(f"{text} {count:,} times" for text, count in source.null_texts.items())
        lines.append(line(f"    nulls: {flow([*source.null_texts])}", f"in the sample: {counts}"))
    if source.date_column is not None:
        reason = "none: name it" if source.date_column == NOT_FILLED_IN else "its name or its type"
        lines.append(line(f"    date_column: {flow(source.date_column)}", reason))
    return lines


def _keep(found: EventGuesses, behaviours: Sequence[BehaviourGuess]) -> list[str]:
    measured = sorted(behaviours, key=lambda each: each.kind == "binary")
    return [*(f"{each.name} DESC" for each in measured), *(f"{column.name} ASC" for column in found.context)]


def _id_line(entity: str, column: Any, reason: str) -> str:
    if column is None:
        mapping = {"from": NOT_FILLED_IN, "type": "string"}
        return line(f"      {entity}_id: {flow(mapping)}", f"none: {reason}; name the column of the {entity}")
    return line(f"      {entity}_id: {flow({'from': quoted(column.name), 'type': id_type(column)})}", reason)


def _time_line(found: EventGuesses) -> str:
    if found.time is None:
        mapping = {"from": NOT_FILLED_IN, "type": "timestamp"}
        return line(
            f"      event_time: {flow(mapping)}",
            "none: no column looks like a time; name it, with unit: s or ms for a number since 1970",
        )
    return line(f"      event_time: {flow(time_mapping(found.time))}", found.time.reason)


def time_mapping(time: TimeGuess) -> dict[str, str]:
    """Return how a configuration reads a time that was found."""
    name, times = quoted(time.column.name), time.times
    mapping = {"from": name, "type": "timestamp"}
    if times.written is not None:
        text = name if time.column.kind == "text" else f"CAST({name} AS string)"
        mapping["from"] = f"to_timestamp({text}, '{times.written}')"
    if times.unit is not None:
        mapping["unit"] = times.unit
    return mapping


def _attributes(entity: str, source: SourceGuess, found: EntityGuesses) -> list[str]:
    key = NOT_FILLED_IN if found.key is None else quoted(found.key.name)
    lines = [
        "  # Leave out what knows the future, such as totals of the whole period.",
        f"  {entity}s:",
        *_file_keys(source),
        line(f"    key: {flow(key)}", found.key_reason),
        f"    snapshot_date: {'path' if '{' in (source.path or '') else 'undated'}",
        "    columns:" if found.attributes else "    columns: {}",
    ]
    for each in found.attributes:
        lines.append(line(f"      {each.name}: {flow({'from': each.expr, 'type': each.type})}", each.reason))
    return lines + [f"      # not used: {name}: {' '.join(why.split())}" for name, why in found.unused]
