"""The plots of a report as inline SVG: intervals of metrics, calibration curves, gates, scores."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from markupsafe import Markup

from quality.report import svg, words
from quality.report.model import CalibrationPoint, FeatureRow, GateBar, MetricCell, Role, ScoreDistribution
from quality.report.views import roles
from quality.report.words import interval, not_enough, spread

WIDTH = 760.0
ROW = 26.0
EXPERT_COLOURS = 8


def forest_plot(cells: Sequence[MetricCell], metric: str, axis: str) -> Markup:
    """Draw value and 95 % interval of each task x cohort, champion above candidate.

    Args:
        cells: cells of any metric.
        metric: the one to draw.
        axis: its name, with its unit.
    """
    drawn = [cell for cell in cells if cell.metric == metric]
    ends = [end for cell in drawn for end in (cell.value, cell.low, cell.high) if end is not None]
    if not ends:
        return Markup("")
    low, high = _padded(min(ends), max(ends))
    lines = _lines(drawn)
    left, top = 190.0, 34.0
    bottom = top + ROW * len(lines)
    x = svg.Scale(low, high, left, WIDTH - 16)

    parts = [*_legend(roles(drawn), left)]
    parts += _x_axis(x, top, bottom, axis)
    for number, (label, row) in enumerate(lines):
        y = top + ROW * (number + 0.5)
        if not row:
            parts.append(svg.text(0, y + 4, label, "task"))
            continue
        parts.append(svg.text(left - 12, y + 4, label, anchor="end"))
        parts += _intervals(row, x, y)
    known = sum(cell.value is not None for cell in drawn)
    description = f"{known} of {len(drawn)} cells have enough data; the values are in the table of {axis}."
    return svg.figure(
        f"forest-{_slug(metric)}", f"{axis} by task and cohort", description, (WIDTH, bottom + 46), parts
    )


def calibration_plot(points: Sequence[CalibrationPoint], task: str) -> Markup:
    """Draw the observed share against the mean predicted probability of one task; the diagonal is perfect."""
    drawn = [point for point in points if point.task == task]
    if not drawn:
        return Markup("")
    _, high = _padded(0.0, max(max(point.predicted, point.observed) for point in drawn))
    size, left, top, right = 260.0, 60.0, 30.0, 246.0
    bottom = 206.0
    x, y = svg.Scale(0.0, high, left, right), svg.Scale(0.0, high, bottom, top)

    parts = [svg.text(left, 16, task, "task"), *_x_axis(x, top, bottom, "mean predicted", about=4)]
    for value, label in _labelled(svg.ticks(0.0, high, 4)):
        parts += [svg.line(left, y(value), right, y(value), "grid")]
        parts += [svg.text(left - 6, y(value) + 4, label, "tick", "end")]
    middle = (top + bottom) / 2
    turned = f"rotate(-90 12 {middle:.0f})"
    parts.append(svg.text(12, middle, "observed", "axis", "middle", transform=turned))
    parts.append(svg.line(x(0), y(0), x(high), y(high), "ideal"))
    for role in roles(drawn):
        curve = sorted((point for point in drawn if point.role == role), key=lambda point: point.predicted)
        parts.append(svg.path([(x(p.predicted), y(p.observed)) for p in curve], f"curve {role}"))
        for p in curve:
            tooltip = f"{role}: predicted {p.predicted:.4f}, observed {p.observed:.4f}, {p.count:,} rows"
            parts.append(svg.mark(x(p.predicted), y(p.observed), role, tooltip))
    total = sum(point.count for point in drawn if point.role == drawn[0].role)
    description = (
        f"Observed share against mean predicted probability, {total:,} rows; on the diagonal both are equal."
    )
    return svg.figure(
        f"calibration-{_slug(task)}", f"Calibration of {task}", description, (size, size), parts
    )


def gate_plot(bars: Sequence[GateBar]) -> Markup:
    """Draw the weights that one gate gives its experts, a bar per cohort (Tang et al., RecSys 2020, fig. 8).

    A segment of a bar is as long as an expert's mean weight, the line in its middle one standard deviation
    to either side. Softmax weights fill the bar.

    Args:
        bars: of one gate.
    """
    experts = list(dict.fromkeys(bar.expert for bar in bars))
    cohorts = list(dict.fromkeys(bar.cohort for bar in bars))
    place, _, branch = bars[0].gate.rpartition(".")
    left, head, line, in_a_line = 96.0, 38.0, 18.0, 3
    width = max(300.0, 5.6 * len(place))  # a switcher of MFH is at a long place
    top = head + line * -(-len(experts) // in_a_line)
    x = svg.Scale(0.0, 1.0, left, width - 6)

    parts = [svg.text(0, 13, branch, "task"), svg.text(0, 28, place, "place")]
    for number, expert in enumerate(experts):
        at, y = 100.0 * (number % in_a_line), head + line * (number // in_a_line)
        parts.append(svg.element("rect", x=at, y=y, width=10, height=10, class_=_colour(number)))
        parts.append(svg.text(at + 15, y + 9, expert))
    for number, cohort in enumerate(cohorts):
        y = top + line * number
        parts.append(svg.text(left - 8, y + 13, cohort, anchor="end"))
        start = 0.0
        for bar in sorted((b for b in bars if b.cohort == cohort), key=lambda b: experts.index(b.expert)):
            end, middle = start + bar.mean, start + bar.mean / 2
            box = {"x": x(start), "y": y + 2, "width": x(end) - x(start), "height": line - 4}
            tooltip = f"{bar.expert}, {cohort}: {spread(bar.mean, bar.std)}, {bar.rows:,} rows"
            colour = _colour(experts.index(bar.expert))
            parts.append(svg.element("rect", svg.element("title", tooltip), class_=colour, **box))
            height = y + line / 2
            parts.append(svg.line(x(middle - bar.std), height, x(middle + bar.std), height, "spread"))
            start = end
    rows = max(bar.rows for bar in bars)
    description = (
        f"Mean weights of {len(experts)} experts by cohort, {rows:,} rows; the values are in the table."
    )
    size = (width, top + line * len(cohorts) + 6)
    return svg.figure(f"gate-{_slug(bars[0].gate)}", f"Gate {bars[0].gate}", description, size, parts)


def score_plot(scores: ScoreDistribution) -> Markup:
    """Draw tonight's published scores as bars, and those of the night before as a line over them."""
    shares = [*scores.tonight, *(scores.night_before or ())]
    _, high = _padded(0.0, max(shares) or 1.0)
    left, top, bottom = 56.0, 34.0, 246.0
    x = svg.Scale(scores.edges[0], scores.edges[-1], left, WIDTH - 16)
    y = svg.Scale(0.0, high, bottom, top)

    parts = []
    for value, label in _labelled([100 * tick for tick in svg.ticks(0.0, high, 4)]):
        parts += [svg.line(left, y(value / 100), WIDTH - 16, y(value / 100), "grid")]
        parts += [svg.text(left - 6, y(value / 100) + 4, f"{label} %", "tick", "end")]
    for (start, end), share in zip(pairwise(scores.edges), scores.tonight, strict=True):
        tooltip = svg.element("title", f"score {start:.3f} to {end:.3f}: {share:.2%} of tonight's rows")
        place = {
            "x": x(start) + 1,
            "y": y(share),
            "width": max(x(end) - x(start) - 2, 0.5),
            "height": bottom - y(share),
        }
        parts.append(svg.element("rect", tooltip, class_="bar", **place))
    keys = [
        svg.element("rect", x=left, y=8, width=14, height=10, class_="bar"),
        svg.text(left + 20, 17, "tonight"),
    ]
    if scores.night_before is not None:
        steps = []
        for (start, end), share in zip(pairwise(scores.edges), scores.night_before, strict=True):
            steps += [(x(start), y(share)), (x(end), y(share))]
        parts.append(svg.path(steps, "outline"))
        keys += [
            svg.line(left + 90, 13, left + 114, 13, "outline"),
            svg.text(left + 120, 17, "the night before"),
        ]
    parts += _x_axis(x, bottom, bottom, "final score of a published item")
    description = "Share of published rows by final score" + (
        ", tonight and the night before."
        if scores.night_before is not None
        else "; there is no earlier night."
    )
    return svg.figure("scores", "Distribution of scores", description, (WIDTH, bottom + 46), keys + parts)


