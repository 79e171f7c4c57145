"""The YAML of a data set, written from guesses: each with its reason, `???` where nothing was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import floor, log10
from typing import Any

import yaml

from core.config_model import ENTITIES
from core.layers import NOT_FILLED_IN
from jobs.onboarding.attribute_guesses import AttributeGuess, EntityGuesses
from jobs.onboarding.event_guesses import BehaviourGuess, EventGuesses, id_type
from jobs.onboarding.names import quoted
from jobs.onboarding.samples import Format
from quality.verdicts import percent

COUNT = "impression_count"
WINDOWS = ["7d", "all"]
MOST_TASKS = 3
LEAST_POSITIVES = 20


@dataclass(frozen=True)
class SourceGuess:
    """Where files are and how they are read.

    Attributes:
        path: under the root, or absolute; None: no date is spelled in the names of a log's files.
        reason: why.
        form: the format.
        null_texts: texts that mean null -> how often they occur.
        date_column: of a log in a Delta table.
    """

    path: str | None
    reason: str
    form: Format
    null_texts: Mapping[str, int]
    date_column: str | None = None


@dataclass(frozen=True)
class DatasetGuess:
    """All that is guessed of a data set.

    Attributes:
        name: of the data set.
        root: folder of the files.
        zone: time zone, and why.
        lateness: days, and why.
        log: files of events.
        events: their columns.
        attributes: entity -> its files and columns.
        dates: that there are files of; else those of the times in the sample.
        rows: of the newest date.
    """

    name: str
    root: str
    zone: tuple[str, str]
    lateness: tuple[int, str]
    log: SourceGuess
    events: EventGuesses
    attributes: Mapping[str, tuple[SourceGuess, EntityGuesses]]
    dates: Sequence[date]
    rows: int


def to_yaml(guess: DatasetGuess) -> str:
    """Return the text of conf/datasets/NAME.yaml."""
    behaviours = guess.events.behaviours or [_UNKNOWN]
    lines = [
        f"# {guess.name}, as `lamplighter init` found it. A comment `guess:` says why a value is as it is;",
        "# ??? is to be filled in. `lamplighter validate` shows what each expression makes of the files.",
        f"dataset: {guess.name}",
        "",
        *_source(guess, behaviours),
        "",
        "# What a user may do with an impression. What is known before belongs to source.events.columns.",
        "behaviours:",
        *(_behaviour(each) for each in behaviours),
        "",
        f"exposure: {COUNT}  # the count that says how often an item or a user was shown",
        "",
        *_features(guess, behaviours),
        "",
        *_cohorts(),
        "",
        *_inputs(guess, behaviours),
        "",
        *_tasks(guess, behaviours),
    ]
    return "\n".join(lines) + "\n"


_UNKNOWN = BehaviourGuess(
    "is_wanted", NOT_FILLED_IN, "binary", "none: no column holds 0 and 1, a duration or a rating; write an "
    "expression over the file's columns that is 1 for what users should do, else 0", 0.5,
)  # fmt: skip


class _Dumper(yaml.SafeDumper):
    """Puts texts with quotes, such as constants of SQL, into double ones, in which they stay as they are."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return the node of a text."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "'" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _line(text: str, reason: str = "") -> str:
    """Return a line with the reason of its guess."""
    return f"{text}  # guess: {' '.join(reason.split())}" if reason else text


def _flow(values: Any) -> str:
    """Return values as YAML in one line."""
    text = yaml.dump(
        values,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        width=float("inf"),
        allow_unicode=True,
    )
    return text.removesuffix("\n").removesuffix("\n...")


# --- source -------------------------------------------------------------------------------------


