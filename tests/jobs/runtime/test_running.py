"""How a job ends is a state of the ledger, from which the exit code of its process follows."""

from types import SimpleNamespace
from typing import Any

import pytest

from core.errors import BlockedError, ConfigError, LamplighterError
from jobs.runtime.running import _follow
from jobs.tables.ledger import EXIT_CODES


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (LamplighterError("no file"), "failed"),
        (ConfigError("no file"), "misconfigured"),
        (BlockedError("no file"), "blocked"),
    ],
)
def test_the_state_has_the_exit_code_of_the_error(error: LamplighterError, state: Any) -> None:
    written: list[tuple[str, str]] = []

    def outline(run: Any) -> None:
        raise error

    record = SimpleNamespace(notes=[], write_state=lambda *ending: written.append(ending))
    run: Any = SimpleNamespace(job=SimpleNamespace(outline=outline), record=record)
    with pytest.raises(type(error)):
        _follow(run, None)

    assert written == [(state, "no file")]
    assert EXIT_CODES[state] == error.exit_code
