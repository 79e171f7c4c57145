"""What a column holds is told from its values, of text files and typed ones."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import ConfigError
from jobs.onboarding.facts import Column, columns_of_samples
from jobs.onboarding.samples import MOST_ROWS, Format, format_of, sample_of

NOON = datetime(2022, 5, 7, 12, tzinfo=UTC)


def column(values: list[Any], kind: str = "text") -> Column:
    return Column("x", kind, values, len(values), {})


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "-2", "30"], "int"),
        (["1", "2.5", "1e3"], "float"),
        (["yes", "No"], "bool"),
        (["2022-05-07", "2022-05-08"], "date"),
        (["2022-05-07 10:00:00", "2022-05-07T10:00:00.123Z"], "time"),
        (["a", "1"], "text"),
        (["1"] * 99 + ["x"], "int"),  # some values of a log are broken
        (["1"] * 9 + ["x"], "text"),
        ([], "empty"),
    ],
)
def test_the_kind_of_text_is_what_most_values_are(values: list[str], kind: str) -> None:
    assert column(values).kind == kind


@pytest.mark.parametrize(
    ("name", "values", "kind", "expr"),
    [
        ("stars", ["3,5", "4,0", "5"], "float", "replace(stars, ',', '.')"),
        ("price (EUR)", ["3,5", "-4,25"], "float", "replace(`price (EUR)`, ',', '.')"),
        ("tags", ["39,68", "3,5"], "text", "tags"),  # under this name two values
        ("stars", ["1,234", "3,5"], "text", "stars"),  # thousands, perhaps
        ("stars", ["3", "4"], "int", "stars"),
    ],
)
def test_decimal_commas_are_read_where_a_name_measures(
    name: str, values: list[str], kind: str, expr: str
) -> None:
    found = Column(name, "text", values, len(values), {})

    assert (found.kind, found.expr) == (kind, expr)
    if kind == "float":
        assert found.numbers == [float(value.replace(",", ".")) for value in values]


@pytest.mark.parametrize(
    ("values", "kind", "unit", "has_zone"),
    [
        (["1651924800", "1651924800"], "text", "s", True),
        ([1651924800000], "int64", "ms", True),
        ([1651924800000000], "int64", "us", True),
        ([1651924800.0], "double", "s", True),
        (["2022-05-07T12:00:00Z"], "text", None, True),
        (["2022-05-07T14:00:00+02:00"], "text", None, True),
        (["2022-05-07 12:00:00 UTC"], "text", None, True),
        (["2022-05-07 12:00:00"], "text", None, False),
        (["20220507120000"], "text", None, False),
        (["07.05.2022 12:00"], "text", None, False),
    ],
)
def test_times_are_known_in_their_spellings(values: list[Any], kind: str, unit: str, has_zone: bool) -> None:
    times = column(values, kind).times

    assert times is not None
    assert set(times.values) == {NOON}
    assert (times.unit, times.has_zone) == (unit, has_zone)


@pytest.mark.parametrize("values", [["12", "13"], ["0", "1651924800"], ["abc"], ["2022"], ["1e99"]])
def test_other_values_are_no_times(values: list[str]) -> None:
    assert column(values).times is None


def test_numbers_of_the_last_century_are_times_where_the_name_says_so() -> None:
    values = [881250949, 891717742]  # of 1997 and 1998

    named = Column("timestamp:float", "int64", values, 2, {}).times

    assert named is not None
    assert (named.unit, named.values[0].year) == ("s", 1997)
    assert Column("order", "int64", values, 2, {}).times is None


def test_postal_codes_are_no_numbers_and_what_is_no_number_is_named() -> None:
    codes, ages = column(["55414", "02139"]), column(["30"] * 99 + ["?"])

    assert (codes.leading_zeros, codes.unreadable) == (True, [])
    assert (ages.leading_zeros, ages.unreadable) == (False, ["?"])
    assert not column(["0", "10"]).leading_zeros


def test_a_date_as_a_number_is_a_time_too() -> None:
    assert column([20220507, 20220508], "int64").is_time
    assert not column([20221399, 20220508], "int64").is_time


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
def test_the_separator_of_csv_is_the_one_that_parts_lines_alike(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "x.csv"
    number = "1,5" if separator != "," else "1.5"  # each line has a comma, and the first has none
    file.write_text(f"a{separator}b\n" + f"{number}{separator}x\n" * 99)

    form = format_of(file)

    assert (form.name, form.options.get("sep", ",")) == ("csv", separator)
    assert sample_of(file, form).columns["a"] == [number] * 99


def test_csv_without_names_has_those_that_spark_gives(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("u1,2022-05-07,3\nu2,2022-05-08,4\n")

    form = format_of(tmp_path / "x.csv")

    assert form.options == {"header": False}
    assert sample_of(tmp_path / "x.csv", form).columns["_c0"] == ["u1", "u2"]


def test_content_decides_before_the_ending_does(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.csv")
    (tmp_path / "y.txt").write_text('{"a": true, "b": [1]}\n{"a": null}\n')
    (tmp_path / "z.json").write_text(json.dumps([{"a": 1}]))
    (tmp_path / "latin.csv").write_bytes("a,b\né,1\n".encode("latin1"))

    assert format_of(tmp_path / "x.csv").name == "parquet"
    assert format_of(tmp_path / "z.json") == Format(
        "json", {"multiLine": True}, ["the file is one JSON array"]
    )
    assert format_of(tmp_path / "latin.csv").options == {"encoding": "latin1"}
    (tmp_path / "y.txt").rename(tmp_path / "y.json")
    sample = sample_of(tmp_path / "y.json", format_of(tmp_path / "y.json"))
    assert sample.columns["a"] == ["true", None]
    assert sample.types == {"a": "text", "b": "nested"}


def test_a_compression_that_spark_would_not_know_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\x1f\x8b....")

    with pytest.raises(ConfigError, match=r"compressed by gzip, which Spark knows by the ending \.gz alone"):
        format_of(tmp_path / "x.csv")


def test_a_sample_is_spread_over_the_file(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": range(100_000)}), tmp_path / "x.parquet")
    (tmp_path / "x.csv").write_text("n\n" + "\n".join(map(str, range(100_000))))

    for file in (tmp_path / "x.parquet", tmp_path / "x.csv"):
        sample = sample_of(file, format_of(file))
        (numbers,) = columns_of_samples([sample])
        assert sample.rows == 100_000
        assert MOST_ROWS <= len(numbers.values) <= 2 * MOST_ROWS
        assert max(numbers.numbers) > 99_900


def test_texts_that_mean_null_are_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,NA\nNA,x\n2,\n")

    first, second = columns_of_samples([sample_of(tmp_path / "x.csv", Format("csv"))])

    assert (first.kind, dict(first.null_texts), first.null_share) == ("int", {"NA": 1}, pytest.approx(1 / 3))
    assert (second.values, dict(second.null_texts)) == (["x"], {"NA": 1})