def _source(guess: DatasetGuess, behaviours: Sequence[BehaviourGuess]) -> list[str]:
    found, time = guess.events, guess.events.time
    event_id = found.event_id if len(found.event_id) == 1 else [
        NOT_FILLED_IN if column is None else column.name
        for column in (found.user, found.item, time.column if time else None)
    ]  # fmt: skip
    lateness, why_late = guess.lateness
    lines = [
        "source:",
        f"  root: {_flow(guess.root)}",
        _line(f"  time_zone: {guess.zone[0]}", guess.zone[1]),
        "  events:",
        *_file_keys(guess.log),
        _line(f"    event_id: {_flow(event_id)}", found.reasons["event_id"]),
        _line(f"    lateness_days: {lateness}", why_late),
        "    # Of conflicting rows of one event the first in this order stays.",
        f"    keep: {_flow(_keep(found, behaviours))}",
        "    columns:",
        *(_id_line(entity, getattr(found, entity), found.reasons[entity]) for entity in ("user", "item")),
        _time_line(found),
    ]
    for column in found.context:
        mapping = {"from": column.expr, "type": column.type}
        lines.append(_line(f"      {column.name}: {_flow(mapping)}", f"context: {column.reason}"))
    lines += [f"      # not used: {name}: {' '.join(reason.split())}" for name, reason in found.unused]
    for entity in reversed(ENTITIES):
        if entity in guess.attributes:
            lines += _attributes(entity, *guess.attributes[entity])
    return lines


def _file_keys(source: SourceGuess) -> list[str]:
    lines = [_line(f"    path: {_flow(source.path or NOT_FILLED_IN)}", source.reason)]
    if source.form.name != "parquet":
        lines.append(f"    format: {source.form.name}")
    if source.form.options:
        lines.append(
            _line(f"    options: {_flow(dict(source.form.options))}", "; ".join(source.form.reasons))
        )
    if source.null_texts:
        counts = ", ".join(f"{text} {count:,} times" for text, count in source.null_texts.items())
        lines.append(_line(f"    nulls: {_flow([*source.null_texts])}", f"in the sample: {counts}"))
    if source.date_column is not None:
        reason = "none: name it" if source.date_column == NOT_FILLED_IN else "its name or its type"
        lines.append(_line(f"    date_column: {_flow(source.date_column)}", reason))
    return lines


def _keep(found: EventGuesses, behaviours: Sequence[BehaviourGuess]) -> list[str]:
    measured = sorted(behaviours, key=lambda each: each.kind == "binary")
    return [*(f"{each.name} DESC" for each in measured), *(f"{column.name} ASC" for column in found.context)]


def _id_line(entity: str, column: Any, reason: str) -> str:
    if column is None:
        mapping = {"from": NOT_FILLED_IN, "type": "string"}
        return _line(
            f"      {entity}_id: {_flow(mapping)}", f"none: {reason}; name the column of the {entity}"
        )
    return _line(
        f"      {entity}_id: {_flow({'from': quoted(column.name), 'type': id_type(column)})}", reason
    )


def _time_line(found: EventGuesses) -> str:
    if found.time is None:
        mapping = {"from": NOT_FILLED_IN, "type": "timestamp"}
        return _line(
            f"      event_time: {_flow(mapping)}",
            "none: no column looks like a time; name it, with unit: s or ms for a number since 1970",
        )
    name, times = quoted(found.time.column.name), found.time.times
    mapping = {"from": name, "type": "timestamp"}
    if times.written is not None:
        text = name if found.time.column.kind == "text" else f"CAST({name} AS string)"
        mapping["from"] = f"to_timestamp({text}, '{times.written}')"
    if times.unit is not None:
        mapping["unit"] = times.unit
    return _line(f"      event_time: {_flow(mapping)}", found.time.reason)


def _attributes(entity: str, source: SourceGuess, found: EntityGuesses) -> list[str]:
    key = NOT_FILLED_IN if found.key is None else quoted(found.key.name)
    lines = [
        "  # Leave out what knows the future, such as totals of the whole period.",
        f"  {entity}s:",
        *_file_keys(source),
        _line(f"    key: {_flow(key)}", found.key_reason),
        f"    snapshot_date: {'path' if '{' in (source.path or '') else 'undated'}",
        "    columns:" if found.attributes else "    columns: {}",
    ]
    for each in found.attributes:
        lines.append(
            _line(f"      {each.name}: {_flow({'from': each.expr, 'type': each.type})}", each.reason)
        )
    return lines + [f"      # not used: {name}: {' '.join(why.split())}" for name, why in found.unused]


# --- what follows from it -----------------------------------------------------------------------


