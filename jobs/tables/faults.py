"""One line for faults of the infrastructure: what is wrong, where, and what to do.

Spark (through Py4J), delta-rs, pyarrow and SQLite each report a lost file or a full disk in their own way,
with pages of stack trace and often without the table. `explain` recognises what they raise and asks the file
system for the rest. The original error stays attached as the cause and goes to the log file.
"""

import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from core.errors import LamplighterError
from core.paths import Place, arrow_path, by_parts, name_of, place, uri_of
from jobs.tables import remedies
from jobs.tables.checks import HARMLESS_FEATURES, foreign_features
from jobs.tables.history import reader_features, wrong_in_log
from jobs.tables.store_faults import of_a_race, of_object_store

_OS_ERROR = re.compile(r"""\[Errno \d+\] [^\n]*?: ['"](/[^\n]*?)['"](?: -> ['"](/[^\n]*?)['"])?""")
_FILE = re.compile(r"(?:file:/{1,3}|(?<![\w/.:])/)([^\n]*?\.(?:parquet|json|crc|db))\b")
_STORED_FILE = re.compile(r"(?:s3a|hdfs)://[\w./=%:+-]+\.(?:parquet|json|crc)\b")
_WRITING = re.compile(
    r"TASK_WRITE_FAILED|Mkdirs failed|DELTA_CANNOT_CREATE_LOG_PATH|open database|readonly database"
)
_LOST_EXECUTOR = (
    "CHECKPOINT_RDD_BLOCK_ID_NOT_FOUND",  # what `localCheckpoint` kept there
    "ExecutorLostFailure",
)
_MEMORY_OF_EXECUTOR = re.compile(r"executor \d+\)?:? .*OutOfMemoryError|exited with code 52")
_MEMORY_OF_PYTHON = re.compile(r"(?<!OutOf)MemoryError|failed to map segment|[Cc]an(?:no|')t allocate memory")
_DEAD_PYTHON = "Python worker exited unexpectedly"
_DEAD_JVM = (
    "Py4JNetworkError",
    "Answer from Java side is empty",
    "Error while sending or receiving",
    "Java gateway process exited",
    "Connection refused",
    "Connection reset by peer",
)
_UNREADABLE = re.compile(
    r"FAILED_READ_FILE|[Pp]arquet|[Cc]orrupt|snappy|Unexpected end of stream|Couldn't deserialize thrift"
)
_BROKEN_PAGE = re.compile(r"Corrupt snappy|thrift|Unexpected end of stream")
_LOST = re.compile(r"FileNotFoundError|FILE_NOT_EXIST|No such file")
_WRITER_FEATURES = re.compile(r"Unsupported table features required: \[(.*?)\]")
_LOG_FAULT = re.compile(
    r"DELTA_VERSIONS_NOT_CONTIGUOUS|DELTA_TRUNCATED_TRANSACTION_LOG|DELTA_STATE_RECOVER_ERROR|DELTA_TABLE_NOT_FOUND"
    r"|Cannot time travel|[Kk]ernel error|Json error|Invalid Checkpoint|LogSegment|InvalidJsonLine|_delta_log"
)


@dataclass(frozen=True)
class _Fault:
    """An error and what is known about it."""

    text: str  # of the error and its causes, with the stack traces of the JVM
    table: str | None
    folder: Place | None  # of the table
    file: Place | None  # the first file that the text names

    @property
    def place(self) -> str:
        return self.table or (name_of(self.file) if self.file else "the warehouse")

    @property
    def local(self) -> Path | None:
        """The table's folder, else that of the file, if it is on this machine."""
        found = self.folder or (self.file and self.file.parent)
        return found if isinstance(found, Path) else None

    def has(self, *words: str) -> bool:
        return any(word in self.text for word in words)


