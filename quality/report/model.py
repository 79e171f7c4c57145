"""What a night's report holds: plain values that a job reads from tables, and that a page is made of.

Shares, rates and probabilities are in [0, 1]; seconds are wall-clock. A missing value is None and is
shown as missing, never as a number.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

Role = Literal["champion", "candidate", "popularity", "group_mean"]
"""Whose metric it is: of a model, or of a baseline on the same rows."""


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
        late: accepted or not, rows that were in the file of a later date.
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
class RepairedDate:
    """An earlier data date that tonight's file had rows of, made anew through to `examples`."""

    data_date: date
    late_rows: int


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
    """Members that went from one cohort on D-1 to one on D, or stayed; before is None for new members."""

    entity: Literal["user", "item"]
    before: str | None
    after: str
    count: int


@dataclass(frozen=True)
class MetricCell:
    """A metric of one model on the rows of one task and cohort.

    Attributes:
        cohort: "all", "user:new", "item:old", "user:new|item:new", ...
        metric: "auc", "auc_gain" (of the candidate, paired: above 0 it is better), "log_loss", "mse", ...
        role: whose it is.
        value: None if positives or negatives, users or rows are too few.
        low: lower end of the 95 % interval over users.
        high: upper end.
        positives, negatives: None for GAUC and for a regression.
        rows: that the value is computed from.
        users: of GAUC alone, those with both classes, who count.
        one_class_users: of GAUC alone, those who are skipped.
        replicates: that the interval is taken from; they decide how many digits are shown. None: four.
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
    replicates: int | None = None


@dataclass(frozen=True)
class GateBar:
    """The weight that a gate of the candidate gives one expert in a cohort.

    Attributes:
        gate: its place in the model, "levels.0.click".
        expert: branch and number, "SHARED.1".
        rows: of the cohort, that the gate serves.
        mean, std: of its weight over them.
        active_share: of rows for which the expert's output is not all zeros.
    """

    gate: str
    expert: str
    cohort: str
    rows: int
    mean: float
    std: float
    active_share: float


@dataclass(frozen=True)
class DecisionCell:
    """The candidate against the champion in one cell, as quality.promotion.CellResult says.

    Attributes:
        task: its name.
        cohort: "user:new", ...
        metric: that is compared.
        status: what the interval shows of a loss of the margin.
        gain, low, high: with the 95 % interval over users; None with too few users.
        weight: share in the mean gain, in [0, 1].
        users: of the scarcer class.
    """

    task: str
    cohort: str
    metric: str
    status: Literal["better", "not worse", "worse", "undecided"]
    gain: float | None
    low: float | None
    high: float | None
    weight: float
    users: int


@dataclass(frozen=True)
class Decision:
    """The decision about a candidate. champion_before is None if there was none.

    Attributes:
        candidate: its version.
        champion_before, champion_after: versions; both the candidate's if it was champion already.
        promoted: whether the candidate became champion tonight.
        reasons: sentences, what decided first; they name the baselines and the undecided cells.
        cells: against the champion; none without one.
        warnings: sentences that decided nothing.
    """

    candidate: str
    champion_before: str | None
    champion_after: str | None
    promoted: bool
    reasons: tuple[str, ...]
    cells: tuple[DecisionCell, ...] = ()
    warnings: tuple[str, ...] = ()


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
    """The lists of the night before, compared with what their users then did.

    Attributes:
        list: name of the list.
        metric: "hit_rate", "recall" or "pool_recall".
        value: None if no user of the cohort had a positive event.
        users: users of the cohort with a positive event of the task.
        events: their positive user-item pairs.
    """

    list: str
    metric: str
    task: str
    cohort: str
    value: float | None
    users: int
    events: int


@dataclass(frozen=True)
class PoolRow:
    """What the users of a cohort were scored against on one list.

    Attributes:
        items: for all users of the cohort.
        sources: source -> items that it names; one item may have several.
        users: of the cohort.
        own_pairs: further items of single users, over all users of the cohort.
    """

    list: str
    cohort: str
    items: int
    sources: tuple[tuple[str, int], ...]
    users: int
    own_pairs: int

    @property
    def pairs(self) -> int:
        """Pairs of users and items that were scored."""
        return self.users * self.items + self.own_pairs


@dataclass(frozen=True)
class ListedItem:
    """One row of a list: probabilities are (task, value) in the order of the tasks; None: without items."""

    rank: int
    item_id: str | None
    probabilities: tuple[tuple[str, float], ...]
    score: float | None


@dataclass(frozen=True)
class SampleList:
    """One user's published list; who: "a user who was never seen", "an active user"."""

    who: str
    list: str
    user_id: str
    cohort: str
    items: tuple[ListedItem, ...]


@dataclass(frozen=True)
class FeatureRow:
    """One feature column: what it is, and what it holds as of the data date.

    Attributes:
        group, name, key: its group, its column, the column that identifies a row of the group.
        window: such as 7d, all; empty: none.
        source: expression that it is made by.
        unit: empty: none is declared.
        null: when it is null, in words.
        since: first data date from which on every one has the column; None: no data date has it.
        rows: as of the data date; None: it is not profiled.
        nulls: of them.
        is_number: whether `values` are bins of numbers, in order; else they are the most frequent values.
        values: label and rows.
        models: that read it.
    """

    group: str
    name: str
    key: str
    window: str
    source: str
    unit: str
    null: str
    since: date | None = None
    rows: int | None = None
    nulls: int = 0
    is_number: bool = False
    values: tuple[tuple[str, int], ...] = ()
    models: tuple[str, ...] = ()

    @property
    def null_share(self) -> float | None:
        """Share of rows without a value; None without rows."""
        return self.nulls / self.rows if self.rows else None


@dataclass(frozen=True)
class NightReport:
    """All that one night's page shows."""

    data_date: date
    dataset: str
    run_id: str
    champion: str | None  # what made the lists: a model version, or `group_mean` if no model is champion
    users_scored: int | None
    steps: tuple[StepRow, ...] = ()
    balance: RowsBalance | None = None
    repaired: tuple[RepairedDate, ...] = ()
    verdicts: tuple[VerdictRow, ...] = ()
    cohort_sizes: tuple[CohortSize, ...] = ()
    cohort_moves: tuple[CohortMove, ...] = ()
    cells: tuple[MetricCell, ...] = ()
    decision: Decision | None = None
    calibration: tuple[CalibrationPoint, ...] = ()
    gates: tuple[GateBar, ...] = ()
    model_warnings: tuple[str, ...] = ()
    scores: ScoreDistribution | None = None
    pools: tuple[PoolRow, ...] = ()
    outcomes: tuple[OutcomeRow, ...] = ()
    samples: tuple[SampleList, ...] = ()
    list_warnings: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    labelled_date: date | None = None  # newest data date with final labels, where it is before the night's


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
    """Return the line of a night in the index."""
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
