import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from quality.report.model import CalibrationPoint, GateBar, MetricCell, NightReport, ScoreDistribution
from quality.report.plots import calibration_plot, forest_plot, gate_plot, score_plot
from quality.report.svg import Scale, element, tick_labels, ticks

CELL = MetricCell("click", "user:new", "auc", "champion", 0.7, 0.65, 0.75, 100, 200)


def drawing(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    """All texts and tooltips of a drawing."""
    return [part.text or "" for part in drawing(svg).iter() if part.tag in ("text", "title", "desc")]


def marks(svg: str, role: str) -> list[ElementTree.Element]:
    return [
        part
        for part in drawing(svg).iter()
        if part.get("class") == f"mark {role}" and part.find("title") is not None
    ]


def test_every_plot_has_a_title_and_a_description_that_its_label_names(night: NightReport) -> None:
    assert night.scores is not None
    for svg in (
        forest_plot(night.cells, "auc", "AUC"),
        calibration_plot(night.calibration, "click"),
        gate_plot(night.gates[:5]),
        score_plot(night.scores),
    ):
        root = drawing(svg)
        assert root.get("role") == "img"
        named = [part.get("id") for part in root if part.tag in ("title", "desc")]
        assert root.get("aria-labelledby") == " ".join(str(name) for name in named)
        assert all(part.text for part in root if part.tag in ("title", "desc"))


def test_a_forest_plot_shows_the_value_within_its_interval_and_champion_above_candidate() -> None:
    svg = forest_plot([CELL, replace(CELL, role="candidate", value=0.72)], "auc", "AUC")

    (circle,) = [part for part in drawing(svg).iter("circle") if "user:new" in (part.findtext("title") or "")]
    (interval,) = [part for part in drawing(svg).iter("line") if part.get("class") == "interval champion"]
    x1, x, x2 = float(interval.get("x1", 0)), float(circle.get("cx", 0)), float(interval.get("x2", 0))
    (diamond,) = [
        part for part in drawing(svg).iter("polygon") if "user:new" in (part.findtext("title") or "")
    ]
    top_of_diamond = float(diamond.get("points", "").split()[0].split(",")[1])

    assert x1 < x < x2
    assert x == pytest.approx((x1 + x2) / 2, abs=0.02)
    assert float(circle.get("cy", 0)) < top_of_diamond + 6
    assert circle.findtext("title") == "champion, click, user:new: 0.7000 [0.6500, 0.7500]"


def test_a_forest_plot_says_in_words_where_data_do_not_suffice() -> None:
    thin = replace(CELL, cohort="user:high", value=None, low=None, high=None, positives=12)

    assert "not enough positives (12)" in texts(forest_plot([CELL, thin], "auc", "AUC"))


def test_without_any_value_there_is_no_forest_plot() -> None:
    assert forest_plot([replace(CELL, value=None, low=None, high=None)], "auc", "AUC") == ""


def test_a_calibration_curve_on_the_diagonal_lies_on_the_dashed_line() -> None:
    points = [CalibrationPoint("like", "champion", p, p, 10) for p in (0.01, 0.02, 0.06)]

    svg = calibration_plot(points, "like")

    (ideal,) = [part for part in drawing(svg).iter("line") if part.get("class") == "ideal"]
    x1, y1, x2, y2 = (float(ideal.get(name, 0)) for name in ("x1", "y1", "x2", "y2"))
    slope = (y2 - y1) / (x2 - x1)
    for circle in drawing(svg).iter("circle"):
        x, y = float(circle.get("cx", 0)), float(circle.get("cy", 0))
        assert y == pytest.approx(y1 + slope * (x - x1), abs=0.05)
    assert "champion: predicted 0.0600, observed 0.0600, 10 rows" in texts(svg)


def test_a_task_without_points_has_no_calibration_plot(night: NightReport) -> None:
    assert calibration_plot(night.calibration, "share") == ""


def test_a_bar_of_a_gate_is_cut_by_the_mean_weights_and_each_part_has_its_spread() -> None:
    bars = [
        GateBar("levels.0.click", expert, cohort, 1200, mean, 0.05, 1.0)
        for cohort, means in (("all", (0.5, 0.2, 0.3)), ("user:new", (0.1, 0.6, 0.3)))
        for expert, mean in zip(("SHARED.0", "click.0", "click.1"), means, strict=True)
    ]

    svg = gate_plot(bars)

    parts = [part for part in drawing(svg).iter("rect") if part.find("title") is not None]
    x, widths = ([float(part.get(name, 0)) for part in parts] for name in ("x", "width"))
    full = widths[0] + widths[1] + widths[2]
    assert [width / full for width in widths] == pytest.approx([0.5, 0.2, 0.3, 0.1, 0.6, 0.3], abs=1e-3)
    assert x[1] == pytest.approx(x[0] + widths[0], abs=0.02)
    assert [part.get("class") for part in parts] == ["expert-0", "expert-1", "expert-2"] * 2
    spreads = [part for part in drawing(svg).iter("line") if part.get("class") == "spread"]
    x1, x2 = float(spreads[1].get("x1", 0)), float(spreads[1].get("x2", 0))
    assert (x1 + x2) / 2 == pytest.approx(x[1] + widths[1] / 2, abs=0.02)
    assert (x2 - x1) / full == pytest.approx(2 * 0.05, abs=1e-3)
    assert "click.0, user:new: 0.600 \N{PLUS-MINUS SIGN} 0.050, 1,200 rows" in texts(svg)


def test_the_bars_of_scores_are_as_high_as_their_shares_and_the_night_before_is_a_line() -> None:
    svg = score_plot(ScoreDistribution((0.0, 0.5, 1.0), (0.25, 0.75), (0.5, 0.5)))

    bars = [
        float(part.get("height", 0)) for part in drawing(svg).iter("rect") if part.find("title") is not None
    ]
    assert bars[1] == pytest.approx(3 * bars[0], rel=1e-3)
    assert len(list(drawing(svg).iter("path"))) == 1
    assert "the night before" in texts(svg)


def test_on_the_first_night_there_is_no_line_of_the_night_before() -> None:
    svg = score_plot(ScoreDistribution((0.0, 0.5, 1.0), (0.25, 0.75), None))

    assert list(drawing(svg).iter("path")) == []
    assert "the night before" not in texts(svg)


def test_one_constant_value_is_drawn_as_well() -> None:
    svg = forest_plot([replace(CELL, value=0.5, low=0.5, high=0.5)], "auc", "AUC")

    assert not re.search(r"nan|inf", svg)


@pytest.mark.parametrize(
    ("low", "high", "about", "expected"),
    [
        (0.0, 1.0, 5, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.53, 0.97, 5, ["0.6", "0.7", "0.8", "0.9"]),
        (0.0, 0.062, 4, ["0.00", "0.02", "0.04", "0.06"]),
        (0.0, 20.0, 4, ["0", "5", "10", "15", "20"]),
    ],
)
def test_ticks_are_round_numbers_with_as_many_decimals_as_they_need(
    low: float, high: float, about: int, expected: list[str]
) -> None:
    assert tick_labels(ticks(low, high, about)) == expected


def test_a_scale_keeps_what_lies_outside_on_its_border() -> None:
    scale = Scale(0.0, 2.0, 100.0, 300.0)

    assert [scale(value) for value in (-1.0, 0.0, 0.5, 2.0, 9.0)] == [100.0, 100.0, 150.0, 300.0, 300.0]


def test_text_and_attributes_of_elements_are_escaped() -> None:
    assert element("text", "<b>&", class_='"x"') == '<text class="&#34;x&#34;">&lt;b&gt;&amp;</text>'
