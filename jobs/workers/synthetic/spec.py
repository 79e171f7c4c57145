"""What a synthetic log is asked to be."""

from datetime import date, timedelta
from typing import Annotated, Self
from zoneinfo import available_timezones

from pydantic import Field, model_validator

from core.config_model import ConfigModel, Positive

BUSIEST = 1.8
"""How many times the mean user's events the busiest user has."""
SECONDS_APART = 30
"""Between two events of a user's session."""
HORIZON_DAYS = 2
"""As `lateness_days` of conf/datasets/synthetic.yaml: a row that is later is too late."""
LATEST_DAYS = HORIZON_DAYS + 1
"""How late a late row may be; each number of days up to it is equally likely."""

Part = Annotated[float, Field(ge=0, le=0.5)]


class LogSpec(ConfigModel):
    """Size and faults of a synthetic log. The same values are the same rows, in the same files.

    A user has sessions of `per_active_day` events, never two on one date. Users differ in how often: the
    rarest has 0.2 times the sessions of the mean user, the busiest BUSIEST times.
    """

    seed: Annotated[int, Field(ge=0)]
    events_per_day: Positive  # the mean, once all users have joined
    days: Positive
    users: Positive
    items: Positive
    first_date: date = date(2024, 2, 1)
    time_zone: str = "UTC"  # of data dates; times are written in UTC
    per_active_day: Annotated[int, Field(ge=1, le=1000)] = 5
    new_users: Part = 0.0  # share of all users that join on each date after the first
    hot_item: Part = 0.0  # share of events that show item 0
    late: Part = 0.0  # share of events whose row is in the file of a later date
    duplicates: Part = 0.0  # share of events whose row stands twice in its file
    broken: Part = 0.0  # share of events whose row has a value that cannot be right
    difference: Annotated[float, Field(ge=0, le=1)] = 0.5  # q: how differently cohorts behave

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.time_zone not in available_timezones():
            raise ValueError(f"time zone {self.time_zone!r} is unknown; name one as Asia/Shanghai is")
        if self.sessions_per_day * BUSIEST > 1:
            least = int(self.events_per_day * BUSIEST / self.per_active_day) + 1
            raise ValueError(
                f"{self.events_per_day} events per day, {self.per_active_day} per active user and day, need "
                f"at least {least} users, so that the busiest comes once per day; found {self.users}"
            )
        if self.new_users * (self.days - 1) > 1:
            raise ValueError(
                f"a share of {self.new_users} new users per date over {self.days} dates is more than all "
                f"users; expected at most {1 / (self.days - 1):.4f}"
            )
        if self.late + self.duplicates + self.broken > 1:
            raise ValueError("late, duplicates and broken are shares of the same events; expected at most 1")
        return self

    @property
    def sessions_per_day(self) -> float:
        """Of the mean user."""
        return self.events_per_day / (self.per_active_day * self.users)

    def date_of(self, number: int) -> date:
        """Return a data date by its number, from 0."""
        return self.first_date + timedelta(days=number)
