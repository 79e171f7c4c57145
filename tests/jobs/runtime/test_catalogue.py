"""The catalogue joins descriptions with profiles, dates and models."""

from datetime import date

from jobs.runtime.catalogue import feature_rows
from quality.report.model import FeatureRow
from tests.features.small import small_config

NUMBER = {
    "feature": "user_impression_count_all", "rows": 40, "nulls": 0,
    "low": [0.0, 1.0, 1234.0], "high": [0.0, 1233.5, 1234.0], "bin_rows": [20, 15, 5],
    "frequent_values": [], "value_rows": [],
}  # fmt: skip
TEXT = {
    "feature": "user_city", "rows": 40, "nulls": 10, "low": [], "high": [], "bin_rows": [],
    "frequent_values": ["Köln", "Ulm"], "value_rows": [20, 5],
}  # fmt: skip


def test_a_feature_has_what_is_known_of_it() -> None:
    models = {"ple-1": ("user_city", "tab"), "mfh-2": ("user_city", "user_impression_count_all")}
    since = {"user_city": date(2022, 5, 3)}

    rows = feature_rows(small_config(), [NUMBER, TEXT], since, models)

    found = {row.name: row for row in rows}
    assert found["user_city"] == FeatureRow(
        group="user",
        name="user_city",
        key="user_id",
        window="",
        source="city of users.parquet",
        unit="",
        null="where the source holds no readable value",
        since=date(2022, 5, 3),
        rows=40,
        nulls=10,
        values=(("Köln", 20), ("Ulm", 5)),
        models=("ple-1", "mfh-2"),
    )
    assert found["user_city"].null_share == 0.25
    count = found["user_impression_count_all"]
    assert (count.is_number, count.models, count.since) == (True, ("mfh-2",), None)
    assert count.values == (("0", 20), ("1 to 1,234", 15), ("1,234", 5))
    assert (found["user_age"].rows, found["user_age"].null_share) == (None, None)
    assert len(rows) == len(found) > 20
