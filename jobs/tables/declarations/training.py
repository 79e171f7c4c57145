"""Tables that training reads: examples, pinned sets, blocks; and the baseline of group means."""

from core.schema import Config
from jobs.tables.declarations.entry import context_types, key_types
from jobs.tables.declarations.groups import feature_types
from jobs.tables.table import BINARY, BOOLEAN, DATE, DOUBLE, INT, STRING, STRINGS, TIME, Table


def training_tables(config: Config) -> list[Table]:
    """Return what training reads, from examples to blocks, and the baseline."""
    key = key_types(config)
    features = feature_types(config, "user") | feature_types(config, "item")
    for group in config.features.keyed:
        features |= feature_types(config, group)
    labels = {f"label_{task.name}": DOUBLE for task in config.tasks}
    masks = {f"mask_{task.name}": BOOLEAN for task in config.tasks}
    return [
        Table(
            "examples",
            ("event_id", "data_date"),
            {"event_id": STRING, "data_date": DATE, "user_id": key["user"], "item_id": key["item"]}
            | {"event_time": TIME}
            | context_types(config)
            | features
            | {"user_cohort": STRING, "item_cohort": STRING}
            | labels
            | masks
            | {"weight": DOUBLE},
            constraints=("user_cohort IS NOT NULL", "item_cohort IS NOT NULL"),
            has_suite=True,
            holds="events with features and cohorts as of the day before, labels and masks",
            is_large=True,
        ),
        Table(
            "group_means",
            ("data_date", "task", "user_cohort", "group_value"),
            {"data_date": DATE, "task": STRING, "user_cohort": STRING, "group_value": STRING}
            | {"rows": DOUBLE, "positives": DOUBLE, "rate": DOUBLE},
            holds="mean label per user cohort and item group: the baseline `group_mean`",
            is_large=True,
        ),
        Table(
            "training_sets",
            ("training_set",),
            {"data_date": DATE, "training_set": STRING, "first_data_date": DATE, "last_data_date": DATE}
            | {"recipe": STRING, "inputs": STRINGS},
            not_content=("recipe", "inputs"),
            holds="pinned training sets: their days, and the fingerprints that they were packed from",
            date_column=None,
        ),
        Table(
            "encoders",
            ("training_set",),
            {"training_set": STRING, "first_data_date": DATE, "last_data_date": DATE, "encoder": STRING},
            partition=("training_set",),
            holds="vocabularies and statistics, fitted on the training days of a set",
            date_column=None,
        ),
        Table(
            "training_blocks",
            ("training_set", "block_id"),
            {"block_id": STRING, "training_set": STRING, "split": STRING, "shard": INT, "block_no": INT}
            | {"rows": INT, "categorical": BINARY, "dense": BINARY, "labels": BINARY, "mask": BINARY}
            | {"weight": BINARY, "user_group": BINARY, "item_group": BINARY},
            partition=("training_set", "split"),
            holds="encoded examples in blocks of equal size, which training streams",
            is_large=True,
            date_column=None,
        ),
    ]
