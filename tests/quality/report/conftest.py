"""A night with made-up numbers."""

from collections.abc import Iterator
from datetime import date

import pytest

from quality.report.model import (
    CalibrationPoint,
    CohortMove,
    CohortSize,
    Decision,
    DecisionCell,
    GateBar,
    ListedItem,
    MetricCell,
    NightReport,
    OutcomeRow,
    PoolRow,
    Role,
    RowsBalance,
    SampleList,
    ScoreDistribution,
    StepRow,
    VerdictRow,
)

TASKS = ("click", "long_view", "like")
USERS = ("new", "low", "high", "old")
ITEMS = ("new", "old")


@pytest.fixture(scope="session")
def night() -> NightReport:
    return sample_night()


def sample_night() -> NightReport:
    return NightReport(
        data_date=date(2022, 5, 8),
        dataset="kuairand",
        run_id="20220508-7f3a",
        champion="mfh-41c09e7d",
        users_scored=27285,
        steps=(
            StepRow("ingest", 9.4, 13411, "done"),
            StepRow("check", 0.8, None, "done"),
            StepRow("build_features", 14.2, 34864, "done"),
            StepRow("label_cohorts", 4.1, 34864, "done"),
            StepRow("train", 71.3, None, "done"),
            StepRow("evaluate", 18.0, 306, "done"),
            StepRow("score", 33.5, 545700, "done"),
            StepRow("publish", 6.2, 545700, "done"),
        ),
        balance=RowsBalance(read=13797, accepted=13411, duplicates=369, quarantined=17, conflicts=2, late=41),
        verdicts=(
            VerdictRow(
                "events",
                "user_id_not_null",
                "passed",
                "0 of 13797 rows fail (0 %)",
                "not null, 5 % may fail",
                "critical",
            ),
            VerdictRow(
                "events",
                "play_seconds_between",
                "warned",
                "15 of 13797 rows fail (0.1 %)",
                "at least 0, 5 % may fail",
                "critical",
            ),
            VerdictRow(
                "user_features",
                "user_id_not_null",
                "passed",
                "0 of 27285 rows fail (0 %)",
                "not null, 0 % may fail",
                "critical",
            ),
            VerdictRow(
                "scores",
                "p_click_between",
                "passed",
                "0 of 545700 rows fail (0 %)",
                "in [0, 1], 0 % may fail",
                "critical",
            ),
        ),
        cohort_sizes=(
            CohortSize("user", "new", 10673, 11020),
            CohortSize("user", "low", 9758, 9641),
            CohortSize("user", "high", 6854, 6624),
            CohortSize("item", "new", 5903, 6010),
            CohortSize("item", "old", 1676, 1569),
        ),
        cohort_moves=(
            CohortMove("user", "new", "new", 10655),
            CohortMove("user", "new", "low", 365),
            CohortMove("user", "low", "low", 9393),
            CohortMove("user", "low", "high", 248),
            CohortMove("user", "high", "high", 6606),
            CohortMove("user", None, "new", 18),
            CohortMove("item", "new", "new", 5903),
            CohortMove("item", "new", "old", 107),
            CohortMove("item", "old", "old", 1569),
        ),
        cells=tuple(sample_cells()),
        decision=Decision(
            candidate="mfh-41c09e7d",
            champion_before="ple-9ab0c3f2",
            champion_after="mfh-41c09e7d",
            promoted=True,
            reasons=("mean gain +0.0031 [+0.0011, +0.0051] against ple-9ab0c3f2 over 3 of 4 cells",),
            cells=(
                DecisionCell("click", "user:new", "auc", "better", 0.0081, 0.0034, 0.0128, 0.6, 1930),
                DecisionCell("click", "user:low", "auc", "not worse", 0.0012, -0.003, 0.0054, 0.39, 2410),
                DecisionCell("like", "user:new", "auc", "undecided", -0.01, -0.04, 0.02, 0.01, 61),
                DecisionCell("like", "user:low", "auc", "undecided", None, None, None, 0.0, 12),
            ),
        ),
        calibration=tuple(sample_calibration()),
        gates=tuple(sample_gates()),
        model_warnings=("expert SHARED.1 of levels.0 is dead: its output is zero in all 13,411 rows",),
        scores=ScoreDistribution(
            edges=tuple(n / 20 for n in range(13)),
            tonight=(0.01, 0.04, 0.09, 0.16, 0.2, 0.18, 0.13, 0.09, 0.05, 0.03, 0.015, 0.005),
            night_before=(0.02, 0.06, 0.11, 0.18, 0.19, 0.16, 0.12, 0.08, 0.04, 0.025, 0.01, 0.005),
        ),
        pools=(
            PoolRow("home", "new", 298, (("most_shown", 280), ("newest", 20)), 10_655, 0),
            PoolRow("home", "high", 299, (("most_shown", 280), ("newest", 20)), 6_606, 1_234),
        ),
        outcomes=tuple(sample_outcomes()),
        samples=(
            sample_list("a user who was never seen", "20931", "new"),
            sample_list("an active user", "117", "high"),
        ),
        notices=("Attributes of users and items are an undated snapshot, taken as always valid.",),
    )


