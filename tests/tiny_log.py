"""A log of a few rows, whose files are delivered one by one: CSV, any number of files per data date.

`write_tiny_project(folder)` writes a project without any file of the log; `deliver` and `withdraw` change
what the source offers. A row is (user, item, time, clicked); the horizon of late rows is one day.
"""

import shutil
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path

NAME = "tiny"
DAYS = (date(2024, 2, 27), date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1))  # a leap day
LATENESS_DAYS = 1
Row = tuple[str, str, datetime, int | str]

DATASET = """
dataset: tiny
source:
  root: data
  time_zone: UTC
  events:
    path: log/{data_date}
    format: csv
    event_id: [user, item, at]
    lateness_days: 1
    max_failing_share: 1.0
    keep: [is_click DESC]
    columns:
      user_id: {from: user, type: string}
      item_id: {from: item, type: string}
      event_time: {from: at, type: timestamp}
behaviours:
  is_click: {from: clicked, kind: binary}
exposure: view_count
features:
  user:
    aggregates:
      - {name: view_count, agg: count, windows: [2d, all]}
      - {name: click_count, agg: sum, of: is_click, windows: [2d, all]}
    rates:
      - {name: click_rate, of: click_count, per: view_count, windows: [all]}
  item:
    aggregates:
      - {name: view_count, agg: count, windows: [2d, all]}
cohorts:
  user:
    version: 1
    rules: [{name: guest, when: user_view_count_all < 3}]
    default: regular
  item:
    version: 1
    rules: [{name: fresh, when: item_view_count_all < 3}]
    default: known
inputs:
  vocabulary_min_count: 1
  vocabulary_max_size: 50
  categorical: [{column: item_id, hash_size: 64, dim: 4}]
  dense: [{column: user_view_count_all, transform: log1p}]
tasks:
  - {name: click, label: is_click = 1, kind: binary}
training:
  first_data_date: 2024-02-28
  anchor: 2024-03-20
  every_days: 7
  window_days: 2
  validation_days: 1
  block_rows: 32
  shards: 2
  ranks: 1
  distributed: single
  reader: pyarrow
  seed: 5
evaluation: {replicates: 20, min_class_count: 3}
promotion: {primary_tasks: [click]}
audits: {least_of_mean: 0.0}
baselines: {group: item_id, strength: 10, window: 2d}
lists:
  home:
    context: {}
    pool:
      - {source: most_shown, items: 5, window: 2d}
      - {source: newest, items: 2}
    ranking: {click: 1.0}
    top_k: 2
"""


def write_tiny_project(folder: Path) -> Path:
    """Write conf/ of this checkout with the data set added, and an empty log; return the folder."""
    shutil.copytree(Path(__file__).parents[1] / "conf", folder / "conf")
    (folder / "conf" / "datasets" / f"{NAME}.yaml").write_text(DATASET, encoding="utf-8")
    (folder / "data" / "log").mkdir(parents=True)
    return folder


def deliver(folder: Path, day: date, name: str, rows: Sequence[Row]) -> Path:
    """Write a file of the log, in place of one of this name and date."""
    file = folder / "data" / "log" / str(day) / f"{name}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(["user,item,at,clicked", *_lines(rows)]) + "\n", encoding="utf-8")
    return file


def withdraw(folder: Path, day: date, name: str) -> None:
    """Take a file of the log away."""
    (folder / "data" / "log" / str(day) / f"{name}.csv").unlink(missing_ok=True)


def _lines(rows: Iterable[Row]) -> Iterable[str]:
    return (f"{user},{item},{at:%Y-%m-%d %H:%M:%S},{clicked}" for user, item, at, clicked in rows)
