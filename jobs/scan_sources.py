"""Look at the log files that the source offers for each data date, and record which dates they hold rows of.

spark-submit jobs/scan_sources.py --data-date 2022-05-07

A file may bring late rows of earlier data dates. The manifest `source_files` says so, and from it follows
which data dates `ingest` has to read the file for. A file that was withdrawn leaves `source_file_dates`;
the manifest keeps what was ever offered.
Cost: one read of the event times of the dates' files.
"""

from dataclasses import asdict

from jobs.runtime.arguments import span_of
from jobs.runtime.job import RANGE, job
from jobs.runtime.reads import source_files
from jobs.runtime.run import Run
from jobs.tables.file_dates import FileDate, count_dates, rows_with_dates, to_manifest_row
from jobs.tables.source_files import SourceFile


@job(
    reads=(source_files("own"),),
    writes=("source_file_dates", "source_files"),
    config=("source.time_zone", "source.events", "source.actions", "behaviours"),
    dates=RANGE,
    flags=("allow_empty",),
)
def scan_sources(run: Run) -> None:
    """Record in `source_file_dates` which dates files hold rows of, and new files in `source_files`."""
    sources = run.sources("own")
    known = {row["file_date"] for row in run.rows("source_files")}  # of these all files may be withdrawn
    files, counts = list[SourceFile](), list[FileDate]()
    for action in (None, *run.config.source.actions):
        log = sources.logs[action]
        of_log = [f for day in run.dates for f in log.require(day, run.allow_empty or day in known)]
        for notice in log.notices(of_log):
            run.note(notice)
        counts += count_dates(rows_with_dates(run.spark, log, of_log, action, run.config))
        files += of_log
    note_withdrawn(run, {file.path for file in files})
    run.commit_rows("source_file_dates", [asdict(count) for count in counts], file_date=run.dates)
    run.append_new_rows("source_files", [to_manifest_row(file, counts) for file in files])


def note_withdrawn(run: Run, offered: set[str]) -> None:
    """Say which files were taken away, and of which data dates their rows are: ingest reads these anew."""
    recorded = [row for row in run.rows("source_file_dates") if row["file_date"] in run.dates]
    for path in sorted({row["path"] for row in recorded} - offered):
        held = [row for row in recorded if row["path"] == path]
        dates = [row["data_date"] for row in held]
        rows = sum(row["rows"] for row in held)
        run.note(f"{path} was withdrawn: its {rows:,} rows of {span_of(min(dates), max(dates))} go")


if __name__ == "__main__":
    scan_sources.main()
