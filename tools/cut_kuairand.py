"""Cut the standard-policy log of KuaiRand-Pure into one Parquet file per data date.

    python tools/cut_kuairand.py SOURCE_DIR data/kuairand_pure

SOURCE_DIR holds three files (data/kuairand_pure/README.md says where they come from):

- log_standard_4_25_to_5_08_pure.parquet: the 19 columns of KuaiRand's log_standard_4_22_to_5_08_pure.csv,
  rows whose `date` is 20220425 .. 20220508, sorted by time_ms;
- user_features_pure.parquet, video_features_basic_pure.parquet: KuaiRand's CSV files of these names.

A row goes to the file of the UTC+8 calendar date of its time_ms, because the log's own `date` and `hourmin`
are rounded. All columns and the order of rows stay; nothing is dropped. With one version of pyarrow the same
source gives the same bytes.
"""

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MILLISECONDS_TO_UTC8 = 8 * 3600 * 1000

LOG = "log_standard_4_25_to_5_08_pure.parquet"
ATTRIBUTES = {
    "user_features_pure.parquet": "user_features.parquet",
    "video_features_basic_pure.parquet": "video_features_basic.parquet",
}


def data_dates(time_ms: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the UTC+8 calendar date (date32) of instants in milliseconds since 1970 UTC."""
    local = pc.add(time_ms, MILLISECONDS_TO_UTC8).cast(pa.timestamp("ms"))
    return pc.floor_temporal(local, unit="day").cast(pa.date32())


def write(table: pa.Table, path: Path) -> None:
    """Write one file: no writer's metadata, plain strings, one row group."""
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_large_string(field.type) else field.type)
        for field in table.schema
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.cast(pa.schema(fields)), path, compression="zstd", row_group_size=len(table))


def cut(source: Path, out: Path) -> dict[str, int]:
    """Write the log's days and the attribute files under `out`; return rows by file."""
    rows = {}
    log = pq.read_table(source / LOG)
    dates = data_dates(log["time_ms"])
    for data_date in sorted(pc.unique(dates).to_pylist()):
        name = f"log/{data_date.isoformat()}.parquet"
        day = log.filter(pc.equal(dates, pa.scalar(data_date)))
        write(day, out / name)
        rows[name] = len(day)
    for original, name in ATTRIBUTES.items():
        table = pq.read_table(source / original)
        write(table, out / name)
        rows[name] = len(table)
    return rows


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python tools/cut_kuairand.py SOURCE_DIR OUT_DIR")
    for name, count in cut(Path(sys.argv[1]), Path(sys.argv[2])).items():
        print(f"{name}  {count:,} rows")
