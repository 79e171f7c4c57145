"""The graph of a network: which of its parts reads which, by their names in the code.

A trunk draws itself from its own modules (`Trunk.draw`), the network adds towers and outputs
(`Network.draw`). models/describe/shapes.py counts along the graph, models/describe/mermaid.py prints it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["input", "experts", "gate", "stitch", "mix", "join", "module", "tower", "output"]
"""stitch and mix are weighted sums with weights that are the same for all rows, a stitch as a matrix
product; join is a sum, mean, product or concatenation; module is any other module."""


class Frame(NamedTuple):
    """A frame around nodes that belong together: the path of their module, and its title."""

    path: str
    title: str


@dataclass(frozen=True)
class Node:
    """One part of a network.

    Attributes:
        name: path of its module or parameter in the network; input, join and output have neither.
        kind: of the part.
        label: in the diagram.
        reads: nodes whose values it reads; of a gate the experts that it weighs.
        selectors: of a gate, nodes of its selector.
        flops: of one row, where they do not follow from the shape: of a stitch, or a matrix used twice.
        frames: around it, the outermost first.
    """

    name: str
    kind: Kind
    label: str
    reads: tuple[str, ...]
    selectors: tuple[str, ...] = ()
    flops: int | None = None
    frames: tuple[Frame, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All nodes that an edge comes from."""
        return (*self.reads, *self.selectors)


class Graph:
    """Nodes by name, each after those that it reads; new ones are added below a path."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._path = ""
        self._frames: tuple[Frame, ...] = ()

    def within(self, path: str, frame: str = "") -> "Graph":
        """Return the same graph for a module at `path` below here; `frame` is the title around its nodes."""
        inner = Graph()
        inner.nodes, inner._path = self.nodes, f"{self._path}{path}."
        inner._frames = (*self._frames, Frame(inner._path, frame)) if frame else self._frames
        return inner

    def add(
        self,
        kind: Kind,
        path: str,
        reads: Sequence[str],
        selectors: Sequence[str] = (),
        flops: int | None = None,
        label: str = "",
    ) -> str:
        """Add a node, and return its name. `reads` and `selectors` are such names, `path` begins here.

        The default label is the last part of the path; of stitch and mix their kind.

        Raises:
            ValueError: the name exists, or one that it reads does not.
        """
        name = self._path + path
        last = path.rpartition(".")[2]
        label = label or (kind if kind in ("stitch", "mix") else " ".join(last.rsplit("_", 1)))
        node = Node(name, kind, label, tuple(reads), tuple(selectors), flops, self._frames)
        if name in self.nodes or (unknown := set(node.sources) - set(self.nodes)):
            fault = "is drawn twice" if name in self.nodes else f"reads {sorted(unknown)}, not drawn yet"
            raise ValueError(f"node {name} {fault}")
        self.nodes[name] = node
        return name

    def name_of(self, path: str) -> str:
        """Return the name of the node at a path that begins here."""
        return self._path + path

    def join(self, output: str, how: str, parts: Sequence[str]) -> str:
        """Join several nodes for an output, without parameters; a single one is returned as it is."""
        return parts[0] if len(parts) == 1 else self.add("join", f"{output} {how}", parts, label=how)

    def needed_for(self, names: Iterable[str]) -> set[str]:
        """Return the names of all nodes with a path to one of some nodes, including these."""
        needed = set(names)
        for node in reversed(self.nodes.values()):
            if node.name in needed:
                needed.update(node.sources)
        return needed

    @property
    def edges(self) -> list[tuple[str, str]]:
        """(from, to), every edge once."""
        return list(dict.fromkeys((s, node.name) for node in self.nodes.values() for s in node.sources))
