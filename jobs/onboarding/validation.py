"""What a data set's YAML makes of its files, before anything is built: every expression over a sample.

Nothing is written. What is wrong is found key by key, each with the file and the line of the YAML.
"""

from datetime import date

from core.config_model import ENTITIES
from core.layers import Layers
from jobs.onboarding.attribute_checks import check_attributes
from jobs.onboarding.checking import Checks, Findings
from jobs.onboarding.event_checks import check_actions, check_events
from jobs.onboarding.task_checks import check_cohorts, check_tasks
from jobs.runtime.project import Project


def validate(project: Project, layers: Layers, data_date: date | None) -> Findings:
    """Evaluate every expression of a data set over its files.

    Args:
        project: its configuration is loaded, so that the YAML by itself is right.
        layers: where its keys are.
        data_date: whose log files; None: the newest.
    """
    checks = Checks(project, layers)
    events = check_events(checks, data_date)
    check_actions(checks, data_date)
    for entity in ENTITIES:
        check_attributes(checks, entity, events)
    if events is not None:
        check_tasks(checks, events)
    check_cohorts(checks)
    return checks.found
