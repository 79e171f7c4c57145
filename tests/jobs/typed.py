"""What pages tell people to type and to edit, done in one process, whose Spark session the commands share."""

import re
import shlex
from os import chdir

from typer.testing import CliRunner

from core import load
from jobs.cli.main import app


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Return the code blocks of a page in their order: language and content."""
    found = re.finditer(r"^( *)```(\w*)\n(.*?)^\1```", text, re.S | re.M)
    return [(each[2], re.sub(rf"^{each[1]}", "", each[3], flags=re.M)) for each in found]


def type_in(lines: str) -> str:
    """Type commands, `cd` among them, each of which must end well; return what they print."""
    output = ""
    for line in lines.splitlines():
        program, *arguments = shlex.split(line, comments=True)
        if program == "cd":
            chdir(arguments[0])
            continue
        assert program == "lamplighter", line
        load._read.cache_clear()  # a command is a process of its own, and reads what was edited before it
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, f"{line}\n{done.output}"
        output += done.output
    return output


def edited(text: str, diff: str) -> str:
    """Return a file after an edit; comments at the ends of its lines need not stand in the diff.

    A line of the diff begins with a blank (it stays), - (it goes) or + (it is new).
    """
    lines, steps = text.splitlines(), [(line[:1], line[1:]) for line in diff.splitlines()]
    old = [line for sign, line in steps if sign != "+"]
    places = [
        n
        for n in range(len(lines) - len(old) + 1)
        if all(re.sub(r"  # .*", "", line) == each for line, each in zip(lines[n:], old, strict=False))
    ]
    assert len(places) == 1, f"found {len(places)} times:\n{diff}"
    (place,) = places
    made = lines[:place]
    for sign, line in steps:
        if sign == "+":
            made.append(line)
            continue
        made += [lines[place]] if sign == " " else []
        place += 1
    return "\n".join([*made, *lines[place:]]) + "\n"
