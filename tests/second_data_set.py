"""A data set of another shape than KuaiRand: readers of a small online library, Berlin time.

The log is compressed text with semicolons, several files in a folder per date; attributes are JSON lines. Ids
are strings with letters outside of ASCII and with ":", no column is called impression or click, a context
column is called `user_device`, one behaviour is in minutes, another a rating, times are text in Berlin time,
NA is null, and some values cannot be read.
`write_second_data_set(folder)` writes its files and its configuration into a project's folder.
"""

import csv
import gzip
import json
import random
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NAME = "library"
FIRST, LAST = date(2023, 3, 20), date(2023, 3, 27)  # summer time begins on the 26th
READERS = [f"Leser:{letter}{n}" for n in range(12) for letter in "äß東"]
BOOKS = [f"Büch{n:02d}" for n in range(25)]
GENRES = ["Märchen", "Krimi", "", None]
AUTHORS = ["Böll", "Żak;Böll", " Żak ; 東野", "", None]  # several of a book, between semicolons

DATASET = """
dataset: library
source:
  root: data/library
  time_zone: Europe/Berlin
  events:
    path: loans/{data_date:%Y/%m%d}
    format: csv
    options: {sep: ";"}
    nulls: [NA]
    event_id: [reader, book, opened_at]
    lateness_days: 1
    max_failing_share: 0.1
    keep: [reading_seconds DESC, shelf]
    columns:
      user_id: {from: reader, type: string}
      item_id: {from: book, type: string}
      event_time: {from: opened_at, type: timestamp, zone: Europe/Berlin}
      shelf: {from: shelf, type: int}
      user_device: {from: lower(device), type: string}
  users:
    path: readers.json
    format: json
    key: reader
    snapshot_date: undated
    columns:
      user_born: {from: born, type: int}
  items:
    path: books.parquet
    key: book
    snapshot_date: undated
    columns:
      item_genre: {from: genre, type: string}
      item_pages: {from: pages, type: int}
      item_authors: {from: authors, type: string}
behaviours:
  has_borrowed: {from: CASE WHEN borrowed = 'yes' THEN 1 WHEN borrowed = 'no' THEN 0 END, kind: binary}
  reading_seconds: {from: reading_minutes, kind: seconds, unit: min}
  stars: {from: stars, kind: number, range: [-1, 5], decimals: 1}
exposure: offer_count
features:
  user:
    aggregates:
      - {name: offer_count, agg: count, windows: [3d, all]}
      - {name: borrowed_count, agg: sum, of: has_borrowed, windows: [3d, all]}
      - {name: longest_seconds, agg: max, of: reading_seconds, windows: [all]}
      - {name: star_sum, agg: sum, of: stars, windows: [3d]}
      - {name: lowest_shelf, agg: min, of: shelf, windows: [3d]}
    rates:
      - {name: borrowing_rate, of: borrowed_count, per: offer_count, windows: [all]}
    attributes: [user_born]
  item:
    aggregates:
      - {name: offer_count, agg: count, windows: [2d, all]}
      - {name: reading_seconds, agg: sum, of: reading_seconds, windows: [2d]}
    attributes: [item_genre, item_pages, item_authors]
  genre:
    key: item_genre
    aggregates:
      - {name: offer_count, agg: count, windows: [2d, all]}
      - {name: mean_stars, agg: mean, of: stars, windows: [3d, all]}
      - {name: reader_count, agg: distinct, of: user_id, windows: [3d, all]}
      - {name: last_shelf, agg: last, of: shelf, windows: [all]}
    rates:
      - {name: offer_trend, of: offer_count, per: offer_count, windows: [2d], per_window: all}
  author:
    key: item_authors
    split: ";"
    aggregates:
      - {name: offer_count, agg: count, windows: [2d, all]}
      - {name: stars_variance, agg: variance, of: stars, windows: [3d, all]}
      - {name: top_shelves, agg: top_k, of: shelf, k: 2, windows: [3d, all]}
      - {name: last_devices, agg: last_k, of: user_device, k: 3, windows: [all]}
      - {name: borrowed_days, agg: recency, where: has_borrowed = 1, windows: [all]}
cohorts:
  user:
    version: 1
    rules: [{name: guest, when: user_offer_count_all < 4}]
    default: regular
  item:
    version: 1
    rules: [{name: fresh, when: item_offer_count_all < 6}]
    default: known
inputs:
  vocabulary_min_count: 1
  vocabulary_max_size: 50
  categorical:
    - {column: item_id, hash_size: 64, dim: 4}
    - {column: item_genre, dim: 2}
    - {column: user_device, dim: 2}
    - {column: shelf, dim: 2}
    - {column: author_top_shelves_3d, dim: 2, max_values: 2, table: shelf}
  dense:
    - {column: user_is_never_seen}
    - {column: user_offer_count_all, transform: log1p}
    - {column: user_borrowing_rate_all}
    - {column: user_born}
    - {column: item_offer_count_2d, transform: log1p}
    - {column: item_reading_seconds_2d, transform: quantile}
    - {column: item_pages, transform: log1p}
    - {column: genre_reader_count_3d, transform: log1p}
    - {column: genre_offer_trend_2d}
    - {column: author_stars_variance_all}
tasks:
  - {name: borrow, label: has_borrowed = 1, kind: binary}
  - {name: minutes, label: reading_seconds / 60, kind: regression, where: has_borrowed = 1, huber: 5.0}
training:
  first_data_date: 2023-03-21
  anchor: 2023-03-26
  every_days: 7
  window_days: 4
  validation_days: 1
  block_rows: 32
  shards: 2
  ranks: 1
  distributed: single
  reader: pyarrow
  seed: 5
evaluation: {replicates: 40, min_class_count: 3}
promotion: {primary_tasks: [borrow]}
baselines: {group: item_genre, strength: 10, window: 2d}
lists:
  home:
    context: {shelf: 1, user_device: phone}
    pool:
      - {source: most_shown, items: 15, window: 2d}
      - {source: newest, items: 3}
    ranking: {borrow: 1.0}
    top_k: 5
"""