@contextmanager
def explained(table: str | None = None, folder: Place | None = None) -> Iterator[None]:
    """Turn faults of the infrastructure inside the block into one-line errors about a table.

    Args:
        table: name of the table, or of another thing that has a folder, such as "model registry".
        folder: its folder, which is looked at for what the error does not say.

    Raises:
        LamplighterError: a fault that `explain` knows; any other error is raised as it is.
    """
    try:
        yield
    except LamplighterError:
        raise
    except Exception as error:
        fault = explain(error, table, folder)
        if fault is None:
            raise
        raise fault from error


def explain(
    error: BaseException, table: str | None = None, folder: Place | None = None
) -> LamplighterError | None:
    """Return what an error of Spark, delta-rs, pyarrow or SQLite means here, in one line; None if unknown.

    A LamplighterError is returned as it is.

    Args:
        error: what was raised.
        table: name of the table at work, if the error names no other by a path.
        folder: its folder.
    """
    if isinstance(error, LamplighterError):
        return error
    text = _text_of(error)
    file = _file_in(text) or _file_of(folder, text)
    named = _table_folder(file) if file is not None else None
    if named is not None and named != folder:  # a table that the block reads, not the one that it is about
        table, folder = named.name, named
    fault = _Fault(text, table, folder, file)
    for rule in (_object_store, _disk, _python, _jvm, _registry, _writer_features, _log, _data_file, _race):
        message = rule(error, fault)
        if message is not None:
            return LamplighterError(message)
    return None


# --- one rule per kind of fault, most certain first -----------------------------------------------


def _object_store(error: BaseException, fault: _Fault) -> str | None:
    """Without its classes, keys or bucket, or without an answer."""
    where = fault.folder or fault.file
    remote = None if where is None or isinstance(where, Path) else name_of(where)
    return of_object_store(fault.text, fault.place, remote)


def _race(error: BaseException, fault: _Fault) -> str | None:
    """Another writer was faster."""
    return of_a_race(fault.text, fault.place)


def _disk(error: BaseException, fault: _Fault) -> str | None:
    """Full, read-only, or not ours."""
    if fault.has("No space left on device", "database or disk is full", "Disk quota exceeded"):
        return _full(fault)
    if fault.has("Read-only file system", "ReadOnlyFilesystem"):
        return _read_only(fault)
    if fault.has("Permission denied", "PermissionDenied", "AccessDeniedException"):
        return _denied(fault)
    if fault.has("Not a directory"):
        return _no_folder(fault)
    if _WRITING.search(fault.text):  # says that writing failed, and not why
        reasons: dict[int | None, Callable[[_Fault], str]] = {
            errno.ENOSPC: _full,
            errno.EROFS: _read_only,
            errno.EACCES: _denied,
        }
        reason = reasons.get(_errno_of_writing(fault.local))
        return reason(fault) if reason else None
    return None


def _full(fault: _Fault) -> str:
    folder = _existing(fault.local)
    free = f"; {shutil.disk_usage(folder).free // 2**20:,} MB are free at {folder}" if folder else ""
    return (
        f"{fault.place}: the disk is full{free}; nothing was committed. Free space there, or in Spark's "
        "scratch folder (SPARK_LOCAL_DIRS, default /tmp), then run again"
    )


def _read_only(fault: _Fault) -> str:
    where = fault.folder or fault.file or "its folder"
    return (
        f"{fault.place}: {where} is on a read-only file system; nothing was committed. Mount it for writing, "
        "or set the path in the configuration (paths.*) to a folder that can be written, then run again"
    )


def _denied(fault: _Fault) -> str:
    where = fault.file or fault.folder or "its folder"
    return f"{fault.place}: no permission on {where}; nothing was committed. Allow this user, then run again"


def _no_folder(fault: _Fault) -> str:
    path = next((each for each in (fault.file, fault.folder) if isinstance(each, Path)), Path("/"))
    wrong = next((each for each in reversed((path, *path.parents)) if each.is_file()), path)
    return (
        f"{fault.place}: {wrong} is a file; expected a folder; nothing was committed. Move the file away, or "
        "set the path in the configuration (paths.*) to a folder, then run again"
    )


