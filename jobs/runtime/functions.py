"""Functions of the project: loaded from its files, and carried to Spark's workers by value."""

import importlib.util
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.cloudpickle import register_pickle_by_value
from pyspark.sql import DataFrame

from core.derived import Derived
from core.errors import LamplighterError
from features.derived import EventFunction, with_derived

if TYPE_CHECKING:
    from jobs.runtime.run import Run


def with_functions(run: "Run", events: DataFrame, dates: Sequence[date]) -> DataFrame:
    """Add the columns that functions of the project derive from events; nothing where none is declared.

    Args:
        run: with the declarations.
        events: accepted events.
        dates: their data dates.

    Raises:
        LamplighterError: a function returns an event more than once.
    """
    if not run.config.derived:
        return events
    events = run.compute(events)
    functions = {name: load_function(each, run.folder) for name, each in run.config.derived.items()}
    found = run.compute(with_derived(events, run.config.derived, functions, dates))
    if more := found.count() - events.count():
        calls = ", ".join(each.call for each in run.config.derived.values())
        raise LamplighterError(
            f"derived: {calls} returned {more} rows beyond one per event_id; return each event once at most"
        )
    return found


def load_function(derived: Derived, folder: Path) -> EventFunction:
    """Return the function that a declaration names; the loader has checked that it is there.

    Files of its folder can be imported by their names.

    Args:
        derived: the declaration.
        folder: the project's.
    """
    file = (folder / derived.file).resolve()
    spec = importlib.util.spec_from_file_location(f"project_functions_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    register_pickle_by_value(module)  # type: ignore[no-untyped-call]  # pyspark has no types for it
    function: EventFunction = getattr(module, derived.function)
    return function
