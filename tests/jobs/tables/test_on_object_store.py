"""Tables, sources, pages and the registry in an object store: a real server, without Spark."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from core.errors import ConfigError, LamplighterError
from core.load import load_config
from core.paths import exists, place, read_bytes, replacing, write_atomically
from core.schema import Runtime
from jobs.runtime.arguments import Arguments
from jobs.runtime.project import Project
from jobs.tables.arrow import arrow_schema
from jobs.tables.catalog import Catalog
from jobs.tables.faults import explained
from jobs.tables.locks import FileLocks, locks_of
from jobs.tables.source_files import files_at
from jobs.tables.store import Store, dates_where
from jobs.tables.table import Table
from tests.jobs.tables.small import DAY, NEXT, NUMBERS, RUNS
from tests.object_store import BUCKET, ObjectStore
from tools.cluster.fault_proxy import fault_proxy

RUNTIME = Runtime(lock_wait_seconds=3.0)
ROOT = f"s3a://{BUCKET}/warehouse/small"


class StoredCatalog(Catalog):
    """Some tables in the bucket."""

    def __init__(self, root: str = ROOT) -> None:
        self.dataset = "small"
        self.root = root
        self.tables: dict[str, Table] = {table.name: table for table in (NUMBERS, RUNS)}


@pytest.fixture
def store(object_store: ObjectStore, tmp_path: Path) -> Store:
    return Store(StoredCatalog(), FileLocks(tmp_path / "locks", 1.0))


def numbers(*values: tuple[int, int], day: date = DAY) -> list[dict[str, object]]:
    return [{"id": key, "value": value, "data_date": day} for key, value in values]


def table_of(*values: tuple[int, int]) -> pa.Table:
    return pa.Table.from_pylist(numbers(*values), schema=arrow_schema(NUMBERS))


def test_rows_are_replaced_by_date_and_commits_say_what_they_carry(store: Store) -> None:
    assert store.rows("numbers") == []
    assert store.commits("numbers") == {}
    store.append_rows("numbers", numbers((1, 10), (2, 20)), "test", {"run_id": "a"})
    store.append_rows("numbers", numbers((1, 11), day=NEXT), "test", {"run_id": "b"})

    store.replace_rows("numbers", numbers((3, 30)), "test", {"run_id": "c"}, dates_where(DAY, DAY))

    found = sorted((row["id"], row["value"], row["data_date"]) for row in store.rows("numbers"))
    assert found == [(1, 11, NEXT), (3, 30, DAY)]
    assert [each.get("run_id") for each in store.commits("numbers").values()] == [None, "a", "b", "c"]
    assert store.data_dates("numbers") == [DAY, NEXT]
    assert {str(file).rpartition("/")[0] for file in store.files("numbers")} == {
        f"{ROOT}/numbers/data_date={DAY}",
        f"{ROOT}/numbers/data_date={NEXT}",
    }


def test_a_lost_file_is_noticed_and_named(store: Store) -> None:
    store.append_rows("numbers", numbers((1, 10)), "test", {})
    (file,) = store.files("numbers")
    assert store.is_whole("numbers")

    file.unlink()

    assert not store.is_whole("numbers")
    with pytest.raises(LamplighterError, match=r"numbers: data file s3a://.*\.parquet is missing"):
        store.rows("numbers")


def test_without_a_lock_both_appends_are_there(store: Store) -> None:
    """Conditional puts: a version that another writer has taken is not written again."""
    store.append_rows("numbers", numbers((1, 10)), "test", {})
    one, other = store.delta("numbers"), store.delta("numbers")
    assert one is not None
    assert other is not None

    write_deltalake(one, table_of((2, 20)), mode="append")
    write_deltalake(other, table_of((3, 30)), mode="append")

    assert sorted(row["id"] for row in store.rows("numbers")) == [1, 2, 3]


def test_without_a_lock_the_slower_of_two_replacements_is_told(store: Store) -> None:
    store.append_rows("numbers", numbers((1, 10)), "test", {})
    one, other = store.delta("numbers"), store.delta("numbers")
    assert one is not None
    assert other is not None
    where = dates_where(DAY, DAY)
    write_deltalake(one, table_of((2, 20)), mode="overwrite", predicate=where)

    with (
        pytest.raises(LamplighterError, match="numbers: another writer has committed meanwhile"),
        explained("numbers", store.catalog.path("numbers")),
    ):
        write_deltalake(other, table_of((3, 30)), mode="overwrite", predicate=where)

    assert [row["id"] for row in store.rows("numbers")] == [2]


def test_a_commit_whose_answer_is_lost_was_made_once(
    store: Store, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """delta-rs tries it again, and the store refuses the version as one that another writer has made."""
    where = dates_where(DAY, DAY)
    with fault_proxy(object_store.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        store.append_rows("numbers", numbers((1, 10)), "test", {"run_id": "a"})
        for number, predicate in ((2, where), (3, None), (4, where)):
            proxy.lose_answer("PUT ", "/numbers/_delta_log/", ".json")
            metadata = {"run_id": "b", "number": number, "dates": (str(DAY),)}
            rows = numbers((number, number))
            if predicate is None:
                commit = store.append_rows("numbers", rows, "test", metadata)
            else:
                commit = store.replace_rows("numbers", rows, "test", metadata, predicate)

            assert commit.version == store.version("numbers")
            found = [row["id"] for row in store.rows("numbers")]
            assert sorted(found) == ([2, 3] if predicate is None else [number])


def test_a_page_is_the_old_one_or_the_new_one(object_store: ObjectStore) -> None:
    uri = f"s3a://{BUCKET}/reports/small/index.html"
    assert not exists(uri)
    write_atomically(uri, "old")

    def write_half() -> None:
        with replacing(uri) as page:
            page.write(b"ne")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_half()
    assert read_bytes(uri) == b"old"
    write_atomically(uri, "new")
    assert read_bytes(uri) == b"new"


def test_source_files_are_found_as_on_this_machine(object_store: ObjectStore, tmp_path: Path) -> None:
    """By path, folder and glob; the same names and hashes, hidden files left out."""
    for folder in (tmp_path / "source", object_store.objects / BUCKET / "source"):
        for name in (
            "log/2022-05-07/a.csv",
            "log/2022-05-07/b-1/x.csv",
            "log/2022-05-07/_SUCCESS",
            "users.csv",
        ):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"id\n{name}\n")
    roots = (tmp_path / "source", place(f"s3a://{BUCKET}/source"))

    for path in ("log/2022-05-07", "log/*/*.csv", "log/2022-05-07/?.csv", "users.csv", "none.csv"):
        here, there = (
            [(file.path, file.sha256, file.file_date) for file in files_at(root, path, "csv", DAY)]
            for root in roots
        )
        assert here == there, path
    assert [file.path for file in files_at(roots[1], "log/2022-05-07", "csv", DAY)] == [
        "log/2022-05-07/a.csv",
        "log/2022-05-07/b-1/x.csv",
    ]


def test_locks_are_beside_local_tables_and_else_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    beside, here = locks_of((tmp_path / "w").as_uri(), RUNTIME), locks_of("s3a://b/w/kuairand", RUNTIME)

    assert isinstance(beside, FileLocks)
    assert beside.folder == tmp_path / "w" / "_locks"
    assert isinstance(here, FileLocks)
    assert here.folder == tmp_path / "cache" / "lamplighter" / "locks" / "s3a:__b_w_kuairand"


def test_the_registry_is_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match=r"model registry: s3a://.*MLFLOW_TRACKING_URI; set it"):
        assert StoredCatalog().registry

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://mlflow@db/mlflow")

    assert StoredCatalog().registry == "postgresql+psycopg://mlflow@db/mlflow"


def test_fingerprints_do_not_depend_on_where_tables_and_files_are(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    def opened(root: str) -> Project:
        settings = (f"paths.warehouse={root}/w", f"paths.reports={root}/r")
        return Project(Arguments(DAY, DAY, settings=settings))

    local, stored = opened(str(tmp_path)), opened(f"s3a://{BUCKET}")

    for job in ("ingest", "build_features", "score"):
        here, there = (each.lineage([DAY], expected=(job,)).make(job, DAY).value for each in (local, stored))
        assert here == there


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "numbers: the object store refuses this key at s3a://"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "numbers: the store does not answer, or is too busy at"),
    ],
)
def test_a_store_that_refuses_or_is_silent_is_one_line(
    store: Store, names: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(LamplighterError, match=said) as error:
        store.append_rows("numbers", numbers((1, 10)), "test", {})

    assert "\n" not in str(error.value)
    assert "wrong" not in str(error.value)


def test_a_bucket_that_is_not_there_is_named(object_store: ObjectStore, tmp_path: Path) -> None:
    store = Store(StoredCatalog("s3a://nowhere/small"), FileLocks(tmp_path / "locks", 1.0))

    with pytest.raises(LamplighterError, match="numbers: there is no such bucket at s3a://nowhere/small"):
        store.append_rows("numbers", numbers((1, 10)), "test", {})


def test_missing_classes_of_hadoop_say_what_to_type() -> None:
    text = "java.lang.RuntimeException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found"
    with pytest.raises(LamplighterError, match=r"run `tools/setup.sh s3`"), explained("numbers"):
        raise RuntimeError(text)


def test_no_key_is_in_the_configuration(object_store: ObjectStore) -> None:
    config = load_config(overrides=(f"paths.warehouse=s3a://{BUCKET}/w",))

    assert object_store.environment()["AWS_SECRET_ACCESS_KEY"] not in config.model_dump_json()
