"""The YAML of a data set, written from guesses: each with its reason, `???` where nothing was found."""

from jobs.onboarding.dataset_guess import DatasetGuess
from jobs.onboarding.features_yaml import COUNT, behaviour_line, cohort_lines, feature_lines, input_lines
from jobs.onboarding.source_yaml import source_lines
from jobs.onboarding.tasks_yaml import task_lines


def to_yaml(guess: DatasetGuess) -> str:
    """Return the text of conf/datasets/NAME.yaml."""
    lines = [
        f"# {guess.name}, as `lamplighter init` found it. A comment `guess:` says why a value is as it is;",
        "# ??? is to be filled in. `lamplighter validate` shows what each expression makes of the files.",
        f"dataset: {guess.name}",
        "",
        *source_lines(guess),
        "",
        "# What a user may do with an impression. What is known before belongs to source.events.columns.",
        "behaviours:",
        *(behaviour_line(each) for each in guess.behaviours),
        "",
        f"exposure: {COUNT}  # the count that says how often an item or a user was shown",
        "",
        *feature_lines(guess),
        "",
        *cohort_lines(),
        "",
        *input_lines(guess),
        "",
        *task_lines(guess),
    ]
    return "\n".join(lines) + "\n"
