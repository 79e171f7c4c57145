"""Layers become one checked configuration; what is wrong is named with its file and key."""

import shutil
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.load import CONF_DIR, load_config

CONF = Path(__file__).parents[2] / "conf"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project's folder with a copy of conf/ that a test may break."""
    shutil.copytree(CONF, tmp_path / "conf")
    return tmp_path


def test_later_layers_win() -> None:
    assert load_config().model.name == "ple"
    assert load_config(model="mfh").model.name == "mfh"
    assert load_config(overrides=["training.seed=99"]).training.seed == 99


def test_the_folder_of_the_project_is_an_argument(project: Path) -> None:
    file = project / "conf" / "base.yaml"
    file.write_text(file.read_text().replace("lock_wait_seconds: 120", "lock_wait_seconds: 7"))

    assert load_config(folder=project).runtime.lock_wait_seconds == 7
    assert load_config().runtime.lock_wait_seconds == 120


def test_a_fault_of_a_suite_is_named_with_its_file(project: Path) -> None:
    folder = project / "conf" / "suites" / "kuairand"
    folder.mkdir(parents=True)
    (folder / "events.yaml").write_text("rules: [{type: expect_column_values_to_not_be_null, nam: tab}]")

    with pytest.raises(ConfigError, match=r"^suites/kuairand/events.yaml:1: suites.events.rules.0.nam: "):
        load_config(folder=project)


def test_the_configuration_never_changes() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_config().training.seed = 3  # type: ignore[misc]


