"""The flags that nearly all commands have come beside a command's own; an error is an exit code."""

import pytest
import typer
from typer.testing import CliRunner

from core.errors import ConfigError
from core.load import DEFAULT_DATASET
from jobs.cli.flags import Flags, with_flags


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["7"], (7, Flags(DEFAULT_DATASET, "local", [], ""))),
        (
            ["7", "--set", "a=1", "--set", "b=2", "--dataset", "shop", "--env", "cluster", "--project", "p"],
            (7, Flags("shop", "cluster", ["a=1", "b=2"], "p")),
        ),
    ],
)
def test_flags_are_read_beside_those_of_the_command(typed: list[str], expected: tuple[int, Flags]) -> None:
    found: list[tuple[int, Flags]] = []

    @with_flags
    def command(flags: Flags, number: int) -> None:
        found.append((number, flags))

    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, typed)

    assert done.exit_code == 0, done.output
    assert found == [expected]


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    @with_flags
    def command(flags: Flags) -> None:
        raise ConfigError("nothing of this kind; expected another")

    app = typer.Typer()
    app.command()(command)

    done = CliRunner().invoke(app, [])

    assert done.exit_code == 2
    assert "nothing of this kind; expected another" in done.output + capsys.readouterr().out