def _python(error: BaseException, fault: _Fault) -> str | None:
    """A Python worker of Spark that is out of memory, or gone."""
    if fault.has(_DEAD_PYTHON):
        what = "a Python worker was killed, or crashed (for lack of memory: see the kernel's log there)"
    elif "PythonException" in fault.text and _MEMORY_OF_PYTHON.search(fault.text):
        what = "a Python worker ran out of memory"
    else:
        return None
    return (
        f"{fault.table or 'Spark'}: {what}; nothing was committed. There is one per core: give executors "
        "fewer cores or more memory (spark.executor.cores, .memoryOverhead, .pyspark.memory; on one machine "
        "lower runtime.cores), then run again"
    )


def _jvm(error: BaseException, fault: _Fault) -> str | None:
    """Out of memory, or gone."""
    if _MEMORY_OF_EXECUTOR.search(fault.text):
        return (
            f"{fault.table or 'Spark'}: an executor ran out of memory; nothing was committed. Raise "
            "spark.executor.memory, or lower spark.executor.cores, then run again"
        )
    if fault.has(*_LOST_EXECUTOR):
        return (
            f"{fault.table or 'Spark'}: an executor was lost, and the rows that it kept (killed, its machine "
            "gone, or out of memory: its worker's log says which); nothing was committed. Run again; for "
            "lack of memory, raise spark.executor.memory or spark.executor.memoryOverhead"
        )
    if fault.has("OutOfMemoryError"):
        return (
            f"{fault.table or 'Spark'}: the JVM ran out of memory; nothing was committed. Raise "
            "runtime.driver_memory (spark-submit: --driver-memory) or lower runtime.cores, then run again"
        )
    is_of_py4j = type(error).__module__.startswith("py4j")
    is_of_its_socket = isinstance(error, OSError | EOFError) and _has_gateway()
    if (is_of_py4j or is_of_its_socket) and fault.has(*_DEAD_JVM):
        return (
            f"{fault.table or 'Spark'}: Spark's JVM has died (killed, or for lack of memory: see the "
            "kernel's log); nothing was committed. Run again; if it dies again, lower runtime.driver_memory "
            "or runtime.cores"
        )
    return None


def _registry(error: BaseException, fault: _Fault) -> str | None:
    """MLflow's database."""
    is_of_database = any(name in fault.text for name in ("sqlite3.", "sqlalchemy.", "alembic."))
    if not is_of_database and not fault.has("MlflowException"):
        return None
    file = fault.folder if fault.folder and fault.folder.suffix == ".db" else fault.file
    reasons = {
        "not a database": "no database",
        "malformed": "the database is cut off or overwritten",
        "readonly database": "the database was replaced while it was in use",
        "no such table": "the database lacks a table",
    }
    reason = next((reason for words, reason in reasons.items() if words in fault.text), "cannot be opened")
    return (
        f"model registry: {file or 'registry.db'}: {reason}; expected MLflow's SQLite database. It only "
        "mirrors the bundles: move the file away, and the next command writes it again"
    )


def _writer_features(error: BaseException, fault: _Fault) -> str | None:
    """Features that delta-rs cannot write with; what it calls Unknown(...) has its name in it."""
    found = _WRITER_FEATURES.search(fault.text)
    if found is None or fault.folder is None:
        return None
    names = set(re.findall(r"\w+", found[1])) - {"Unknown"}
    return foreign_features(fault.place, "writer", names, uri_of(fault.folder))


def _log(error: BaseException, fault: _Fault) -> str | None:
    """The Delta log: of another program, gone, cut off at its end, with a gap, with a broken file."""
    if not _LOG_FAULT.search(fault.text) or fault.folder is None:
        return None
    if features := reader_features(fault.folder) - HARMLESS_FEATURES:
        return foreign_features(fault.place, "reader", features, uri_of(fault.folder))
    found = wrong_in_log(fault.folder, fault.text, fault.file)
    if found is None:
        return None
    remedy = remedies.of_log(fault.table, fault.folder, found.last_commit)
    log = name_of(fault.folder / "_delta_log")
    return f"{fault.place}: {found.text} in {log}; expected the whole log. {remedy}"


