import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from quality.report.model import (
    CohortSize,
    Decision,
    DecisionCell,
    FeatureRow,
    GateBar,
    IndexEntry,
    ListedItem,
    MetricCell,
    NightReport,
    OutcomeRow,
    PoolRow,
    RepairedDate,
    SampleList,
    StepRow,
    VerdictRow,
    index_entry,
)
from quality.report.render import render_features, render_index, render_night
from quality.report.words import MINUS

VOID = {"meta", "link", "br", "hr", "img"}
HOSTILE = "<script>alert('x')</script>\"&"
EMPTY = NightReport(date(2022, 5, 7), "kuairand", "run-1", None, None)


class Page(HTMLParser):
    """Checks that elements nest, and collects ids, in-page links, texts and the cells of tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.rows: list[list[str]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.add(tag)
        self.ids += [values["id"]] if values.get("id") else []  # type: ignore[list-item]
        href = values.get("href") or ""
        self.anchors += [href[1:]] if href.startswith("#") else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, *start: str) -> list[str]:
        """The first row that starts with these cells."""
        return next(row for row in self.rows if tuple(cell.strip() for cell in row[: len(start)]) == start)


def test_the_page_is_well_formed_and_its_contents_lead_somewhere(night: NightReport) -> None:
    page = Page(render_night(night))

    assert len(page.anchors) == 11
    assert set(page.anchors) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_features_are_listed_by_group_with_what_they_hold(night: NightReport) -> None:
    count = FeatureRow("user", "user_count_7d", "user_id", "7d", "count(*)", "events", "never", rows=40)
    count = replace(count, is_number=True, values=(("0", 30), ("1 to 9", 10)), models=("ple-1",))
    city = FeatureRow("user", "user_city", "user_id", "", HOSTILE, "", "never", date(2022, 5, 3), 40, 10)
    city = replace(city, values=((HOSTILE, 30),))
    tag = FeatureRow("item", "item_tag", "item_id", "", "tag", "", "never")

    html = render_features([count, city, tag], date(2022, 5, 8), "kuairand", "2022-05-08.html")

    page = Page(html)
    assert page.ids[0] == "user"
    assert "<script>" not in html
    assert page.row("user_count_7d")[3:6] == ["events", "never", "0.00 %"]
    assert "1 to 9: 25.00 %, 10 rows" in page.row("user_count_7d")[6]
    assert page.row("user_count_7d")[7].split() == ["0", "\N{HORIZONTAL ELLIPSIS}", "1", "to", "9"]
    assert page.row("user_count_7d")[8:] == ["", "ple-1 "]
    assert page.row("user_city")[5:9:3] == ["25.00 %", "2022-05-03"]
    assert page.row("item_tag")[5:8] == ["\N{EN DASH}", "", "none"]
    assert 'href="f.html"' in render_night(night, features_href="f.html")
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html)


@pytest.mark.parametrize("html", [0, 1, 2])
def test_no_page_needs_a_network_or_a_script(night: NightReport, html: int) -> None:
    entry = index_entry(night, "2022-05-08.html")
    text = (render_night(night), render_night(EMPTY), render_index([entry], "kuairand"))[html]

    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    assert not {"script", "img", "iframe", "object"} & Page(text).tags
    assert re.search(r'<link rel="icon" href="data:,">', text)


def test_a_night_without_anything_says_so_in_each_section() -> None:
    text = Page(render_night(EMPTY)).text

    for said in (
        "No step is recorded",
        "No rows were read",
        "No suite ran",
        "Movement: no earlier night",
        "No model was evaluated tonight",
        "No model with gates was evaluated tonight",
        "No calibration curve tonight",
        "Nothing was published",
        "No list has items",
        "There is no earlier night whose lists could be compared",
    ):
        assert said in text


def test_the_first_night_has_no_earlier_one_to_compare_its_scores_with(night: NightReport) -> None:
    assert night.scores is not None
    first = replace(night, scores=replace(night.scores, night_before=None))

    assert "no earlier night to compare with" in Page(render_night(first)).text
    assert "to compare with" not in Page(render_night(night)).text


def test_every_name_from_data_is_escaped(night: NightReport) -> None:
    cell = MetricCell(HOSTILE, HOSTILE, "auc", "candidate", 0.7, 0.6, 0.8, 40, 50)
    hostile = replace(
        night,
        dataset=HOSTILE,
        run_id=HOSTILE,
        steps=(StepRow(HOSTILE, 1.0, 1, HOSTILE),),
        verdicts=(VerdictRow(HOSTILE, HOSTILE, "failed", HOSTILE, HOSTILE, "critical"),),
        cohort_sizes=(CohortSize("user", HOSTILE, 1, 1),),
        cells=(cell, replace(cell, value=None), replace(cell, metric=HOSTILE)),
        decision=Decision(
            HOSTILE,
            HOSTILE,
            HOSTILE,
            False,
            (HOSTILE,),
            (DecisionCell(HOSTILE, HOSTILE, HOSTILE, "worse", 0.1, 0, 1, 0, 1),),
            (HOSTILE,),
        ),
        list_warnings=(HOSTILE,),
        calibration=tuple(replace(point, task=HOSTILE) for point in night.calibration),
        gates=(
            GateBar(HOSTILE, HOSTILE, "all", 9, 0.5, 0.1, 1.0),
            GateBar(HOSTILE, HOSTILE, HOSTILE, 9, 0.5, 0.1, 1),
        ),
        model_warnings=(HOSTILE,),
        pools=(PoolRow(HOSTILE, HOSTILE, 1, ((HOSTILE, 1),), 1, 0),),
        outcomes=tuple(OutcomeRow(name, "recall", HOSTILE, HOSTILE, 0.1, 1, 1) for name in ("home", HOSTILE)),
        samples=tuple(
            replace(sample, who=HOSTILE, list=HOSTILE, user_id=HOSTILE) for sample in night.samples
        ),
        notices=(HOSTILE,),
    )

    for html in (render_night(hostile), render_index([index_entry(hostile, HOSTILE)], HOSTILE)):
        assert "<script" not in html.lower()
        assert "script" not in Page(html).tags


def test_a_cell_without_enough_data_shows_the_count_instead_of_a_number(night: NightReport) -> None:
    full = MetricCell("like", "user:new", "auc", "champion", 0.71, 0.65, 0.77, 77, 900)
    cells = (
        full,
        replace(full, role="candidate", value=None, low=None, high=None, positives=17),
        replace(full, cohort="item:new", value=None, low=None, high=None, positives=900, negatives=4),
    )

    page = Page(render_night(replace(night, cells=cells, decision=None)))

    assert page.row("like", "user:new") == [
        "like",
        "user:new",
        "0.7100 [0.6500, 0.7700]",
        "not enough positives (17)",
        "77",
        "900",
    ]
    assert page.row("", "item:new")[2:4] == ["not enough negatives (4)", "not measured"]


def test_a_metric_shows_what_it_rests_on(night: NightReport) -> None:
    gauc = MetricCell(
        "click",
        "all",
        "gauc",
        "candidate",
        0.6,
        0.5,
        0.7,
        None,
        None,
        rows=900,
        users=40,
        one_class_users=1234,
    )
    cells = (
        gauc,
        replace(gauc, cohort="user:new", value=None, low=None, high=None, users=7),
        replace(gauc, task="seconds", metric="mse", value=12.5, low=11, high=14, users=None),
        replace(gauc, metric="auc", positives=1, negatives=2),
    )

    page = Page(render_night(replace(night, cells=cells)))

    heading = ["Task", "Cohort", "Candidate", "Users with both classes", "Skipped users"]
    start = page.rows.index(heading)
    assert page.rows[start + 1 : start + 3] == [
        ["click", "all", "0.6000 [0.5000, 0.7000]", "40", "1,234"],
        ["", "user:new", "not enough users with both classes (7)", "7", "1,234"],
    ]
    assert page.row("seconds", "all") == ["seconds", "all", "12.5000 [11.0000, 14.0000]", "900"]


def test_gates_are_a_plot_each_and_a_table_with_the_collapsed_experts_on_top(night: NightReport) -> None:
    html = render_night(night)
    page = Page(html)

    assert [
        html.count(f"gate-levels-0-{task}-title") for task in ("click", "long_view".replace("_", "-"))
    ] == [2, 2]
    assert (
        "Collapsed: expert SHARED.1 of levels.0 is dead: its output is zero in all 13,411 rows." in page.text
    )
    assert page.row("Gate", "Expert", "Active")[3:] == [
        "all", "user:new", "user:low", "user:high", "user:old", "item:new"
    ]  # fmt: skip
    assert page.row("levels.0.click", "SHARED.0")[2:5] == ["90.00 %", "0.267 ± 0.053", "0.333 ± 0.067"]
    sound = Page(render_night(replace(night, model_warnings=()))).text
    assert "Every expert is active" in sound
    assert "Collapsed" not in sound


def test_the_gain_is_paired_and_signed(night: NightReport) -> None:
    row = Page(render_night(night)).row("click", "all")

    assert row[4] == "+0.0040 [\N{MINUS SIGN}0.0010, +0.0090]"


def test_the_rows_balance_or_the_page_says_that_they_do_not(night: NightReport) -> None:
    assert night.balance is not None
    lost = replace(night, balance=replace(night.balance, read=night.balance.read + 1))

    assert "The rows balance." in Page(render_night(night)).text
    assert "The rows do not balance: 13,798 read, 13,797 accounted for." in Page(render_night(lost)).text


def test_repaired_dates_are_listed_with_their_late_rows(night: NightReport) -> None:
    late = (RepairedDate(date(2022, 5, 6), 10), RepairedDate(date(2022, 5, 7), 1200))

    page = Page(render_night(replace(night, repaired=late)))

    assert page.row("2022-05-06") == ["2022-05-06", "10"]
    assert page.row("2022-05-07") == ["2022-05-07", "1,200"]
    assert "1,210 late rows repaired 2 earlier data dates." in page.text
    assert "Repaired dates" not in Page(render_night(night)).text


# --- the decision -------------------------------------------------------------------------------


def test_each_cell_of_the_decision_shows_its_status_gain_and_weight(night: NightReport) -> None:
    page = Page(render_night(night))

    start = page.rows.index(["Task", "Cohort", "Status", "Gain", "Metric", "Weight in the mean", "Users"])
    assert page.rows[start + 1 : start + 5] == [
        ["click", "user:new", "better", "+0.0081 [+0.0034, +0.0128]", "AUC", "60.00 %", "1,930"],
        ["", "user:low", "not worse", f"+0.0012 [{MINUS}0.0030, +0.0054]", "AUC", "39.00 %", "2,410"],
        ["like", "user:new", "undecided", f"{MINUS}0.0100 [{MINUS}0.0400, +0.0200]", "AUC", "1.00 %", "61"],
        ["", "user:low", "undecided", "not enough users (12)", "AUC", "0.00 %", "12"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "promoted", "text"),
    [
        (None, True, "Promoted: mfh-1; there was no champion before."),
        ("ple-1", True, "Promoted: mfh-1, against ple-1."),
        ("ple-1", False, "Not promoted: mfh-1, against ple-1."),
        ("mfh-1", False, "Stays champion: mfh-1."),
    ],
)
def test_what_was_decided(night: NightReport, before: str | None, promoted: bool, text: str) -> None:
    decision = Decision("mfh-1", before, "mfh-1", promoted, ("for this reason",), (), ("look at this",))

    shown = Page(render_night(replace(night, decision=decision))).text

    assert text in shown
    assert "for this reason" in shown
    assert "Warning: look at this." in shown


def test_the_page_says_what_makes_the_lists_where_no_model_is_champion(night: NightReport) -> None:
    without = Page(render_night(replace(night, champion="group_mean"))).text

    assert "27,285 users have lists by group_mean, since no model is champion." in without
    assert "Lists are made by group_mean, since no model is champion." in without
    assert "Lists are made by mfh-41c09e7d." in Page(render_night(night)).text


def test_baselines_are_in_the_tables_beside_the_models_and_not_in_the_plot(night: NightReport) -> None:
    auc = MetricCell("click", "all", "auc", "candidate", 0.72, 0.71, 0.73, 900, 1900)
    cells = (auc, replace(auc, role="popularity", value=0.65), replace(auc, role="group_mean", value=0.66))

    html = render_night(replace(night, cells=cells))

    assert Page(html).row("Task", "Cohort", "Candidate")[2:5] == ["Candidate", "Popularity", "Group mean"]
    assert Page(html).row("click", "all")[2:5] == [
        "0.7200 [0.7100, 0.7300]",
        "0.6500 [0.7100, 0.7300]",
        "0.6600 [0.7100, 0.7300]",
    ]
    assert "1 of 1 cells have enough data" in html


def test_what_is_odd_about_the_lists_stands_above_them(night: NightReport) -> None:
    odd = replace(night, list_warnings=("item 40 is on top of 60 % of 10 lists, more than 50 %",))

    assert "Warning: item 40 is on top of 60 % of 10 lists, more than 50 %." in Page(render_night(odd)).text


# --- cohorts, outcomes, lists -------------------------------------------------------------------


def test_movement_between_cohorts_is_a_matrix_with_the_newly_known_last(night: NightReport) -> None:
    by_name = sorted(night.cohort_moves, key=lambda move: (str(move.before), move.after))  # high, low, new

    page = Page(render_night(replace(night, cohort_moves=tuple(by_name))))
    start = page.rows.index(["", "new", "low", "high"])

    assert page.rows[start + 1 : start + 5] == [
        ["new", "10,655", "365", "0"],
        ["low", "0", "9,393", "248"],
        ["high", "0", "0", "6,606"],
        ["newly known", "18", "0", "0"],
    ]


def test_pools_show_items_by_source_and_the_pairs_that_were_scored(night: NightReport) -> None:
    page = Page(render_night(night))

    assert page.row("home", "new")[2:] == ["298", "most_shown 280, newest 20", "10,655", "3,175,190"]
    assert page.row("home", "high")[2:] == ["299", "most_shown 280, newest 20", "6,606", "1,976,428"]


def test_yesterdays_lists_come_with_the_remark_on_the_logging_policy(night: NightReport) -> None:
    page = Page(render_night(night))

    assert "The logged impressions come from another policy" in page.text
    assert ["", "user:old", "no event", "no event", "no event", "0", "36"] in page.rows


def test_both_sample_lists_show_each_probability_and_the_score(night: NightReport) -> None:
    page = Page(render_night(night))

    assert "A user who was never seen: 20931" in page.text
    assert "An active user: 117" in page.text
    assert "(cohort high, list home)" in page.text
    assert page.row("1", "4037") == ["1", "4037", "0.7000", "0.6100", "0.0310", "0.4900"]


def test_a_list_without_items_shows_its_probabilities_alone(night: NightReport) -> None:
    row = ListedItem(1, None, (("income", 0.25),), None)
    page = Page(render_night(replace(night, samples=(SampleList("nobody", "persons", "1", "new", (row,)),))))

    assert page.row("1", "none") == ["1", "none", "0.2500", "none"]


def test_a_user_whose_list_is_empty_does_not_break_the_page(night: NightReport) -> None:
    page = Page(render_night(replace(night, samples=(SampleList("nobody", "home", "1", "new", ()),))))

    assert "Nothing was published" in page.text


def test_the_index_lists_the_newest_night_first(night: NightReport) -> None:
    later = index_entry(night, "2022-05-08.html")
    earlier = IndexEntry(date(2022, 5, 7), "2022-05-07.html", None, None, 10, 0, None, 0, 2, 61.0)

    page = Page(render_index([earlier, later], "kuairand"))

    assert page.rows[1:] == [
        ["2022-05-08", "1 warned", "13,411", "17", "27,285", "mfh-41c09e7d (promoted)", "2 min 38 s"],
        ["2022-05-07", "2 failed", "10", "0", "\N{EN DASH}", "none", "61 s"],
    ]


@pytest.mark.parametrize(
    ("labelled", "text"),
    [
        (None, "The lists of the night before against what their users did on 2022-05-07."),
        (
            date(2022, 5, 4),
            "What users did on 2022-05-04, the newest data date whose labels are final, against",
        ),
    ],
)
def test_outcomes_say_of_which_day_they_are(labelled: date | None, text: str) -> None:
    outcome = OutcomeRow("home", "hit_rate", "like", "all", 0.5, 2, 3)
    page = render_night(replace(EMPTY, outcomes=(outcome,), labelled_date=labelled))

    assert text in page
