"""Write the page of a night, and the index of all nights.

spark-submit jobs/report.py --data-date 2022-05-07

Reads what the night left in its tables; what grows with users or events is aggregated in Spark before
it comes here. Cost: cohorts of two dates joined, one histogram a night of scores.
"""

import json
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from jobs.runtime.job import job
from jobs.runtime.night_report import collect
from jobs.runtime.run import Run
from quality.report.model import IndexEntry, index_entry
from quality.report.render import render_index, render_night


@job
def report(run: Run) -> None:
    """Render what the ledger and the tables say of the data date."""
    night = collect(run)
    page = run.report_file(run.last)
    write(page, render_night(night))

    entries = read_index(page.parent) | {str(run.last): index_entry(night, page.name)}
    write(page.parent / "index.json", json.dumps({day: asdict(e) for day, e in entries.items()}, default=str))
    newest_first = [entries[day] for day in sorted(entries, reverse=True)]
    write(page.parent / "index.html", render_index(newest_first, run.config.dataset))
    run.entry.facts["sample_users"] = [sample.user_id for sample in night.samples]
    run.notes.append(str(page))


def read_index(folder: Path) -> dict[str, IndexEntry]:
    """The nights that have pages already."""
    file = folder / "index.json"
    if not file.is_file():
        return {}
    return {
        day: replace(IndexEntry(**entry), data_date=date.fromisoformat(day))
        for day, entry in json.loads(file.read_text()).items()
    }


def write(file: Path, text: str) -> None:
    """Write a file at once: a reader sees the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(file.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)


if __name__ == "__main__":
    report.main()
