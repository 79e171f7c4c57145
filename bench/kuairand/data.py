"""Examples of KuaiRand-Pure in memory, made by the jobs in a warehouse of its own.

Training days are 04-29 .. 05-05, validation is 05-06, test days are 05-07 and 05-08, as in the demo.
The first call runs four jobs (minutes); later ones read what it left in build/, as long as neither code nor
configuration of the rows changes.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass, fields
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from bench.fit import Dataset
from core.columns import input_sides
from core.declared_config import hashes_of_keys
from core.encoder import CategoricalEncoding, Encoder
from core.load import PROJECT_DIR
from core.schema import Config
from features.arrivals import with_history
from features.encoding import encoded, fit_encoder
from jobs.runtime.arguments import Arguments
from jobs.runtime.code import hash_of
from jobs.runtime.project import Project
from models.training.reader import Rows

SETTINGS = ("paths.warehouse=warehouse/bench", "paths.reports=warehouse/bench/reports")
FIRST, LAST = date(2022, 4, 24), date(2022, 5, 8)
SPLITS = {
    "train": (date(2022, 4, 29), date(2022, 5, 5)),
    "validation": (date(2022, 5, 6), date(2022, 5, 6)),
    "test": (date(2022, 5, 7), LAST),
}


@dataclass(frozen=True)
class KuaiRand:
    """The data set.

    Attributes:
        data: training and validation rows, the user's cohort among their columns; the encoder knows which
            columns are made of a user's or an item's events.
        test: test rows.
        users, items: ids of each split's rows, split -> (n,).
    """

    data: Dataset
    test: Rows
    users: dict[str, NDArray[np.int64]]
    items: dict[str, NDArray[np.int64]]


@lru_cache(maxsize=1)
def kuairand() -> KuaiRand:
    """Return the data set; make it first if it does not exist yet."""
    project = Project(Arguments(FIRST, LAST, settings=SETTINGS))
    cache = _cache(project.config)
    if not cache.exists():
        _run_jobs()
        _export(project, cache)
    with np.load(cache) as file:
        arrays = {name: file[name] for name in file.files}
    cohorts = {
        "user_cohort": project.config.cohorts.user.names,
        "item_cohort": project.config.cohorts.item.names,
    }
    groups = cohorts["user_cohort"]
    encoder = with_history(Encoder.model_validate_json(str(arrays["encoder"])), project.config)
    cohort = CategoricalEncoding(column="user_cohort", kind="hash", size=1 + len(groups), dim=4)
    rows = {split: _with_cohort(_rows_of(arrays, split)) for split in SPLITS}
    return KuaiRand(
        data=Dataset(
            encoder=encoder.model_copy(update={"categorical": (*encoder.categorical, cohort)}),
            tasks=project.config.tasks,
            cohorts=cohorts,
            train=rows["train"],
            validation=rows["validation"],
        ),
        test=rows["test"],
        users={split: arrays[f"{split}_user_id"] for split in SPLITS},
        items={split: arrays[f"{split}_item_id"] for split in SPLITS},
    )


def _with_cohort(rows: Rows) -> Rows:
    values = {field.name: getattr(rows, field.name) for field in fields(Rows)}
    cohort_ids = rows.user_group.astype(np.int32) + 1
    return Rows(**values | {"categorical": np.column_stack([rows.categorical, cohort_ids])})


def _cache(config: Config) -> Path:
    """Return the path of the rows that this code and configuration make."""
    source = "".join(sorted(file.read_text() for file in (PROJECT_DIR / "features").glob("*.py")))
    keys = ("source.events", "source.users", "source.items", "features", "cohorts", "tasks", "inputs")
    made_from = hash_of(hashes_of_keys(config, keys)) + source + Path(__file__).read_text()
    return PROJECT_DIR / "build" / f"kuairand-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}.npz"


def _run_jobs() -> None:
    """Build everything up to the examples."""
    program = str(PROJECT_DIR / ".venv" / "bin" / "lamplighter")
    flags = [flag for setting in SETTINGS for flag in ("--set", setting)]
    print(f"history {FIRST}..{LAST}", file=sys.stderr, flush=True)
    command = [program, "history", "--data-date", f"{FIRST}..{LAST}", *flags]
    subprocess.run(command, cwd=PROJECT_DIR, check=True)


def _export(project: Project, cache: Path) -> None:
    """Fit the encoder on the training days, and write each split's rows as arrays."""
    examples = project.store.read(project.spark, "examples", project.store.version("examples"))
    splits = {name: examples.where(f"data_date BETWEEN '{a}' AND '{b}'") for name, (a, b) in SPLITS.items()}
    encoder = fit_encoder(splits["train"], project.config.inputs, input_sides(project.config))
    arrays: dict[str, NDArray[Any]] = {"encoder": np.array(encoder.model_dump_json())}
    for name, rows in splits.items():
        arrays |= {f"{name}_{key}": values for key, values in _arrays(rows, encoder, project.config).items()}
    cache.parent.mkdir(exist_ok=True)
    np.savez_compressed(cache, **arrays)
    project.spark.stop()


def _arrays(examples: DataFrame, encoder: Encoder, config: Config) -> dict[str, NDArray[Any]]:
    tasks = [task.name for task in config.tasks]
    columns = [f"{what}_{task}" for what in ("label", "mask") for task in tasks]
    frame: Any = (
        examples.select(
            "event_id",
            "user_id",
            "item_id",
            "user_cohort",
            "item_cohort",
            "weight",
            *columns,
            *encoded(examples, encoder),
        )
        .orderBy("event_id")
        .toPandas()
    )
    return {
        "user_id": frame["user_id"].to_numpy(dtype=np.int64),
        "item_id": frame["item_id"].to_numpy(dtype=np.int64),
        "categorical": frame[list(encoder.id_columns)].to_numpy(dtype=np.int32),
        "dense": frame[[f"dense_{d.column}" for d in encoder.dense]].to_numpy(dtype=np.float32),
        "labels": frame[[f"label_{task}" for task in tasks]].to_numpy(dtype=np.float32),
        "mask": frame[[f"mask_{task}" for task in tasks]].to_numpy(dtype=np.bool_),
        "weight": frame["weight"].to_numpy(dtype=np.float32),
        "user_group": frame["user_cohort"].map(config.cohorts.user.names.index).to_numpy(dtype=np.uint8),
        "item_group": frame["item_cohort"].map(config.cohorts.item.names.index).to_numpy(dtype=np.uint8),
    }


def _rows_of(arrays: dict[str, NDArray[Any]], split: str) -> Rows:
    return Rows(**{field.name: arrays[f"{split}_{field.name}"] for field in fields(Rows)})
