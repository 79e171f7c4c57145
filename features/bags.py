"""Columns that hold several values in one string, between separators."""

import re

from pyspark.sql import Column
from pyspark.sql import functions as F


def bag(column: str, separator: str) -> Column:
    """Return the values between separators, without blanks around them; empty ones are left out."""
    pieces = F.split(F.col(column).cast("string"), re.escape(separator))
    # Not F.trim itself: to a function of two parameters, transform passes the value's index as well.
    trimmed = F.transform(pieces, lambda value: F.trim(value))  # noqa: PLW0108
    return F.filter(trimmed, lambda value: value != "")
