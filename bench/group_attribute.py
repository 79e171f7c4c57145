"""Find the attribute of items, and the strength, whose means per user cohort predict KuaiRand best.

python -m bench.group_attribute

Means of 2022-04-29 .. 05-05, AUC on 05-06, the validation day; the days of evaluation are not read.
Plain pandas over the embedded log, 20 s; `baselines` of conf/datasets/kuairand.yaml is the best row.
"""

from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(__file__).parents[1] / "data" / "kuairand_pure"
FIRST, VALIDATION = "2022-04-29", "2022-05-06"
LABELS = {"click": "is_click", "long_view": "long_view", "like": "is_like"}
ATTRIBUTES = {
    "item_author_id": "author_id",
    "item_type": "video_type",
    "item_upload_type": "upload_type",
    "item_music_type": "music_type",
    "item_tag": "tag",
    "item_duration_seconds": "video_duration",
}
STRENGTHS = (5, 10, 20, 50, 200)


def read_log() -> pd.DataFrame:
    """Read one row per event up to the validation day, with the user's cohort as of the day before."""
    files = [file for file in sorted((DATA / "log").glob("*.parquet")) if file.stem <= VALIDATION]
    log = pd.concat([pd.read_parquet(file).assign(data_date=file.stem) for file in files])
    log = log.drop_duplicates(["user_id", "video_id", "time_ms"])
    shown = log.groupby(["user_id", "data_date"]).size().rename("shown").reset_index()
    shown["before"] = shown.groupby("user_id")["shown"].cumsum() - shown["shown"]
    log = log.merge(shown, on=["user_id", "data_date"])
    log["cohort"] = np.select([log["before"] <= 3, log["before"] <= 9], ["new", "low"], "high")
    return log.merge(pd.read_parquet(DATA / "video_features_basic.parquet"), on="video_id", how="left")


def auc(score: pd.Series, is_positive: pd.Series) -> float:
    """Return the share of (positive, negative) pairs in the right order, ties half."""
    positives = int(is_positive.sum())
    ranks = float(score.rank()[is_positive].sum())
    return (ranks - positives * (positives + 1) / 2) / (positives * (len(score) - positives))


def predicted(
    train: pd.DataFrame, test: pd.DataFrame, label: str, attribute: str, strength: int
) -> pd.Series:
    """Return the smoothed mean of each test row's cohort and value, as `to_group_means` defines it."""
    of_cohort = train.groupby("cohort")[label].agg(["sum", "count"])
    cohort = (of_cohort["sum"] + strength * train[label].mean()) / (of_cohort["count"] + strength)
    of_value = train.groupby(["cohort", attribute])[label].agg(["sum", "count"]).reset_index()
    prior = of_value["cohort"].map(cohort)
    of_value["mean"] = (of_value["sum"] + strength * prior) / (of_value["count"] + strength)
    found = test.merge(of_value[["cohort", attribute, "mean"]], on=["cohort", attribute], how="left")
    return found["mean"].fillna(found["cohort"].map(cohort))


def main() -> None:
    """Print the AUC of each task per attribute and strength, and its mean."""
    log = read_log()
    train = log[(log["data_date"] >= FIRST) & (log["data_date"] < VALIDATION)]
    test = log[log["data_date"] == VALIDATION].reset_index(drop=True)
    print(f"{'attribute':22} {'strength':>8} " + " ".join(f"{task:>9}" for task in LABELS) + "      mean")
    for attribute, column in ATTRIBUTES.items():
        for strength in STRENGTHS:
            found = [
                auc(predicted(train, test, label, column, strength), test[label] == 1)
                for label in LABELS.values()
            ]
            values = " ".join(f"{value:9.4f}" for value in [*found, sum(found) / len(found)])
            print(f"{attribute:22} {strength:8d} {values}")


if __name__ == "__main__":
    main()
