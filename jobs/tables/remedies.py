"""What to do about a table whose log or data files are lost or broken; each is carried out by a test.

Large tables are replaced a partition at a time, without reading what was there. Small ones share files
between keys, so a lost file first has to leave the table's log.
"""

from core.paths import Place, name_of
from jobs.tables.history import is_written_by_spark

_AGAIN = {
    "runs": "the steps whose runs are lost then run again (start with `lamplighter history` over all data "
    "dates); models and published lists stay",
    "recipes": "`lamplighter plan` then names fewer of the changed keys and files",
    "code_equivalences": "run `lamplighter adopt` again for the jobs that `lamplighter plan` then names",
    "quality_results": "the jobs whose verdicts are lost write them when they run again",
}
"""Table that no single job replaces -> what follows when its rows are lost."""


def again(table: str | None, span: str = " for all data dates") -> str:
    """Return what brings lost rows of a table back.

    Args:
        table: its name.
        span: the data dates, as the end of a sentence.
    """
    return _AGAIN.get(str(table), f"run the job that writes {table}{span} again")


def of_data_file(table: str | None, folder: Place, file: Place, data_date: str | None) -> str:
    """Return what to do about a data file that is lost or cannot be read.

    Args:
        table: its table.
        folder: of the table.
        file: the file.
        data_date: data date of its partition, if it has one.
    """
    delete = "delete it, " if file.exists() else ""
    if is_written_by_spark(folder):
        span = f" for data date {data_date}" if data_date else ""
        return f"Restore it, or {delete}{again(table, span)}, which replaces it"
    span = f" for data date {data_date}" if data_date else " for the data dates that it held"
    return (
        f'Restore it, or {delete}take it out of the log (python -c "from deltalake import DeltaTable; '
        f"DeltaTable('{name_of(folder)}').repair()\"): {again(table, span)}"
    )


def of_log(table: str | None, folder: Place, last_commit: Place | None) -> str:
    """Return what to do about a broken log.

    Args:
        table: its table.
        folder: of the table.
        last_commit: the file that is broken, if it is the newest commit: its rows alone are lost then.
    """
    if last_commit is not None:
        return (
            f"Restore it, or delete it, with {last_commit.stem}.crc where there is one: the step that made "
            "this commit then runs again"
        )
    return f"Restore it, or move {name_of(folder)} away: {again(table)}"
