"""What a table's declaration promises, checked on rows, on frames, and on the table that exists."""

import json
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from deltalake import DeltaTable
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from core.errors import ConfigError, LamplighterError
from jobs.tables.table import Columns, Table

# Reader features of a table's protocol that do not change what its data files say. With any other, a reader
# that opens the files by itself (`Store.rows`, training) may see other rows or columns than Delta does.
HARMLESS_FEATURES = frozenset({"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})


def check_rows(frame: DataFrame, declared: Table) -> int:
    """Check grain and constraints in one pass; return the number of rows.

    Cost: one aggregation over the frame, one shuffle of its keys.

    Raises:
        LamplighterError: a key is null or occurs more than once, or a declared constraint does not hold.
    """
    by_key = frame.groupBy(*declared.grain).agg(
        F.count(F.lit(1)).alias("n"),
        *(
            F.count_if(~F.coalesce(F.expr(constraint), F.lit(False))).alias(f"broken_{i}")
            for i, constraint in enumerate(declared.constraints)
        ),
    )
    key_is_null = F.greatest(F.lit(False), *(F.col(column).isNull() for column in declared.grain))
    found = by_key.agg(
        F.coalesce(F.sum("n"), F.lit(0)).alias("rows"),
        F.count_if(F.col("n") > 1).alias("repeated"),
        F.count_if(key_is_null).alias("nulls"),
        *(
            F.coalesce(F.sum(f"broken_{i}"), F.lit(0)).alias(f"broken_{i}")
            for i in range(len(declared.constraints))
        ),
    ).first()
    assert found is not None  # a global aggregation has one row
    key = ", ".join(declared.grain)
    faults = []
    if found["nulls"]:
        faults.append(f"{found['nulls']} keys ({key}) hold a null")
    if found["repeated"]:
        faults.append(f"{found['repeated']} keys ({key}) occur more than once")
    for i, constraint in enumerate(declared.constraints):
        if found[f"broken_{i}"]:
            faults.append(f"{found[f'broken_{i}']} rows break `{constraint}`")
    if faults:
        raise LamplighterError(
            f"{declared.name}: {'; '.join(faults)}; expected none; table unchanged. "
            "This is a fault of the code or of the configuration: fix it, then run again"
        )
    return int(found["rows"])


def as_declared(frame: DataFrame, declared: Table) -> DataFrame:
    """Put the columns of a frame into the declared order.

    Raises:
        LamplighterError: a column is missing, not declared, or of another type; nothing is cast.
    """
    # As in DDL: whether elements of an array can be null is of no account, as for whole columns.
    found = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    faults = [
        *(f"{name} is missing" for name in declared.columns if name not in found),
        *(f"{name} is not declared" for name in found if name not in declared.columns),
        *(
            f"{name} is {found[name]}, declared {kind.simpleString()}"
            for name, kind in declared.columns.items()
            if name in found and found[name] != kind.simpleString()
        ),
    ]
    if faults:
        raise LamplighterError(f"{declared.name}: columns differ from the catalog: {'; '.join(faults)}")
    return frame.select(*declared.columns)


class SchemaDifference(NamedTuple):
    """How an existing table differs from its declaration.

    Attributes:
        faults: columns of another type, other partitions: one clause each.
        new: declared columns that the table lacks; the next commit adds them.
        old: columns that are not declared any more; they stay in older rows.
    """

    faults: list[str]
    new: Columns
    old: list[str]


def schema_difference(declared: Table, table: DeltaTable) -> SchemaDifference:
    """Return how an existing table differs from its declaration."""
    stored = columns_of_table(table)
    partition = tuple(table.metadata().partition_columns)
    faults = [
        f"column {name} is {stored[name].simpleString()} in the table, declared {kind.simpleString()}"
        for name, kind in declared.columns.items()
        if name in stored and stored[name] != kind
    ]
    if partition != declared.partition:
        faults.append(f"it is partitioned by {list(partition)}, declared {list(declared.partition)}")
    new = {name: kind for name, kind in declared.columns.items() if name not in stored}
    return SchemaDifference(faults, new, [name for name in stored if name not in declared.columns])


def refuse_faults(name: str, difference: SchemaDifference) -> None:
    """Raise the error of a table that contradicts its declaration.

    Raises:
        ConfigError: there are faults.
    """
    if difference.faults:
        raise ConfigError(
            f"{name}: {'; '.join(difference.faults)}; table unchanged. A table keeps the types that it was "
            "made with: undo the change of the configuration, name the changed column anew, or build a new "
            "warehouse (paths.warehouse) with it"
        )


def columns_of_table(table: DeltaTable) -> Mapping[str, T.DataType]:
    """Return the columns of an existing table, nullable throughout as Delta keeps them."""
    return {
        field.name: field.dataType
        for field in T.StructType.fromJson(json.loads(table.schema().to_json())).fields
    }


def refuse_unknown_features(name: str, table: DeltaTable) -> None:
    """Refuse a table whose data files do not say all that the table says.

    Raises:
        LamplighterError: its protocol lists a reader feature beyond `HARMLESS_FEATURES`.
    """
    protocol = table.protocol()
    features = set(protocol.reader_features or ()) - HARMLESS_FEATURES
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        features.add("columnMapping")  # of protocols before features had names
    if features:
        raise LamplighterError(foreign_features(name, "reader", features, table.table_uri))


def foreign_features(
    name: str, kind: Literal["reader", "writer"], features: Collection[str], uri: str
) -> str:
    """Return the message on features of a table's protocol that another program switched on.

    Args:
        name: of the table.
        kind: whether readers or writers have to know the features.
        features: their names.
        uri: of the table's folder.
    """
    meaning = {
        "reader": "its data files alone do not say what the table holds",
        "writer": "only Spark can write such a table",
    }
    return (
        f"{name}: the table's protocol has {kind} feature {', '.join(sorted(features))}: {meaning[kind]}; "
        f"expected none. Another program switched it on: drop it in Spark with ALTER TABLE delta.`{uri}` "
        f"DROP FEATURE {sorted(features)[0]} TRUNCATE HISTORY (without, Delta leaves checkpointProtection "
        "behind; it may ask to repeat this a day later), or move the folder away and run the jobs that write "
        "it again"
    )
