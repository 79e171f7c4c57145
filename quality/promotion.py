"""Decide between champion and candidate: cells in, a decision and its reasons out.

The primary measure is the mean gain over cells (task x user cohort), weighted by precision; its 95 %
interval, over users and over seeds of training, must lie above `promotion.margin`. Beside it no cell may be
worse than `promotion.cell_margin` allows. Cells that cannot show such a loss are undecided: they are
named, and count as neither passed nor failed. A model that does not beat both baselines is not promoted, nor
is one whose suite fails, or that has no value of a primary task.
Docs: docs/adr/0012.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.schema import Promotion
from quality.candidate import Candidate
from quality.gains import Gain, MeanGain, Measured, Metric, Sampled, cell_gain, has_power, mean_gain
from quality.metrics import ERRORS
from quality.served import BASELINES, Baseline, served_by

Status = Literal["better", "not worse", "worse", "undecided"]


@dataclass(frozen=True, eq=False)
class Cell:
    """A task in a user cohort: all models measured on the same rows with the same metric.

    Attributes:
        task: its name.
        cohort: "user:new", ...
        metric: `promotion.metric` of binary tasks, `promotion.regression_metric` of regressions.
        users: that the metric counts; of GAUC those with both classes.
        users_by_class: users with at least one positive, and with at least one negative; None for GAUC
            and for regressions.
        candidate: measured.
        champion: measured; None where there is none.
        baselines: both of them, measured.
    """

    task: str
    cohort: str
    metric: Metric
    users: int
    users_by_class: tuple[int, int] | None
    candidate: Measured
    champion: Measured | None
    baselines: Mapping[Baseline, Measured]

    @property
    def name(self) -> str:
        """The cell in words: "like of user:new"."""
        return f"{self.task} of {self.cohort}"

    @property
    def fewest_users(self) -> int:
        """Users of the scarcer class, or all users where there are no classes."""
        return self.users if self.users_by_class is None else min(self.users_by_class)


@dataclass(frozen=True)
class CellResult:
    """How the candidate does against the champion in one cell.

    Attributes:
        task: its name.
        cohort: "user:new", ...
        metric: of the gain.
        users: of the scarcer class.
        status: undecided: too few users to see a loss of the margin. Otherwise, better: the interval lies
            above 0; not worse: a loss of the margin is excluded; worse: it is not. Also worse with few
            users: the whole interval lies below the margin.
        gain: over users alone, of these very weights; None with too few users or without a champion.
        weight: share in the mean gain, 0 with too few users.
    """

    task: str
    cohort: str
    metric: Metric
    users: int
    status: Status
    gain: Gain | None
    weight: float

    @property
    def name(self) -> str:
        """The cell in words: "like of user:new"."""
        return f"{self.task} of {self.cohort}"


@dataclass(frozen=True)
class Comparison:
    """The mean gain of the candidate over the champion or a baseline; None where no cell has enough users.

    Attributes:
        rival: the champion's version, or the baseline.
        gain: the mean.
        margin: what counts as no gain: the mean of the metrics' margins with the weights of the cells.
        counted: cells with enough users.
        cells: all of them.
    """

    rival: str
    gain: Gain | None
    margin: float
    counted: int
    cells: int

    @property
    def text(self) -> str:
        """In words: "mean gain +0.0041 [+0.0012, +0.0070] against group_mean over 7 of 9 cells"."""
        if self.gain is None:
            return f"none of {self.cells} cells has enough users to compare with {self.rival}"
        return f"mean gain {self.gain} against {self.rival} over {self.counted} of {self.cells} cells"


@dataclass(frozen=True)
class Decision:
    """What became of a candidate.

    Attributes:
        candidate: its version.
        champion_before: None where there was none.
        champion_after: None where there still is none.
        promoted: whether the candidate became champion by this decision.
        reasons: sentences, the one that decided first.
        champion_comparison: against the champion; None where there is none, or it is the candidate.
        baselines: against each baseline.
        cells: against the champion, in the order in which they came.
        warnings: sentences; they decide nothing.
    """

    candidate: str
    champion_before: str | None
    champion_after: str | None
    promoted: bool
    reasons: tuple[str, ...]
    champion_comparison: Comparison | None
    baselines: tuple[Comparison, ...]
    cells: tuple[CellResult, ...]
    warnings: tuple[str, ...]

    @property
    def served(self) -> str:
        """What lists are made by: the champion, or `group_mean` where there is none."""
        return served_by(self.champion_after)


def decide(candidate: Candidate, champion: str | None, cells: Sequence[Cell], rules: Promotion) -> Decision:
    """Return whether the candidate becomes champion, and why.

    Args:
        candidate: what is known of it beside its metrics.
        champion: version of the champion; None where there is none.
        cells: tasks of `promotion.primary_tasks` x user cohorts; replicates of users are joint.
        rules: margins, users that a cell needs, and the standard deviations over seeds.
    """
    is_champion = champion == candidate.model_version
    comparison: Comparison | None = None
    results: tuple[CellResult, ...] = ()
    if champion is not None and not is_champion:
        comparison, results = _against_champion(cells, champion, rules)
    by_baseline = {name: _known_to(name, cells) for name in BASELINES}
    baselines = tuple(
        _against_baseline(known, name, rules) for name, known in by_baseline.items() if known or not cells
    )
    objections = [
        *_objections_of_measures(candidate),
        *_objections_of_suite(candidate),
        *_objections_of_baselines(baselines),
        *_objections_of_mean(comparison),
        *_objections_of_cells(results, champion, rules),
    ]
    promoted = not objections and not is_champion
    return Decision(
        candidate=candidate.model_version,
        champion_before=champion,
        champion_after=candidate.model_version if promoted else champion,
        promoted=promoted,
        reasons=(*_grounds(is_champion, objections, comparison, baselines), *_undecided(results)),
        champion_comparison=comparison,
        baselines=baselines,
        cells=results,
        warnings=tuple(_warnings(candidate, results)),
    )


def _against_champion(
    cells: Sequence[Cell], champion: str, rules: Promotion
) -> tuple[Comparison, tuple[CellResult, ...]]:
    """The mean gain over the champion, and each cell's part in it."""
    gains = [_gain(cell, cell.champion, rules) for cell in cells]
    mean = _mean(cells, gains, rules)
    weights = iter(() if mean is None else mean.weights)
    results = tuple(
        _result(cell, gain, 0.0 if gain is None else next(weights), rules.cell_margin[cell.metric])
        for cell, gain in zip(cells, gains, strict=True)
    )
    return _comparison(champion, cells, gains, mean, rules), results


