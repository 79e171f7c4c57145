"""Pin a training set: fit its encoder, pack its examples into blocks that training streams.

spark-submit jobs/pack.py --data-date 2022-05-07

A training set is named by its days and its fingerprint. It is written once and never changed, so a
set that is there already costs nothing.
Cost: one pass to fit the encoder, one shuffle and sort of the window's examples.
"""

from datetime import date

from core.errors import LamplighterError
from features.encoding import fit_encoder
from features.packing import to_blocks
from jobs.runtime.job import job
from jobs.runtime.run import Run
from jobs.runtime.steps import training_days, training_end


@job
def pack(run: Run) -> None:
    """Write `encoders` and `training_blocks` of the training set as of the data date."""
    pinned = training_end(run.config, run.last)
    if pinned is None:
        run.notes.append(f"no training set yet: the first is pinned on {run.config.training.anchor}")
        return
    days = training_days(run.config, pinned)
    require_examples(run, days)
    training_set = f"{days[0]}_{days[-1]}_{run.fingerprint[:12]}"
    run.entry.facts["training_set"] = training_set
    run.notes.append(training_set)
    if training_set in run.store.partitions("training_blocks", "training_set"):
        run.notes.append("packed already")
        return

    split = len(days) - run.config.training.validation_days
    train = run.compute(run.read("examples", days[0], days[split - 1]))
    validation = run.read("examples", days[split], days[-1])
    encoder = fit_encoder(train, run.config.inputs)
    row = {
        "training_set": training_set,
        "first_data_date": days[0],
        "last_data_date": days[-1],
        "encoder": encoder.model_dump_json(),
    }
    where = f"training_set = '{training_set}'"
    run.replace_rows("encoders", [row], where)

    blocks = to_blocks(train, encoder, run.config, training_set, "train").unionByName(
        to_blocks(validation, encoder, run.config, training_set, "validation")
    )
    run.replace("training_blocks", run.compute(blocks), where)


def require_examples(run: Run, days: list[date]) -> None:
    """Stop unless every day of the window has examples and none is burn-in.

    Raises:
        LamplighterError: naming the days to build first.
    """
    earliest = run.config.training.first_data_date
    if days[0] < earliest:
        raise LamplighterError(
            f"training window {days[0]} .. {days[-1]} reaches into the burn-in before {earliest} "
            "(training.first_data_date); shorten training.window_days or pin later"
        )
    runs = run.newest_runs()
    missing = [
        day
        for day in days
        if (found := runs.get(("build_examples", "", day))) is None or found.state != "done"
    ]
    if missing:
        raise LamplighterError(
            f"examples are not built for {missing[0]} .. {missing[-1]} ({len(missing)} dates of the window); "
            f"run `lamplighter build_examples --data-date {missing[0]}..{missing[-1]}` first"
        )


if __name__ == "__main__":
    pack.main()
