"""Chains of tasks of which each can only follow another (buy after click): ESMM and AITM have them."""

from collections.abc import Mapping, Sequence

from core.errors import ConfigError
from core.schema import Task


def chains_of(after: Mapping[str, str], tasks: Sequence[str]) -> dict[str, list[str]]:
    """Return each task's chain: all tasks that it follows, the earliest first, and itself.

    Args:
        after: task -> the task that it can only follow.
        tasks: names of the outputs.

    Raises:
        ConfigError: `after` names what is no task, or is a cycle.
    """
    if unknown := sorted((set(after) | set(after.values())) - set(tasks)):
        raise ConfigError(f"after names {unknown}, but the outputs are {list(tasks)}")
    return {task: _chain(task, after) for task in tasks}


def check_binary(chains: Mapping[str, Sequence[str]], tasks: Sequence[Task]) -> None:
    """Check that all tasks in a chain of several are binary.

    Raises:
        ConfigError: a regression in a chain of several.
    """
    linked = {name for chain in chains.values() if len(chain) > 1 for name in chain}
    if wrong := [t.name for t in tasks if t.name in linked and t.kind != "binary"]:
        raise ConfigError(f"after names {wrong}, which are regressions; probabilities are linked there")


def _chain(task: str, after: Mapping[str, str]) -> list[str]:
    chain = [task]
    while (earlier := after.get(chain[-1])) is not None:
        if earlier in chain:
            raise ConfigError(f"after is a cycle: {' after '.join([*chain, earlier])}")
        chain.append(earlier)
    return chain[::-1]
