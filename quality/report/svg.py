"""The elements of SVG that the plots are made of: text, lines, scales, a titled figure.

Colours and fonts are classes of the page's style sheet, so a plot follows light and dark.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10

from markupsafe import Markup, escape

Value = str | float | int


@dataclass(frozen=True)
class Scale:
    """Maps [low, high] of the data to [start, end] of the drawing, linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value; values outside the range are put on its border."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)


def element(tag: str, content: str = "", **attributes: Value) -> Markup:
    """Return one element; `content` is escaped unless it is Markup. class_ is written class, _ becomes -."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for name, value in attributes.items()
    )
    return Markup(f"<{tag}{written}>{escape(content)}</{tag}>")


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start", **more: Value) -> Markup:
    """Return text at a point; anchor: start, middle, end."""
    return element("text", content, x=x, y=y, class_=class_, text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str) -> Markup:
    """Return a line through points."""
    steps = " L".join(f"{_plain(x)} {_plain(y)}" for x, y in points)
    return element("path", d=f"M{steps}", class_=class_)


def mark(x: float, y: float, role: str, tooltip: str) -> Markup:
    """Return the mark of a model: a circle for the champion, a diamond for others."""
    shown = element("title", tooltip)
    if role == "champion":
        return element("circle", shown, cx=x, cy=y, r=4.5, class_=f"mark {role}")
    corners = [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)]
    points = " ".join(f"{_plain(left)},{_plain(top)}" for left, top in corners)
    return element("polygon", shown, points=points, class_=f"mark {role}")


def figure(
    name: str, title: str, description: str, size: tuple[float, float], parts: Iterable[Markup]
) -> Markup:
    """Return a drawing with a title and a description for screen readers.

    Args:
        name: unique on the page; a letter first, then letters, digits, "-".
        title: what is drawn.
        description: what it says, in words.
        size: width and height, in pixels at most.
        parts: its elements.
    """
    head = element("title", title, id=f"{name}-title") + element("desc", description, id=f"{name}-desc")
    return element(
        "svg",
        head + Markup("").join(parts),
        viewBox=f"0 0 {_plain(size[0])} {_plain(size[1])}",
        width=size[0],
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers within [low, high], about as many as asked for, in steps of 1, 2 or 5."""
    rough = (high - low) / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.8)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def tick_labels(values: list[float]) -> list[str]:
    """Return ticks as text, all with as many decimals as their step needs."""
    step = min((b - a for a, b in pairwise(values)), default=1.0)
    decimals = max(0, -floor(log10(step) + 1e-9))
    return [f"{value:.{decimals}f}" for value in values]


def _plain(value: Value) -> str:
    """Return a number with at most two decimals and no trailing zeros."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
