"""A small platform: one configuration, builders of rows, and the chain from events to examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession

from core.schema import Config
from features.attributes import with_attributes
from features.cohorts import to_cohorts
from features.entities import to_known_keys
from features.examples import to_examples
from features.groups import with_group_key
from features.tiles import to_daily_tiles
from features.windows import no_state, to_cross_features, to_features

CONFIG = """
dataset: small
paths: {warehouse: warehouse, reports: reports}
runtime: {spark: {}, lock_wait_seconds: 1}
source:
  root: data
  time_zone: Asia/Shanghai
  events:
    path: "{data_date}.parquet"
    event_id: [user, video, time_ms]
    lateness_days: 1
    keep: [play_seconds DESC, tab]
    columns:
      user_id: {from: user, type: bigint}
      item_id: {from: video, type: bigint}
      event_time: {from: timestamp_millis(time_ms), type: timestamp}
      tab: {from: tab, type: int}
  users:
    path: users.parquet
    key: user
    snapshot_date: undated
    columns: {user_city: {from: city, type: string}, user_age: {from: age, type: int}}
  items:
    path: items.parquet
    key: video
    snapshot_date: undated
    columns: {item_tag: {from: tag, type: string}}
behaviours:
  is_click: {from: click, kind: binary}
  play_seconds: {from: play_ms / 1000, kind: seconds}
exposure: impression_count
features:
  user:
    aggregates:
      - {name: impression_count, agg: count, windows: [1d, 3d, all]}
      - {name: click_count, agg: sum, of: is_click, windows: [3d, all]}
      - {name: tab_1_count, agg: count, where: tab = 1, windows: [3d]}
      - {name: play_seconds, agg: sum, of: play_seconds, windows: [3d, all]}
      - {name: longest_click_seconds, agg: max, of: play_seconds, where: is_click = 1, windows: [3d, all]}
      - {name: lowest_tab, agg: min, of: tab, windows: [1d, all]}
    rates:
      - {name: click_rate, of: click_count, per: impression_count, windows: [3d, all]}
      - {name: smooth_rate, of: click_count, per: impression_count, windows: [3d],
         smoothing: {prior: 0.3, strength: 7}}
    attributes: [user_city, user_age]
  item:
    aggregates:
      - {name: impression_count, agg: count, windows: [1d, 3d, all]}
      - {name: click_count, agg: sum, of: is_click, windows: [3d]}
    rates: [{name: click_rate, of: click_count, per: impression_count, windows: [3d]}]
    attributes: [item_tag]
cohorts:
  user:
    version: 2
    rules:
      - {name: new, when: user_impression_count_all <= 3}
      - {name: low, when: user_impression_count_all <= 6}
    default: high
    rollups: {old: [low, high]}
  item:
    version: 1
    rules: [{name: new, when: item_is_never_seen OR item_impression_count_all <= 5}]
    default: old
inputs:
  vocabulary_min_count: 2
  vocabulary_max_size: 3
  categorical:
    - {column: item_id, hash_size: 100, dim: 2}
    - {column: item_tag, dim: 2}
    - {column: user_city, dim: 2}
    - {column: tab, dim: 2}
  dense:
    - {column: user_is_never_seen}
    - {column: user_recency_days, transform: log1p}
    - {column: user_impression_count_3d, transform: log1p}
    - {column: user_play_seconds_all, transform: log1p}
    - {column: user_click_rate_all}
    - {column: item_impression_count_all}
    - {column: item_click_rate_3d}
tasks:
  - {name: click, label: is_click = 1, kind: binary}
  - {name: play, label: play_seconds, kind: regression, where: is_click = 1}
training:
  first_data_date: 2022-05-01
  anchor: 2022-05-08
  every_days: 7
  window_days: 5
  validation_days: 1
  block_rows: 8
  shards: 4
  ranks: 2
  distributed: single
  reader: pyarrow
  seed: 17
evaluation: {replicates: 2, min_class_count: 1}
promotion:
  {primary_tasks: [click], metric: auc, regression_metric: mse, margin: {auc: 0.001, mse: 0.001},
   cell_margin: {auc: 0.01, mse: 0.05},
   min_users: 1, seed_std: {auc: 0.001, mse: 0.01}}