def sample_cells() -> Iterator[MetricCell]:
    single = ["all", *(f"user:{name}" for name in USERS), *(f"item:{name}" for name in ITEMS)]
    crossed = [f"user:{user}|item:{item}" for user in USERS for item in ITEMS]
    roles: tuple[Role, ...] = ("champion", "candidate")
    for t, task in enumerate(TASKS):
        for c, cohort in enumerate(sorted(single + crossed)):
            positives = (9100, 7200, 260)[t] // (1 + 2 * c)
            for r, role in enumerate(roles):
                value = 0.69 + 0.04 * t - 0.006 * c + 0.004 * r
                half = 1.2 / max(positives, 1) ** 0.5
                enough = positives >= 30
                yield MetricCell(
                    task,
                    cohort,
                    "auc",
                    role,
                    value if enough else None,
                    value - half if enough else None,
                    min(value + half, 1.0) if enough else None,
                    positives,
                    26000 // (1 + c),
                )
                yield MetricCell(
                    task,
                    cohort,
                    "log_loss",
                    role,
                    0.6 - 0.1 * t + 0.002 * c if enough else None,
                    None,
                    None,
                    positives,
                    26000,
                )
            yield MetricCell(
                task,
                cohort,
                "auc_gain",
                "candidate",
                0.004 if enough else None,
                -0.001 if enough else None,
                0.009 if enough else None,
                positives,
                26000 // (1 + c),
            )


def sample_calibration() -> Iterator[CalibrationPoint]:
    for task, top in zip(TASKS, (0.85, 0.7, 0.06), strict=True):
        for n in range(1, 11):
            predicted = top * n / 10
            yield CalibrationPoint(task, "champion", predicted, predicted * (0.92 + 0.02 * (n % 3)), 2600)
            yield CalibrationPoint(task, "candidate", predicted, predicted * (0.98 + 0.03 * (n % 2)), 2600)


def sample_gates() -> Iterator[GateBar]:
    cohorts = {"all": 13411, **{f"user:{name}": 3000 + 100 * len(name) for name in USERS}}
    for task in TASKS:
        experts = [f"{task}.{n}" for n in (0, 1, 2)] + [f"SHARED.{n}" for n in (0, 1)]
        for c, (cohort, rows) in enumerate([*cohorts.items(), ("item:new", 900), ("user:new|item:new", 90)]):
            for n, expert in enumerate(experts):
                mean = (1 + (n + c) % 5) / 15
                active = 0.0 if expert == "SHARED.1" else 0.9
                yield GateBar(f"levels.0.{task}", expert, cohort, rows, mean, mean / 5, active)


def sample_outcomes() -> Iterator[OutcomeRow]:
    for t, task in enumerate(TASKS):
        for c, cohort in enumerate(("all", *(f"user:{name}" for name in USERS))):
            users = (3900, 3100, 90)[t] // (1 + c)
            known = not (task == "like" and cohort == "user:old")
            for metric, value in (("hit_rate", 0.031), ("recall", 0.017), ("pool_recall", 0.217)):
                yield OutcomeRow(
                    "home",
                    metric,
                    task,
                    cohort,
                    value + 0.002 * c if known else None,
                    users if known else 0,
                    users * 2,
                )


def sample_list(who: str, user_id: str, cohort: str) -> SampleList:
    return SampleList(
        who,
        "home",
        user_id,
        cohort,
        tuple(
            ListedItem(
                n,
                str(4000 + 37 * n),
                (("click", 0.71 - 0.01 * n), ("long_view", 0.62 - 0.01 * n), ("like", 0.031)),
                0.5 - 0.01 * n,
            )
            for n in range(1, 21)
        ),
    )
