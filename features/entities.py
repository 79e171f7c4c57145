"""Users and items: their attributes, and which of them are known as of a data date."""

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from core.config_model import EntityName
from core.source import AttributeSource
from features.casts import read_day, read_id, read_mapping

ALWAYS = date(1900, 1, 1)


def to_entities(
    raw_attributes: DataFrame,
    source: AttributeSource,
    entity: EntityName,
    id_type: str = "bigint",
    time_zone: str = "UTC",
) -> DataFrame:
    """Read one undated snapshot as the table `users` or `items`.

    Grain: (<entity>_id, valid_from), if the file's key is unique; the table's key check says so.
    As of: valid always, or since `valid_from` where the source says it; a row whose date cannot be read is
    valid always, too.
    Cost: one narrow pass.

    Args:
        raw_attributes: the source's columns.
        source: key and columns.
        entity: whose attributes.
        id_type: type of the entity's id in `events`.
        time_zone: in which days begin.
    """
    always = F.lit(ALWAYS)
    if source.valid_from is not None:
        always = F.coalesce(read_day(source.valid_from, raw_attributes, time_zone), always)
    described = to_described(raw_attributes, source, entity, id_type, valid_from=always)
    return described.withColumn("valid_to", F.lit(None).cast("date"))


def to_described(
    raw_attributes: DataFrame, source: AttributeSource, entity: EntityName, id_type: str, **more: Column
) -> DataFrame:
    """Read the declared columns of attributes.

    Grain: the rows whose key can be read; another describes no user (item) and is left out. An attribute
    that cannot be read is null.

    Args:
        raw_attributes: the source's columns.
        source: key and columns.
        entity: whose attributes.
        id_type: type of the entity's id in `events`.
        more: further columns, by name.
    """
    described = raw_attributes.select(
        read_id(source.key, id_type, raw_attributes).alias(f"{entity}_id"),
        *(column.alias(name) for name, column in more.items()),
        *(read_mapping(column, raw_attributes).alias(name) for name, column in source.columns.items()),
    )
    return described.where(F.col(f"{entity}_id").isNotNull())


def to_known_keys(
    entities: DataFrame | None, tiles: DataFrame, state: DataFrame, group: str, first: date, last: date
) -> DataFrame:
    """Return all keys of a group known as of each data date of a range: all users (items), if it is of them.

    A key is known as of a date if its attributes are valid then, or if it has an event up to then.

    Grain: (<group>_id, data_date). As of: the end of data_date.
    Cost: one shuffle of (known keys x dates).

    Args:
        entities: `users` or `items`: valid_from inclusive, valid_to exclusive, null while current; None: of
            a group without attributes.
        tiles: daily tiles up to `last`.
        state: features as of the day before `first`, or `windows.no_state`.
        group: whose keys.
        first: first data date of the range.
        last: last data date of the range.
    """
    key = F.col(f"{group}_id")
    has_been_seen = F.col(f"{group}_last_data_date_all").isNotNull()
    to_the_end = F.lit(last)

    seen_before = state.where(has_been_seen).select(
        key, F.lit(first).alias("known_from"), to_the_end.alias("known_to")
    )
    seen_since = (
        tiles.groupBy(key)
        .agg(F.greatest(F.min("data_date"), F.lit(first)).alias("known_from"))
        .select(key, F.col("known_from"), to_the_end.alias("known_to"))
    )
    known = seen_before.unionByName(seen_since)
    if entities is not None:
        described = entities.select(
            key,
            F.greatest("valid_from", F.lit(first)).alias("known_from"),
            F.least(F.date_sub("valid_to", 1), to_the_end).alias("known_to"),  # least skips null
        )
        known = described.unionByName(known)
    known = known.where(F.col("known_from") <= F.col("known_to"))
    if first == last:  # partitioned by the key alone, as what is joined with it
        return known.select(key).distinct().withColumn("data_date", F.lit(last))
    dates = F.sequence(F.col("known_from"), F.col("known_to"))
    return known.select(key, F.explode(dates).alias("data_date")).distinct()
