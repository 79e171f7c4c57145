"""The embedded log is what data/kuairand_pure/README.md says: facts counted on the files."""

import hashlib
import importlib.util
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
DATA = ROOT / "data" / "kuairand_pure"

ROWS = {
    "2022-04-24": 141,
    "2022-04-25": 14_898,
    "2022-04-26": 14_544,
    "2022-04-27": 14_300,
    "2022-04-28": 13_972,
    "2022-04-29": 15_889,
    "2022-04-30": 21_232,
    "2022-05-01": 20_799,
    "2022-05-02": 19_532,
    "2022-05-03": 18_928,
    "2022-05-04": 17_570,
    "2022-05-05": 13_372,
    "2022-05-06": 13_834,
    "2022-05-07": 13_737,
    "2022-05-08": 15_581,
}
KEY = ["user_id", "video_id", "time_ms"]
# What conf/datasets/kuairand.yaml declares of a row beside its key (`hour` follows from time_ms).
DECLARED = [
    "tab", "is_click", "long_view", "is_like", "is_follow", "play_time_ms", "comment_stay_time",
]  # fmt: skip
KEEP = ["play_time_ms", "comment_stay_time", "is_click", "long_view", "is_like", "is_follow"]


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    """All rows, with the data date of the file that holds them."""
    days = [pd.read_parquet(path).assign(data_date=path.stem) for path in sorted(DATA.glob("log/*.parquet"))]
    return pd.concat(days, ignore_index=True)


@pytest.fixture(scope="module")
def events(log: pd.DataFrame) -> pd.DataFrame:
    """One row an event; of conflicting rows the one that the data set's `keep` order puts first."""
    return log.sort_values(KEEP, ascending=False, kind="stable").drop_duplicates(KEY)


def test_each_data_date_has_one_file_with_its_rows() -> None:
    rows = {path.stem: pq.read_metadata(path).num_rows for path in DATA.glob("log/*.parquet")}

    assert rows == ROWS
    assert sum(rows.values()) == 228_329


def test_every_row_lies_in_the_file_of_its_utc8_date(log: pd.DataFrame) -> None:
    utc8 = timezone(timedelta(hours=8))
    dates = [datetime.fromtimestamp(ms / 1000, utc8).date().isoformat() for ms in log["time_ms"]]

    assert dates == list(log["data_date"])


def test_a_file_keeps_all_19_columns_of_the_source() -> None:
    expected = [
        "user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_like", "is_follow", "is_comment",
        "is_forward", "is_hate", "long_view", "play_time_ms", "duration_ms", "profile_stay_time",
        "comment_stay_time", "is_profile_enter", "is_rand", "tab",
    ]  # fmt: skip

    assert {tuple(pq.read_schema(path).names) for path in DATA.glob("log/*.parquet")} == {tuple(expected)}


def test_rows_are_events_duplicates_and_conflicts(log: pd.DataFrame, events: pd.DataFrame) -> None:
    kept = log[KEY].merge(events[KEY + DECLARED], how="left", on=KEY)
    extra = ~log.index.isin(events.index)
    equal = (log[DECLARED].to_numpy() == kept[DECLARED].to_numpy()).all(axis=1)

    assert len(events) == 222_444
    assert int((extra & equal).sum()) == 5_872
    assert int((extra & ~equal).sum()) == 13


def test_copies_of_an_event_lie_in_one_file(log: pd.DataFrame) -> None:
    assert log.groupby(KEY)["data_date"].nunique().max() == 1


def test_users_without_an_event_are_in_the_attribute_file(events: pd.DataFrame) -> None:
    users = pd.read_parquet(DATA / "user_features.parquet", columns=["user_id"])["user_id"]
    seen = events.loc[events["data_date"] <= "2022-05-06", "user_id"]

    assert len(users) == users.nunique() == 27_285
    assert set(events["user_id"]) <= set(users)
    assert len(set(users) - set(seen)) == 2_567


def test_user_cohorts_as_of_05_06_have_the_stated_sizes(events: pd.DataFrame) -> None:
    users = pd.read_parquet(DATA / "user_features.parquet", columns=["user_id"])["user_id"]
    seen = events[events["data_date"] <= "2022-05-06"]
    impressions = seen.groupby("user_id").size().reindex(users, fill_value=0)

    cohorts = pd.cut(impressions, [-1, 3, 9, float("inf")], labels=["new", "low", "high"])

    assert cohorts.value_counts().to_dict() == {"new": 10_673, "low": 9_758, "high": 6_854}


def test_likes_of_new_users_are_few(events: pd.DataFrame) -> None:
    """Cohorts as of the day before, as examples have them."""
    likes = 0
    for before, day in (("2022-05-06", "2022-05-07"), ("2022-05-07", "2022-05-08")):
        impressions = events[events["data_date"] <= before].groupby("user_id").size()
        shown = events[events["data_date"] == day]
        is_new = shown["user_id"].map(impressions).fillna(0) <= 3
        likes += int(shown.loc[is_new, "is_like"].sum())

    assert likes == 77


def test_every_item_of_the_log_has_attributes(events: pd.DataFrame) -> None:
    items = pd.read_parquet(DATA / "video_features_basic.parquet", columns=["video_id"])["video_id"]

    assert len(items) == items.nunique() == 7_583
    assert events["video_id"].nunique() == 6_361
    assert set(events["video_id"]) <= set(items)


def test_the_data_carry_their_licence_and_attribution() -> None:
    assert (DATA / "LICENSE").read_text().startswith("Attribution-ShareAlike 4.0 International")
    readme = (DATA / "README.md").read_text()
    assert "CC BY-SA 4.0" in readme
    assert "10.1145/3511808.3557624" in readme


def test_the_cut_goes_by_utc8_date_and_keeps_rows_and_their_order(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("cut_kuairand", ROOT / "tools" / "cut_kuairand.py")
    assert spec is not None
    assert spec.loader is not None
    cutter = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cutter)
    source, first, second = tmp_path / "source", tmp_path / "first", tmp_path / "second"
    source.mkdir()
    last_ms_of_04_24 = 1_650_815_999_999  # 2022-04-24T23:59:59.999+08:00
    log = pa.table(
        {"user_id": [2, 1, 3], "time_ms": [last_ms_of_04_24, last_ms_of_04_24, last_ms_of_04_24 + 1]}
    )
    pq.write_table(log, source / "log_standard_4_25_to_5_08_pure.parquet")
    for name in ("user_features_pure", "video_features_basic_pure"):
        pq.write_table(pa.table({"key": pa.array(["a"], pa.large_string())}), source / f"{name}.parquet")

    rows = cutter.cut(source, first)
    cutter.cut(source, second)

    assert rows == {
        "log/2022-04-24.parquet": 2,
        "log/2022-04-25.parquet": 1,
        "user_features.parquet": 1,
        "video_features_basic.parquet": 1,
    }
    assert pq.read_table(first / "log/2022-04-24.parquet").to_pydict() == {
        "user_id": [2, 1],
        "time_ms": [last_ms_of_04_24, last_ms_of_04_24],
    }
    assert {name: _sha256(first / name) for name in rows} == {name: _sha256(second / name) for name in rows}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