def small_bars(row: FeatureRow) -> Markup:
    """Draw the rows of each bin or frequent value of a feature, without axes; tooltips have the numbers."""
    if not row.rows or not row.values:
        return Markup("")
    width, height, gap = 12.0, 26.0, 2.0
    y = svg.Scale(0.0, max(rows for _, rows in row.values), 0.0, height)
    bars = []
    for number, (label, rows) in enumerate(row.values):
        tooltip = svg.element("title", f"{label}: {words.share(rows / row.rows)}, {rows:,} rows")
        place = {"x": number * (width + gap), "y": height - y(rows), "width": width, "height": y(rows)}
        bars.append(svg.element("rect", tooltip, class_="bar", **place))
    kind = "bins of values" if row.is_number else "frequent values"
    description = f"{len(row.values)} {kind}; their rows are in the tooltips."
    size = (len(row.values) * (width + gap), height)
    return svg.figure(f"values-{_slug(row.name)}", f"Values of {row.name}", description, size, bars)


def _lines(cells: Sequence[MetricCell]) -> list[tuple[str, list[MetricCell]]]:
    """Return a heading for each task (without cells), then a line for each of its cohorts."""
    lines: list[tuple[str, list[MetricCell]]] = []
    for task in dict.fromkeys(cell.task for cell in cells):
        own = [cell for cell in cells if cell.task == task]
        lines.append((task, []))
        for cohort in dict.fromkeys(cell.cohort for cell in own):
            lines.append((cohort, [cell for cell in own if cell.cohort == cohort]))
    return lines