def _behaviour(each: BehaviourGuess) -> str:
    values: dict[str, Any] = {"from": each.expr, "kind": each.kind}
    if each.kind == "seconds" and each.unit != "s":
        values["unit"] = each.unit
    if each.range is not None:
        values |= {"range": [*each.range], "decimals": each.decimals}
    return _line(f"  {each.name}: {_flow(values)}", each.reason)


def _measure(each: BehaviourGuess) -> str:
    """Return the name of a behaviour's sum: is_click makes click_count, play_seconds stays."""
    if each.kind == "binary":
        count = f"{each.name.removeprefix('is_')}_count"
        return count if count != COUNT else f"{each.name}_sum"
    return each.name if each.kind == "seconds" else f"{each.name}_sum"


def _rate(each: BehaviourGuess) -> str:
    return f"{each.name.removeprefix('is_')}_{'rate' if each.kind == 'binary' else 'mean'}"


def _features(guess: DatasetGuess, behaviours: Sequence[BehaviourGuess]) -> list[str]:
    lines = ["features:"]
    for entity, strength in (("user", 5), ("item", 10)):
        lines += [f"  {entity}:", "    aggregates:"]
        counted = {"name": COUNT, "agg": "count", "windows": ["1d", *WINDOWS]}
        lines.append(f"      - {_flow(counted)}")
        for each in behaviours:
            summed = {"name": _measure(each), "agg": "sum", "of": each.name, "windows": WINDOWS}
            lines.append(f"      - {_flow(summed)}")
        lines.append("    rates:")
        for each in behaviours:
            rate: dict[str, Any] = {
                "name": _rate(each),
                "of": _measure(each),
                "per": COUNT,
                "windows": WINDOWS,
            }
            reason = ""
            if each.kind == "binary":
                rate["smoothing"] = {"prior": _round(each.mean), "strength": strength}
                reason = "the prior is the share in the sample" if each.expr != NOT_FILLED_IN else ""
            lines.append(_line(f"      - {_flow(rate)}", reason))
        names = [each.name for each in _attributes_of(guess, entity)]
        lines.append(f"    attributes: {_flow(names)}")
    return lines


def _cohorts() -> list[str]:
    return [
        "# The first rule that holds wins. Counts are 0, never null, for somebody without events.",
        "cohorts:",
        "  user:",
        "    version: 1",
        "    rules:",
        _line(f"      - {{name: new, when: user_{COUNT}_all <= 3}}", "bounds of the demo's data set"),
        f"      - {{name: low, when: user_{COUNT}_all <= 9}}",
        "    default: high",
        "    rollups: {old: [low, high]}",
        "  item:",
        "    version: 1",
        "    rules:",
        f"      - {{name: new, when: item_{COUNT}_all <= 20}}",
        "    default: old",
    ]


def _inputs(guess: DatasetGuess, behaviours: Sequence[BehaviourGuess]) -> list[str]:
    item = guess.events.item
    different = 0 if item is None else item.distinct
    size = 1024
    while size < 2 * different and size < 2**17:
        size *= 2
    categorical: list[dict[str, Any]] = [{"column": "item_id", "hash_size": size, "dim": 8}]
    dense: list[dict[str, Any]] = []
    for entity in ("user", "item"):
        log = {"transform": "log1p"}
        dense += [{"column": f"{entity}_is_never_seen"}, {"column": f"{entity}_recency_days", **log}]
        dense += [{"column": f"{entity}_{COUNT}_{window}", **log} for window in ("1d", *WINDOWS)]
        for each in behaviours:
            is_signed = each.range is not None and each.range[0] < 0
            summed = {} if is_signed else log
            dense += [{"column": f"{entity}_{_measure(each)}_{window}", **summed} for window in WINDOWS]
            dense += [{"column": f"{entity}_{_rate(each)}_{window}"} for window in WINDOWS]
        for attribute in _attributes_of(guess, entity):
            if attribute.categorical is not None:
                categorical.append({"column": attribute.name, **attribute.categorical})
            else:
                is_plain = attribute.transform == "identity"
                dense.append({"column": attribute.name, **({} if is_plain else log)})
    for column in guess.events.context:
        if column.type == "double":
            dense.append({"column": column.name})
        else:
            categorical.append({"column": column.name, "dim": 4})
    return [
        "# What models see.",
        "inputs:",
        "  vocabulary_min_count: 5",
        "  vocabulary_max_size: 1000",
        "  categorical:",
        *(f"    - {_flow(each)}" for each in categorical),
        "  dense:",
        *(f"    - {_flow(each)}" for each in dense),
    ]


