"""Data sets without items: what a declaration leaves out is filled in with one item that means nothing."""

from typing import Any

THE_ITEM: dict[str, str] = {"from": "1", "type": "bigint"}
COHORT = "no_item"


def with_one_item(values: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's values; of a data set without items with one item for all events.

    Such a data set names no item_id, no attributes, features or cohorts of items, and only lists
    without items (`ranking: none`). Features of the one item are its count of events,
    its cohort is `no_item`, and the baseline is the mean per user cohort.
    """
    if not _is_without_items(values):
        return values
    source, events = values["source"], values["source"]["events"]
    counted = {"aggregates": [{"name": values["exposure"], "agg": "count", "windows": ["all"]}]}
    one_cohort = {"version": 1, "rules": [], "default": COHORT}
    one_group = {"group": "item_id", "strength": 10, "window": "all"}
    return values | {
        "source": source | {"events": events | {"columns": events["columns"] | {"item_id": THE_ITEM}}},
        "features": values["features"] | {"item": counted},
        "cohorts": values["cohorts"] | {"item": one_cohort},
        "baselines": values.get("baselines", one_group),
    }


def _is_without_items(values: dict[str, Any]) -> bool:
    """Whether nothing of a data set is about items; what is incomplete is left to the schema."""
    try:
        source, features, cohorts = values["source"], values["features"], values["cohorts"]
        named = ["item_id" in source["events"]["columns"], "items" in source, "exposure" not in values]
        named += ["item" in features, "item" in cohorts]
        return not any(named) and all(each.get("ranking") == "none" for each in values["lists"].values())
    except (AttributeError, KeyError, TypeError):
        return False
