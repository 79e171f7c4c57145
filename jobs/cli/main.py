"""`lamplighter`: every job by its name, the night, and what one asks of its tables.

Jobs are the same programs as `spark-submit jobs/NAME.py`.
"""

import logging
from collections.abc import Callable
from datetime import date
from typing import Annotated

import typer
from rich.table import Table as Sheet

from core.errors import LamplighterError
from core.load import DEFAULT_DATASET
from jobs.cli.demo import demo
from jobs.cli.night import JOBS, plan, run_history, run_night
from jobs.runtime.arguments import Arguments, parse_dates
from jobs.runtime.job import AllowEmpty, DataDate, Dataset, ModelName, Settings, Where, exit_codes
from jobs.runtime.logs import CONSOLE, set_up_logging
from jobs.runtime.run import Scene
from jobs.tables.digest import digests
from jobs.tables.lists import list_of, list_sheet
from jobs.tables.registry import champion_as_of, registered
from jobs.tables.session import spark_session

log = logging.getLogger("lamplighter")
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)

for program in JOBS.values():
    app.command(name=program.name, help=program.outline.__doc__, rich_help_panel="Jobs")(program.command)

Plan = Annotated[bool, typer.Option("--plan", help="Say what would run and why; run nothing.")]
Command = Callable[[Arguments], object]


@app.command(rich_help_panel="Many jobs")
def night(
    data_date: DataDate,
    dataset: Dataset = DEFAULT_DATASET,
    where: Where = "local",
    settings: Settings = [],  # noqa: B006  # typer reads the default, nobody writes to it
    model: ModelName = "",
    allow_empty: AllowEmpty = False,
    show_plan: Plan = False,
) -> None:
    """Run a night in one session, from the first unfinished step on."""
    set_up_logging()
    with exit_codes():
        first, last = parse_dates(data_date)
        if first != last:
            raise LamplighterError(
                f"--data-date {data_date}: a night has one date; `lamplighter history` takes a range"
            )
        arguments = Arguments(first, last, dataset, where, tuple(settings), model or None, allow_empty)
        if show_plan:
            _print_plan(arguments)
        elif not any(step.dates for step in run_night(arguments)):
            log.info(f"{data_date}: every step is up to date")


@app.command(rich_help_panel="Many jobs")
def history(
    data_date: DataDate,
    dataset: Dataset = DEFAULT_DATASET,
    where: Where = "local",
    settings: Settings = [],  # noqa: B006  # as above
) -> None:
    """Run the data steps of many dates, one pass each: what a new warehouse begins with."""
    set_up_logging()
    with exit_codes():
        first, last = parse_dates(data_date)
        if not any(
            step.dates for step in run_history(Arguments(first, last, dataset, where, tuple(settings)))
        ):
            log.info(f"{data_date}: every step is up to date")


app.command(name="demo", rich_help_panel="Many jobs")(demo)


@app.command(rich_help_panel="Looking")
def runs(
    dataset: Dataset = DEFAULT_DATASET,
    where: Where = "local",
    settings: Settings = [],  # noqa: B006  # as above
    last: Annotated[int, typer.Option(help="How many, newest first.")] = 30,
) -> None:
    """The ledger: each run's newest state."""
    set_up_logging()
    with exit_codes():
        newest: dict[str, dict] = {}
        for row in _scene(dataset, where, settings).ledger.rows():
            dates = newest.get(row["run_id"], {}).get("dates", set()) | {row["data_date"]}
            newest[row["run_id"]] = row | {"dates": dates}
        sheet = _sheet("run", "job", "data date", "state", "seconds", "rows", "message")
        for row in list(reversed(newest.values()))[:last]:
            span = (
                f"{min(row['dates'])}..{max(row['dates'])}"
                if len(row["dates"]) > 1
                else str(row["data_date"])
            )
            job = f"{row['job']} {row['model']}".strip()
            sheet.add_row(
                row["run_id"], job, span, row["state"], f"{row['seconds']:.1f}", row["rows"], row["message"]
            )
        CONSOLE.print(sheet)


