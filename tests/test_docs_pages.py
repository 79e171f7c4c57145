"""Links, paths, names, commands and Python in the pages work; what is made from the code is current."""

import json
import re
import shlex
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
import typer

import lamplighter
from core.load import PROJECT_DIR
from jobs.cli.main import app
from jobs.runtime.code import code_of
from jobs.runtime.command import command_of
from jobs.runtime.pipeline import all_jobs
from tests.jobs.sample_project import SampleProject
from tools.write_reference import FOLDER, PAGES

DOCS = PROJECT_DIR / "docs"
ALL_PAGES = sorted(
    [*(PROJECT_DIR / name for name in ("README.md", "CONTRIBUTING.md")), *DOCS.rglob("*.md")],
    key=lambda page: page.as_posix(),
)
RECORDS = {DOCS / "adr", DOCS / "benchmarks"}
"""Pages of these folders say what was true on their date; only their links are checked."""
CURRENT_PAGES = [page for page in ALL_PAGES if page.parent not in RECORDS]
TOP_FOLDERS = sorted(path.name for path in PROJECT_DIR.iterdir() if path.is_dir())
MADE_BY_SETUP = ("build/", "logs/", "warehouse/", ".venv")
NOTEBOOK = DOCS / "notebooks" / "first-look.ipynb"


def name_of(page: Path) -> str:
    return page.relative_to(PROJECT_DIR).as_posix()


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def links_of(text: str) -> list[str]:
    """Return the targets of links to files and headings, those inside of code left out."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose) if "://" not in target]


@cache
def anchors_of(page: Path) -> set[str]:
    """Return the anchors that GitHub makes from the headings of a page."""
    prose = re.sub(r"```.*?```", "", text_of(page), flags=re.S)
    headings = re.findall(r"^#+ (.+)$", prose, re.M)
    words = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {word.strip().replace(" ", "-") for word in words}


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for target in links_of(text):
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        target_exists = linked.exists() and (not anchor or anchor in anchors_of(linked))
        broken += [] if target_exists else [target]
    return broken


def paths_of(text: str) -> list[str]:
    """Return paths of the repository in backticks; words in capitals, such as NAME, stand for others."""
    candidates = re.findall(r"`([\w.-]+/[\w./-]*)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [
        path
        for path in candidates
        if path.split("/")[0] in TOP_FOLDERS
        and not path.startswith(MADE_BY_SETUP)
        and not re.search(r"\b[A-Z]{2,}\b", path.replace("README", "readme").replace("CHANGELOG", ""))
    ]


def missing_names(text: str) -> list[str]:
    """Return the names of "`X` in `FILE.py`" and "`X` and `Y` in `FILE.py`" that the file does not hold."""
    named = r"((?:`[\w.]+`(?:, | and ))*`[\w.]+`) in\s`([\w/]+\.py)`"
    return [
        f"{last} in {file}"
        for names, file in re.findall(named, text)
        for name in re.findall(r"`([\w.]+)`", names)
        if not re.search(rf"\b{(last := name.split('.')[-1])}\b", text_of(PROJECT_DIR / file))
    ]


def commands_of(text: str) -> list[list[str]]:
    """Return `lamplighter ...` and `spark-submit jobs/...` of the code blocks of a page, without comments."""
    blocks = "\n".join(re.findall(r"^```(?:\w*)\n(.*?)^```", text, re.S | re.M))
    lines = [line.split(" #")[0].strip().removeprefix(".venv/bin/") for line in blocks.splitlines()]
    return [shlex.split(line) for line in lines if re.match(r"lamplighter \w|spark-submit ", line)]


def parse(command: list[str]) -> None:
    """Read the flags of a command as the program does; a flag that it does not take ends the process."""
    of_wheel = next((place for place, word in enumerate(command) if word.endswith("/__main__.py")), None)
    program, *arguments = command if of_wheel is None else ["lamplighter", *command[of_wheel + 1 :]]
    if program == "lamplighter":
        name, *flags = arguments
        found: Any = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    else:
        script = next(word for word in arguments if word.startswith("jobs/"))
        name, flags = Path(script).stem, arguments[arguments.index(script) + 1 :]
        assert (PROJECT_DIR / script).is_file()
        single = typer.Typer(add_completion=False)
        single.command(name=name)(command_of(all_jobs()[name]))
        found = typer.main.get_command(single)
    found.make_context(name, flags)


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    assert broken_links(page, text_of(page)) == []


def test_a_broken_link_is_found() -> None:
    text = "[no file](nowhere.md) [no heading](tutorial.md#nothing) [fine](README.md#how-to) `[code](x.md)`"

    assert broken_links(DOCS / "page.md", text) == ["nowhere.md", "tutorial.md#nothing"]


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=name_of)
def test_paths_in_the_text_exist(page: Path) -> None:
    assert [path for path in paths_of(text_of(page)) if not (PROJECT_DIR / path).exists()] == []


def test_a_path_that_does_not_exist_is_found() -> None:
    text = "`jobs/nothing.py`, `jobs/train.py`, `conf/datasets/NAME.yaml`, `a/b.py`, `logs/lamplighter.log`"

    assert paths_of(text) == ["jobs/nothing.py", "jobs/train.py"]


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=name_of)
def test_names_that_a_page_says_to_be_in_a_file_are_there(page: Path) -> None:
    assert missing_names(text_of(page)) == []


def test_a_name_that_its_file_does_not_hold_is_found() -> None:
    text = "`decide` and `decide_nothing` in `quality/promotion.py`, `Config.none` in\n`core/schema.py`"

    assert missing_names(text) == ["decide_nothing in quality/promotion.py", "none in core/schema.py"]


@pytest.mark.parametrize("page", CURRENT_PAGES, ids=name_of)
def test_commands_in_the_text_take_the_flags_that_they_are_given(page: Path) -> None:
    for command in commands_of(text_of(page)):
        parse(command)


@pytest.mark.parametrize(
    "command",
    [
        "lamplighter night --where local",
        "spark-submit jobs/train.py --allow-empty",
        "spark-submit lamplighter/__main__.py train --allow-empty",
    ],
)
def test_a_command_with_a_flag_that_it_does_not_take_is_found(command: str) -> None:
    (found,) = commands_of(f"```\n.venv/bin/{command} --data-date 2022-05-08  # why\n```")

    with pytest.raises(Exception, match="No such option"):
        parse(found)


def test_targets_of_make_in_the_text_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of(PROJECT_DIR / "Makefile"), re.M))
    named = {
        target
        for page in CURRENT_PAGES
        for target in re.findall(r"(?:^|`)make ([a-z-]+)", text_of(page), re.M)
    }

    assert {"demo", "docs", "test"} <= named <= targets


# --- made from the code -------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_what_make_docs_writes(name: str) -> None:
    assert text_of(FOLDER / f"{name}.md") == PAGES[name](), "run `make docs`"


def test_the_reference_has_no_other_pages() -> None:
    assert {page.stem for page in FOLDER.glob("*")} == set(PAGES)


@pytest.mark.parametrize("file", ["jobs/fit_group_means.py", "tests/jobs/test_fit_group_means.py"])
def test_the_example_of_a_job_is_the_code(file: str) -> None:
    page = text_of(DOCS / "how-to" / "add-a-job.md")
    (shown,) = re.findall(rf"^`{re.escape(file)}`:\n\n```python\n(.*?)^```", page, re.S | re.M)

    assert shown == text_of(PROJECT_DIR / file)


def test_the_jobs_that_a_changed_file_makes_stale_are_those_that_reach_it() -> None:
    reached = {job.name: code_of(job.module, job.entry_points, job.templates) for job in all_jobs().values()}
    rows = re.findall(r"^\| (`[a-z].*?) \| (.+) \|$", text_of(DOCS / "how-to" / "after-an-upgrade.md"), re.M)

    assert len(rows) > 10
    for files, jobs in rows:
        named = {"all": set(reached), "none": set()}.get(
            jobs.split(":")[0], set(re.findall(r"`(\w+)`", jobs))
        )
        for file in re.findall(r"`([\w/.]+)`", files):
            stale = {job for job, code in reached.items() if any(path.startswith(file) for path in code)}
            assert (file, named) == (file, stale)


def test_the_page_of_scale_states_the_rows_of_each_job() -> None:
    page = text_of(DOCS / "scale.md").partition("## Time")[0]

    assert sorted(re.findall(r"^\| `(\w+)` \| ", page, re.M)) == sorted(all_jobs())


def test_every_how_to_is_in_the_index() -> None:
    index = {Path(target.partition("#")[0]).name for target in links_of(text_of(DOCS / "README.md"))}

    assert {page.name for page in (DOCS / "how-to").glob("*.md")} <= index


# --- Python in pages ----------------------------------------------------------------------------


def python_of(page: Path) -> str:
    """Return the Python blocks of a page as one program."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", text_of(page), re.S | re.M))


