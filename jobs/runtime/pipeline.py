"""All jobs in the order of the night, as it follows from their declarations."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any

import jobs
from core.errors import LamplighterError
from jobs.runtime.job import RANGE, Job


@cache
def all_jobs() -> Mapping[str, Job]:
    """Return name -> job of every file in jobs/, in the order of the night.

    A job comes after those that write what it reads, and after those that it names in `after`; where
    neither decides, names are in alphabetical order.

    Raises:
        LamplighterError: the declarations contradict each other.
    """
    found: dict[str, Job] = {}
    for module in pkgutil.iter_modules(jobs.__path__):
        if not module.ispkg:
            declared = getattr(importlib.import_module(f"jobs.{module.name}"), module.name, None)
            if isinstance(declared, Job):
                found[module.name] = declared
    order = night_order(found)
    return MappingProxyType({name: found[name] for name in order})


def night_order(declared: Mapping[str, Job]) -> tuple[str, ...]:
    """Return the names of jobs in the order in which a night runs them.

    Raises:
        LamplighterError: two jobs write one table, or jobs wait for each other.
    """
    sorter: TopologicalSorter[str] = TopologicalSorter(jobs_before(declared))
    try:
        sorter.prepare()
    except CycleError as error:
        raise LamplighterError(
            f"jobs wait for each other: {' -> '.join(error.args[1])}; change reads, writes or after"
        ) from error
    order: list[str] = []
    ready = sorted(sorter.get_ready())
    while ready:
        name = ready.pop(0)
        order.append(name)
        sorter.done(name)
        ready = sorted([*ready, *sorter.get_ready()])
    return tuple(order)


def jobs_before(declared: Mapping[str, Job]) -> dict[str, set[str]]:
    """Return job -> the jobs that come before it: the edges of the night."""
    producers = writers(declared)
    before: dict[str, set[str]] = {}
    for job in declared.values():
        tables = [read.table for read in job.reads if read.is_of_tonight]
        tables += [table.replace("{entity}", "{group}") for table in tables]  # users and items are groups
        read_from = {producers[table] for table in tables if table in producers}
        before[job.name] = (read_from | set(job.after)) - {job.name}
    return before


def writers(declared: Mapping[str, Job]) -> dict[str, str]:
    """Return table, as it is declared, -> the one job that writes it.

    Raises:
        LamplighterError: a table has two.
    """
    found: dict[str, str] = {}
    for job in declared.values():
        for table in job.writes:
            if table in found:
                raise LamplighterError(
                    f"{table} is written by {found[table]} and {job.name}; expected one job per table"
                )
            found[table] = job.name
    return found


def data_steps() -> tuple[str, ...]:
    """Return the jobs that take a range of data dates: what a history builds, and what late rows repair."""
    return tuple(job.name for job in all_jobs().values() if job.dates is RANGE)


def description() -> list[dict[str, Any]]:
    """Return what other programs need to know of the jobs: the content of dags/jobs.json."""
    before = jobs_before(all_jobs())
    return [
        {
            "name": job.name,
            "after": sorted(before[job.name], key=list(all_jobs()).index),
            "dates": job.dates.value,
            "flags": list(job.flags),
            "training": job.is_training,
            "per_model": job.is_per_model,
            "reads": [{"table": read.table, "when": read.when} for read in job.reads],
            "writes": list(job.writes),
            "config": list(job.config),
        }
        for job in all_jobs().values()
    ]
