"""Make a night's lists visible: suite first, then `scores`, then the row that decides, then `current_scores`.

spark-submit jobs/publish.py --data-date 2022-05-07

Readers serve what the last row of `publications` names, so publishing an older date again corrects its
scores but does not turn the clock back. `current_scores` follows that row, for readers without Lamplighter.
Cost: one pass over the night's lists, which are written twice: users x K rows each.
"""

from dataclasses import asdict

from pyspark.sql import functions as F

from core.errors import LamplighterError
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import same_day
from jobs.runtime.run import Run
from quality.publication import Lists, Publication, announce


@job(
    reads=(same_day("scores_staging"),),
    writes=("scores", "publications", "current_scores"),
    config=(),
    dates=ONE,
)
def publish(run: Run) -> None:
    """Replace the data date of `scores`, append to `publications`, and replace `current_scores`."""
    staged = run.read("scores_staging", run.data_date)
    is_newest = F.col("fingerprint") == run.fingerprint_of("scores_staging")
    lists = staged.where(is_newest).select(*run.catalog["scores"].columns)
    lists = run.compute(lists)
    first = lists.select("model_version").first()
    if first is None:
        raise LamplighterError(
            f"scores_staging holds no list of the newest run of score; run `lamplighter score --data-date "
            f"{run.data_date}` first"
        )
    commit = run.commit("scores", lists)
    lists_of_tonight = Lists(run.data_date, first["model_version"], commit.version, run.fingerprint)
    announcement = announce([Publication(**row) for row in run.rows("publications")], lists_of_tonight)
    run.note(announcement.note)
    if announcement.row is not None:
        run.append_rows("publications", [asdict(announcement.row)])
    served = announcement.served
    is_ours = (served.data_date, served.fingerprint) == (run.data_date, run.fingerprint)
    # A run that was ended after its row is finished here.
    if is_ours and run.content_of("current_scores")[0] != str(served.seq):
        run.commit("current_scores", lists, made_of=str(served.seq), is_judged=True)


if __name__ == "__main__":
    publish.main()
