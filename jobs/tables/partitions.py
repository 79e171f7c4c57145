"""How many tasks scans and shuffles have on one machine: one per core for small data, more as the data grow.

Few partitions make small data fast: each is a task, and a night has hundreds of short queries. Large data do
not fit the memory of so few tasks. Spark's adaptive execution would decide this per stage, and costs
more than it saves on small data (conf/local.yaml); so it is decided once per result, by what its plan reads.
"""

from pyspark.sql import DataFrame

BYTES = 8 * 2**20
"""Of data files per partition: up to half a million rows of a narrow log in Parquet."""

SETTING, LEAST = "spark.sql.shuffle.partitions", "spark.lamplighter.leastPartitions"
SCANS = {
    "spark.sql.files.maxPartitionBytes": str(BYTES),
    "spark.sql.files.openCostInBytes": str(BYTES // 16),  # of 4 MB, each small file would be half a task
}


def fit_partitions(frame: DataFrame) -> None:
    """Set the partitions of scans and shuffles for a frame that is computed next, and for what is made of it.

    Does nothing in a session that has not asked for it, on a cluster or where the configuration sets them.
    Cost: none beside the optimised plan, which Spark makes once.
    """
    spark = frame.sparkSession
    least = spark.conf.get(LEAST, None)
    if least is None:
        return
    partitions = max(int(least), partitions_of(frame))
    spark.conf.set(SETTING, str(partitions))
    for name, value in SCANS.items():
        if partitions > int(least):
            spark.conf.set(name, value)
        else:
            spark.conf.unset(name)


def few_files(frame: DataFrame, dates: int) -> DataFrame:
    """Return a computed frame in as many partitions as one of its dates has files.

    A partition may hold rows of all dates, and each of them is a file then: 50 partitions of a year are
    18,250 files. Small data and single dates stay as they are.
    """
    least = frame.sparkSession.conf.get(LEAST, None)
    partitions = partitions_of(frame) if least is not None and dates > 1 else 0
    if least is None or partitions <= int(least):
        return frame
    return frame.coalesce(max(int(least), -(-partitions // dates)))


def partitions_of(frame: DataFrame) -> int:
    """Return in how many partitions what a frame reads is of moderate size.

    Counted are the data files of the partitions that it reads, with all their columns, and the partitions of
    what has been computed already.
    """
    read, computed = 0, 0
    leaves = frame._jdf.queryExecution().optimizedPlan().collectLeaves()
    for place in range(leaves.size()):
        leaf = leaves.apply(place)
        if leaf.nodeName() == "LogicalRDD":
            computed = max(computed, leaf.rdd().getNumPartitions())
        else:
            read += int(leaf.stats().sizeInBytes())
    return max(computed, -(-read // BYTES))
