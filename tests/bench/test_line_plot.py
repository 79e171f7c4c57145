"""A plot is a file that an XML reader takes, with one mark per point at its coordinates."""

from pathlib import Path
from xml.etree import ElementTree

from bench.line_plot import Point, line_plot, write

SVG = "{http://www.w3.org/2000/svg}"


def test_points_stand_where_their_values_are(tmp_path: Path) -> None:
    lines = {
        "rising": [Point(0.0, -0.1, -0.2, 0.0), Point(1.0, 0.3, 0.2, 0.4)],
        "a < b": [Point(0.0, 0.1, 0.1, 0.1), Point(1.0, 0.1, 0.1, 0.1)],
    }
    write(tmp_path / "plot.svg", line_plot(lines, "A title", "p", "gain"))

    root = ElementTree.parse(tmp_path / "plot.svg").getroot()
    assert root.tag == f"{SVG}svg"
    tops = [float(circle.attrib["cy"]) for circle in root.iter(f"{SVG}circle")]
    assert tops[1] < tops[2] == tops[3] < tops[0]  # upwards: 0.3, then 0.1 twice, then -0.1
    labels = [text.text for text in root.iter(f"{SVG}text")]
    assert {"rising", "a < b", "p", "gain"} <= set(labels)
