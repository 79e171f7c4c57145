"""The sections of a data set's YAML that follow from behaviours and attributes: features, cohorts, inputs."""

from math import floor, log10
from typing import Any

from core.layers import NOT_FILLED_IN
from jobs.onboarding.behaviour_guesses import BehaviourGuess
from jobs.onboarding.dataset_guess import DatasetGuess
from jobs.onboarding.yaml_lines import flow, line

COUNT = "impression_count"
WINDOWS = ["7d", "all"]


def behaviour_line(each: BehaviourGuess) -> str:
    """Return the line of a behaviour."""
    values: dict[str, Any] = {"from": each.expr, "kind": each.kind}
    if each.kind == "seconds" and each.unit != "s":
        values["unit"] = each.unit
    if each.range is not None:
        values |= {"range": [*each.range], "decimals": each.decimals}
    return line(f"  {each.name}: {flow(values)}", each.reason)


def feature_lines(guess: DatasetGuess) -> list[str]:
    """Return the section `features`: counts, sums and rates of users and of items."""
    lines = ["features:"]
    for entity, strength in (("user", 5), ("item", 10)):
        lines += [f"  {entity}:", "    aggregates:"]
        counted = {"name": COUNT, "agg": "count", "windows": ["1d", *WINDOWS]}
        lines.append(f"      - {flow(counted)}")
        for each in guess.behaviours:
            summed = {"name": _measure(each), "agg": "sum", "of": each.name, "windows": WINDOWS}
            lines.append(f"      - {flow(summed)}")
        lines.append("    rates:")
        for each in guess.behaviours:
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
            lines.append(line(f"      - {flow(rate)}", reason))
        names = [each.name for each in guess.attributes_of(entity)]
        lines.append(f"    attributes: {flow(names)}")
    return lines


def cohort_lines() -> list[str]:
    """Return the section `cohorts`."""
    return [
        "# The first rule that holds wins. Counts are 0, never null, for somebody without events.",
        "cohorts:",
        "  user:",
        "    version: 1",
        "    rules:",
        line(f"      - {{name: new, when: user_{COUNT}_all <= 3}}", "bounds of the demo's data set"),
        f"      - {{name: low, when: user_{COUNT}_all <= 9}}",
        "    default: high",
        "    rollups: {old: [low, high]}",
        "  item:",
        "    version: 1",
        "    rules:",
        f"      - {{name: new, when: item_{COUNT}_all <= 20}}",
        "    default: old",
    ]


def input_lines(guess: DatasetGuess) -> list[str]:
    """Return the section `inputs`: what models see of features, attributes and context."""
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
        for each in guess.behaviours:
            is_signed = each.range is not None and each.range[0] < 0
            summed = {} if is_signed else log
            dense += [{"column": f"{entity}_{_measure(each)}_{window}", **summed} for window in WINDOWS]
            dense += [{"column": f"{entity}_{_rate(each)}_{window}"} for window in WINDOWS]
        for attribute in guess.attributes_of(entity):
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
        *(f"    - {flow(each)}" for each in categorical),
        "  dense:",
        *(f"    - {flow(each)}" for each in dense),
    ]


def _measure(each: BehaviourGuess) -> str:
    """Return the name of a behaviour's sum: is_click makes click_count, play_seconds stays."""
    if each.kind == "binary":
        count = f"{each.name.removeprefix('is_')}_count"
        return count if count != COUNT else f"{each.name}_sum"
    return each.name if each.kind == "seconds" else f"{each.name}_sum"


def _rate(each: BehaviourGuess) -> str:
    return f"{each.name.removeprefix('is_')}_{'rate' if each.kind == 'binary' else 'mean'}"


def _round(share: float) -> float:
    """Return a share with two significant digits, between 0.001 and 0.999."""
    inside = min(0.999, max(0.001, share))
    return round(inside, 1 - floor(log10(inside)))
