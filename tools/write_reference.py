"""Write docs/reference: tables, configuration, commands, jobs and exit codes, as the code declares them.

    make docs        (= .venv/bin/python -m tools.write_reference)

Columns and defaults are those of the data set kuairand. A test holds the pages to the code.
"""

from collections.abc import Callable

from core.load import PROJECT_DIR
from tools.reference.commands import commands_page, exit_codes_page
from tools.reference.configuration import configuration_page
from tools.reference.jobs import jobs_page
from tools.reference.tables import tables_page

FOLDER = PROJECT_DIR / "docs" / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "tables": tables_page,
    "configuration": configuration_page,
    "commands": commands_page,
    "jobs": jobs_page,
    "exit-codes": exit_codes_page,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / f"{name}.md").write_text(make(), encoding="utf-8")
    print(f"{FOLDER.relative_to(PROJECT_DIR)}: {', '.join(PAGES)}")
