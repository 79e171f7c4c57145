"""What a night's report holds: plain values that a job reads from tables, and a page is made of.

Shares, rates and probabilities are in [0, 1]; seconds are wall-clock. A missing value is None and is
told as such, never as a number.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Role = Literal["champion", "candidate"]


@dataclass(frozen=True)
class StepRow:
    """One job of the night. rows: those of its main table, None if it writes none."""

    job: str
    seconds: float
    rows: int | None
    state: str


@dataclass(frozen=True)
class RowsBalance:
    """Source rows of the data date: read = accepted + duplicates + quarantined.

    Attributes:
        quarantined: rows that failed a rule, conflicts among them.
        conflicts: rows that lost against another of the same event.
        late: accepted or not, rows that a later date's file brought.
    """

    read: int
    accepted: int
    duplicates: int
    quarantined: int
    conflicts: int
    late: int

    @property
    def is_balanced(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read == self.accepted + self.duplicates + self.quarantined


@dataclass(frozen=True)
class VerdictRow:
    """One rule of one suite, as in `quality_results`."""

    table: str
    rule: str
    outcome: Literal["passed", "warned", "failed"]
    observed: str
    threshold: str
    severity: str


@dataclass(frozen=True)
class CohortSize:
    """Members of a cohort as of the data date; day_before is None on the first night."""

    entity: Literal["user", "item"]
    cohort: str
    members: int
    day_before: int | None


@dataclass(frozen=True)
class CohortMove:
    """How many went from one cohort on D-1 to one on D (or stayed); before is None for the newly known."""

    entity: Literal["user", "item"]
    before: str | None
    after: str
    count: int


@dataclass(frozen=True)
class MetricCell:
    """A metric of one model on the rows of one task and cohort.

    Attributes:
        cohort: "all", "user:new", "item:old", "user:new|item:new", ...
        metric: "auc", "auc_gain" (what the candidate is better by, paired), "log_loss", "gauc", "mse", ...
        value: None if positives or negatives, users or rows are too few.
        low: lower end of the 95 % interval over users.
        high: upper end.
        positives, negatives: None for GAUC and for a regression.
        rows: that the value rests on.
        users: of GAUC alone, those with both classes, who count.
        one_class_users: of GAUC alone, those who are skipped.
    """

    task: str
    cohort: str
    metric: str
    role: Role
    value: float | None
    low: float | None
    high: float | None
    positives: int | None
    negatives: int | None
    rows: int | None = None
    users: int | None = None
    one_class_users: int | None = None


@dataclass(frozen=True)
class GateBar:
    """What a gate of the candidate gives one expert in a cohort.

    Attributes:
        gate: its place in the model, "levels.0.click".
        expert: branch and number, "SHARED.1".
        rows: of the cohort, that the gate serves.
        mean, std: of its weight over them.
        active_share: of rows for which the expert gives anything but zeros.
    """

    gate: str
    expert: str
    cohort: str
    rows: int
    mean: float
    std: float
    active_share: float


@dataclass(frozen=True)
class Decision:
    """What became of the candidate. champion_before is None when there was none."""

    candidate: str
    champion_before: str | None
    champion_after: str | None
    promoted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class CalibrationPoint:
    """One bin of a calibration curve: mean predicted probability, share observed, rows."""

    task: str
    role: Role
    predicted: float
    observed: float
    count: int


@dataclass(frozen=True)
class ScoreDistribution:
    """Share of the published scores in each bin; edges has one more. None: no earlier night."""

    edges: tuple[float, ...]
    tonight: tuple[float, ...]
    night_before: tuple[float, ...] | None


@dataclass(frozen=True)
class OutcomeRow:
    """How the lists of the night before met what their users then did.

    Attributes:
        metric: "hit_rate" or "recall".
        value: None if nobody of the cohort had a positive event.
        users: users of the cohort with a positive event of the task.
        events: their positive user-item pairs.
    """

    metric: str
    task: str
    cohort: str
    value: float | None
    users: int
    events: int


@dataclass(frozen=True)
class ListedItem:
    """One row of a list: probabilities are (task, value) in the order of the tasks."""

    rank: int
    item_id: str
    probabilities: tuple[tuple[str, float], ...]
    score: float


@dataclass(frozen=True)
class SampleList:
    """One user's published list; who: "a user who was never seen", "an active user"."""

    who: str
    user_id: str
    cohort: str
    items: tuple[ListedItem, ...]


@dataclass(frozen=True)
class NightReport:
    """All that one night's page shows."""

    data_date: date
    dataset: str
    run_id: str
    champion: str | None  # model version that scored
    users_scored: int | None
    steps: tuple[StepRow, ...] = ()
    balance: RowsBalance | None = None
    verdicts: tuple[VerdictRow, ...] = ()
    cohort_sizes: tuple[CohortSize, ...] = ()
    cohort_moves: tuple[CohortMove, ...] = ()
    cells: tuple[MetricCell, ...] = ()
    decision: Decision | None = None
    calibration: tuple[CalibrationPoint, ...] = ()
    gates: tuple[GateBar, ...] = ()
    gate_warnings: tuple[str, ...] = ()
    scores: ScoreDistribution | None = None
    outcomes: tuple[OutcomeRow, ...] = ()
    samples: tuple[SampleList, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class IndexEntry:
    """One night in the index; href is relative to the index page."""

    data_date: date
    href: str
    champion: str | None
    promoted: bool | None  # None: no training night
    accepted: int | None
    quarantined: int | None
    users_scored: int | None
    warned: int
    failed: int
    seconds: float


def index_entry(night: NightReport, href: str) -> IndexEntry:
    """The line of a night in the index."""
    outcomes = [verdict.outcome for verdict in night.verdicts]
    return IndexEntry(
        data_date=night.data_date,
        href=href,
        champion=night.champion,
        promoted=None if night.decision is None else night.decision.promoted,
        accepted=None if night.balance is None else night.balance.accepted,
        quarantined=None if night.balance is None else night.balance.quarantined,
        users_scored=night.users_scored,
        warned=outcomes.count("warned"),
        failed=outcomes.count("failed"),
        seconds=sum(step.seconds for step in night.steps),
    )
