"""Tables of lists: staged, published, announced, looked back at."""

from core.schema import Config
from jobs.tables.declarations.entry import key_types
from jobs.tables.table import DATE, DOUBLE, INT, LONG, STRING, Table


def serving_tables(config: Config) -> list[Table]:
    """Return lists before and after publication, and what came of them."""
    key = key_types(config)
    probabilities = {f"p_{task}": DOUBLE for task in config.ranking.weights}
    scores = (
        {"user_id": key["user"], "data_date": DATE, "rank": INT, "item_id": key["item"]}
        | probabilities
        | {"score": DOUBLE, "cohort": STRING, "model_version": STRING}
    )
    grain = ("user_id", "data_date", "rank")
    bounds = (
        f"rank BETWEEN 1 AND {config.ranking.top_k}",
        *(f"{name} BETWEEN 0 AND 1" for name in probabilities),
    )
    return [
        Table(
            "scores_staging",
            grain,
            scores | {"bucket": INT, "fingerprint": STRING},
            partition=("data_date", "bucket"),
            constraints=bounds,
            not_content=("fingerprint",),
            holds="lists of a night before publication, per bucket of users",
            is_large=True,
        ),
        Table(
            "scores",
            grain,
            scores,
            constraints=bounds,
            has_suite=True,
            holds="published lists; readers take the data date that `publications` names last",
            is_large=True,
        ),
        Table(
            "current_scores",
            ("user_id", "rank"),
            scores,
            partition=(),
            date_column=None,
            constraints=bounds,
            holds="the lists that readers are served, and no others; each switch is one commit",
            is_large=True,
        ),
        Table(
            "publications",
            ("seq",),
            {"seq": LONG, "data_date": DATE, "action": STRING, "reason": STRING, "model_version": STRING}
            | {"scores_version": LONG, "fingerprint": STRING},
            partition=(),
            not_content=("scores_version", "fingerprint"),
            holds="append-only: which data date is served, by which model; the last row counts",
            date_column=None,
        ),
        Table(
            "outcomes",
            ("data_date", "metric", "task", "cohort"),
            {"data_date": DATE, "metric": STRING, "task": STRING, "cohort": STRING, "value": DOUBLE}
            | {"users": LONG, "events": LONG},
            holds="lists of the day before against what users then did",
        ),
    ]