def _attributes_of(guess: DatasetGuess, entity: str) -> list[AttributeGuess]:
    return guess.attributes[entity][1].attributes if entity in guess.attributes else []


def _tasks(guess: DatasetGuess, behaviours: Sequence[BehaviourGuess]) -> list[str]:
    tasks = _labels(behaviours, guess.rows)
    names = [name for name, _, _ in tasks]
    groups = [each.name for each in _attributes_of(guess, "item") if each.categorical is not None]
    lines = ["tasks:"]
    for name, label, reason in tasks:
        lines.append(_line(f"  - {_flow({'name': name, 'label': label, 'kind': 'binary'})}", reason))
    context = {column.name: column.usual for column in guess.events.context}
    return [
        *lines,
        "",
        *_training(guess),
        "",
        "evaluation: {replicates: 200, min_class_count: 30}",
        f"promotion: {_flow({'primary_tasks': names})}",
        f"baselines: {_flow({'group': groups[0] if groups else 'item_id', 'strength': 10})}",
        "candidates: {most_shown: 200, window: 7d, newest: 20}",
        f"ranking: {_flow({'weights': dict.fromkeys(names, 1.0), 'top_k': 20, 'buckets': 8})}",
        _line(f"list_context: {_flow(context)}", "the most frequent values" if context else ""),
    ]


def _labels(behaviours: Sequence[BehaviourGuess], rows: int) -> list[tuple[str, str, str]]:
    """Return name, label and reason of the tasks: what is done often enough to be learnt."""
    done = [each for each in behaviours if each.kind == "binary" and each.is_wanted]
    often = [
        each for each in done if each.mean * max(rows, 1000) >= LEAST_POSITIVES and each.mean <= 0.98
    ] or done[:1]
    often = sorted(often, key=lambda each: -each.mean)[:MOST_TASKS]
    if often:
        return [(each.name.removeprefix("is_"), f"{each.name} = 1", f"{percent(each.mean)} of the sample")
                for each in often]  # fmt: skip
    measured = sorted((each for each in behaviours if each.kind != "binary"), key=lambda e: e.kind)
    if measured:
        best, word = measured[0], "high" if measured[0].kind == "number" else "long"
        label = f"{best.name} >= {best.middle:g}"
        return [(f"{word}_{best.name.removesuffix('_seconds')}", label, "about the middle of the sample")]
    return [("done", f"{behaviours[0].name} = 1", "")]


def _training(guess: DatasetGuess) -> list[str]:
    first, last = guess.dates[0], guess.dates[-1]
    days = (last - first).days + 1
    burn_in = max(1, min(7, days // 4))
    window = max(2, min(14, days - 1 - burn_in))
    anchor = max(last, first + timedelta(days=burn_in + window))
    block = 1024
    while block > 32 and block * 16 > guess.rows * window:
        block //= 2
    return [
        "training:",
        _line(f"  first_data_date: {first + timedelta(days=burn_in)}",
              f"files begin on {first}; counts of the first days know little of the days before"),
        _line(f"  anchor: {anchor}", f"the first training night; the newest file is of {last}"),
        "  every_days: 7",
        _line(f"  window_days: {window}", f"there are files of {days} days up to the anchor"),
        "  validation_days: 1",
        _line(f"  block_rows: {block}", f"{guess.rows:,} rows in the newest files"),
        "  shards: 4",
        "  ranks: 2",
        "  distributed: horovod",
        "  reader: petastorm",
        "  seed: 17",
    ]  # fmt: skip


def _round(share: float) -> float:
    """Return a share with two significant digits, between 0.001 and 0.999."""
    inside = min(0.999, max(0.001, share))
    return round(inside, 1 - floor(log10(inside)))
