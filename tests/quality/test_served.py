import pytest

from quality.served import served_by


@pytest.mark.parametrize(("champion", "served"), [("ple-1", "ple-1"), (None, "group_mean")])
def test_the_champion_is_served_and_group_mean_where_there_is_none(champion: str | None, served: str) -> None:
    assert served_by(champion) == served
