"""Which code a job's fingerprint covers: what it can reach, as syntax trees, and no more."""

import re
from pathlib import Path

import pytest

from jobs.runtime import code
from jobs.runtime.code import code_of, hash_of
from jobs.runtime.pipeline import all_jobs


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of packages of its own."""
    monkeypatch.setattr(code, "ROOT", tmp_path)
    files = {
        "jobs/build.py": "from features.windows import total\n",
        "jobs/train.py": "from models.model import build\n",
        "features/windows.py": "def total():\n    from features.casts import read\n    return read\n",
        "features/casts.py": "read = 1\n",
        "features/other.py": "x = 1\n",
        "models/model.py": "import importlib\n",
        "models/architectures/ple.py": "from models.modules.experts import E\n",
        "models/architectures/mmoe.py": "y = 1\n",
        "models/modules/experts.py": "E = 1\n",
        "models/training/process.py": "from models.training.losses import loss\n",
        "models/training/losses.py": "loss = 1\n",
        "quality/report/templates/night.html.j2": "<h1>Night</h1>\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_inside_functions_count_and_files_that_nobody_imports_do_not(root: Path) -> None:
    assert set(code_of("jobs.build")) == {"jobs/build.py", "features/windows.py", "features/casts.py"}


def test_imports_for_type_checkers_do_not_count(root: Path) -> None:
    (root / "jobs/build.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from features.other import x\n"
    )

    assert set(code_of("jobs.build")) == {"jobs/build.py"}


def test_of_architectures_only_the_configured_ones_count(root: Path) -> None:
    found = set(code_of("jobs.train", architectures=["ple"]))

    assert found >= {"models/architectures/ple.py", "models/modules/experts.py"}
    assert "models/architectures/mmoe.py" not in found


def test_entry_points_of_subprocesses_count(root: Path) -> None:
    assert "models/training/losses.py" not in code_of("jobs.train")
    assert "models/training/losses.py" in code_of("jobs.train", entry_points=["models.training.process"])


def test_templates_count_by_their_text(root: Path) -> None:
    before = code_of("jobs.build", templates=["quality/report/templates"])
    (root / "quality/report/templates/night.html.j2").write_text("<h1>The night</h1>\n")
    after = code_of("jobs.build", templates=["quality/report/templates"])

    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"quality/report/templates/night.html.j2"}


@pytest.mark.parametrize(
    ("text", "is_same"),
    [
        ("read = 1  # a comment\n", True),
        ('"""A docstring."""\n\nread = 1\n', True),
        ("read = (\n    1\n)\n", True),
        ('read = 1\n"""What it is for."""\n', True),
        ("read = 2\n", False),
        ("read = 1\nmore = 2\n", False),
    ],
)
def test_words_and_layout_change_nothing_and_code_does(root: Path, text: str, is_same: bool) -> None:
    before = hash_of(code_of("jobs.build"))
    (root / "features/casts.py").write_text(text)

    assert (hash_of(code_of("jobs.build")) == before) == is_same


def test_what_an_error_says_changes_nothing(root: Path) -> None:
    (root / "features/casts.py").write_text("def f(x):\n    if x:\n        raise ValueError('some words')\n")
    before = hash_of(code_of("jobs.build"))
    (root / "features/casts.py").write_text("def f(x):\n    if x:\n        raise KeyError(f'others, {x}')\n")

    assert hash_of(code_of("jobs.build")) == before


@pytest.mark.parametrize("job", ["ingest", "promote"])
def test_code_of_suites_counts_where_a_verdict_decides_which_rows_or_models_pass(job: str) -> None:
    declared = all_jobs()[job]

    assert {"quality/suites.py", "quality/rules.py"} <= set(code_of(declared.module, declared.entry_points))


def test_what_is_said_to_have_no_effect_on_content_exists() -> None:
    missing = [
        m for m in code.NO_EFFECT_ON_CONTENT if not (code.ROOT / f"{m.replace('.', '/')}.py").is_file()
    ]

    assert missing == []


@pytest.mark.parametrize(
    ("module", "reached", "not_reached"),
    [
        ("jobs.build_features", "features/windows.py", r"models/.*|quality/.*|features/encoding.py"),
        ("jobs.label_cohorts", "features/cohorts.py", r"models/.*|quality/report/.*|features/windows.py"),
        ("jobs.pack", "features/packing.py", r"models/(architectures|training|serving)/.*|quality/report/.*"),
        (
            "jobs.train",
            "models/serving/bundle.py",
            r"features/.*|quality/report/.*|models/architectures/ple.py",
        ),
        (
            "jobs.score",
            "models/serving/scorer.py",
            r"models/(training|metrics)/.*|quality/(report|promotion|gains).*|jobs/workers/(evaluation|inference).py",
        ),
        ("jobs.evaluate", "models/metrics/binary.py", r"models/serving/scorer.py|jobs/workers/listing.py"),
        ("jobs.publish", "quality/publication.py", r"quality/(promotion|gains).py|models/.*"),
        ("jobs.ingest", "features/events.py", r"core/(schema|source|expressions).py|jobs/tables/catalog.py"),
    ],
)
def test_a_job_reaches_what_it_uses_and_not_the_rest(module: str, reached: str, not_reached: str) -> None:
    found = code_of(module)

    assert reached in found
    assert [file for file in found if re.fullmatch(not_reached, file)] == []