PAGES_WITH_PYTHON = [page for page in CURRENT_PAGES if "lamplighter.open(" in python_of(page)]


def test_the_readme_and_the_page_of_the_demo_hold_python() -> None:
    assert {"README.md", "docs/demo.md"} <= set(map(name_of, PAGES_WITH_PYTHON))


@pytest.mark.spark
@pytest.mark.parametrize("page", PAGES_WITH_PYTHON, ids=name_of)
def test_python_in_a_page_runs_after_two_nights(
    page: Path, after_two_nights: SampleProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_sample = partial(lamplighter.open, settings=list(after_two_nights.settings))
    monkeypatch.setattr(lamplighter, "open", of_sample)

    exec(compile(python_of(page), str(page), "exec"), {})


# --- the notebook -------------------------------------------------------------------------------


def cells_of(notebook: Path) -> list[tuple[str, bool]]:
    """Return the code of each code cell, and whether it holds the parameters."""
    cells = json.loads(text_of(notebook))["cells"]
    return [
        ("".join(cell["source"]), "parameters" in cell["metadata"].get("tags", ()))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def test_the_notebook_holds_no_output() -> None:
    cells = json.loads(text_of(NOTEBOOK))["cells"]

    assert [cell for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []


@pytest.mark.spark
def test_the_notebook_runs_from_top_to_bottom(
    after_two_nights: SampleProject, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Any] = {}
    for code, is_of_parameters in cells_of(NOTEBOOK):
        exec(compile(code, str(NOTEBOOK), "exec"), found)
        if is_of_parameters:
            found |= {"settings": list(after_two_nights.settings), "model": "mfh"}

    assert (
        found["users"]
        == after_two_nights.opened().store.read(found["features"].sparkSession, "users").count()
    )
    assert 0 < found["without_events"] < found["users"]
    assert [row["rank"] for row in found["ranked"]] == [1, 2, 3, 4, 5]
    assert [step.job for step in found["steps"] if step.dates] == []
    assert {step.job for step in found["to_run"]} >= {"score", "publish"}
    assert "mfh-" in capsys.readouterr().out
