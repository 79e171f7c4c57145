"""The page of tables: grain, partition, writer, readers, columns."""

from collections.abc import Iterable

from core.described_features import FeatureDescription, described_features
from core.expressions import columns_of
from core.lists import Active, LikedAttribute, MostShown
from core.load import PROJECT_DIR, load_config
from core.schema import Config
from jobs.runtime.declared import SHARED_TABLES
from jobs.runtime.pipeline import all_jobs
from jobs.tables.catalog import Catalog
from jobs.tables.table import Table
from tools.reference.markdown import code, job_link, page, sheet


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
        meanings = {each.name: meaning(each) for each in described_features(config)}
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
    by_people = {"readmissions": "`lamplighter quarantine readmit`"}
    return "every run" if table in SHARED_TABLES else by_people.get(table, "`lamplighter adopt`")


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


def meaning(feature: FeatureDescription) -> str:
    """Return what a feature is, in one cell."""
    window = {"": "", "all": ", all days"}.get(feature.window, f", {feature.window}")
    unit = f"; {feature.unit}" if feature.unit else ""
    return f"`{feature.source}`{window}{unit}; null {feature.null}"


def column_users(config: Config) -> dict[str, list[str]]:
    """Return feature column -> what reads it by name: models, cohorts, lists, baselines."""
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
    for name, each in config.lists.items():
        windows = [s.window for s in each.pool if isinstance(s, MostShown | Active | LikedAttribute)]
        add((f"item_{config.exposure}_{window}" for window in windows), "lists")
        add((s.attribute for s in each.pool if isinstance(s, LikedAttribute)), "lists")
        add(each.at_most, "lists")
        if each.where is not None:
            add(columns_of(each.where, f"lists.{name}"), "lists")
    add([config.baselines.group, f"item_{config.exposure}_{config.baselines.window}"], "baselines")
    return readers
