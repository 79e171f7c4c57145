"""A night in one session: every step in order, from the first unfinished one.

lamplighter night --data-date 2022-05-07 --model ple
lamplighter night --data-date 2022-05-07 --plan        what would run, and why
lamplighter history --data-date 2022-04-24..2022-05-06  the data steps of many dates, one pass each

The training bracket (build_examples apart, which every night needs for a later training) runs when the
model was not trained yet on the training set that is current as of the data date.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from jobs.build_examples import build_examples
from jobs.build_features import build_features
from jobs.check import check
from jobs.evaluate import evaluate
from jobs.ingest import ingest
from jobs.label_cohorts import label_cohorts
from jobs.look_back import look_back
from jobs.pack import pack
from jobs.promote import promote
from jobs.publish import publish
from jobs.report import report
from jobs.runtime.arguments import Arguments
from jobs.runtime.job import JobProgram
from jobs.runtime.run import Scene
from jobs.runtime.steps import DATA_STEPS, STEPS
from jobs.score import score
from jobs.train import train

JOBS: dict[str, JobProgram] = {
    program.name: program
    for program in (
        *(ingest, check, build_features, label_cohorts, build_examples, pack, train, evaluate, promote),
        *(score, publish, look_back, report),
    )
}


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan: the dates that need it (none: up to date), and why."""

    job: str
    dates: tuple[date, ...]
    why: str


def plan(arguments: Arguments, jobs: Sequence[str] | None = None) -> list[PlannedStep]:
    """What would run for these dates, in order, and why; reads the ledger and the names of files only."""
    scene = Scene(arguments)
    names = jobs or steps_of(scene)
    newest = scene.newest_runs()
    lineage = scene.lineage(expected=names)
    steps: list[PlannedStep] = []
    champion_is_open = False
    for job in names:
        model = scene.config.model.name if STEPS[job].of_model else ""
        reasons: dict[date, str] = {}
        for day in scene.dates:
            found = newest.get((job, model, day))
            if found is None:
                reasons[day] = "never run"
            elif found.state != "done":
                reasons[day] = f"the last run {'was cut off' if found.state == 'started' else found.state}"
            elif found.fingerprint != lineage.make(job, day):
                reasons[day] = "its code, configuration or inputs changed"
            elif champion_is_open and job in ("score", "publish", "report"):
                reasons[day] = "the champion is not decided yet"
        champion_is_open |= job == "promote" and bool(reasons)
        why = "; ".join(sorted(set(reasons.values()))) or "up to date"
        steps.append(PlannedStep(job, tuple(reasons), why))
    return steps


def steps_of(scene: Scene) -> list[str]:
    """The steps of a night, with or without the training bracket."""
    in_bracket = scene.no_training() is None
    return [name for name in JOBS if in_bracket or not STEPS[name].is_training]


def run_night(arguments: Arguments, jobs: Sequence[str] | None = None) -> list[PlannedStep]:
    """Run what is unfinished, step by step; return the steps as they were planned at their turn.

    A step is planned when its turn comes, since steps before it may have changed what it reads.
    """
    done: list[PlannedStep] = []
    for name in jobs or steps_of(Scene(arguments)):
        (step,) = plan(arguments, [name])
        if step.dates:
            JOBS[name](for_dates(arguments, name, step))
        done.append(step)
    return done


def for_dates(arguments: Arguments, name: str, step: PlannedStep) -> Arguments:
    """The night's arguments for one step: its dates, and no model where the champion decides."""
    model = arguments.model if STEPS[name].of_model else None
    return replace(arguments, first=step.dates[0], last=step.dates[-1], model=model)


def run_history(arguments: Arguments) -> list[PlannedStep]:
    """The data steps over a range; examples begin a day later, with the first features."""
    steps = run_night(arguments, [job for job in DATA_STEPS if job != "build_examples"])
    later = replace(arguments, first=max(arguments.first, first_example_date(arguments)))
    return steps + (run_night(later, ["build_examples"]) if later.first <= later.last else [])


def first_example_date(arguments: Arguments) -> date:
    """Examples are of use from the end of the burn-in on."""
    return Scene(arguments).config.training.first_data_date