def _against_baseline(cells: Sequence[Cell], name: Baseline, rules: Promotion) -> Comparison:
    gains = [_gain(cell, cell.baselines[name], rules) for cell in cells]
    return _comparison(name, cells, gains, _mean(cells, gains, rules), rules)


def _known_to(name: Baseline, cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that a baseline makes a prediction for: popularity makes none for a regression."""
    return [cell for cell in cells if name != "popularity" or cell.metric not in ERRORS]


def _gain(cell: Cell, rival: Measured | None, rules: Promotion) -> Sampled | None:
    """The gain in a cell; None with fewer users of a class than it takes."""
    if rival is None or cell.fewest_users < rules.min_users:
        return None
    return cell_gain(cell.metric, cell.candidate, rival)


def _mean(cells: Sequence[Cell], gains: Sequence[Sampled | None], rules: Promotion) -> MeanGain | None:
    known = [(gain, cell) for gain, cell in zip(gains, cells, strict=True) if gain is not None]
    if not known:
        return None
    seed_stds = [rules.seed_std_of(cell.task, cell.metric) for _, cell in known]
    return mean_gain([gain for gain, _ in known], seed_stds)


def _comparison(
    rival: str,
    cells: Sequence[Cell],
    gains: Sequence[Sampled | None],
    mean: MeanGain | None,
    rules: Promotion,
) -> Comparison:
    counted = [cell for cell, gain in zip(cells, gains, strict=True) if gain is not None]
    if mean is None:
        return Comparison(rival, None, 0.0, 0, len(cells))
    margins = [rules.margin[cell.metric] for cell in counted]
    margin = sum(weight * each for weight, each in zip(mean.weights, margins, strict=True))
    return Comparison(rival, mean.gain, margin, len(counted), len(cells))


def _result(cell: Cell, sampled: Sampled | None, weight: float, margin: float) -> CellResult:
    gain = None if sampled is None else sampled.gain()
    status: Status = "undecided" if gain is None else cell_status(gain, margin)
    return CellResult(cell.task, cell.cohort, cell.metric, cell.fewest_users, status, gain, weight)


def cell_status(gain: Gain, margin: float) -> Status:
    """Return what a cell's gain shows of a loss of the margin.

    In a cell with the power to show one, a loss that is not excluded is one. A cell without that power is
    undecided, unless its whole interval lies below the margin.
    """
    if not has_power(gain, margin):
        return "worse" if gain.high < -margin else "undecided"
    if gain.low <= -margin:
        return "worse"
    return "better" if gain.low > 0 else "not worse"


def _objections_of_suite(candidate: Candidate) -> list[str]:
    return [] if candidate.suite_passed else ["its suite does not pass"]


def _objections_of_measures(candidate: Candidate) -> list[str]:
    return [f"{each} was not measured: no rows, or too few of a class" for each in candidate.not_measured]


def _objections_of_baselines(baselines: Sequence[Comparison]) -> list[str]:
    return [
        each.text if each.gain is None else f"it does not beat {each.rival}: {each.text}"
        for each in baselines
        if each.gain is None or each.gain.low <= 0
    ]


def _objections_of_mean(comparison: Comparison | None) -> list[str]:
    if comparison is None or (comparison.gain is not None and comparison.gain.low > comparison.margin):
        return []
    if comparison.gain is None:
        return [comparison.text]
    return [f"{comparison.text} does not lie above {comparison.margin:.3g}"]


def _objections_of_cells(results: Sequence[CellResult], champion: str | None, rules: Promotion) -> list[str]:
    return [
        f"a loss of {rules.cell_margin[cell.metric]:g} against {champion} is not excluded in {cell.name} "
        f"({cell.gain})"
        for cell in results
        if cell.status == "worse"
    ]


def _grounds(
    is_champion: bool, objections: list[str], comparison: Comparison | None, baselines: Sequence[Comparison]
) -> list[str]:
    """What decided."""
    if is_champion:
        return ["it is the champion already, and stays", *objections]
    if objections:
        return objections
    beaten = [f"it beats {each.rival}: {each.text}" for each in baselines]
    if comparison is None:
        return ["the first champion: its suite passes, and there is none to beat", *beaten]
    return [comparison.text, *beaten]


def _undecided(results: Sequence[CellResult]) -> list[str]:
    """One sentence that names the cells in which nothing is shown."""
    names = [cell.name for cell in results if cell.status == "undecided"]
    return [f"undecided in {len(names)} of {len(results)} cells: {', '.join(names)}"] if names else []


def _warnings(candidate: Candidate, results: Sequence[CellResult]) -> list[str]:
    warnings = []
    if candidate.best_epoch >= candidate.max_epochs:
        warnings.append(
            f"the best epoch of {candidate.model_version} is the last of {candidate.max_epochs}: "
            "it may not have finished learning; raise model.optimiser.max_epochs"
        )
    warnings += [
        f"{cell.name} may be worse: {cell.gain} with {cell.users:,} users"
        for cell in results
        if cell.status == "undecided" and cell.gain is not None and cell.gain.high < 0
    ]
    return warnings
