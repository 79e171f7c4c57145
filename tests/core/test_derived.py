"""Functions of the project are found, and hashed with the files beside them, before Spark starts."""

from pathlib import Path

import pytest

from core.derived import Derived, with_code
from core.errors import ConfigError

VISITS = {
    "visits": Derived.model_validate(
        {"call": "functions/visits.py:with_visits", "columns": {"is_visit": {"from": "v", "kind": "binary"}}}
    )
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "visits.py").write_text("def with_visits(events):\n    return events\n")
    return tmp_path


def test_the_hash_follows_the_file_and_the_files_beside_it(project: Path) -> None:
    first = with_code(VISITS, project)["visits"].code
    assert first == with_code(VISITS, project)["visits"].code != ""

    (project / "functions" / "helpers.py").write_text("HALF_AN_HOUR = 1800\n")
    second = with_code(VISITS, project)["visits"].code
    (project / "functions" / "visits.py").write_text("def with_visits(events):\n    return events.limit(1)\n")
    third = with_code(VISITS, project)["visits"].code

    assert len({first, second, third}) == 3


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "visits.py cannot be read; expected a Python file of the project"),
        ("def with_visits(", "visits.py is no Python: line 1"),
        ("def other(): ...", r"visits.py has no function with_visits; there are \['other'\]"),
    ],
)
def test_a_call_that_cannot_be_is_an_error_with_its_key(project: Path, text: str | None, fault: str) -> None:
    file = project / "functions" / "visits.py"
    file.unlink() if text is None else file.write_text(text)

    with pytest.raises(ConfigError, match=rf"^derived\.visits\.call: .*{fault}"):
        with_code(VISITS, project)


def test_a_call_is_a_file_of_the_project_and_a_name() -> None:
    for call in ("/tmp/visits.py:f", "visits:f", "visits.py", "visits.py:1"):
        with pytest.raises(ValueError, match="should match pattern"):
            Derived.model_validate({"call": call, "columns": {}})
