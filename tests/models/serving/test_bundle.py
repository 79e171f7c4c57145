"""A bundle is complete, unchanged and fitting, or refused with the reason."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from core.errors import LamplighterError
from core.paths import Place
from core.schema import CohortRule, Cohorts
from models.model import MultiTaskModel, build_model
from models.serving.bundle import Bundle, Manifest, check_fits, read_bundle, write_bundle
from models.serving.calibration import Calibration
from tests.models.training_set import COHORTS, ENCODER, GROUPS, MFH_ITEM, PLE, TASKS, arrays

NAMES = tuple(task.name for task in TASKS)
COLUMNS = {
    "user_range": "string",
    "item_id": "bigint",
    "tab": "int",
    "user_click_rate_all": "double",
    "item_click_rate_all": "double",
    "item_play_seconds_7d": "decimal(22,3)",
}
MANIFEST = Manifest(
    model_version="ple-1234",
    training_set="t1",
    tasks=TASKS,
    cohorts={"user_cohort": GROUPS},
    rule_versions={"user_cohort": 2},
    columns=COLUMNS,
    table_versions={"training_blocks": 3},
    code_revision="abc",
    seed=17,
)
CALIBRATION = Calibration(
    tasks=NAMES,
    groups=GROUPS,
    slopes=(0.9, 1.1),
    intercepts=(0.1, -0.2),
    offsets=((0.0, 0.1, 0.2), (0.0, 0.0, 0.0)),
)


def cohorts(*names: str, version: int = 2) -> Cohorts:
    *rules, default = names
    return Cohorts(version=version, rules=[CohortRule(name=n, when="true") for n in rules], default=default)


def model(seed: int = 17) -> MultiTaskModel:
    return build_model(PLE, ENCODER, NAMES, {"user_cohort": GROUPS}, seed).eval()


def write(folder: Path, path: Place | None = None, manifest: Manifest = MANIFEST) -> Bundle:
    save_file(model(seed=5).state_dict(), folder / "trained.safetensors")
    return write_bundle(
        path or folder / "bundle", folder / "trained.safetensors", PLE, ENCODER, CALIBRATION, manifest
    )


def test_what_is_written_is_read_back_and_predicts_the_same(tmp_path: Path) -> None:
    write(tmp_path)

    bundle = read_bundle(tmp_path / "bundle")

    assert bundle.encoder == ENCODER
    assert bundle.calibration == CALIBRATION
    assert bundle.model_yaml == PLE
    assert bundle.manifest.model_copy(update={"files": {}}) == MANIFEST
    rows = arrays(5, seed=1)
    inputs = (
        torch.from_numpy(rows["categorical"].astype(np.int64)),
        torch.from_numpy(rows["dense"]),
        torch.tensor([0, 1, 2, 0, 1]),
    )
    restored = bundle.model()
    assert not restored.training
    torch.testing.assert_close(restored(*inputs), model(seed=5)(*inputs), rtol=0, atol=0)


def test_writing_an_existing_bundle_does_not_change_it(tmp_path: Path) -> None:
    write(tmp_path)
    before = (tmp_path / "bundle" / "manifest.json").stat().st_mtime_ns

    write(tmp_path)

    assert (tmp_path / "bundle" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(LamplighterError, match=r"holds model ple-1234, ple-9 was to be written"):
        write(tmp_path, manifest=MANIFEST.model_copy(update={"model_version": "ple-9"}))


def test_a_bundle_that_cannot_be_finished_leaves_nothing_behind(tmp_path: Path) -> None:
    home = tmp_path / "models"

    with pytest.raises(FileNotFoundError):
        write_bundle(home / "bundle", tmp_path / "no_such_file", PLE, ENCODER, CALIBRATION, MANIFEST)

    assert list(home.iterdir()) == []


def test_a_bundle_appears_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(made: Path, target: Path) -> None:
        assert len(list(made.iterdir())) == 8
        assert not target.exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["trained.safetensors"]


@pytest.mark.parametrize(
    "name", ["weights.safetensors", "model.yaml", "encoder.json", "calibration.json", "manifest.json"]
)
def test_a_missing_file_and_a_truncated_one_are_refused_by_name(name: str, tmp_path: Path) -> None:
    whole = write(tmp_path).path
    for damage, message in (
        (lambda file: file.unlink(), f"{name} cannot be read"),
        (
            lambda file: file.write_bytes(file.read_bytes()[:-3]),
            rf"{name} .*(cut short|cannot be understood)",
        ),
    ):
        broken = tmp_path / "broken"
        shutil.copytree(whole, broken)
        damage(broken / name)

        with pytest.raises(LamplighterError, match=message):
            read_bundle(broken)

        shutil.rmtree(broken)


def test_weights_that_change_after_reading_are_refused(tmp_path: Path) -> None:
    bundle = write(tmp_path)
    save_file(model(seed=6).state_dict(), bundle.path / "weights.safetensors")

    with pytest.raises(LamplighterError, match=r"is not the file that manifest\.json describes"):
        bundle.model()


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    save_file({"something": torch.ones(2)}, tmp_path / "other.safetensors")
    bundle = write_bundle(
        tmp_path / "bundle", tmp_path / "other.safetensors", PLE, ENCODER, CALIBRATION, MANIFEST
    )

    with pytest.raises(LamplighterError, match=r"not the weights of model\.yaml .*Missing key"):
        bundle.model()


def test_tables_with_all_columns_pass_and_additional_columns_are_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_fits(write(tmp_path), COLUMNS | {"user_new_feature": "double"}, {"user_cohort": cohorts(*GROUPS)})

    assert caplog.text == ""


def test_every_difference_to_the_tables_is_named(tmp_path: Path) -> None:
    changed = COLUMNS | {"item_click_rate_all": "float"}
    del changed["tab"]

    with pytest.raises(LamplighterError) as error:
        check_fits(write(tmp_path), changed, {"user_cohort": cohorts("new", "old")})

    assert str(error.value) == (
        "model ple-1234 does not fit the tables any more: columns missing: tab; types changed: "
        "item_click_rate_all is float, was double; values of user_cohort are ['new', 'old'], were "
        "['new', 'low', 'high']; restore them in the data set's configuration, or train on what is there now"
    )


def test_a_newer_version_of_the_rules_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        check_fits(write(tmp_path), COLUMNS, {"user_cohort": cohorts(*GROUPS, version=3)})

    assert "trained with version 2 of the rules of user_cohort, now it is 3" in caplog.text


def test_a_model_of_item_cohorts_is_refused_with_other_ones_and_warned_of_newer_rules(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    versions = {"user_cohort": 2, "item_cohort": 5}
    both = MANIFEST.model_copy(update={"cohorts": COHORTS, "rule_versions": versions})
    bundle, users = write(tmp_path, manifest=both), cohorts(*GROUPS)

    with pytest.raises(LamplighterError, match=r"values of item_cohort are \['fresh', 'old'\], were"):
        check_fits(bundle, COLUMNS, {"user_cohort": users, "item_cohort": cohorts("fresh", "old")})
    with caplog.at_level(logging.WARNING):
        check_fits(bundle, COLUMNS, {"user_cohort": users, "item_cohort": cohorts("new", "old", version=6)})

    assert "trained with version 5 of the rules of item_cohort, now it is 6" in caplog.text
    assert "user_cohort" not in caplog.text


def test_a_model_without_item_cohorts_accepts_any_item_cohorts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bundle = write(tmp_path)

    check_fits(bundle, COLUMNS, {"user_cohort": cohorts(*GROUPS), "item_cohort": cohorts("fresh", version=9)})

    assert caplog.text == ""
    assert bundle.places("item_cohort", np.array(["fresh", "any"], object)).tolist() == [0, 0]


def test_the_place_of_a_cohort_is_that_in_the_manifest_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    bundle = write(tmp_path)

    assert bundle.places("user_cohort", np.array(["high", "new", "high"], object)).tolist() == [2, 0, 2]
    with pytest.raises(
        LamplighterError, match=r"user_cohort holds \['None', 'vip'\], but model ple-1234 knows"
    ):
        bundle.places("user_cohort", np.array(["vip", "new", None], object))


def test_a_bundle_of_three_facets_predicts_as_before_for_every_combination(tmp_path: Path) -> None:
    trained = build_model(MFH_ITEM, ENCODER, NAMES, COHORTS, seed=5).eval()
    save_file(trained.state_dict(), tmp_path / "trained.safetensors")
    manifest = MANIFEST.model_copy(
        update={"cohorts": COHORTS, "rule_versions": {"user_cohort": 2, "item_cohort": 1}}
    )
    bundle = write_bundle(
        tmp_path / "bundle", tmp_path / "trained.safetensors", MFH_ITEM, ENCODER, CALIBRATION, manifest
    )
    rows = arrays(6, seed=1)
    group = bundle.model().group_of(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1]))
    inputs = (
        torch.from_numpy(rows["categorical"].astype(np.int64)),
        torch.from_numpy(rows["dense"]),
        torch.from_numpy(group),
    )

    assert group.tolist() == [0, 1, 2, 3, 4, 5]
    torch.testing.assert_close(bundle.model()(*inputs), trained(*inputs), rtol=0, atol=0)
