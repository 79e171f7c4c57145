"""History and two nights with warehouse, reports and source in an object store: digests of local ones."""

import json
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from core.object_store import spark_settings
from core.paths import exists, place, read_bytes
from jobs.runtime.lists import list_of
from jobs.runtime.night import run_history, run_night
from jobs.runtime.rollback import serve_again
from jobs.tables.digest import digests
from tests.jobs.sample_project import FIRST_LOG_DATE, FIRST_NIGHT, SECOND_NIGHT, SampleProject
from tests.object_store import BUCKET, ObjectStore, spark_reads_s3a

ROOT = f"s3a://{BUCKET}"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not spark_reads_s3a(), reason="Spark does not read s3a://: run `tools/setup.sh s3`"),
]


@pytest.fixture
def stored(
    spark: SparkSession,
    fresh: SampleProject,
    object_store: ObjectStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> SampleProject:
    """The slice's source in the bucket; everything else goes there, too."""
    hadoop = spark.sparkContext._jsc.hadoopConfiguration()  # the session is older than the server
    for name, value in spark_settings().items():
        hadoop.set(name.removeprefix("spark.hadoop."), value)
    hadoop.set("fs.s3a.access.key", object_store.environment()["AWS_ACCESS_KEY_ID"])
    hadoop.set("fs.s3a.secret.key", object_store.environment()["AWS_SECRET_ACCESS_KEY"])
    hadoop.set("fs.s3a.impl.disable.cache", "true")
    for name, value in object_store.environment().items():  # of workers: they read bundles
        monkeypatch.setitem(spark.sparkContext.environment, name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    for file in (file for file in fresh.source.rglob("*") if file.is_file()):
        (place(f"{ROOT}/source") / file.relative_to(fresh.source).as_posix()).write_bytes(file.read_bytes())
    places = (
        f"source.root={ROOT}/source",
        f"paths.warehouse={ROOT}/warehouse",
        f"paths.reports={ROOT}/reports",
    )
    return replace(fresh, warehouse=tmp_path / "never made", extra=places)


def test_two_nights_leave_the_digests_of_local_folders(
    spark: SparkSession, stored: SampleProject, after_two_nights: SampleProject
) -> None:
    run_history(stored.ask(FIRST_LOG_DATE, date(2022, 5, 6)))
    run_night(stored.ask(FIRST_NIGHT, model="ple"))
    run_night(stored.ask(SECOND_NIGHT, model="mfh"))

    there, here = stored.opened(), after_two_nights.opened()
    assert digests(spark, there.store) == digests(spark, here.store)
    assert not stored.warehouse.exists()
    again = run_night(stored.ask(SECOND_NIGHT, model="mfh"))
    assert [step.job for step in again if step.dates] == []

    secret = spark.sparkContext._jsc.hadoopConfiguration().get("fs.s3a.secret.key")
    assert secret not in json.dumps(there.ledger.rows(), default=str)
    user = there.store.rows("scores", f"data_date = '{SECOND_NIGHT}'")[0]["user_id"]
    assert list_of(there, str(user), SECOND_NIGHT) == list_of(here, str(user), SECOND_NIGHT)
    assert exists(f"{ROOT}/reports/kuairand/{SECOND_NIGHT}.html")
    assert secret.encode() not in read_bytes(f"{ROOT}/reports/kuairand/{SECOND_NIGHT}.html")
    serve_again(there, FIRST_NIGHT, "a test")
    assert max(there.store.rows("publications"), key=lambda row: row["seq"])["data_date"] == FIRST_NIGHT
