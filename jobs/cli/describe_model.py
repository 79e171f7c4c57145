"""What `lamplighter describe-model` shows: a model YAML's shapes, parameters, FLOPs and picture.

No Spark, no warehouse, no memory for weights: everything follows from the configuration.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from rich.console import Group
from rich.table import Table as Sheet
from rich.text import Text

from core.columns import input_sides
from core.errors import ConfigError
from core.load import load_config
from core.schema import Config
from features.arrivals import with_history
from models.describe.mermaid import to_mermaid
from models.describe.shapes import Description, ModelPart, describe, flops_of, largest_encoder, parameters_of
from models.model import build_model

_FLOPS = (
    "FLOPs: one row's forward pass through all cells, matrix products only, a multiplication and an addition "
    "counted as two. Mixing: weighted sums of experts by gates, of layers by sluice's beta, counted alike."
)


def describe_config(
    config: Config, tasks: Sequence[str], cohorts: Mapping[str, Sequence[str]]
) -> Description:
    """Describe the configured model for some tasks, and values of the cohort columns.

    Raises:
        ConfigError: the architecture cannot read `model.trunk`, or does not know a name in it.
    """
    encoder = with_history(largest_encoder(config.inputs, input_sides(config)), config)
    with torch.device("meta"):  # shapes only: tables of any size cost nothing
        model = build_model(config.model, encoder, tasks, cohorts, config.training.seed)
    return describe(model)


def describe_file(
    file: str, dataset: str, settings: Sequence[str] = (), folder: Path | None = None
) -> tuple[Config, Description]:
    """Read and describe a model YAML that is named (conf/models) or given by its path.

    Args:
        file: name or path.
        dataset: name of a file in conf/datasets.
        settings: `a.b=c` each.
        folder: the project's folder; None: the one that holds the code.

    Raises:
        ConfigError: with the file that was given.
    """
    is_path = file.endswith((".yaml", ".yml")) or "/" in file
    model = str(Path(file).resolve()) if is_path else file
    config = load_config(dataset, model=model, overrides=settings, folder=folder)
    try:
        return config, describe_config(config, [task.name for task in config.tasks], cohorts_of(config))
    except ConfigError as error:  # the builder knows the model's name, and not where its file lies
        fault = str(error).removeprefix(f"conf/models/{config.model.name}.yaml: ")
        raise ConfigError(f"{file}: {fault}") from error


def cohorts_of(config: Config) -> dict[str, Sequence[str]]:
    """Return the values of each cohort column."""
    return {column: cohorts.names for column, cohorts in config.cohorts.by_column.items()}


def picture(found: Description) -> str:
    """Return the Mermaid text of a model's picture."""
    return to_mermaid(found.graph, {part.name: part.shape for part in found.parts})


def trunk_and_towers(found: Description) -> tuple[list[ModelPart], list[ModelPart]]:
    """Tell the trunk's parts from the towers."""
    towers = [part for part in found.parts if part.kind == "tower"]
    return [part for part in found.parts if part.kind != "tower"], towers


def description_sheet(config: Config, found: Description) -> Group:
    """Lay a description out as text."""
    sheet = Sheet(box=None, pad_edge=False)
    sheet.add_column("part", overflow="fold")
    for column in ("shape", "parameters", "FLOPs", "mixing"):
        sheet.add_column(column, justify="right")
    trunk, towers = trunk_and_towers(found)
    bounded = {f"input.tables.{c.table_name}_table" for c in config.inputs.categorical if not c.hash_size}
    for name, parts in (("embeddings", found.tables), ("trunk", trunk), ("towers", towers)):
        for part in parts:
            shape = f"up to {part.shape}" if part.name in bounded else part.shape
            sheet.add_row(part.name, shape, *_numbers([part]))
        sheet.add_row(f"all {name}", "", *_numbers(parts), style="bold", end_section=True)
    sheet.add_row("the model", "", *_numbers((*found.tables, *found.parts)), style="bold")
    return Group(Text(_headline(config, found)), Text(), sheet, Text(), *map(Text, _notes(config, found)))


def _headline(config: Config, found: Description) -> str:
    tasks = ", ".join(task.name for task in config.tasks)
    groups = "" if set(found.needed_by_group) == {"all"} else f"; groups {', '.join(found.needed_by_group)}"
    return (
        f"{config.model.name} (architecture {config.model.architecture}) on {config.dataset}: "
        f"tasks {tasks}{groups}; input vector of {found.input_width}"
    )


def _notes(config: Config, found: Description) -> list[str]:
    notes = [_FLOPS]
    every, _ = flops_of(found.parts)
    for group in found.needed_by_group:
        if group != "all":
            own, mixing = flops_of(found.needed_for(group))
            notes.append(
                f"One group alone, as scoring runs it: {group} {own:,} FLOPs "
                f"({own / every:.0%} of all cells'), mixing {mixing:,}."
            )
    if any(not c.hash_size for c in config.inputs.categorical):
        notes.append(
            f'"up to": a vocabulary is fitted to data and has at most {config.inputs.vocabulary_max_size:,} '
            "values (inputs.vocabulary_max_size) and a row for all others; counted is the largest."
        )
    return notes


def _numbers(parts: Iterable[ModelPart]) -> list[str]:
    parts = list(parts)
    return [f"{number:,}" for number in (parameters_of(parts), *flops_of(parts))]