def test_an_unknown_key_is_named_with_its_file(project: Path) -> None:
    file = project / "conf" / "datasets" / "kuairand.yaml"
    file.write_text(file.read_text().replace("window_days: 8", "window_dais: 8"))

    with pytest.raises(ConfigError) as error:
        load_config(folder=project)

    lines = file.read_text().splitlines()
    line, above = lines.index("  window_dais: 8") + 1, lines.index("training:") + 1
    assert f"datasets/kuairand.yaml:{line}: training.window_dais: unknown key" in str(error.value)
    assert f"datasets/kuairand.yaml:{above}: training.window_days: Field required" in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "line_of", "message"),
    [
        ("label: is_like = 1", "label: is_lyke = 1", "name: like, label", "tasks.like.label: 'is_lyke = 1' "),
        ("when: user_impression_count_all <= 9", "when: user_x <= 9", "name: low", "cohorts.user.rules.low."),
        ("exposure: impression_count", "exposure: views", "exposure: views", "exposure: views over 7d"),
        ("from: user_id, type: bigint", "from: user_id, type: double", "user_id: {from", "source.events: "),
        ("click: 0.5, long", "klick: 0.5, long", "    ranking: {klick", "lists.home.ranking names ['klick']"),
        ("tab: {from: tab,", "tab: {from: '???',", "tab: {from", "source.events.columns.tab.from: ??? is "),
        ("validation_days: 1", "validation_days: 8", "  validation_days", "training: validation_days 8 "),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_line(
    project: Path, old: str, new: str, line_of: str, message: str
) -> None:
    file = project / "conf" / "datasets" / "kuairand.yaml"
    file.write_text(file.read_text().replace(old, new, 1))
    (line, *_) = (n for n, text in enumerate(file.read_text().splitlines(), 1) if line_of in text)

    with pytest.raises(ConfigError) as error:
        load_config(folder=project)

    assert str(error.value).startswith(f"datasets/kuairand.yaml:{line}: {message}")


def test_the_only_data_set_of_a_project_needs_no_name(project: Path) -> None:
    folder = project / "conf" / "datasets"
    text = (folder / "kuairand.yaml").read_text()
    for other in set(folder.glob("*.yaml")) - {folder / "kuairand.yaml"}:
        other.unlink()
    (folder / "mine.yaml").write_text(text.replace("dataset: kuairand", "dataset: mine"))
    assert load_config(folder=project).dataset == "kuairand"  # of several, that of the demo

    (folder / "kuairand.yaml").rename(folder / "other.yaml")
    with pytest.raises(ConfigError, match=r"conf/datasets holds \['mine', 'other'\]; name one of them"):
        load_config(overrides=["training.seed=2"], folder=project)

    (folder / "other.yaml").unlink()
    assert load_config(overrides=["training.seed=3"], folder=project).dataset == "mine"


def test_a_project_without_models_has_those_of_the_code(project: Path) -> None:
    shutil.rmtree(project / "conf" / "models")
    assert load_config(model="mfh", folder=project).model == load_config(model="mfh").model

    (project / "conf" / "models").mkdir()
    (project / "conf" / "models" / "mine.yaml").write_text(
        (CONF / "models" / "mfh.yaml").read_text().replace("name: mfh", "name: mine")
    )
    assert load_config(model="mine", folder=project).model.architecture == "mfh"
    with pytest.raises(ConfigError, match=r"models/none.yaml does not exist; there are \['aitm', .*'mine'"):
        load_config(model="none", folder=project)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epocs=3", "--set: training.epocs: unknown key; remove it or correct its spelling"),
        ("training.seed=abc", "--set: training.seed: Input should be a valid integer"),
        ("training.validation_days=9", "leaves nothing of window_days 8"),
        ("training.shards=3", "shards 3 must be a multiple of ranks 2"),
        ("lists.home.ranking.share=1", "names ['share'], which are no binary tasks"),
        ("lists.home.context.day=1", "an impression are ['hour', 'tab']"),
        ("model.input.id_dropout.item_id=.1", "model.input.id_dropout names ['item_id'], which are hashed"),
        (
            "exposure=views",
            "exposure: views over 7d is needed for items (baselines.window), and features.item",
        ),
        ("exposure=click_count", "features.item.aggregates has no such count"),  # a sum, not a count
        ("baselines.window=3d", "impression_count over 3d is needed for items (baselines.window)"),
        (
            "lists.home.pool=[{source: most_shown, items: 9, window: 3d}]",
            "impression_count over 3d is needed for items (lists.home.pool)",
        ),
        ("tasks.0.weight=-1", "a list is set as a whole"),
        ("training.seed", "expected key=value"),
        ("training.seed=[1,", "--set 'training.seed=[1,': the value is no YAML: while parsing"),
        ("training.seed=${nowhere}", "configuration does not resolve: Interpolation key 'nowhere' not found"),
        (
            "training.window_days=40000",
            "--set: training.window_days: Input should be less than or equal to 36525",
        ),
        (
            "source.events.lateness_days=40000",
            "--set: source.events.lateness_days: Input should be less than",
        ),
        ("audits.days_before=40000", "--set: audits.days_before: Input should be less than"),
        ("baselines.window=100000d", "--set: baselines.window: String should match pattern"),
        (
            "source.time_zone=Mars/Olympus",
            "source.time_zone: 'Mars/Olympus' is no time zone; name one as Asia/",
        ),
        (
            "source.events.keep=[play_seconds FOO]",
            "source.events.keep: 'play_seconds FOO' is no order; write",
        ),
        ("source.events.keep=['']", "source.events.keep: '' is no order"),
        ("source.events.keep=['tab, rand()']", "source.events.keep: 'tab, rand()' is no order"),
        ("source.events.event_id=[]", "source.events.event_id: Tuple should have at least 1 item"),
        ("source.events.columns.event_time.type=string", "event_time is of type string; expected timestamp"),
        ("source.events.columns.user_id.type=double", "user_id is of type double; expected one of ['string'"),
        (
            "source.users.columns.user_x={from: x, type: 'decimal(39,2)'}",
            "columns.user_x.type: String should",
        ),
        (
            "lists.home.context.tab=main",
            "lists.home.context.tab is 'main'; expected a whole number, as of type int",
        ),
        (
            "lists.home.context.tab=1.5",
            "lists.home.context.tab is 1.5; expected a whole number, as of type int",
        ),
        (
            "lists.home.ranking.click=-1",
            "lists.home.ranking.click: Input should be greater than or equal to 0",
        ),
        ("promotion.primary_tasks=[]", "promotion.primary_tasks: Tuple should have at least 1 item"),
        ("evaluation.replicates=1", "evaluation.replicates: Input should be greater than or equal to 2"),
        ("dataset=other", "--set: dataset: other, expected kuairand, as the file is called"),
    ],
)
def test_a_wrong_value_says_what_was_expected(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(overrides=[override])

    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_layer_that_is_not_there_lists_those_that_are() -> None:
    match = r"^datasets/netflix.yaml does not exist; there are \[.*'kuairand'.*\]"
    with pytest.raises(ConfigError, match=match):
        load_config(dataset="netflix")
    with pytest.raises(ConfigError, match=r"^nowhere.yaml does not exist; there are \['base', 'cluster'"):
        load_config(env="nowhere")


def test_a_model_without_inputs_is_refused() -> None:
    with pytest.raises(ConfigError, match="inputs: neither categorical nor dense inputs are declared"):
        load_config(overrides=["inputs.categorical=[]", "inputs.dense=[]"])


@pytest.mark.parametrize("name", ["../x", "../datasets/kuairand", "sub/x", ".", "..", ".hidden"])
def test_a_path_is_no_name_of_a_layer(name: str) -> None:
    with pytest.raises(ConfigError, match=r"is no name of a data set; .* in conf/datasets, .*\[.*'kuairand'"):
        load_config(dataset=name)
    with pytest.raises(ConfigError, match="is no name of an environment"):
        load_config(env=name)
    with pytest.raises(ConfigError, match=r"is no name of a model; expected .* conf/models"):
        load_config(model=name)


def test_a_broken_yaml_is_one_line(project: Path) -> None:
    (project / "conf" / "local.yaml").write_text("paths: {warehouse: [")

    with pytest.raises(ConfigError, match=r"local\.yaml is no YAML") as error:
        load_config(folder=project)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["", "# later\n"])
