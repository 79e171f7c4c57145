"""Tables where data enters: the manifest of files, events, the balance of rows, quarantine."""

from core.columns import context_columns
from core.schema import Config
from jobs.tables.table import DATE, LONG, STRING, STRINGS, TIME, Columns, Table, sql_type


def entry_tables(config: Config) -> list[Table]:
    """Return what `scan_sources` and `ingest` write, but for users and items."""
    key = key_types(config)
    binary = [name for name, behaviour in config.behaviours.items() if behaviour.kind == "binary"]
    return [
        Table(
            "source_files",
            ("path", "sha256"),
            {"path": STRING, "sha256": STRING, "file_date": DATE, "rows": LONG}
            | {"first_data_date": DATE, "last_data_date": DATE},
            partition=(),
            holds="manifest: every log file that was offered, with the data dates that it holds rows of",
            date_column=None,
        ),
        Table(
            "source_file_dates",
            ("path", "data_date"),
            {"path": STRING, "file_date": DATE, "data_date": DATE, "rows": LONG},
            partition=(),
            holds="rows per log file and data date, as of the newest content of the file",
            date_column=None,
        ),
        Table(
            "events",
            ("event_id", "data_date"),
            {"event_id": STRING, "user_id": key["user"], "item_id": key["item"], "event_time": TIME}
            | context_types(config)
            | behaviour_types(config)
            | {"data_date": DATE},
            constraints=(
                "user_id IS NOT NULL",
                "item_id IS NOT NULL",
                *(f"{name} IN (0, 1)" for name in binary),
            ),
            has_suite=True,
            holds="accepted impressions: user, item, time, context, what the user did",
            is_large=True,
        ),
        Table(
            "row_balance",
            ("data_date",),
            {"data_date": DATE, "read": LONG, "accepted": LONG, "duplicates": LONG, "conflicts": LONG}
            | {"failed": LONG, "late": LONG},
            holds="source rows by status; conflicts and failed add up to the rows of quarantine",
        ),
        Table(
            "action_balance",
            ("action", "data_date"),
            {"action": STRING, "data_date": DATE, "read": LONG, "attributed": LONG}
            | {"duplicates": LONG, "failed": LONG},
            holds="rows of logs of actions by status, per date of their files; failed ones are in quarantine",
        ),
        Table(
            "quarantine",
            ("source_row_id", "data_date"),
            {"source_row_id": STRING, "source_path": STRING, "raw_row": STRING, "failed_rules": STRINGS}
            | {"first_run_id": STRING, "last_run_id": STRING, "readmitted_by": STRING, "data_date": DATE},
            constraints=("size(failed_rules) > 0",),
            not_content=("first_run_id", "last_run_id", "readmitted_by"),
            holds="source rows that failed a rule, as received, with all rules that they failed",
            is_large=True,
        ),
        Table(
            "readmissions",
            ("source_sha256", "selected", "data_date"),
            {"source_path": STRING, "source_sha256": STRING, "file_date": DATE, "selected": STRING}
            | {"data_date": DATE, "rows": LONG, "reason": STRING, "readmitted_by": STRING}
            | {"run_id": STRING, "readmitted_at": TIME},
            partition=(),
            not_content=("reason", "readmitted_by", "run_id", "readmitted_at"),
            holds="rows of quarantine that people have re-admitted, by file and rule (or row), and the data "
            "date that they go to; who did it, when and why",
            date_column=None,
        ),
    ]


def key_types(config: Config) -> Columns:
    """Return entity -> type of its id."""
    return {
        entity: sql_type(config.source.events.columns[f"{entity}_id"].type) for entity in ("user", "item")
    }


def context_types(config: Config) -> Columns:
    """Return column -> type of the context of an impression."""
    return {name: sql_type(config.source.events.columns[name].type) for name in context_columns(config)}


def behaviour_types(config: Config) -> Columns:
    """Return behaviour -> type."""
    return {name: sql_type(behaviour.data_type) for name, behaviour in config.behaviours.items()}