@app.command(rich_help_panel="Looking")
def tables(
    dataset: Dataset = DEFAULT_DATASET,
    where: Where = "local",
    settings: Settings = [],  # noqa: B006  # as above
    digest: Annotated[bool, typer.Option("--digest", help="A hash of the content, a data date.")] = False,
) -> None:
    """The tables: grain, version; with --digest one line a table and data date."""
    set_up_logging()
    with exit_codes():
        scene = _scene(dataset, where, settings)
        if digest:
            for found in digests(spark_session(scene.config), scene.store):
                CONSOLE.print(
                    f"{found.table:<18} {found.data_date:<12} {found.rows:>9} {found.digest}", highlight=False
                )
            return
        sheet = _sheet("table", "grain", "partitioned by", "version")
        for name, table in scene.catalog.tables.items():
            version = scene.store.version(name)
            sheet.add_row(name, ", ".join(table.grain), ", ".join(table.partition), str(version or "-"))
        CONSOLE.print(sheet)


@app.command(rich_help_panel="Looking")
def models(
    dataset: Dataset = DEFAULT_DATASET,
    where: Where = "local",
    settings: Settings = [],  # noqa: B006  # as above
) -> None:
    """Registered versions, and which one is the champion."""
    set_up_logging()
    with exit_codes():
        scene = _scene(dataset, where, settings)
        champion = champion_as_of(scene.store, date.max)
        sheet = _sheet("version", "training set", "champion", "bundle")
        for version in registered(scene.catalog):
            name = version.tags["model_version"]
            sheet.add_row(
                name, version.tags["training_set"], "yes" if name == champion else "", version.source
            )
        CONSOLE.print(sheet)


@app.command(rich_help_panel="Looking")
def lists(
    user: Annotated[str, typer.Option("--user", help="A user id.")],
    data_date: Annotated[str, typer.Option("--data-date", help="Default: what readers are served.")] = "",
    dataset: Dataset = DEFAULT_DATASET,
    where: Where = "local",
    settings: Settings = [],  # noqa: B006  # as above
) -> None:
    """One user's published list."""
    set_up_logging()
    with exit_codes():
        scene = _scene(dataset, where, settings)
        day = parse_dates(data_date)[0] if data_date else served_date(scene)
        rows = list_of(scene, user, day)
        if not rows:
            raise LamplighterError(
                f"scores {day}: no list of user {user}; expected one for every user as of that date"
            )
        CONSOLE.print(list_sheet(rows))


@app.command(name="describe-model", rich_help_panel="Looking")
def describe_model(
    file: Annotated[str, typer.Argument(metavar="FILE.yaml", help="A model YAML: a path, or a name.")],
    dataset: Dataset = DEFAULT_DATASET,
    as_picture: Annotated[
        bool, typer.Option("--picture", help="Its picture, as a Mermaid flowchart.")
    ] = False,
) -> None:
    """Shapes, parameters and FLOPs of a model YAML, before anything is trained."""
    set_up_logging()
    with exit_codes():
        from jobs.cli.describe_model import describe_file, description_sheet, picture

        config, found = describe_file(file, dataset)
        if as_picture:
            CONSOLE.print(picture(found), markup=False, highlight=False, soft_wrap=True)
        else:
            CONSOLE.print(description_sheet(config, found), highlight=False)


def served_date(scene: Scene) -> date:
    """The data date that readers are served: the last publication."""
    published = scene.store.rows("publications")
    if not published:
        raise LamplighterError("publications is empty: nothing was published yet; run a night first")
    return max(published, key=lambda row: row["seq"])["data_date"]


def _scene(dataset: str, where: str, settings: list[str]) -> Scene:
    return Scene(Arguments(date.max, date.max, dataset, where, tuple(settings)))


def _sheet(*columns: str) -> Sheet:
    sheet = Sheet(box=None, pad_edge=False)
    for column in columns:
        sheet.add_column(column, overflow="fold")
    return sheet


def _print_plan(arguments: Arguments) -> None:
    sheet = _sheet("step", "runs", "why")
    for step in plan(arguments):
        sheet.add_row(step.job, "yes" if step.dates else "no", step.why)
    CONSOLE.print(sheet)


def main() -> None:
    """Entry point of `lamplighter`."""
    app()


if __name__ == "__main__":
    main()
