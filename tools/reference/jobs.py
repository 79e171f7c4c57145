"""The page of jobs: the order of the night, what each reads and writes, which keys it uses."""

import inspect

from core.load import load_config
from jobs.runtime.job import RANGE, Job
from jobs.runtime.pipeline import all_jobs, jobs_before
from tools.reference.markdown import code, job_link, page, sheet, table_link


def jobs_page() -> str:
    """Return the page of all jobs."""
    before = jobs_before(all_jobs())
    order = [
        (job_link(name).replace("jobs.md", ""), _dates(job), _nights(job), code(sorted(before[name])) or "-")
        for name, job in all_jobs().items()
    ]
    return page(
        "Jobs",
        "In the order of a night. A job is one file, `jobs/NAME.py`, and is declared there (`@job`); order, "
        "plan, fingerprints, locks and Airflow's tasks follow from the declarations "
        "(`jobs/runtime/pipeline.py`).",
        "`lamplighter NAME --data-date D` runs one by itself; its flags are in [commands](commands.md).",
        sheet(("job", "dates", "runs on", "comes after"), order),
        *(job_section(job) for job in all_jobs().values()),
    )


def job_section(job: Job) -> str:
    """Return the section of one job."""
    config = load_config()
    module = inspect.getmodule(job.outline)
    paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    text = [p for p in paragraphs if not p.startswith(("spark-submit ", "lamplighter "))]
    reads = [
        (
            "source files" if read.kind == "source" else table_link(table),
            {"own": "named by the data date", "log": "that hold rows of the data date"}.get(
                table, "users and items"
            )
            if read.kind == "source"
            else read.when,
            "yes" if read.is_needed else "no",
        )
        for read in job.reads
        for table in read.names(config)
    ]
    facts = [
        f"- code: `{job.module.replace('.', '/')}.py`",
        f"- takes: {_dates(job)}; runs on {_nights(job)}",
        f"- writes: {', '.join(map(table_link, job.tables(config))) or 'no table of its own'}",
        f"- configuration: {code(job.config)}",
    ]
    facts += [f"- after: {code(job.after)} (declared)"] if job.after else []
    facts += [f"- starts: {code(job.entry_points)}"] if job.entry_points else []
    facts += [f"- templates: {code(job.templates)}"] if job.templates else []
    return "\n\n".join(
        [f"## {job.name}", *text, "\n".join(facts), sheet(("reads", "which", "must be done"), reads)]
    )


def _dates(job: Job) -> str:
    return "one date or a range" if job.dates is RANGE else "one date"


def _nights(job: Job) -> str:
    return (
        "training nights, per model"
        if job.is_per_model
        else "training nights"
        if job.is_training
        else "every night"
    )
