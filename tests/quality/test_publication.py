"""Who is served: rows of `publications` and tonight's lists in, what to append out."""

from datetime import date

import pytest

from core.errors import LamplighterError
from quality.publication import Lists, Publication, announce, roll_back

TONIGHT = Lists(date(2022, 5, 8), "mfh-1", scores_version=12, fingerprint="f8")


def row(seq: int, day: int, fingerprint: str) -> Publication:
    return Publication(seq, date(2022, 5, day), "publish", "suite passed", "ple-1", 10 + seq, fingerprint)


def appended(*published: Publication) -> int | None:
    """The number of the row that is appended; None: none is."""
    found = announce(published, TONIGHT)
    assert (found.action == "append") is (found.row is not None)
    return found.row.seq if found.row else None


def test_the_first_row_names_the_lists_that_readers_will_follow() -> None:
    found = announce([], TONIGHT)

    assert found.row == Publication(1, date(2022, 5, 8), "publish", "suite passed", "mfh-1", 12, "f8")
    assert (found.served, found.note) == (found.row, "mfh-1 serves 2022-05-08")


@pytest.mark.parametrize(
    ("published", "number"),
    [
        ([row(1, 7, "f7")], 2),
        ([row(2, 7, "f7"), row(1, 6, "f6")], 3),  # in any order
        ([row(1, 8, "other content")], 2),  # the same date anew
    ],
)
def test_rows_are_numbered_without_gaps(published: list[Publication], number: int) -> None:
    assert appended(*published) == number


@pytest.mark.parametrize(
    "published", [[row(1, 8, "f8")], [row(1, 8, "f8"), row(2, 9, "f9")]], ids=["served", "served before"]
)
def test_lists_that_are_published_already_are_not_published_again(published: list[Publication]) -> None:
    found = announce(published, TONIGHT)

    assert (found.action, found.row, found.note) == ("published already", None, "published already")
    assert found.served == published[-1]


def test_a_return_to_earlier_lists_of_the_date_is_published() -> None:
    assert appended(row(1, 8, "f8"), row(2, 8, "other content")) == 3


def test_the_same_content_of_another_date_is_another_publication() -> None:
    assert appended(row(1, 7, "f8")) == 2


def test_an_older_date_does_not_turn_the_clock_back() -> None:
    found = announce([row(1, 9, "f9")], TONIGHT)

    assert (found.action, found.row) == ("older than served", None)
    assert (found.served, found.note) == (row(1, 9, "f9"), "2022-05-09 stays what readers serve")


def test_what_is_served_is_the_last_row_and_not_the_latest_date() -> None:
    assert appended(row(1, 9, "f9"), row(2, 7, "rolled back")) == 3


def test_rolling_back_serves_the_last_publication_of_an_earlier_date() -> None:
    published = [row(1, 6, "f6"), row(2, 7, "f7"), row(3, 7, "corrected"), row(4, 8, "f8")]

    again = roll_back(published, date(2022, 5, 7), "wrong prices")

    assert again == Publication(5, date(2022, 5, 7), "roll back", "wrong prices", "ple-1", 13, "corrected")
    assert announce([*published, again], TONIGHT).action == "published already"  # a rerun does not undo it
    forward = roll_back([*published, again], date(2022, 5, 8), "mended")
    assert (forward.seq, forward.data_date) == (6, date(2022, 5, 8))
    assert appended(*published[:3], again) == 6  # the next night publishes


def test_only_what_was_published_and_is_not_served_can_be_rolled_back_to() -> None:
    published = [row(1, 6, "f6"), row(2, 8, "f8")]

    with pytest.raises(LamplighterError, match=r"no lists of data date 2022-05-07 .* 2022-05-06, 2022-05-08"):
        roll_back(published, date(2022, 5, 7), "x")
    with pytest.raises(LamplighterError, match="expected one of none"):
        roll_back([], date(2022, 5, 7), "x")
    with pytest.raises(LamplighterError, match="served the lists of 2022-05-08 already"):
        roll_back(published, date(2022, 5, 8), "x")
