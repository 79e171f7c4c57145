"""The page of tables: grain, partition, writer, readers, columns."""

from collections.abc import Iterable

from core.columns import feature_columns
from core.expressions import columns_of
from core.load import PROJECT_DIR, load_config
from core.schema import Config
from jobs.runtime.declared import SHARED_TABLES
from jobs.runtime.pipeline import all_jobs
from jobs.tables.catalog import Catalog
from jobs.tables.table import Table
from tools.reference.markdown import code, job_link, page, sheet

AGGREGATES = {
    "count": "number of events",
    "recency": "days since the last event",
    "distinct": "estimated number of values of",
    "top_k": "most frequent values of",
    "last_k": "last values of",
    **{agg: f"{agg} of" for agg in ("sum", "mean", "variance", "min", "max")},
    **{agg: f"{agg} value of" for agg in ("first", "last")},
}


def tables_page() -> str:
    """Return the page of all tables."""
    config = load_config()
    catalog = Catalog(config, PROJECT_DIR)
    used = column_users(config)
    index = [(f"[{name}](#{name})", catalog[name].holds, writer_of(name)) for name in catalog.tables]
    return page(
        "Tables",
        "Delta tables, one folder each: `<warehouse>/<dataset>/<table>`, declared in "
        "`jobs/tables/declarations/`.",
        "`lamplighter.open().read(NAME, data_date=D)` returns one as a DataFrame; `lamplighter tables` "
        "prints their versions, `lamplighter tables --digest` a hash of the content per table and data date. "
        "Columns that depend on the data set are those of `kuairand`.",
        sheet(("table", "holds", "written by"), index),
        *(table_section(table, config, used) for table in catalog.tables.values()),
    )


def table_section(table: Table, config: Config, used: dict[str, list[str]]) -> str:
    """Return the section of one table."""
    facts = [
        f"- grain: {code(table.grain)}",
        f"- partition: {code(table.partition) or 'none'}",
        f"- written by: {writer_of(table.name)}",
        f"- read by: {readers_of(table.name, config) or 'no job'}",
    ]
    if table.constraints:
        facts.append(f"- constraints: {code(table.constraints)}")
    if table.has_suite:
        facts.append(f"- suite: {len(config.suites[table.name].rules)} rules (`lamplighter rules`)")
    if table.not_content and table.has_content:
        facts.append(f"- outside of the digest: {code(table.not_content)}")
    group = table.name.removesuffix("_features")
    if group in config.features.groups:
        meanings = feature_meanings(config, group)
        rows = [
            (f"`{name}`", kind.simpleString(), meanings.get(name, ""), ", ".join(used.get(name, [])))
            for name, kind in table.columns.items()
        ]
        columns = sheet(("column", "type", "is", "used by"), rows)
    else:
        columns = sheet(
            ("column", "type"), [(f"`{name}`", kind.simpleString()) for name, kind in table.columns.items()]
        )
    return "\n\n".join(
        [f"## {table.name}", f"{table.holds[0].upper()}{table.holds[1:]}.", "\n".join(facts), columns]
    )


def writer_of(table: str) -> str:
    """Return which job writes a table."""
    config = load_config()
    for job in all_jobs().values():
        if table in job.tables(config):
            return job_link(job.name)
    return "every run" if table in SHARED_TABLES else "`lamplighter adopt`"


def readers_of(table: str, config: Config) -> str:
    """Return which jobs declare to read a table, and which of its data dates."""
    found: dict[str, list[str]] = {}
    for job in all_jobs().values():
        for read in job.reads:
            if (
                read.kind != "source"
                and table in read.names(config)
                and read.when not in found.get(job.name, [])
            ):
                found.setdefault(job.name, []).append(read.when)
    return ", ".join(f"{job_link(name)} ({'; '.join(when)})" for name, when in found.items())


def feature_meanings(config: Config, group: str) -> dict[str, str]:
    """Return feature column -> what it is, as the data set declares it."""
    features = config.features.groups[group]
    source = {"user": config.source.users, "item": config.source.items}.get(group)
    path = "" if source is None else source.path
    key = group if features.key is None else f"value of `{features.key}`"
    found = {
        f"{group}_is_never_seen": f"no event of the {key} up to the data date",
        f"{group}_recency_days": "days since the last day with an event; null if there is none",
        f"{group}_first_event_time_all": "time of the first event",
        f"{group}_last_data_date_all": "last data date with an event",
    }
    for each in features.aggregates:
        where = f" where `{each.where}`" if each.where else ""
        what = f"{AGGREGATES.get(each.agg, each.agg)}{f' `{each.of}`' if each.of else ''}"
        found |= {f"{group}_{each.name}_{w}": f"{what}{where}, {_window(w)}" for w in each.windows}
    for rate in features.rates:
        smoothed = "" if rate.smoothing is None else ", smoothed"
        per = f"`{rate.per}`{f' of {_window(rate.per_window)}' if rate.per_window else ''}"
        found |= {
            f"{group}_{rate.name}_{w}": f"`{rate.of}` / {per}{smoothed}, {_window(w)}" for w in rate.windows
        }
    attributes = config.source.attributes("user" if group == "user" else "item")
    found |= {name: f"attribute: `{attributes[name].expr}` of `{path}`" for name in features.attributes}
    return {name: found[name] for name in feature_columns(features, group)}


def _window(window: str) -> str:
    return (
        "all days" if window == "all" else f"{window.removesuffix('d')} days" if window != "1d" else "1 day"
    )


def column_users(config: Config) -> dict[str, list[str]]:
    """Return feature column -> what reads it by name: models, cohorts, candidates, baselines."""
    readers: dict[str, list[str]] = {}

    def add(columns: Iterable[str], reader: str) -> None:
        for column in columns:
            known = readers.setdefault(column, [])
            known += [] if reader in known else [reader]

    add((each.column for each in config.inputs.categorical), "models (`inputs`)")
    add((each.column for each in config.inputs.dense), "models (`inputs`)")
    for entity, cohorts in (("user", config.cohorts.user), ("item", config.cohorts.item)):
        for rule in cohorts.rules:
            add(columns_of(rule.when, f"cohorts.{entity}"), "cohorts")
    add([f"item_{config.exposure}_{config.candidates.window}"], "candidates")
    add([config.baselines.group], "baselines")
    return readers
