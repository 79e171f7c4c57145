"""Who is served: rows of `publications` and tonight's lists in, what to append out."""

from datetime import date

import pytest

from quality.publication import Lists, Publication, announce

TONIGHT = Lists(date(2022, 5, 8), "mfh-1", scores_version=12, fingerprint="f8")


def row(seq: int, day: int, fingerprint: str) -> Publication:
    return Publication(seq, date(2022, 5, day), "publish", "suite passed", "ple-1", 10 + seq, fingerprint)


@pytest.mark.parametrize(
    ("published", "action", "seq"),
    [
        ([], "append", 1),
        ([row(1, 7, "f7")], "append", 2),
        ([row(2, 7, "f7"), row(1, 6, "f6")], "append", 3),  # in any order
        ([row(1, 8, "f8")], "published already", None),
        ([row(1, 8, "other content")], "append", 2),  # the same date anew
        ([row(1, 8, "f8"), row(2, 8, "other content")], "append", 3),  # back to what it was before
        ([row(1, 7, "f8")], "append", 2),  # the same fingerprint of another date
        ([row(1, 8, "f8"), row(2, 9, "f9")], "published already", None),
        ([row(1, 9, "f9")], "older than served", None),
        (
            [row(1, 9, "f9"), row(2, 7, "rolled back")],
            "append",
            3,
        ),  # the last row is served, not the latest date
    ],
)
def test_what_is_announced(published: list[Publication], action: str, seq: int | None) -> None:
    found = announce(published, TONIGHT)

    assert (found.action, found.row.seq if found.row else None) == (action, seq)


def test_the_appended_row_names_the_lists_that_readers_will_follow() -> None:
    assert announce([], TONIGHT).row == Publication(
        1, date(2022, 5, 8), "publish", "suite passed", "mfh-1", 12, "f8"
    )


def test_an_older_date_does_not_turn_the_clock_back() -> None:
    assert announce([row(1, 9, "f9")], TONIGHT).note == "2022-05-09 stays what readers serve"
