from dataclasses import replace

from quality.report import views
from quality.report.model import CohortMove, GateBar, MetricCell, NightReport, OutcomeRow, VerdictRow

CELL = MetricCell("click", "all", "auc", "champion", 0.7, 0.6, 0.8, 100, 200)


def test_cells_come_from_whole_to_part_and_cohorts_in_the_order_of_their_table(night: NightReport) -> None:
    cohorts = [
        "item:old",
        "user:new|item:old",
        "user:low",
        "user:old",
        "item:new",
        "user:new|item:new",
        "all",
        "user:new",
    ]
    mixed = replace(night, cells=tuple(replace(CELL, cohort=cohort) for cohort in cohorts))

    assert [cell.cohort for cell in views.in_order(mixed).cells] == [
        "all",
        "user:new",
        "user:low",
        "user:old",  # a roll-up has no row in the table
        "item:new",
        "item:old",
        "user:new|item:new",
        "user:new|item:old",
    ]


def test_numbers_in_names_of_gates_and_experts_are_ordered_as_numbers(night: NightReport) -> None:
    bar = GateBar("levels.0.click", "click.0", "all", 9, 0.5, 0.1, 1.0)
    names = [("levels.10.click", "click.2"), ("levels.2.click", "click.10"), ("levels.2.click", "click.2")]
    mixed = [
        replace(bar, gate=gate, expert=expert, cohort=cohort)
        for gate, expert in names
        for cohort in ("item:new", "all")
    ]

    found = views.in_order(replace(night, gates=tuple(mixed))).gates

    assert [(bar.gate, bar.expert) for bar in found[::2]] == [names[2], names[1], names[0]]
    assert [bar.cohort for bar in found] == ["all", "item:new"] * 3


def test_gains_have_a_column_and_no_table_of_their_own() -> None:
    cells = [replace(CELL, metric=metric) for metric in ("auc", "auc_gain", "gauc", "gauc_gain", "ece")]

    assert views.other_metrics(cells) == ["gauc", "ece"]


def test_a_line_holds_both_models_and_their_paired_gain() -> None:
    candidate = replace(CELL, role="candidate", value=0.72)
    gain = replace(candidate, metric="auc_gain", value=0.02)
    of_new = replace(candidate, cohort="user:new")

    lines = views.metric_lines([of_new, gain, CELL, candidate], "auc")

    assert lines == [
        views.MetricLine("click", "user:new", {"candidate": of_new}, None),
        views.MetricLine("click", "all", {"champion": CELL, "candidate": candidate}, gain),
    ]


def test_tasks_keep_their_order_and_are_not_sorted_by_name() -> None:
    cells = [
        replace(CELL, task=task, cohort=cohort)
        for cohort in ("all", "user:new")
        for task in ("watch", "click")
    ]

    groups = views.by_task(views.metric_lines(cells, "auc"))

    assert [(task, [line.cohort for line in own]) for task, own in groups] == [
        ("watch", ["all", "user:new"]),
        ("click", ["all", "user:new"]),
    ]


def test_models_come_before_baselines_and_the_champion_first() -> None:
    cells = [replace(CELL, role=role) for role in ("group_mean", "candidate", "popularity", "champion")]

    assert views.roles(cells) == ["champion", "candidate", "popularity", "group_mean"]
    assert [cell.role for cell in views.of_models(cells)] == ["candidate", "champion"]


def test_a_cell_of_the_decision_rests_on_the_replicates_of_its_metric(night: NightReport) -> None:
    assert night.decision is not None
    clicks = night.decision.cells[0]
    auc = MetricCell("click", "user:new", "auc", "candidate", 0.7, 0.6, 0.8, 100, 200, replicates=400)
    champion, loss = replace(auc, role="champion", replicates=9), replace(auc, metric="ece", replicates=8)

    assert views.replicates_of(replace(night, cells=(champion, loss, auc)), clicks) == 400
    assert views.replicates_of(replace(night, cells=()), clicks) is None


def test_outcomes_are_grouped_by_list_and_task_with_a_place_for_each_metric(night: NightReport) -> None:
    def outcome(name: str, metric: str, task: str) -> OutcomeRow:
        return OutcomeRow(name, metric, task, "all", 0.5, 2, 3)

    rows = [
        outcome("home", "recall", "click"),
        outcome("home", "recall", "like"),
        outcome("friends", "recall", "click"),
        outcome("home", "hit_rate", "click"),
    ]

    lines = views.outcome_lines(rows)

    assert [(line.task, line.metrics) for line in lines] == [
        ("home: click", (rows[3], rows[0], None)),
        ("home: like", (None, rows[1], None)),
        ("friends: click", (None, rows[2], None)),
    ]
    assert [line.task for line in views.outcome_lines(night.outcomes)][::5] == ["click", "long_view", "like"]


def test_the_outcome_of_a_table_is_that_of_its_worst_rule() -> None:
    rule = VerdictRow("scores", "a", "passed", "", "", "critical")
    verdicts = [
        rule,
        replace(rule, rule="b", outcome="warned"),
        replace(rule, table="events", outcome="failed"),
    ]

    assert [(table.table, table.outcome, table.passed) for table in views.table_verdicts(verdicts)] == [
        ("scores", "warned", 1),
        ("events", "failed", 0),
    ]


def test_without_moves_there_is_no_matrix() -> None:
    assert views.movement([CohortMove("user", "new", "low", 3)], "item") is None


def test_a_cohort_without_members_today_still_has_its_line() -> None:
    matrix = views.movement(
        [CohortMove("user", "gone", "low", 3), CohortMove("user", "low", "low", 2)], "user"
    )

    assert matrix == views.Movement(("low",), (("low", (2,)), ("gone", (3,))))


def test_the_night_in_short_names_what_did_not_pass(night: NightReport) -> None:
    failed = VerdictRow("scores", "score_not_null", "failed", "", "", "critical")

    assert "4 rules: all 3 tables passed, 1 rule with warnings." in views.in_short(night)
    assert "1 rule: scores did not pass." in views.in_short(replace(night, verdicts=(failed,)))
