"""`lamplighter init` looks at files and writes a data set that loads as it is written."""

import csv
import shutil
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from core.errors import ConfigError
from core.load import PROJECT_DIR, load_config
from core.schema import Config
from jobs.cli.main import app
from jobs.onboarding.new_project import guess_dataset
from jobs.onboarding.project_folder import dataset_name, write_project
from tests.jobs.onboarding.shop_log import FIRST, LAST, write_shop_log
from tests.second_data_set import write_second_data_set

KUAIRAND = PROJECT_DIR / "data" / "kuairand_pure"


def written(folder: Path, events: Path, users: Path | None = None, items: Path | None = None) -> str:
    """Write a project and return the text of its data set."""
    paths = [str(path) if path else None for path in (users, items)]
    write_project(folder, guess_dataset(dataset_name(folder), str(events), *paths))
    return (folder / "conf" / "datasets" / f"{dataset_name(folder)}.yaml").read_text()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Config]:
    """The YAML of the shop's log, and the configuration that it is."""
    folder = write_shop_log(tmp_path_factory.mktemp("shop"))
    project = tmp_path_factory.mktemp("my shop")
    text = written(project, folder / "events", folder / "customers.jsonl")
    return text, load_config(folder=project)


def test_a_log_of_another_shape_is_read_as_it_is(shop: tuple[str, Config]) -> None:
    text, config = shop
    events, users = config.source.events, config.source.users

    assert events.path == "events/{data_date:%Y%m%d}"
    assert (events.format, events.options, events.nulls) == ("csv", {"sep": ";"}, ("NA",))
    assert config.source.time_zone == "America/New_York"
    assert events.lateness_days == 1
    assert events.event_id == ("customer", "product", "ts")
    assert (events.columns["user_id"].expr, events.columns["user_id"].type) == ("customer", "string")
    assert (events.columns["item_id"].expr, events.columns["item_id"].type) == ("product", "string")
    assert (events.columns["event_time"].expr, events.columns["event_time"].unit) == ("ts", "s")
    assert {*events.columns} == {"user_id", "item_id", "event_time", "platform"}
    assert users is not None
    assert (users.format, users.key, {*users.columns}) == ("json", "customer", {"user_born", "user_tier"})
    assert "# guess: its values are those of customer in the file of users" in text
    assert "in it 100 % of the sampled rows" in text or "in it 99." in text
    assert "# not used: brand: one value per item: an attribute; deliver it in a file of items" in text
    assert "# not used: note: " in text


def test_behaviours_follow_from_values_and_names(shop: tuple[str, Config]) -> None:
    _, config = shop
    clicked, watched, stars = (config.behaviours[name] for name in ("clicked", "watch_seconds", "stars"))

    assert (clicked.kind, clicked.expr[:36]) == ("binary", "CASE WHEN lower(clicked) = 'yes' THE")
    assert (watched.kind, watched.unit) == ("seconds", "ms")
    assert (stars.kind, stars.range, stars.decimals) == ("number", (0.0, 5.0), 1)
    assert stars.expr == "coalesce(stars, '0')"  # most rows have none
    assert [task.label for task in config.tasks] == ["clicked = 1"]
    assert config.lists["home"].context == {"platform": config.lists["home"].context["platform"]}
    assert config.training.anchor == LAST
    assert config.training.first_data_date > FIRST


def test_the_demo_is_found_again_without_its_configuration(tmp_path: Path) -> None:
    for day in ("2022-05-05", "2022-05-06", "2022-05-07", "2022-05-08"):
        (tmp_path / "log").mkdir(exist_ok=True)
        shutil.copy(KUAIRAND / "log" / f"{day}.parquet", tmp_path / "log")

    written(
        tmp_path / "found", tmp_path / "log", KUAIRAND / "user_features.parquet",
        KUAIRAND / "video_features_basic.parquet",
    )  # fmt: skip
    found, demo = load_config(folder=tmp_path / "found"), load_config("kuairand")

    assert found.source.time_zone == demo.source.time_zone
    assert found.source.events.event_id == demo.source.events.event_id
    for name in ("user_id", "item_id"):
        assert found.source.events.columns[name] == demo.source.events.columns[name]
    binary = {each.expr for each in demo.behaviours.values() if each.kind == "binary"}
    assert binary <= {each.expr for each in found.behaviours.values()}
    assert found.behaviours["play_seconds"].unit == "ms"
    assert {"click", "long_view"} <= {task.name for task in found.tasks}
    assert "item_duration" not in str(found.behaviours)


