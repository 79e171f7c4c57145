"""Tables of models: versions, what was measured of them, decisions."""

from jobs.tables.table import BOOLEAN, DATE, DOUBLE, DOUBLES, INT, LONG, STRING, STRINGS, Table


def evaluation_tables() -> list[Table]:
    """Return what `train`, `evaluate` and `promote` write."""
    return [
        Table(
            "models",
            ("data_date", "model"),
            {"data_date": DATE, "model": STRING, "model_version": STRING, "training_set": STRING}
            | {"architectures": STRINGS, "weights_sha256": STRING, "epochs": INT, "best_epoch": INT}
            | {"max_epochs": INT, "validation_loss": DOUBLE},
            holds="trained model versions; the newest of each model YAML and data date",
        ),
        Table(
            "evaluations",
            (
                *("model_version", "first_data_date", "last_data_date", "task", "cohort", "metric"),
                "baseline_version",
            ),
            {"model_version": STRING, "first_data_date": DATE, "last_data_date": DATE, "task": STRING}
            | {"cohort": STRING, "metric": STRING, "value": DOUBLE, "low": DOUBLE, "high": DOUBLE}
            | {"rows": LONG, "positives": LONG, "negatives": LONG, "baseline_version": STRING}
            | {"users": LONG, "one_class_users": LONG, "positive_users": LONG, "negative_users": LONG}
            | {"replicates": DOUBLES},
            partition=("last_data_date",),
            holds="metrics per model, task and cohort, with intervals; gains over champion and baselines; "
            "last_data_date is that of the night",
            date_column="last_data_date",
        ),
        Table(
            "model_warnings",
            ("model_version", "last_data_date", "warning"),
            {"model_version": STRING, "last_data_date": DATE, "warning": STRING},
            partition=("last_data_date",),
            holds="what has collapsed in a model: dead experts, gates of one expert, constant scores",
            date_column="last_data_date",
        ),
        Table(
            "calibration_curves",
            ("model_version", "last_data_date", "task", "point"),
            {"model_version": STRING, "last_data_date": DATE, "task": STRING, "point": INT}
            | {"predicted": DOUBLE, "observed": DOUBLE, "weight": DOUBLE},
            partition=("last_data_date",),
            holds="predicted and observed rates per model and task",
            date_column="last_data_date",
        ),
        Table(
            "gate_weights",
            ("model_version", "first_data_date", "last_data_date", "gate", "expert", "cohort"),
            {"model_version": STRING, "first_data_date": DATE, "last_data_date": DATE, "gate": STRING}
            | {"expert": STRING, "cohort": STRING, "rows": LONG, "mean": DOUBLE, "std": DOUBLE}
            | {"active_share": DOUBLE},
            partition=("last_data_date",),
            holds="the weight of each expert in each gate, per cohort",
            date_column="last_data_date",
        ),
        Table(
            "promotions",
            ("data_date", "decision_no"),
            {"data_date": DATE, "decision_no": INT, "candidate": STRING, "champion_before": STRING}
            | {"champion_after": STRING, "served": STRING, "promoted": BOOLEAN, "reasons": STRINGS}
            | {"warnings": STRINGS},
            holds="decisions: candidate, champion before and after, reasons, warnings",
        ),
        Table(
            "promotion_cells",
            ("data_date", "decision_no", "task", "cohort"),
            {"data_date": DATE, "decision_no": INT, "task": STRING, "cohort": STRING, "metric": STRING}
            | {"users": LONG, "gain": DOUBLE}
            | {"low": DOUBLE, "high": DOUBLE, "weight": DOUBLE, "status": STRING},
            holds="the cells of each decision: gain, interval, weight, status",
        ),
    ]
