"""Tables that every run writes: verdicts, the ledger, recipes; and equivalences of code."""

from jobs.tables.table import DATE, DOUBLE, LONG, STRING, STRINGS, TIME, Columns, Table


def record_tables() -> list[Table]:
    """Return verdicts, the ledger, and what its hashes stand for."""
    runs: Columns = (
        {"run_id": STRING, "state": STRING, "job": STRING, "data_date": DATE, "model": STRING}
        | {"fingerprint": STRING, "code_hash": STRING, "config_hash": STRING, "inputs": STRINGS}
        | {"code_revision": STRING, "recorded_at": TIME, "seconds": DOUBLE, "rows": STRING}
        | {"versions_read": STRING, "versions_written": STRING, "message": STRING}
    )
    return [
        Table(
            "quality_results",
            ("run_id", "data_date", "table", "rule"),
            {"run_id": STRING, "data_date": DATE, "table": STRING, "rule": STRING, "outcome": STRING}
            | {"observed": STRING, "threshold": STRING, "severity": STRING, "failing_rows": LONG},
            not_content=("run_id",),
            holds="verdicts of suites and audits, per rule",
        ),
        Table(
            "runs",
            ("run_id", "state", "data_date"),
            runs,
            not_content=tuple(runs),  # describes runs only
            holds="the ledger: every state of every run",
        ),
        Table(
            "recipes",
            ("hash",),
            {"hash": STRING, "kind": STRING, "entries": STRINGS},
            partition=(),
            not_content=("hash", "kind", "entries"),
            holds="what hashes of code and configuration in the ledger stand for, for `lamplighter plan`",
            date_column=None,
        ),
        Table(
            "code_equivalences",
            ("job", "code_hash"),
            {"job": STRING, "code_hash": STRING, "equal_to": STRING, "data_dates": STRINGS}
            | {"run_id": STRING},
            partition=(),
            not_content=("job", "code_hash", "equal_to", "data_dates", "run_id"),
            holds="code that `lamplighter adopt` found to make the same as older code",
            date_column=None,
        ),
    ]
