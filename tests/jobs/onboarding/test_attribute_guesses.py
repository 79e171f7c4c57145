"""What columns of an attribute file are taken for."""

from jobs.onboarding.attribute_guesses import AttributeGuess, guess_entity
from jobs.onboarding.facts import Column

IDS = [str(1000 + number) for number in range(100)]


def guessed(name: str, values: list[str]) -> AttributeGuess:
    key, own = (Column(of, "text", texts, len(texts), {}) for of, texts in (("item_id", IDS), (name, values)))
    [attribute] = guess_entity([key, own], [key], "item").attributes
    return attribute


def test_codes_that_begin_with_0_stay_texts() -> None:
    found = guessed("zip", [f"{number:05}" for number in range(900, 1000)])

    assert (found.type, found.reason.endswith("some begin with 0")) == ("string", True)


def test_a_number_with_values_that_are_none_says_so() -> None:
    found = guessed("pages", [*map(str, range(100, 199)), "T8H1N"])

    assert (found.type, found.categorical) == ("int", None)
    assert found.reason.endswith("; T8H1N is no number and becomes null, type string keeps it")


def test_blanks_separate_parts_that_come_again_and_not_the_words_of_a_name() -> None:
    genres = ["Action", "Comedy", "Drama", "Horror", "War"]
    several = [f"{one} {other}" for one in genres for other in genres if one != other] * 5
    cities = [f"New Town {number % 30}" for number in range(100)]

    assert guessed("class", several).categorical == {"dim": 4, "split": " ", "max_values": 2}
    assert "split" not in (guessed("city", cities).categorical or {})
