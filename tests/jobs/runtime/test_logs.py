"""Lines bear the run and its data date; a folder that cannot be written costs the log file, not the work."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.runtime.logs import log, log_context, set_up_logging


@pytest.fixture
def _fresh_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A logger without handlers, given back as it was."""
    monkeypatch.delenv("LAMPLIGHTER_LOGS", raising=False)
    before = {logger: logger.handlers[:] for logger in (log, logging.getLogger())}
    log.handlers.clear()
    yield
    for logger, handlers in before.items():
        for handler in set(logger.handlers) - set(handlers):
            handler.close()
        logger.handlers[:] = handlers


def lines_of(folder: Path) -> list[dict[str, object]]:
    for handler in log.handlers:
        handler.flush()
    return [json.loads(line) for line in (folder / "lamplighter.log").read_text().splitlines()]


@pytest.mark.usefixtures("_fresh_logging")
def test_every_line_of_the_file_bears_the_run_and_its_data_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(tmp_path)

    log.info("before")
    with log_context(run_id="r1", data_date="2022-05-07"):
        log.info("within %s", "a step")
        with log_context(table="events"):
            log.debug("deeper")
    log.info("after")

    first, within, deeper, after = lines_of(tmp_path)
    assert (first["message"], "run_id" in first) == ("before", False)
    assert (within["message"], within["run_id"], within["data_date"]) == ("within a step", "r1", "2022-05-07")
    assert (deeper["run_id"], deeper["table"], deeper["level"]) == ("r1", "events", "DEBUG")
    assert "run_id" not in after
    assert within["pid"] == os.getpid()
    assert str(within["time"]).endswith("+00:00")
    assert capsys.readouterr().out == "before\nwithin a step\nafter\n"  # plain, and nothing of DEBUG


@pytest.mark.usefixtures("_fresh_logging")
def test_a_stack_trace_is_in_the_file_and_not_on_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    set_up_logging(tmp_path)
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError:
        log.exception("it failed")

    (line,) = lines_of(tmp_path)
    assert "ZeroDivisionError: by zero" in str(line["stack"])
    assert capsys.readouterr().out == "it failed\n"


@pytest.mark.usefixtures("_fresh_logging")
def test_a_warning_of_a_library_is_for_the_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(tmp_path)

    logging.getLogger("py4j.clientserver").warning("the stream is closed")

    (line,) = lines_of(tmp_path)
    assert (line["logger"], line["message"]) == ("py4j.clientserver", "the stream is closed")
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_fresh_logging")
def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_LOGS", str(tmp_path / "named"))

    set_up_logging(tmp_path / "argument")
    set_up_logging(tmp_path / "again")
    log.info("hello")

    assert [line["message"] for line in lines_of(tmp_path / "named")] == ["hello"]
    assert [file.name for file in tmp_path.iterdir()] == ["named"]


@pytest.mark.usefixtures("_fresh_logging")
def test_a_folder_that_cannot_be_written_is_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")

    set_up_logging(tmp_path / "file" / "logs")
    log.info("one")
    log.info("two")

    warning, *lines = capsys.readouterr().out.splitlines()
    assert warning == (
        f"logs: {tmp_path}/file/logs cannot be written (Not a directory); continuing without a log file; "
        "set LAMPLIGHTER_LOGS to another folder"
    )
    assert lines == ["one", "two"]


@pytest.mark.usefixtures("_fresh_logging")
def test_a_uri_that_is_not_supported_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_LOGS", "s3://b/logs")

    set_up_logging()

    assert "logs: s3://b/logs cannot be written (LAMPLIGHTER_LOGS: s3://b/logs: scheme s3 is not" in (
        capsys.readouterr().out
    )
    assert list(tmp_path.iterdir()) == []


WRITE_MUCH = """
import sys
from pathlib import Path
from jobs.runtime.logs import log, set_up_logging
set_up_logging(Path(sys.argv[1]))
for i in range(40):
    log.debug("x" * 4096)
log.info("done")
"""


def test_a_disk_that_fills_up_is_one_warning(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        environment = {k: v for k, v in os.environ.items() if k != "LAMPLIGHTER_LOGS"}
        found = subprocess.run(
            [sys.executable, "-c", WRITE_MUCH, str(folder)],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)

    warning, last = found.stdout.splitlines()
    assert f"logs: {folder} cannot be written (No space left on device)" in warning
    assert last == "done"
    assert found.stderr == ""
