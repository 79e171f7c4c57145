"""Pure PySpark: DataFrames, Columns and dates in, DataFrames and Columns out; no session, no table.

The session's time zone must be UTC: a date is taken from a timestamp in `source.time_zone` only.
"""
