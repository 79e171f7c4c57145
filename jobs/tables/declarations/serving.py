"""Tables of lists: staged, published, announced, looked back at."""

from core.schema import Config
from jobs.tables.declarations.entry import key_types
from jobs.tables.table import DATE, DOUBLE, INT, LONG, STRING, STRINGS, Table


def serving_tables(config: Config) -> list[Table]:
    """Return lists before and after publication, and what came of them."""
    key = key_types(config)
    predictions = {f"p_{task.name}": DOUBLE for task in config.listed_tasks}
    scores = (
        {"user_id": key["user"], "data_date": DATE, "list": STRING, "rank": INT, "item_id": key["item"]}
        | predictions
        | {"score": DOUBLE, "placement_probability": DOUBLE, "cohort": STRING, "model_version": STRING}
    )
    grain = ("user_id", "data_date", "list", "rank")
    bounds = (
        f"rank BETWEEN 1 AND {max(each.length for each in config.lists.values())}",
        *(f"p_{task.name} BETWEEN 0 AND 1" for task in config.listed_tasks if task.kind == "binary"),
    )
    pool = {"data_date": DATE, "list": STRING}
    of_users = Table(
        "user_pools",
        ("data_date", "list", "user_id", "item_id"),
        pool | {"user_id": key["user"], "item_id": key["item"], "item_cohort": STRING},
        holds="items that single users are scored against, beside those of `pools`",
        is_large=True,
    )
    return [
        *([of_users] if config.has_user_pools else []),
        Table(
            "pools",
            ("data_date", "list", "user_cohort", "item_id"),
            pool | {"user_cohort": STRING, "item_id": key["item"], "item_cohort": STRING, "sources": STRINGS},
            holds="items that users of a cohort are scored against, and the sources that name them",
            is_large=True,
        ),
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
            ("user_id", "list", "rank"),
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
            ("data_date", "list", "metric", "task", "cohort"),
            {
                "data_date": DATE,
                "list": STRING,
                "metric": STRING,
                "task": STRING,
                "cohort": STRING,
                "value": DOUBLE,
            }
            | {"users": LONG, "events": LONG},
            holds="lists of the day before against what users then did",
        ),
    ]