def write_csv(file: Path, rows: list[dict[str, object]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as text:
        writer = csv.DictWriter(text, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


def test_what_cannot_be_guessed_is_refused_with_file_line_and_key(tmp_path: Path) -> None:
    rows = [{"user_id": f"u{n % 9}", "q7": f"x{n % 5}", "day": n, "z": 0.5 * n} for n in range(60)]
    write_csv(tmp_path / "log.csv", rows)

    text = written(tmp_path / "mine", tmp_path / "log.csv")

    with pytest.raises(ConfigError) as error:
        load_config(folder=tmp_path / "mine")
    lines = text.splitlines()
    for key, start in (
        ("source.events.path", "    path: ???"),
        ("source.events.columns.item_id.from", "      item_id: {from: '???'"),
        ("source.events.columns.event_time.from", "      event_time: {from: '???'"),
        ("behaviours.is_wanted.from", "  is_wanted: {from: '???'"),
    ):
        (line,) = (number for number, each in enumerate(lines, 1) if each.startswith(start))
        assert f"datasets/mine.yaml:{line}: {key}: ??? is to be filled in" in str(error.value)
        assert "# guess: none: " in lines[line - 1]


def test_a_column_that_names_actions_becomes_a_behaviour_per_action(tmp_path: Path) -> None:
    actions = ("view", "view", "cart", "purchase")
    for number in range(5):
        day = date(2019, 10, 1) + timedelta(days=number)
        rows = [
            {"event_time": f"{day} 0{n % 10}:00:00 UTC", "event_type": actions[n % 4],
             "product_id": 1000 + n % 30, "user_id": 500 + n % 50, "price": 9.99}
            for n in range(200)
        ]  # fmt: skip
        write_csv(tmp_path / "log" / f"{day:%Y_%m_%d}.csv", rows)

    written(tmp_path / "mine", tmp_path / "log")
    config = load_config(folder=tmp_path / "mine")

    assert config.source.events.path == "{data_date:%Y_%m_%d}.csv" or config.source.events.path.endswith(
        "log/{data_date:%Y_%m_%d}.csv"
    )
    assert {*config.behaviours} == {"is_view", "is_cart", "is_purchase"}
    assert [task.name for task in config.tasks] == ["cart", "purchase"]
    assert config.source.time_zone == "UTC"


def test_values_that_cannot_be_read_do_not_hide_what_a_column_is(tmp_path: Path) -> None:
    library = write_second_data_set(tmp_path) / "data" / "library"  # a few values of a column are broken

    written(tmp_path / "mine", library / "loans", library / "readers.json", library / "books.parquet")
    config = load_config(folder=tmp_path / "mine")

    assert config.source.events.path == "loans/{data_date:%Y/%m%d}"
    assert config.source.events.event_id == ("reader", "book", "opened_at")
    assert {name: each.kind for name, each in config.behaviours.items()} == {
        "borrowed": "binary", "reading_seconds": "seconds", "stars": "number",
    }  # fmt: skip
    assert config.behaviours["reading_seconds"].unit == "min"
    assert config.source.users is not None
    assert config.source.users.key == "reader"  # two rows of its file have none
    assert config.baselines.group == "item_genre"


def test_a_delta_table_is_a_log_with_a_column_for_the_date(tmp_path: Path) -> None:
    start = datetime(2024, 1, 1)
    rows = [
        {"uid": n % 50, "sku": f"s{n % 30}", "at": start + timedelta(hours=n),
         "dt": (start + timedelta(hours=n)).date(), "bought": n % 3 == 0}
        for n in range(400)
    ]  # fmt: skip
    write_deltalake(tmp_path / "my log", pa.Table.from_pylist(rows), partition_by=["dt"])

    written(tmp_path / "mine", tmp_path / "my log")
    events = load_config(folder=tmp_path / "mine").source.events

    assert (events.format, events.path, events.date_column) == ("delta", "my log", "dt")
    assert events.event_id == ("uid", "sku", "at")


def test_ratings_become_a_label(tmp_path: Path) -> None:
    for number in range(6):
        day = date(2015, 1, 1) + timedelta(days=number)
        rows = [
            {"userId": 1 + n % 40, "movieId": 1 + n % 25, "rating": (n % 9 + 2) / 2,
             "timestamp": 1420070400 + 86400 * number + 60 * n}
            for n in range(300)
        ]  # fmt: skip
        write_csv(tmp_path / "log" / f"{day}.csv", rows)
    movies = [
        {"movieId": n, "title": f"Film {n}", "genres": "|".join(["Drama", "Comedy", "War"][: 1 + n % 3])}
        for n in range(1, 26)
    ]
    write_csv(tmp_path / "movies.csv", movies)

    written(tmp_path / "mine", tmp_path / "log", items=tmp_path / "movies.csv")
    config = load_config(folder=tmp_path / "mine")

    assert config.behaviours["rating"].range == (1.0, 5.0)
    (task,) = config.tasks
    assert (task.name, task.label) == ("high_rating", "rating >= 3.5")
    (genres,) = (each for each in config.inputs.categorical if each.column == "item_genres")
    assert (genres.split, genres.max_values) == ("|", 3)


def test_texts_that_are_keys_of_a_file_are_ids_whatever_their_names(tmp_path: Path) -> None:
    for number in range(4):
        day = date(2025, 2, 24) + timedelta(days=number)
        rows = [
            {"who": f"r-{n % 30}", "heading": f"b/{n % 25}", "shown_ms": 86_400_000 * (20_143 + number),
             "opened": n % 4 == 0, "surface": "home" if n % 3 else "mail"}
            for n in range(200)
        ]  # fmt: skip
        write_csv(tmp_path / "log" / f"{day}.csv", rows)
        readers = [
            {"code": f"r-{n}", "joined": f"2025-01-{1 + n % 28:02d}", "plan": "ab"[n % 2]} for n in range(40)
        ]
        write_csv(tmp_path / "readers" / f"{day}.csv", readers)
    titles = [{"ref": f"b/{n}", "pages": 40 + n, "genre": "ab"[n % 2]} for n in range(25)]
    write_csv(tmp_path / "titles.csv", titles)

    text = written(tmp_path / "mine", tmp_path / "log", tmp_path / "readers", tmp_path / "titles.csv")
    source = load_config(folder=tmp_path / "mine").source

    assert source.events.event_id == ("who", "heading", "shown_ms")
    assert source.users is not None
    assert source.items is not None
    assert (source.users.key, source.items.key) == ("code", "ref")
    assert (source.users.path, source.users.snapshot_date) == ("readers/{data_date}.csv", "path")
    assert source.items.snapshot_date == "undated"
    assert "# not used: joined: a time or a date; if rows are known only from it on" in text
    assert "set valid_from: {from: joined, type: date}" in text


def test_a_column_of_many_values_is_taken_for_ids_and_said_to_be_checked(tmp_path: Path) -> None:
    for number in range(4):
        day = date(2025, 2, 24) + timedelta(days=number)
        rows = [
            {"member": f"m{n % 40}", "zq": f"x{n % 25}", "at": f"{day}T10:{n % 60:02d}:00Z", "liked": n % 2}
            for n in range(200)
        ]
        write_csv(tmp_path / "log" / f"{day}.csv", rows)

    text = written(tmp_path / "mine", tmp_path / "log")

    assert load_config(folder=tmp_path / "mine").source.events.columns["item_id"].expr == "zq"
    assert "item_id: {from: zq, type: string}  # guess: no name looks like an item id; this has most" in text


def test_the_command_writes_a_project_once(tmp_path: Path) -> None:
    write_shop_log(tmp_path / "shop", rows_per_day=40)
    command = ["init", str(tmp_path / "mine"), "--events", str(tmp_path / "shop" / "events")]

    first, second = (CliRunner().invoke(app, command) for _ in range(2))

    assert first.exit_code == 0, first.output
    names = {"conf/base.yaml", "conf/local.yaml", "conf/datasets/mine.yaml", ".gitignore", "README.md"}
    files = [file for file in (tmp_path / "mine").rglob("*") if file.is_file()]
    assert {file.relative_to(tmp_path / "mine").as_posix() for file in files} == names
    assert second.exit_code == 2
    readme = (tmp_path / "mine" / "README.md").read_text()
    assert f"lamplighter history --data-date {FIRST}..{LAST - timedelta(days=1)}" in readme
    assert f"lamplighter night --data-date {LAST}" in readme
