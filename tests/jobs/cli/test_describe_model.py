"""`lamplighter describe-model`: what it prints, and one line for a YAML that is wrong."""

import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from core.columns import input_sides
from core.encoder import CategoricalEncoding
from core.errors import ConfigError
from core.load import CONF_DIR, load_config
from features.arrivals import with_history
from jobs.cli.describe_model import describe_file, description_sheet, picture
from jobs.cli.main import app
from models.describe.shapes import largest_encoder, parameters_of
from models.model import build_model

MODELS = sorted(file.stem for file in (CONF_DIR / "models").glob("*.yaml"))
PLE = (CONF_DIR / "models" / "ple.yaml").read_text(encoding="utf-8")


def text_of(file: str) -> str:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(description_sheet(*describe_file(file, "kuairand")))
    return captured.get()


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_model_that_would_be_trained_on_full_vocabularies(name: str) -> None:
    config = load_config(model=name)
    model = build_model(
        config.model,
        with_history(largest_encoder(config.inputs, input_sides(config)), config),
        [task.name for task in config.tasks],
        {"user_cohort": config.cohorts.user.names, "item_cohort": config.cohorts.item.names},
        seed=1,
    )

    _, found = describe_file(name, "kuairand")

    total = parameters_of(found.tables) + parameters_of(found.parts)
    assert total == sum(p.numel() for p in model.parameters())


def test_it_says_what_is_in_embeddings_trunk_and_towers_and_what_is_an_upper_bound() -> None:
    lines = {" ".join(line.split()) for line in text_of("ple").splitlines()}

    assert "ple (architecture ple) on kuairand: tasks click, long_view, like; input vector of 120" in lines
    assert {
        "input.tables.item_id_table 8,192 x 8 65,536 0 0",
        "input.tables.item_tag_table up to 1,001 x 8 8,008 0 0",
        "trunk.levels.0.gates.linear.SHARED_gate 120 -> 4 480 960 256",
        "all embeddings 201,142 0 0",
        "all trunk 21,616 41,696 1,024",
        "all towers 3,267 6,336 0",
        "the model 226,025 48,032 1,024",
    } <= lines


def test_of_cells_it_says_what_one_group_alone_costs() -> None:
    text = text_of("mfh")

    assert "groups new, low, high" in text
    for group in ("new", "low", "high"):
        assert f"{group} 53,600 FLOPs (66% of all cells'), mixing 896" in text
    assert "One group alone" not in text_of("ple")


def test_a_file_elsewhere_is_read_like_one_of_conf_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text(PLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert text_of(str(tmp_path / "mine.yaml")) == text_of("mine.yaml") == text_of("ple")


def test_the_picture_is_a_flowchart_and_nothing_else() -> None:
    done = CliRunner().invoke(app, ["describe-model", "cgc", "--picture"])

    assert done.exit_code == 0
    _, found = describe_file("cgc", "kuairand")
    assert picture(found).startswith("flowchart BT\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("architecture: ple", "architecture: plee"),
            "{file}: model.architecture 'plee' is unknown;",
        ),
        (("task_experts: 1", "task_expert: 1"), "{file}: model.trunk: levels.0.task_experts: Field required"),
        (
            ("task_experts: 1", "task_experts: {click: 1}"),
            "levels.0.task_experts names ['click'], but the outputs",
        ),
        (
            ("tower: [32]", "tower: [0]"),
            "{file}:9: model.tower.0: Input should be greater than or equal to 1",
        ),
        (("tower: [32]", "towers: {old: [2]}\n  tower: [32]"), "{file}: model.towers names ['old']"),
        (("model:", "modell:"), "{file}:2: modell: unknown key"),
        (("levels:", "levels: ["), "mine.yaml is no YAML"),
    ],
)
def test_a_wrong_yaml_ends_with_2_and_one_line_that_names_the_file(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(PLE.replace(*change), encoding="utf-8")

    with pytest.raises(ConfigError) as error:
        describe_file(str(file), "kuairand")

    assert message.format(file=file) in str(error.value)
    assert "\n" not in str(error.value)
    assert CliRunner().invoke(app, ["describe-model", str(file)]).exit_code == 2


@pytest.mark.parametrize("file", ["plee", "nowhere/plee.yaml"])
def test_a_file_that_is_not_there_ends_with_2(file: str) -> None:
    with pytest.raises(ConfigError, match=r"plee\.yaml does not exist"):
        describe_file(file, "kuairand")


def test_it_takes_a_projects_folder_and_settings(tmp_path: Path) -> None:
    shutil.copytree(CONF_DIR, tmp_path / "conf")
    (tmp_path / "conf" / "models" / "mine.yaml").write_text(
        PLE.replace("tower: [32]", "tower: [7]").replace("name: ple", "name: mine")
    )
    flags = ["--project", str(tmp_path), "--set", "training.seed=3"]

    done = CliRunner().invoke(app, ["describe-model", "mine", *flags])
    elsewhere = CliRunner().invoke(app, ["describe-model", "mine"])

    assert (done.exit_code, elsewhere.exit_code) == (0, 2)
    _, found = describe_file("mine", "kuairand", ["training.seed=3"], tmp_path)
    assert {part.shape for part in found.parts if part.kind == "tower"} == {"32 -> 7 -> 1"}


def test_no_table_takes_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = CategoricalEncoding(column="item_id", kind="hash", size=10**12, dim=64)
    config = load_config()
    encoder = largest_encoder(config.inputs, input_sides(config))
    monkeypatch.setattr(
        "jobs.cli.describe_model.largest_encoder",
        lambda *_: encoder.model_copy(update={"categorical": (huge, *encoder.categorical[1:])}),
    )

    _, found = describe_file("ple", "kuairand")

    assert found.tables[0].parameters == 64 * 10**12
    assert torch.get_default_device().type == "cpu"
