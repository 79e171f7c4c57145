"""Pin a training set: fit its encoder, pack its examples into blocks that training streams.

spark-submit jobs/pack.py --data-date 2022-05-07

A training set is named by its days and its fingerprint. It is written once and never changed: late rows
of its days, or rows that arrive while it is current, do not make another one. Only where a file of it was
lost is it packed again.
The encoder is fitted on all rows of the training days. Packed are the rows that count in a task, of the
training days with a share of the negatives (`training.keep_negatives`), of the validation days with all.
Cost: one pass to fit the encoder, one shuffle and sort of the window's examples.
"""

from datetime import date, timedelta

from core.columns import feature_columns, input_sides
from core.errors import LamplighterError
from core.training_days import pinned_date, training_days
from features.arrivals import with_history
from features.encoding import fit_encoder
from features.packing import to_blocks
from features.sampling import counting, with_fewer_negatives
from jobs.runtime.job import ONE, job
from jobs.runtime.reads import training_window
from jobs.runtime.run import Run


@job(
    reads=(training_window("examples"),),
    writes=("encoders", "training_blocks", "training_sets"),
    config=(
        "source.events.columns",
        "features",
        "inputs",
        "training",
        "cohorts",
        *("tasks[].name", "tasks[].kind", "tasks[].matures_days"),
    ),
    dates=ONE,
    training=True,
)
def pack(run: Run) -> None:
    """Write `encoders`, `training_blocks` and `training_sets` of the training set as of the data date."""
    days = training_days(run.config, run.data_date)
    if not days:
        run.note(f"no training set yet: the first is pinned on {run.config.training.anchor}")
        return
    require_no_burn_in(days, run.config.training.first_data_date)
    training_set = f"{days[0]}_{days[-1]}_{run.fingerprint[:12]}"
    run.note(training_set)
    is_whole = all(
        run.is_whole(table, training_set=training_set) for table in ("encoders", "training_blocks")
    )
    if is_whole and run.is_written("training_sets", training_set=training_set):
        run.note("packed already")
        return

    require_features(run, days)
    split = len(days) - run.config.training.validation_days
    train = run.compute(run.read("examples", days[0], days[split - 1]))
    validation = run.read("examples", days[split], days[-1])
    encoder = with_history(fit_encoder(train, run.config.inputs, input_sides(run.config)), run.config)
    of_set = {"training_set": training_set, "first_data_date": days[0], "last_data_date": days[-1]}
    run.commit_rows("encoders", [of_set | {"encoder": encoder.model_dump_json()}], training_set=training_set)

    tasks = run.config.tasks
    counted = counting(train, tasks)
    train = with_fewer_negatives(counted, tasks, run.config.training)
    if run.config.training.keep_negatives < 1:
        run.note(f"of {counted.count():,} rows of the training days {train.count():,} are packed")
    validation = counting(validation, tasks)
    blocks = to_blocks(train, encoder, run.config, training_set, "train").unionByName(
        to_blocks(validation, encoder, run.config, training_set, "validation")
    )
    run.commit("training_blocks", blocks, training_set=training_set)
    pinned = {"data_date": pinned_date(run.config.training, run.data_date), "recipe": run.record.recipe_hash}
    row = of_set | pinned | {"inputs": list(run.record.newest.inputs)}
    run.commit_rows("training_sets", [row], training_set=training_set)


def require_features(run: Run, days: list[date]) -> None:
    """Stop where an input or a task was declared after features or examples of training days were made.

    Raises:
        ConfigError: with the columns and the days.
    """
    inputs = run.config.inputs
    columns = {each.column for each in inputs.categorical} | {each.column for each in inputs.dense}
    before = [day - timedelta(days=1) for day in days]
    for group, features in run.config.features.groups.items():
        of_group = columns & {*feature_columns(features, group)}
        run.require_filled_in(f"{group}_features", of_group, before, "the training set")
    columns |= {f"{kind}_{task.name}" for task in run.config.tasks for kind in ("label", "mask")}
    run.require_filled_in("examples", columns & {*run.catalog["examples"].columns}, days, "the training set")


def require_no_burn_in(days: list[date], earliest: date) -> None:
    """Stop where the window reaches into days that are never trained on.

    Raises:
        LamplighterError: with the window.
    """
    if days[0] < earliest:
        raise LamplighterError(
            f"training window {days[0]} .. {days[-1]} reaches into the burn-in before {earliest} "
            "(training.first_data_date); shorten training.window_days or set a later training.anchor"
        )


if __name__ == "__main__":
    pack.main()
