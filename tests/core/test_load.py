"""Layers become one checked configuration; what is wrong is named with its file and key."""

import shutil
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.load import CONF_DIR, load_config


@pytest.fixture
def conf_dir(tmp_path: Path) -> Path:
    """A copy of conf/ that a test may break."""
    return Path(
        shutil.copytree(CONF_DIR, tmp_path / "conf", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    )


def test_later_layers_win() -> None:
    assert load_config().model.name == "ple"
    assert load_config(model="mfh").model.name == "mfh"
    assert load_config(overrides=["training.seed=99"]).training.seed == 99


def test_every_suite_file_is_read() -> None:
    names = {file.stem for file in (CONF_DIR / "suites").glob("*.yaml")}

    assert set(load_config().suites) == names >= {"events", "user_features", "item_features", "scores"}


def test_the_configuration_never_changes() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config().training.seed = 3  # type: ignore[misc]


def test_an_unknown_key_is_named_with_its_file(conf_dir: Path) -> None:
    file = conf_dir / "datasets" / "kuairand.yaml"
    file.write_text(file.read_text().replace("window_days: 8", "window_dais: 8"))

    with pytest.raises(ConfigError) as error:
        load_config(conf_dir=conf_dir)

    assert "datasets/kuairand.yaml: training.window_dais: unknown key" in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epocs=3", "--set: training.epocs: unknown key; remove it or correct its spelling"),
        ("training.seed=abc", "--set: training.seed: Input should be a valid integer"),
        ("training.validation_days=9", "leaves nothing of window_days 8"),
        ("training.shards=3", "shards 3 must be a multiple of ranks 2"),
        ("ranking.weights.share=1", "names ['share'], which are no binary tasks"),
        ("list_context.day=1", "an impression are ['hour', 'tab']"),
        ("model.input.id_dropout.item_id=.1", "model.input.id_dropout names ['item_id'], which are hashed"),
        ("tasks.0.weight=-1", "a list is set as a whole"),
        ("training.seed", "expected key=value"),
    ],
)
def test_a_wrong_value_says_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(overrides=[override])

    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_layer_that_is_not_there_lists_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"datasets/netflix.yaml does not exist; there are \['kuairand'\]"):
        load_config(dataset="netflix")


def test_a_broken_yaml_is_one_line(conf_dir: Path) -> None:
    (conf_dir / "local.yaml").write_text("paths: {warehouse: [")

    with pytest.raises(ConfigError, match=r"local\.yaml is no YAML") as error:
        load_config(conf_dir=conf_dir)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"3\n", b"\xff\xfe"])
def test_a_layer_without_keys_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)

    with pytest.raises(ConfigError, match=r"^mine\.yaml (holds no keys|is no YAML)") as error:
        load_config(model=str(tmp_path / "mine.yaml"))

    assert "\n" not in str(error.value)


def test_a_model_yaml_may_lie_anywhere(tmp_path: Path) -> None:
    shutil.copy(CONF_DIR / "models" / "mfh.yaml", tmp_path / "mine.yaml")

    assert load_config(model=str(tmp_path / "mine.yaml")) == load_config(model="mfh")
