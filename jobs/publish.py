"""Make a night's lists visible: suite first, then `scores`, then the line that readers follow.

spark-submit jobs/publish.py --data-date 2022-05-07

Readers serve what the last row of `publications` names, so publishing an older date again corrects its
scores but does not turn the clock back. Cost: one pass over the night's lists.
"""

from pyspark.sql import functions as F

from core.errors import LamplighterError
from jobs.runtime.job import job
from jobs.runtime.progress import spark_progress
from jobs.runtime.run import Run


@job
def publish(run: Run) -> None:
    """Replace the data date of `scores`, and append to `publications`."""
    run.require_inputs()
    staged = run.read("scores_staging", run.last)
    scored = run.newest_runs()[("score", "", run.last)]
    lists = staged.where(F.col("fingerprint") == scored.fingerprint)
    lists = run.compute(lists.select(*run.catalog["scores"].columns))
    if lists.isEmpty():
        raise LamplighterError(
            f"scores_staging holds no list of run {scored.run_id}; run `lamplighter score --data-date "
            f"{run.last}` first"
        )
    run.validate(lists, "scores")
    with spark_progress(run.spark, f"publish {run.last}: tasks"):
        commit = run.replace("scores", lists)
    announce(run, str(scored.facts["model_version"]), commit.version)


def announce(run: Run, model_version: str, scores_version: int) -> None:
    """Append to `publications`, unless this very content was announced or a later date is served."""
    rows = sorted(run.rows("publications"), key=lambda row: row["seq"])
    if any(row["fingerprint"] == run.fingerprint and row["data_date"] == run.last for row in rows):
        run.notes.append("published already")
        return
    served = rows[-1]["data_date"] if rows else None
    if served is not None and served > run.last:
        run.notes.append(f"readers go on with {served}")
        return
    row = {
        "seq": 1 + (rows[-1]["seq"] if rows else 0),
        "data_date": run.last,
        "action": "publish",
        "reason": "suite passed",
        "model_version": model_version,
        "scores_version": scores_version,
        "fingerprint": run.fingerprint,
    }
    run.append_rows("publications", [row])


if __name__ == "__main__":
    publish.main()
