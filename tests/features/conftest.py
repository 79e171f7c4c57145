"""The small configuration of the feature tests."""

import pytest

from core.schema import Config
from tests.features.small import small_config


@pytest.fixture(scope="session")
def config() -> Config:
    return small_config()