def _intervals(row: Sequence[MetricCell], x: svg.Scale, y: float) -> list[Markup]:
    if all(cell.value is None for cell in row):
        return [svg.text(x.start + 8, y + 4, not_enough(row[0]), "none")]
    parts = []
    for cell in row:
        if cell.value is None:
            continue
        height = y if len(row) == 1 else y - 5.5 if cell.role == "champion" else y + 5.5
        if cell.low is not None and cell.high is not None:
            parts.append(svg.line(x(cell.low), height, x(cell.high), height, f"interval {cell.role}"))
        tooltip = f"{cell.role}, {cell.task}, {cell.cohort}: {interval(cell)}"
        parts.append(svg.mark(x(cell.value), height, cell.role, tooltip))
    return parts


def _x_axis(x: svg.Scale, top: float, bottom: float, name: str, about: int = 6) -> list[Markup]:
    parts = [svg.line(x.start, bottom, x.end, bottom, "base")]
    for value, label in _labelled(svg.ticks(x.low, x.high, about)):
        if bottom > top:
            parts.append(svg.line(x(value), top, x(value), bottom, "grid"))
        parts.append(svg.text(x(value), bottom + 17, label, "tick", "middle"))
    parts.append(svg.text((x.start + x.end) / 2, bottom + 37, name, "axis", "middle"))
    return parts


def _legend(shown: Iterable[Role], left: float) -> list[Markup]:
    parts = []
    for number, role in enumerate(shown):
        x = left + 8 + 120 * number
        parts += [svg.mark(x, 13, role, role), svg.text(x + 12, 17, role)]
    return parts


def _colour(expert: int) -> str:
    return f"expert-{expert % EXPERT_COLOURS}"


def _labelled(values: list[float]) -> list[tuple[float, str]]:
    return list(zip(values, svg.tick_labels(values), strict=True))


def _padded(low: float, high: float) -> tuple[float, float]:
    """Return a range a little wider, so that no mark lies on the border; it is never empty."""
    margin = (high - low or abs(high) or 1.0) * 0.06
    return (low - margin if low else low), high + margin


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)
