"""Queries: `lamplighter runs`, `tables`, `models`, `lists`, `rules`, `describe-model`."""

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Annotated, Any

import typer

from core.errors import ConfigError, LamplighterError
from core.load import DEFAULT_DATASET
from core.paths import name_of
from core.rule_words import expected, rule_name
from jobs.cli.flags import Flags, with_flags
from jobs.cli.sheets import sheet
from jobs.runtime.arguments import LATEST, one_date, span_of
from jobs.runtime.command import Dataset, ProjectFolder, Settings, arguments_for, exit_codes
from jobs.runtime.lists import list_of, list_sheet, served_date
from jobs.runtime.logs import CONSOLE
from jobs.runtime.pipeline import all_jobs
from jobs.runtime.project import Project
from jobs.tables.digest import digests
from jobs.tables.ledger import EXIT_CODES, started_at
from quality.verdicts import percent

Digest = Annotated[bool, typer.Option("--digest", help="A hash of the content per data date.")]


@with_flags
def runs(
    flags: Flags,
    last: Annotated[int, typer.Option(min=1, metavar="N", help="How many, newest first.")] = 30,
    job: Annotated[str, typer.Option("--job", metavar="NAME", help="Of this job alone.")] = "",
    data_date: Annotated[str, typer.Option("--data-date", metavar="D", help="Of this data date alone.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Of this model alone.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="A JSON array in one line, for programs.")] = False,
) -> None:
    """Print the ledger: each run's newest state."""
    if job and job not in all_jobs():
        raise ConfigError(f"--job {job}: no such job; expected one of {list(all_jobs())}")
    days = (one_date(data_date, "runs"),) if data_date else None
    newest: dict[str, dict[str, Any]] = {}
    for row in Project(flags.arguments(model=model)).ledger.rows(days):
        if job in ("", row["job"]) and model in ("", row["model"]):
            dates = newest.get(row["run_id"], {}).get("dates", set()) | {row["data_date"]}
            newest[row["run_id"]] = row | {"dates": dates}
    found = [as_printed(row) for row in list(reversed(newest.values()))[:last]]
    if as_json:
        CONSOLE.print(json.dumps(found), soft_wrap=True, highlight=False)
        return
    table = sheet("run", "job", "data date", "state", "seconds", "rows", "message")
    for run in found:
        name, seconds = f"{run['job']} {run['model']}".strip(), f"{run['seconds']:.1f}"
        rows = json.dumps(run["rows"])
        table.add_row(run["run_id"], name, run["data_date"], run["state"], seconds, rows, run["message"])
    CONSOLE.print(table)


def as_printed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one run as `runs --json` prints it, from its newest row of the ledger and its `dates`.

    `exit_code` is null while it is `started`: it runs, or it was killed. `started_at` is UTC.
    """
    return {
        "run_id": row["run_id"],
        "job": row["job"],
        "model": row["model"],
        "data_date": span_of(min(row["dates"]), max(row["dates"])),
        "state": row["state"],
        "exit_code": EXIT_CODES.get(row["state"]),
        "started_at": started_at(row["run_id"]).isoformat(),
        "seconds": row["seconds"],
        "rows": json.loads(row["rows"]),
        "message": row["message"],
    }


@with_flags
def tables(
    flags: Flags,
    digest: Digest = False,
) -> None:
    """Print the tables with grain and version; with --digest one line per table and data date."""
    found = flags.opened()
    if digest:
        for each in digests(found.spark, found.store):
            line = f"{each.table:<18} {each.data_date:<12} {each.rows:>9} {each.digest}"
            CONSOLE.print(line, highlight=False)
        return
    table = sheet("table", "grain", "partitioned by", "version")
    for name, declared in found.catalog.tables.items():
        version = found.store.version(name)
        shown = "-" if version is None else str(version)
        table.add_row(name, ", ".join(declared.grain), ", ".join(declared.partition), shown)
    CONSOLE.print(table)


@with_flags
def models(
    flags: Flags,
) -> None:
    """Print the trained versions, and which one is the champion."""
    found = flags.opened()
    champion = found.champion(LATEST).version
    table = sheet("version", "data date", "training set", "champion", "bundle")
    rows = sorted(found.store.rows("models"), key=lambda row: (row["data_date"], row["model"]))
    for row in reversed(rows):
        name = row["model_version"]
        serves = "yes" if name == champion else ""
        bundle = name_of(found.catalog.bundle(name))
        table.add_row(name, str(row["data_date"]), row["training_set"], serves, bundle)
    CONSOLE.print(table)


@with_flags
def lists(
    flags: Flags,
    user: Annotated[str, typer.Option("--user", metavar="ID", help="A user id.")],
    data_date: Annotated[
        str, typer.Option("--data-date", metavar="D", help="Default: what readers are served.")
    ] = "",
    name: Annotated[str, typer.Option("--list", metavar="NAME", help="Of this name alone.")] = "",
) -> None:
    """Print one user's published lists."""
    found = flags.opened()
    day = one_date(data_date, "lists") if data_date else served_date(found.store)
    if name and name not in found.config.lists:
        raise ConfigError(f"--list {name}: no such list; expected one of {sorted(found.config.lists)}")
    rows = [row for row in list_of(found, user, day) if name in ("", row["list"])]
    if not rows:
        raise LamplighterError(
            f"scores {day}: no list of user {user}; expected one for every user as of that date"
        )
    for _, own in groupby(rows, key=lambda row: row["list"]):
        CONSOLE.print(list_sheet([*own]))


@with_flags
def rules(
    flags: Flags,
) -> None:
    """Print the rules of all suites, and the key or file that each follows from."""
    table = sheet("table", "rule", "expected", "may fail", "severity", "follows from")
    for name, suite in flags.opened().config.suites.items():
        for rule in suite.rules:
            share = percent(rule.max_failing_share)
            table.add_row(name, rule_name(rule), expected(rule), share, rule.severity, rule.source)
    CONSOLE.print(table)


def describe_model(
    file: Annotated[str, typer.Argument(metavar="FILE.yaml", help="A model YAML: a path, or a name.")],
    dataset: Dataset = DEFAULT_DATASET,
    settings: Settings = [],  # noqa: B006  # as above
    project: ProjectFolder = "",
    as_diagram: Annotated[
        bool, typer.Option("--picture", help="Its diagram, as a Mermaid flowchart.")
    ] = False,
) -> None:
    """Print shapes, parameters and FLOPs of a model YAML, before anything is trained."""
    with exit_codes():
        from jobs.cli.describe_model import describe_file, description_sheet, picture

        asked = arguments_for(LATEST, LATEST, dataset=dataset, settings=settings, project=project)
        config, found = describe_file(file, dataset, asked.settings, asked.project)
        if as_diagram:
            CONSOLE.print(picture(found), markup=False, highlight=False, soft_wrap=True)
        else:
            CONSOLE.print(description_sheet(config, found), highlight=False)
