"""What the values of one column look like: its kind, nulls, spread."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from jobs.onboarding.names import AMOUNT, DURATION, RATING, TIME, quoted, words
from jobs.onboarding.samples import MOST_UNREADABLE, Sample
from jobs.onboarding.times import ISO, Times, epoch_times, iso_times, typed_times, written_times

Kind = Literal["int", "float", "bool", "time", "date", "text", "empty", "nested"]
NULL_TEXTS = frozenset({"NA", "N/A", "NULL", "null", "\\N", "None", "NaN", "nan", "#N/A"})
TRUE_TEXTS = {"true": "false", "yes": "no", "y": "n", "t": "f"}
MOST_KEYLESS = 0.1
"""Share of rows of an attribute file without a key."""
MOST_SPELLINGS = 12
"""Different texts of a column of yes and no, broken ones among them."""

_DATE_NUMBER = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_INT = re.compile(r"[+-]?\d{1,18}")
_ZEROS = re.compile(r"0\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?\d+(,\d{1,2})?")
_ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(frozen=True)
class Column:
    """One column of a sample.

    Attributes:
        name: as the source spells it.
        type: "text", or the type of Arrow.
        values: those of the sample that are neither null nor a text that means null.
        rows: of the sample.
        null_texts: texts that mean null, and how often they occur.
    """

    name: str
    type: str
    values: Sequence[Any]
    rows: int
    null_texts: Mapping[str, int]

    @cached_property
    def kind(self) -> Kind:
        """What most values are."""
        if self.type == "nested" or self.type.startswith(("list", "large_list", "struct", "map")):
            return "nested"
        if not self.values:
            return "empty"
        if self.type != "text":
            kind = _kind_of_type(self.type)
            is_whole = kind == "float" and all(float(value).is_integer() for value in self.counts)
            return "int" if is_whole else kind  # a whole number with nulls is a float to pandas
        if self.true_text is not None:
            return "bool"
        patterns: tuple[tuple[Kind, re.Pattern[str]], ...] = (
            ("int", _INT),
            ("float", _FLOAT),
            ("date", _ISO_DATE),
            ("time", ISO),
        )
        for kind, pattern in patterns:
            if self._share(pattern) >= 1 - MOST_UNREADABLE:
                return kind
        return "float" if self.has_decimal_commas else "text"

    @cached_property
    def has_decimal_commas(self) -> bool:
        """Whether the values are texts such as 3,5; under another name 39,68 may be two values."""
        if self.type != "text" or not {*RATING, *AMOUNT, *DURATION} & set(words(self.name)):
            return False
        is_whole = self._share(_INT) >= 1 - MOST_UNREADABLE
        return not is_whole and self._share(_COMMA) >= 1 - MOST_UNREADABLE

    @property
    def expr(self) -> str:
        """The column in an expression, as a number that Spark reads."""
        name = quoted(self.name)
        return f"replace({name}, ',', '.')" if self.has_decimal_commas else name

    @cached_property
    def counts(self) -> Counter[Any]:
        """Value -> how often it occurs, of the sample."""
        return Counter(self.values)

    @cached_property
    def numbers(self) -> list[float]:
        """The values that are numbers."""
        if self.kind == "bool" and self.true_text is not None:
            texts = (str(value).lower() for value in self.values)
            return [float(text == self.true_text) for text in texts if text in self._pair]
        if self.kind == "bool":
            return [float(value) for value in self.values]
        if self.type != "text":
            return [float(value) for value in self.values] if self.kind in ("int", "float") else []
        comma = "," if self.has_decimal_commas else "."
        texts = (value.replace(comma, ".") for value in self.values)
        return [float(text) for text in texts if _FLOAT.fullmatch(text)]

    @cached_property
    def true_text(self) -> str | None:
        """The text that means true, in lower case, of a text column of two such texts; else None."""
        if self.type != "text" or len(self.counts) > MOST_SPELLINGS:
            return None
        lower: Counter[str] = Counter()
        for value, count in self.counts.items():
            lower[str(value).lower()] += count
        least = (1 - MOST_UNREADABLE) * len(self.values)
        pairs = (
            (t, f) for t, f in TRUE_TEXTS.items() if lower[t] and lower[f] and lower[t] + lower[f] >= least
        )
        return next((true for true, _ in pairs), None)

    @property
    def _pair(self) -> tuple[str, ...]:
        return (str(self.true_text), TRUE_TEXTS.get(str(self.true_text), ""))

    @property
    def leading_zeros(self) -> bool:
        """Whether texts of digits are no numbers: some begin with 0, as postal codes do."""
        return self.type == "text" and self.kind == "int" and any(_ZEROS.fullmatch(v) for v in self.counts)

    @property
    def unreadable(self) -> list[str]:
        """Texts that are no numbers, in a column where nearly all are; the most frequent first."""
        if self.type != "text" or self.kind not in ("int", "float") or self.has_decimal_commas:
            return []
        return [value for value, _ in self.counts.most_common() if not _FLOAT.fullmatch(value)]

    @property
    def distinct(self) -> int:
        """Number of different values."""
        return len(self.counts)

    @property
    def null_share(self) -> float:
        """Share of rows without a value."""
        return 1 - len(self.values) / self.rows

    @property
    def is_unique(self) -> bool:
        """Whether each row has a value of its own; a few may have none."""
        return bool(self.values) and self.distinct == len(self.values) and self.null_share <= MOST_KEYLESS

    @property
    def is_flag(self) -> bool:
        """Whether the values are 0 and 1, true and false, or one of them."""
        if self.kind == "bool":
            return True
        return self.kind in ("int", "float") and bool(self.numbers) and set(self.numbers) <= {0.0, 1.0}

    @property
    def is_time(self) -> bool:
        """Whether the values are times or dates, 20220507 among them."""
        if self.kind in ("date", "time") or self.times is not None:
            return True
        return self.kind == "int" and all(
            _DATE_NUMBER.fullmatch(str(int(float(value)))) for value in self.counts
        )

    @property
    def samples(self) -> list[str]:
        """The three most frequent values."""
        return [str(value) for value, _ in self.counts.most_common(3)]

    @property
    def decimals(self) -> int:
        """Digits after the point that the numbers need, at most 6."""
        texts = (f"{number:.6f}".rstrip("0") for number in set(self.numbers))
        return max((len(text.partition(".")[2]) for text in texts), default=0)

    @cached_property
    def times(self) -> Times | None:
        """The values as times, if they are times."""
        if self.kind == "time":
            return iso_times(self.values) if self.type == "text" else typed_times(self.type, self.values)
        if self.kind in ("int", "float"):
            is_named = not set(TIME).isdisjoint(words(self.name))
            return epoch_times(self.numbers, len(self.values), is_named) or written_times(self.values)
        return written_times(self.values) if self.kind == "text" else None

    def _share(self, pattern: re.Pattern[str]) -> float:
        fitting = sum(count for value, count in self.counts.items() if pattern.fullmatch(value.strip()))
        return fitting / len(self.values)


def columns_of_samples(samples: Sequence[Sample]) -> list[Column]:
    """Return the columns of one or more samples of the same kind of file."""
    names = dict.fromkeys(name for sample in samples for name in sample.columns)
    found = []
    for name in names:
        given = (value for sample in samples for value in sample.columns.get(name, ()))
        values = [v for v in given if v is not None and v != "" and v == v]  # NaN is no value
        rows = sum(len(next(iter(sample.columns.values()))) for sample in samples)
        kind = next(sample.types[name] for sample in samples if name in sample.types)
        texts = Counter(v for v in values if v in NULL_TEXTS) if kind == "text" else Counter[str]()
        known = [value for value in values if value not in texts] if texts else values
        found.append(Column(name, kind, [] if kind == "nested" else known, rows, texts))
    return found


def _kind_of_type(kind: str) -> Kind:
    if kind.startswith("timestamp"):
        return "time"
    if kind.startswith("date"):
        return "date"
    if kind.startswith(("int", "uint")):
        return "int"
    if kind.startswith(("float", "double", "half", "decimal")):
        return "float"
    return "bool" if kind == "bool" else "nested"
