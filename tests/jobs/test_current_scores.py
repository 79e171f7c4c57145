"""`current_scores` after nights: by path and by name, from Spark sessions that know no Lamplighter."""

import json
import subprocess
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from core.load import PROJECT_DIR
from jobs.publish import publish
from jobs.runtime.rollback import serve_again
from jobs.tables.store import Store
from tests.jobs.sample_project import FIRST_NIGHT, SECOND_NIGHT, SampleProject

# -I: neither the folder of the test nor PYTHONPATH is on the path.
PLAIN = """
import json, sys
from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.master("local[1]").config("spark.driver.memory", "1g")
    .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
    .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
    .enableHiveSupport().getOrCreate()
)
found = [spark.sql(statement).collect() for statement in sys.argv[1:]]
print(json.dumps([[[str(value) for value in row] for row in rows] for rows in found]))
assert not {"jobs", "core", "lamplighter"} & set(sys.modules)
"""
COUNTED = "SELECT data_date, count(*), count(DISTINCT user_id) FROM {} GROUP BY data_date"

# Ends the process as kill -9 would, right after the row of `publications`.
ROLL_BACK_AND_END = """
import os, sys
from datetime import date
from pathlib import Path
from jobs.runtime.rollback import serve_again
from jobs.tables.store import Store
from tests.jobs.sample_project import SampleProject

append = Store.append_rows
def append_and_end(*arguments):
    append(*arguments)
    os._exit(9)
Store.append_rows = append_and_end
source, warehouse, data_date = sys.argv[1:]
serve_again(SampleProject(Path(source), Path(warehouse)).opened(), date.fromisoformat(data_date), "x")
"""


def plain(folder: Path, *statements: str) -> list[list[list[str]]]:
    """Return the rows of statements in a session of another process, whose metastore is in a folder."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", PLAIN, *statements],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def test_a_name_in_a_metastore_follows_a_rollback_that_was_killed_and_run_again(
    spark: SparkSession, used_project: SampleProject, tmp_path: Path
) -> None:
    store = used_project.opened().store
    lists = len(store.rows("scores", f"data_date = '{SECOND_NIGHT}'"))
    newest = max(row["seq"] for row in store.rows("publications"))
    users = len({row["user_id"] for row in store.rows("scores", f"data_date = '{SECOND_NIGHT}'")})
    folder = store.catalog.path("current_scores")
    name = f"CREATE TABLE current_scores USING delta LOCATION '{folder}'"

    counted = [COUNTED.format(each) for each in ("current_scores", f"delta.`{folder}`")]
    assert plain(tmp_path, name, *counted) == [[], *2 * [[[str(SECOND_NIGHT), str(lists), str(users)]]]]

    place = [str(used_project.source), str(used_project.warehouse), str(FIRST_NIGHT)]
    ended = subprocess.run(
        [sys.executable, "-c", ROLL_BACK_AND_END, *place], cwd=PROJECT_DIR, check=False, timeout=300
    )
    assert ended.returncode == 9
    assert dates(spark, store) == {SECOND_NIGHT}  # all of the old ones
    done = serve_again(used_project.opened(), FIRST_NIGHT, "x")

    assert (done.now.seq, done.before.data_date) == (newest + 1, SECOND_NIGHT)  # the row of the killed one
    assert plain(tmp_path, *counted) == 2 * [[[str(FIRST_NIGHT), str(lists), str(users)]]]


def test_publishing_again_keeps_what_is_served_and_repairs_what_was_lost(
    spark: SparkSession, used_project: SampleProject
) -> None:
    store = used_project.opened().store
    before = store.version("current_scores")

    publish(used_project.ask(SECOND_NIGHT))
    assert store.version("current_scores") == before
    publish(used_project.ask(FIRST_NIGHT))  # older than served
    assert (store.version("current_scores"), dates(spark, store)) == (before, {SECOND_NIGHT})

    for file in store.files("current_scores"):
        file.unlink()
    publish(used_project.ask(SECOND_NIGHT))
    assert dates(spark, store) == {SECOND_NIGHT}
    assert len(store.rows("current_scores")) == len(store.rows("scores", f"data_date = '{SECOND_NIGHT}'"))


def dates(spark: SparkSession, store: Store) -> set[object]:
    return {row["data_date"] for row in store.read(spark, "current_scores").select("data_date").collect()}
