"""Lines with ranges over seeds, as an SVG file that a note in docs/benchmarks/ shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from quality.report import svg

SIZE, LEFT, RIGHT, TOP, BOTTOM = (680.0, 400.0), 64.0, 556.0, 24.0, 348.0
COLOURS = ("#3b6ea5", "#c8642b", "#3f8f5f", "#8a5aa8", "#5c5c5c")  # colour-blind readers can distinguish them


@dataclass(frozen=True)
class Point:
    """The mean at x, and the range over seeds."""

    x: float
    mean: float
    low: float
    high: float


def line_plot(lines: Mapping[str, Sequence[Point]], title: str, x_name: str, y_name: str) -> Markup:
    """Return a plot with one line per name, and a bar from low to high at each point.

    Args:
        lines: name -> points, ascending by x.
        title: of the plot, for screen readers.
        x_name: with its unit.
        y_name: with its unit.
    """
    points = [point for of_line in lines.values() for point in of_line]
    low, high = min(0.0, *(p.low for p in points)), max(0.0, *(p.high for p in points))
    margin = 0.06 * (high - low)
    xs = sorted({point.x for point in points})
    x = svg.Scale(xs[0], xs[-1], LEFT + 24, RIGHT - 24)
    y = svg.Scale(low - margin, high + margin, BOTTOM, TOP)

    values = svg.ticks(low - margin, high + margin)
    parts = [svg.element("rect", width=SIZE[0], height=SIZE[1], fill="#ffffff")]
    for value, label in zip(values, svg.tick_labels(values), strict=True):
        parts.append(_line(LEFT, y(value), RIGHT, y(value), "#8c8c8c" if value == 0 else "#e4e4e4", 1.0))
        parts.append(_text(LEFT - 8, y(value) + 4, label, "end"))
    parts += [_text(x(value), BOTTOM + 20, f"{value:g}", "middle") for value in xs]
    parts.append(_text((LEFT + RIGHT) / 2, BOTTOM + 42, x_name, "middle"))
    middle = (TOP + BOTTOM) / 2
    parts.append(_text(16, middle, y_name, "middle", transform=f"rotate(-90 16 {middle:.0f})"))
    for number, (name, of_line) in enumerate(lines.items()):
        parts += _drawn(name, of_line, COLOURS[number], 5.0 * (number - (len(lines) - 1) / 2), x, y)
    places = _apart([y(of_line[-1].mean) for of_line in lines.values()])
    for (name, _), colour, place in zip(lines.items(), COLOURS, places, strict=False):
        parts.append(_text(RIGHT + 6, place + 4, name, "start", colour))
    return svg.figure("plot", title, f"{y_name} by {x_name}: {', '.join(lines)}", SIZE, parts)


def write(path: Path, plot: Markup) -> None:
    """Write a plot as a file of its own."""
    own = str(plot).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" ', 1)
    path.write_text(own + "\n", encoding="utf-8")


def _drawn(
    name: str, points: Sequence[Point], colour: str, aside: float, x: svg.Scale, y: svg.Scale
) -> list[Markup]:
    """Return path, points and bars of one line, shifted by `aside` so that bars do not overlap."""
    places = [(x(point.x) + aside, y(point.mean)) for point in points]
    steps = " L".join(f"{left:.1f} {top:.1f}" for left, top in places)
    parts = [svg.element("path", d=f"M{steps}", fill="none", stroke=colour, stroke_width=1.6)]
    for point, (left, top) in zip(points, places, strict=True):
        parts.append(_line(left, y(point.low), left, y(point.high), colour, 1.2))
        tooltip = svg.element("title", f"{name} at {point.x:g}: {point.mean:+.3f}")
        parts.append(svg.element("circle", tooltip, cx=left, cy=top, r=3.2, fill=colour))
    return parts


def _apart(places: Sequence[float], distance: float = 16.0) -> list[float]:
    """Return the positions of labels, moved down where they would overlap."""
    moved = list(places)
    last = -distance
    for number in sorted(range(len(places)), key=lambda n: places[n]):
        moved[number] = last = max(places[number], last + distance)
    return moved


def _text(
    left: float, top: float, content: str, anchor: str, fill: str = "#333333", **more: svg.Value
) -> Markup:
    return svg.element("text", content, x=left, y=top, text_anchor=anchor, fill=fill, font_size=12.5, **more)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> Markup:
    return svg.element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, stroke_width=width)