def _data_file(error: BaseException, fault: _Fault) -> str | None:
    """A Parquet file of a table or of a source: lost, cut off, or overwritten."""
    file = fault.file if fault.file and fault.file.suffix == ".parquet" else None
    if file is None and fault.folder is not None and _BROKEN_PAGE.search(fault.text):
        file = _unreadable_file(fault.folder)  # pyarrow does not name it
    if file is None or not (_LOST.search(fault.text) or _UNREADABLE.search(fault.text)):
        return None
    state = "is cut off or overwritten and cannot be read" if file.exists() else "is missing"
    if fault.folder is None:
        return f"source file {name_of(file)} {state}; restore it, then run again"
    day = re.search(r"data_date=(\d{4}-\d{2}-\d{2})", str(file))
    remedy = remedies.of_data_file(fault.table, fault.folder, file, day and day[1])
    expected = "expected every file that the table's log names"
    return f"{fault.table}: data file {name_of(file)} {state}; {expected}. {remedy}"


# --- what an error says, and what the file system says --------------------------------------------


def _text_of(error: BaseException) -> str:
    parts: list[str] = []
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        seen.add(id(each))
        kind = type(each)
        try:
            text = str(each)
        except Exception:  # noqa: BLE001  # Py4J asks the JVM for the text, and the JVM may have died
            text = "Py4JNetworkError"
        parts += [
            f"{kind.__module__}.{kind.__qualname__}: {text}",
            str(getattr(each, "_stackTrace", "") or ""),
        ]
        each = each.__cause__ or each.__context__
    return "\n".join(parts)


def _file_in(text: str) -> Place | None:
    if found := _OS_ERROR.search(text):
        return Path(found[2] or found[1])
    if found := _STORED_FILE.search(text):
        return place(unquote(found[0]))
    found = _FILE.search(text)
    if found is None:
        return None
    plain = Path("/" + found[1])
    decoded = Path(unquote(str(plain)))  # Spark names files as URIs, with or without percent-encoding
    return decoded if decoded.parent.exists() else plain


def _file_of(folder: Place | None, text: str) -> Place | None:
    """The first file of a table that a text names as pyarrow does: without the scheme of its store."""
    if folder is None or isinstance(folder, Path):
        return None
    found = re.search(rf"{re.escape(folder.path)}/([\w./=%:+-]+\.parquet)\b", text)
    return folder / found[1] if found else None


def _table_folder(file: Place) -> Place | None:
    """The Delta table that a file belongs to."""
    if "_delta_log" in file.parts:
        return next(folder.parent for folder in file.parents if folder.name == "_delta_log")
    return next((folder for folder in file.parents if (folder / "_delta_log").is_dir()), None)


def _unreadable_file(folder: Place) -> Place | None:
    """The first file of a table that cannot be read. Cost: reads the table."""
    for file in sorted(folder.glob("**/*.parquet"), key=by_parts):
        path, files = arrow_path(file)
        try:
            for _ in pq.ParquetFile(path, filesystem=files).iter_batches():
                pass
        except (pa.ArrowException, OSError):
            return file
    return None


def _has_gateway() -> bool:
    """Whether this process has talked to a JVM; without one, a refused connection is another program's."""
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.SparkContext._gateway is not None


def _existing(folder: Path | None) -> Path | None:
    """The folder, or the nearest one above that exists."""
    return (
        None if folder is None else next((each for each in (folder, *folder.parents) if each.is_dir()), None)
    )


def _errno_of_writing(folder: Path | None) -> int | None:
    """What the file system says to a new file; None where it allows one."""
    place = _existing(folder)
    if place is None:
        return None
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(65536))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return error.errno
    return None