audits:
  {days_before: 7, least_of_mean: 0.05, most_unknown_share: 0.5, most_same_top_share: 0.5,
   most_seen_share: 0.1}
baselines: {group: item_tag, strength: 5, window: 3d}
lists:
  home:
    context: {tab: 1}
    pool:
      - {source: most_shown, items: 3, window: 3d}
      - {source: newest, items: 2}
    ranking: {click: 1.0}
    top_k: 2
suites: {}
model:
  name: none
  architecture: ple
  trunk: {}
  tower: [4]
  loss: {normalise: per_task}
  optimiser: {learning_rate: 0.1, batch_rows: 8, max_epochs: 1, patience: 1}
"""

EVENTS = """event_id string, user_id bigint, item_id bigint, event_time timestamp, tab int,
    is_click tinyint, play_seconds decimal(12,3), data_date date"""
USERS = "user_id bigint, valid_from date, valid_to date, user_city string, user_age int"
ITEMS = "item_id bigint, valid_from date, valid_to date, item_tag string"
EVER = date(1900, 1, 1)


def small_config() -> Config:
    return Config.model_validate(yaml.safe_load(CONFIG))


def may(day: int, hour: int = 12) -> datetime:
    """A time in May 2022, UTC; before 16:00 it is the same day in Shanghai."""
    return datetime(2022, 5, day, hour, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """One accepted event, as plain values."""

    user: int
    item: int
    day: int
    click: int = 0
    seconds: str = "0"
    tab: int = 0
    hour: int = 12
    number: int = 0

    @property
    def data_date(self) -> date:
        return date(2022, 5, self.day)

    @property
    def event_id(self) -> str:
        return f"{self.user}:{self.item}:{self.day}:{self.hour}:{self.number}"

    def row(self) -> tuple[Any, ...]:
        return (
            self.event_id,
            self.user,
            self.item,
            may(self.day, self.hour),
            self.tab,
            self.click,
            Decimal(self.seconds),
            self.data_date,
        )


def to_frame(spark: SparkSession, events: Iterable[Event]) -> DataFrame:
    return spark.createDataFrame([event.row() for event in events], EVENTS)


def rows_of(frame: DataFrame, *order: str) -> list[dict[str, Any]]:
    """The rows as dicts, sorted here by `order`, so that a test compares plain values."""
    rows = [row.asDict() for row in frame.collect()]
    return sorted(rows, key=lambda row: [row[name] for name in order])


@dataclass(frozen=True)
class Tables:
    """What one range of nights leaves."""

    user_features: DataFrame
    item_features: DataFrame
    user_cohorts: DataFrame
    item_cohorts: DataFrame
    groups: dict[str, DataFrame]
    examples: DataFrame


def build(
    events: DataFrame, users: DataFrame, items: DataFrame, config: Config, first: date, last: date
) -> Tables:
    """Features and cohorts as of first .. last, examples of the days after; all events are given."""

    known = events
    for entity, entities in (("user", users), ("item", items)):
        attributes = list(config.features.groups[entity].attributes)
        known = with_attributes(known, entities, attributes, f"{entity}_id")

    def features_of(group: str, entities: DataFrame | None = None) -> DataFrame:
        declared = config.features.groups[group]
        keyed = known if declared.key is None else with_group_key(known, declared, group)
        tiles = to_daily_tiles(keyed, group, declared, config.behaviours)
        if declared.is_cross:
            return to_cross_features(tiles, declared, group, first, last).localCheckpoint()
        state = no_state(tiles, declared, group)
        keys = to_known_keys(entities, tiles.where(tiles.data_date <= last), state, group, first, last)
        return to_features(keys, tiles, state, entities, declared, group, first, last).localCheckpoint()

    users_as_of, items_as_of = features_of("user", users), features_of("item", items)
    groups = {group: features_of(group) for group in config.features.keyed}
    user_cohorts = to_cohorts(users_as_of, config.cohorts.user, "user")
    item_cohorts = to_cohorts(items_as_of, config.cohorts.item, "item")
    following = events.where(events.data_date.between(first + timedelta(days=1), last + timedelta(days=1)))
    examples = to_examples(following, users_as_of, items_as_of, user_cohorts, item_cohorts, groups, config)
    return Tables(users_as_of, items_as_of, user_cohorts, item_cohorts, groups, examples.localCheckpoint())
