"""The table of what feature columns hold: nulls and distributions, for the catalogue of features."""

from jobs.tables.table import DATE, DOUBLES, LONG, LONGS, STRING, STRINGS, Table


def profile_tables() -> list[Table]:
    """Return what `profile_features` writes."""
    return [
        Table(
            "feature_profiles",
            ("data_date", "feature_group", "feature"),
            {"data_date": DATE, "feature_group": STRING, "feature": STRING, "rows": LONG, "nulls": LONG}
            | {"low": DOUBLES, "high": DOUBLES, "bin_rows": LONGS}
            | {"frequent_values": STRINGS, "value_rows": LONGS},
            holds="nulls of each feature column, and bins of its numbers or its most frequent values",
        )
    ]