def write_second_data_set(folder: Path, rows_per_day: int = 120) -> Path:
    """Write data/library, and conf/ of this checkout with the data set added, into a folder.

    Args:
        folder: the project's folder; `conf` is copied there unless it exists.
        rows_per_day: rows of a log file; about one in forty cannot be read somewhere.

    Returns:
        The folder: `load_config("library", folder=folder)`, FIRST to LAST.
    """
    conf = folder / "conf"
    if not conf.exists():
        shutil.copytree(Path(__file__).parents[1] / "conf", conf)
    (conf / "datasets" / f"{NAME}.yaml").write_text(DATASET, encoding="utf-8")

    chance = random.Random(11)
    data = folder / "data" / NAME
    (data / "loans").mkdir(parents=True, exist_ok=True)
    readers = [{"reader": r, "born": _born(chance)} for r in [*READERS, "Nie:gesehen", "", None]]
    lines = [json.dumps(reader, ensure_ascii=False) for reader in readers]
    (data / "readers.json").write_text("\n".join(lines), encoding="utf-8")
    _write(
        data / "books.parquet",
        [
            {
                "book": book,
                "genre": chance.choice(GENRES),
                "pages": str(chance.randint(20, 900)),
                "authors": AUTHORS[number % len(AUTHORS)],
            }
            for number, book in enumerate(BOOKS)
        ],
    )
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=number)
        rows = [_row(chance, day) for _ in range(rows_per_day)]
        rows[7] |= {"opened_at": f"{day - timedelta(days=1)} 11:11:11"}  # a day late
        folder_of_day = data / "loans" / f"{day:%Y/%m%d}"
        write_csv(folder_of_day / "part-0.csv.gz", rows[::2])
        write_csv(folder_of_day / "part-1.csv.gz", [*rows[1::2], rows[0]])  # one row twice
    return folder


def _row(chance: random.Random, day: date) -> dict[str, object]:
    opened = datetime(day.year, day.month, day.day, 8) + timedelta(seconds=chance.randint(0, 40_000))
    number = min(chance.randrange(len(BOOKS)), chance.randrange(len(BOOKS)))  # some books are offered more
    borrowed = chance.random() < 0.15 + 0.02 * number
    row: dict[str, object] = {
        "reader": chance.choice(READERS),
        "book": BOOKS[number],
        "opened_at": f"{opened:%Y-%m-%d %H:%M:%S}",
        "shelf": str(chance.randint(0, 3)),
        "device": chance.choice(["Phone", "DESK", None]),
        "borrowed": "yes" if borrowed else "no",
        "reading_minutes": f"{chance.randint(0, 400) / 10 * borrowed}",
        "stars": f"{chance.randint(-2, 10) / 2}",
    }
    if chance.random() < 1 / 40:
        row |= chance.choice(
            [{"reader": ""}, {"reading_minutes": "viel"}, {"borrowed": "?"}, {"opened_at": "gestern"}]
        )
    return row


def _born(chance: random.Random) -> str | None:
    return chance.choice([None, "unknown", str(chance.randint(1930, 2015))])


def write_csv(path: Path, rows: list[dict[str, object]]) -> None:
    """Write rows as compressed text with semicolons; NA is null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, [*rows[0]], delimiter=";")
        writer.writeheader()
        writer.writerows(
            {key: "NA" if value is None else value for key, value in row.items()} for row in rows
        )


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)
