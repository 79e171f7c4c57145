"""What data dates lack of that which is declared now."""

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from core.declared_config import hashes_of_keys
from core.errors import ConfigError
from core.load import load_config
from core.schema import Config
from jobs.runtime.lacking import dates_without, declared_aggregates, require_filled_in
from tests.jobs.tables.small import DAY, NEXT, WIDER, small_store

LAST = NEXT + timedelta(days=1)


def write(folder: Path, **columns: list[object]) -> None:
    write_deltalake(
        folder / "small" / "numbers",
        pa.table(columns),
        mode="append",
        partition_by=["data_date"],
        schema_mode="merge",
    )


def test_a_date_lacks_a_column_that_its_files_do_not_have(tmp_path: Path) -> None:
    write(tmp_path, id=[1, 1], value=[1, 1], data_date=[DAY, NEXT])
    write(tmp_path, id=[1], value=[1], clicks=[None], data_date=[LAST])
    store, dates = small_store(tmp_path, WIDER), [DAY, NEXT, LAST, LAST + timedelta(days=1)]

    assert dates_without(store, "numbers", ["value", "clicks"], dates) == {"clicks": [DAY, NEXT]}
    require_filled_in(store, "numbers", ["clicks"], [LAST], "the training set")
    with pytest.raises(ConfigError) as error:
        require_filled_in(store, "numbers", ["clicks"], dates, "the training set")

    assert str(error.value) == (
        "numbers: clicks is not filled in for 2022-05-07..2022-05-08, where the training set reads it: it "
        "was declared later; run `lamplighter backfill --from 2022-05-07`, or leave these data dates or the "
        "column out"
    )


def test_an_aggregate_is_another_if_it_or_what_it_reads_is_declared_otherwise() -> None:
    config = load_config()

    assert differing(config, load_config(overrides=["cohorts.user.version=7"])) == set()
    assert differing(config, load_config(overrides=["behaviours.is_click.from=is_like"])) == {"click_count"}
    assert differing(config, with_user_features(config, rates=())) == set()
    first, *rest = config.features.user.aggregates
    wider = first.model_copy(update={"windows": (*first.windows, "3d")})
    assert differing(config, with_user_features(config, aggregates=(wider, *rest))) == {first.name}
    assert differing(with_user_features(config, aggregates=(*rest,)), config) == {first.name}


def differing(then: Config, now: Config) -> set[str]:
    """Return the users' aggregates of now that were not, or otherwise, declared then."""
    keys = ["features", "behaviours", "derived"]
    old, new = (declared_aggregates(hashes_of_keys(each, keys), now, "user") for each in (then, now))
    return {name for name in new if new[name] != old[name]}


def with_user_features(config: Config, **changes: object) -> Config:
    user = config.features.user.model_copy(update=changes)
    return config.model_copy(update={"features": config.features.model_copy(update={"user": user})})
