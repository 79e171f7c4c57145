"""A network's diagram as a Mermaid flowchart, which code-hosting sites draw.

Input below, outputs on top, as in the papers' figures. A dotted edge leads from a gate's selector to
the gate. A frame inside of a frame, as MFH's switchers are inside of its trees, is drawn as one box.
"""

from collections.abc import Mapping
from typing import NamedTuple

from models.modules.graph import Frame, Graph, Node

_OPEN_FRAMES = 1
"""Frames around a node that are drawn open; the next one is a box."""

_OUTLINES = {
    "input": '(["{}"])',
    "experts": '["{}"]',
    "gate": '{{{{"{}"}}}}',
    "stitch": '[["{}"]]',
    "mix": '[["{}"]]',
    "join": '(("{}"))',
    "module": '["{}"]',
    "tower": '[/"{}"\\]',
    "output": '(["{}"])',
}


class _Box(NamedTuple):
    """The box of a node, or of all nodes of a frame."""

    key: str
    text: str
    frame: Frame | None


def to_mermaid(graph: Graph, shapes: Mapping[str, str]) -> str:
    """Return the flowchart's text.

    Args:
        graph: of the network.
        shapes: name of a node -> second line of its box, if it is one of experts or a tower.
    """
    box_of = {name: _box(node, shapes.get(name, "")) for name, node in graph.nodes.items()}
    boxes = list(dict.fromkeys(box_of.values()))
    ids = {box.key: f"n{i}" for i, box in enumerate(boxes)}
    frames = list(dict.fromkeys(box.frame for box in boxes))
    if len(frames) == 2:  # one frame and what is outside of it: a frame would distinguish nothing
        boxes, frames = [box._replace(frame=None) for box in boxes], [None]
    lines = ["flowchart BT"]
    for i, frame in enumerate(frames):
        members = [f"{ids[box.key]}{box.text}" for box in boxes if box.frame == frame]
        if frame is not None:
            members = [f'subgraph f{i}["{frame.title}"]', *(f"  {line}" for line in members), "end"]
        lines += [f"  {line}" for line in members]
    arrows: dict[tuple[str, str], str] = {}
    for source, target in graph.edges:
        ends = ids[box_of[source].key], ids[box_of[target].key]
        is_selector = source not in graph.nodes[target].reads and box_of[target].key == target
        if ends[0] != ends[1]:
            arrows.setdefault(ends, "-.->" if is_selector else "-->")
    return "\n".join([*lines, *(f"  {start} {arrow} {end}" for (start, end), arrow in arrows.items())])


def _box(node: Node, shape: str) -> _Box:
    outer = node.frames[0] if node.frames else None
    if len(node.frames) > _OPEN_FRAMES:
        inner = node.frames[_OPEN_FRAMES]
        return _Box(inner.path, _OUTLINES["experts"].format(inner.title), outer)
    lines = [node.label, shape] if shape and node.kind in ("experts", "tower") else [node.label]
    return _Box(node.name, _OUTLINES[node.kind].format("<br/>".join(lines)), outer)
