"""The flowchart has the nodes and edges of the graph."""

import re
from collections.abc import Callable

import pytest

from models.describe.mermaid import to_mermaid
from models.model import MultiTaskModel
from models.modules.graph import Graph
from models.modules.trunk import find_architecture
from tests.models.conftest import TRUNKS

Make = Callable[..., MultiTaskModel]

NODE = re.compile(r'^\s+(n\d+)[^\s-].*?"(.*)"')
EDGE = re.compile(r"^\s+(n\d+) (-->|-\.->) (n\d+)$")


def boxes_and_arrows(text: str) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Read a flowchart back: id -> text, (from, to) -> arrow."""
    boxes = dict(found.groups() for line in text.splitlines() if (found := NODE.match(line)))
    edges = [found.groups() for line in text.splitlines() if (found := EDGE.match(line))]
    return boxes, {(start, end): arrow for start, arrow, end in edges}


def test_a_gate_is_reached_by_solid_edges_from_experts_and_by_a_dotted_one_from_its_selector() -> None:
    graph = Graph()
    x = graph.add("input", "x", [])
    own, shared = (graph.add("experts", f"{name}_experts", [x]) for name in ("click", "SHARED"))
    gate = graph.add("gate", "click_gate", [own, shared], selectors=[x])
    tower = graph.add("tower", "click_tower", [gate])
    graph.add("output", "click logit", [tower], label="click")

    assert to_mermaid(graph, {own: "2 x (10 -> 5)", tower: "5 -> 1", gate: "10 -> 3"}).splitlines() == [
        "flowchart BT",
        '  n0(["x"])',
        '  n1["click experts<br/>2 x (10 -> 5)"]',
        '  n2["SHARED experts"]',
        '  n3{{"click gate"}}',
        '  n4[/"click tower<br/>5 -> 1"\\]',
        '  n5(["click"])',
        "  n0 --> n1",
        "  n0 --> n2",
        "  n1 --> n3",
        "  n2 --> n3",
        "  n0 -.-> n3",
        "  n3 --> n4",
        "  n4 --> n5",
    ]


@pytest.mark.parametrize(
    "name", [name for name, (kind, _) in TRUNKS.items() if not find_architecture(kind).is_by_cell]
)
def test_every_node_and_every_edge_is_drawn_once(make_model: Make, name: str) -> None:
    graph = make_model(name, ("click", "like", "share")).network.draw()

    boxes, arrows = boxes_and_arrows(to_mermaid(graph, {}))

    assert sorted(boxes.values()) == sorted(node.label for node in graph.nodes.values())
    assert len(arrows) == len(graph.edges)
    is_dotted = [arrow == "-.->" for arrow in arrows.values()]
    assert sum(is_dotted) == sum(len(node.selectors) for node in graph.nodes.values())


def test_levels_have_frames_where_there_are_several(make_model: Make) -> None:
    def frames(name: str) -> list[str]:
        return re.findall(r'subgraph f\d+\["(.*)"\]', to_mermaid(make_model(name).network.draw(), {}))

    assert frames("ple") == ["level 1", "level 2"]
    assert frames("cgc") == []


def test_switchers_are_boxes_in_the_frame_of_their_tree(make_model: Make) -> None:
    text = to_mermaid(make_model("mfh", ("click", "like"), ("new", "old")).network.draw(), {})
    boxes, arrows = boxes_and_arrows(text)

    named = [(boxes[start], boxes[end]) for start, end in arrows]
    assert named == [
        ("x", "task switcher"),
        ("task switcher", "click switcher"),
        ("task switcher", "like switcher"),
        ("x", "user_cohort switcher"),
        ("user_cohort switcher", "new switcher"),
        ("user_cohort switcher", "old switcher"),
        ("click switcher", "sum"),
        ("new switcher", "sum"),
        ("click switcher", "sum"),
        ("old switcher", "sum"),
        ("like switcher", "sum"),
        ("new switcher", "sum"),
        ("like switcher", "sum"),
        ("old switcher", "sum"),
        *(("sum", f"{cell} tower") for cell in ("click|new", "click|old", "like|new", "like|old")),
        *((f"{cell} tower", cell) for cell in ("click|new", "click|old", "like|new", "like|old")),
    ]
    assert set(arrows.values()) == {"-->"}
    assert re.findall(r'subgraph f\d+\["(.*)"\]', text) == ["tree by_task", "tree by_user_cohort"]