def test_an_empty_data_set_is_named(project: Path, content: str) -> None:
    (project / "conf" / "datasets" / "mine.yaml").write_text(content)

    with pytest.raises(ConfigError, match=r"^datasets/mine\.yaml holds no keys; expected a mapping"):
        load_config("mine", folder=project)


def test_a_folder_without_conf_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=rf"^{tmp_path}/none holds no conf/base\.yaml; expected the folder of"
    ):
        load_config(folder=tmp_path / "none")


def test_a_layer_that_cannot_be_read_says_why(project: Path) -> None:
    (project / "conf" / "datasets" / "mine.yaml").mkdir()

    with pytest.raises(ConfigError, match=r"^datasets/mine\.yaml cannot be read \(Is a directory\)"):
        load_config("mine", folder=project)


@pytest.mark.parametrize("content", [b"- a\n- b\n", b"3\n", b"\xff\xfe", b""])
def test_a_layer_without_keys_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)

    with pytest.raises(ConfigError, match=r"/mine\.yaml (holds no keys|is no YAML)") as error:
        load_config(model=str(tmp_path / "mine.yaml"))

    assert "\n" not in str(error.value)


def test_a_model_yaml_may_be_in_any_folder(tmp_path: Path) -> None:
    shutil.copy(CONF / "models" / "mfh.yaml", tmp_path / "mine.yaml")

    assert load_config(model=str(tmp_path / "mine.yaml")) == load_config(model="mfh")
    with pytest.raises(ConfigError, match=r"/other\.yaml does not exist"):
        load_config(model=str(tmp_path / "other.yaml"))


def test_a_copied_model_yaml_must_have_a_name_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(CONF_DIR, tmp_path / "conf")
    shutil.copy(CONF_DIR / "models" / "ple.yaml", tmp_path / "conf" / "models" / "copy.yaml")

    with pytest.raises(
        ConfigError, match=r"models/copy\.yaml:3: model\.name: ple, expected copy, as the file"
    ):
        load_config(model="copy", folder=tmp_path)


@pytest.mark.parametrize("name", sorted(file.stem for file in (CONF_DIR / "datasets").glob("*.yaml")))
def test_each_data_set_of_the_repository_can_be_read(name: str) -> None:
    assert load_config(name, folder=CONF_DIR.parent).dataset == name
