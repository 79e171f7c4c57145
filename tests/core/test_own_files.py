"""Our own files, as others than this checkout get them."""

import io
import zipfile

from core.load import PROJECT_DIR
from core.own_files import shipped, zipped


def test_what_is_shipped_holds_all_modules_and_no_data_set_of_this_checkout() -> None:
    names = set(shipped())

    assert {"core/load.py", "jobs/workers/listing.py", "conf/base.yaml", "conf/models/ple.yaml"} <= names
    assert "quality/report/templates/night.html.j2" in names
    assert not [name for name in names if name.startswith(("conf/datasets", "conf/tests", "tests", "tools"))]
    modules = {str(file.relative_to(PROJECT_DIR)) for file in (PROJECT_DIR / "features").rglob("*.py")}
    assert {name for name in names if name.startswith("features/")} == modules


def test_a_zip_depends_on_the_content_of_files_alone() -> None:
    content = zipped()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        held = {entry.filename: archive.read(entry) for entry in archive.infolist()}
        times = {entry.date_time for entry in archive.infolist()}

    assert held == shipped()
    assert times == {(1980, 1, 1, 0, 0, 0)}
    assert zipped() == content
