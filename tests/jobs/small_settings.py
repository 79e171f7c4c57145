"""Settings under which the nights of a small data set take seconds."""

SMALL = (
    "runtime.spark={spark.master: 'local[2]', spark.sql.shuffle.partitions: '2', "
    "spark.sql.adaptive.enabled: 'false'}",
    "model.optimiser.max_epochs=2",
    "evaluation.replicates=20",
    "promotion.min_users=3",
)
