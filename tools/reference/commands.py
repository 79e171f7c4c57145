"""The pages of commands with their flags, and of exit codes."""

import inspect
import signal
from typing import Any

import typer

from core.errors import LamplighterError
from jobs.cli.main import app
from tools.reference.markdown import page, sheet


def commands_page() -> str:
    """Return the page of all commands."""
    top: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    commands: dict[str, Any] = {}
    panels: dict[str, list[str]] = {}
    for name, command in top.items():
        group = getattr(command, "commands", None)  # such as `quarantine list`
        of_group = {name: command} if group is None else {f"{name} {sub}": group[sub] for sub in group}
        commands |= of_group
        panels.setdefault(command.rich_help_panel, []).extend(of_group)
    blocks = []
    for panel in [*(panel for panel in panels if panel != "Jobs"), "Jobs"]:
        blocks.append(f"## {panel}")
        blocks += [command_section(name, commands[name]) for name in panels[panel]]
    return page(
        "Commands",
        "`.venv/bin/lamplighter COMMAND`, or `lamplighter COMMAND` after `source .venv/bin/activate`. "
        "A job is also a program: `.venv/bin/spark-submit jobs/NAME.py` takes the same flags. "
        "How commands end: "
        "[exit codes](exit-codes.md).",
        "Dates are data dates, YYYY-MM-DD; `A..B` is a range, both included. `--set` may be given several "
        "times: "
        "`--set training.seed=3 --set lists.home.top_k=10`.",
        *blocks,
    )


def command_section(name: str, command: Any) -> str:
    """Return the section of one command."""
    rows = []
    for option in command.params:
        is_flag = option.param_type_name == "option"
        shown = "/".join(option.opts) if is_flag else option.metavar
        value = f" {option.metavar or 'VALUE'}" if is_flag and not option.is_flag else ""
        default = "required" if option.required else f"`{option.default}`" if option.default else ""
        rows.append((f"`{shown}{value}`", default, option.help or ""))
    return "\n\n".join([f"### {name}", command.help or "", sheet(("flag", "default", "meaning"), rows)])


def exit_codes_page() -> str:
    """Return the page of exit codes."""
    errors: list[type[LamplighterError]] = [LamplighterError, *LamplighterError.__subclasses__()]
    rows = [("0", "", "Done, or everything was up to date.")]
    for error in sorted(errors, key=lambda each: each.exit_code):
        text = (inspect.getdoc(error) or "").replace(f" Exit code {error.exit_code}.", "")
        text = text.replace(f" Exit code {error.exit_code},", " It is")
        rows.append((str(error.exit_code), f"`{error.__name__}`", text))
    rows.append(
        (str(128 + signal.SIGINT), "", "Interrupted with Ctrl-C. Run the same command again: it resumes.")
    )
    return page(
        "Exit codes",
        "Of `lamplighter` and of `spark-submit jobs/NAME.py` alike (`core/errors.py`, "
        "`jobs/runtime/command.py`). An error is one line: where, what is wrong, what was expected, what to "
        "do. The stack trace is in the log file.",
        sheet(("code", "error", "meaning"), rows),
        "An unexpected error ends with 1, too. After any end, also `kill -9`, running again repairs what was "
        "cut off.",
    )
