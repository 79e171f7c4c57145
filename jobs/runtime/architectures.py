"""Which architectures a model YAML uses: whose code a fingerprint covers."""

from functools import lru_cache

from core.model import Model


def architectures_of(model: Model) -> tuple[str, ...]:
    """Return the names of the architectures that a model is built from, in alphabetical order.

    Raises:
        ConfigError: one is unknown, or its part of the model YAML is invalid.
    """
    return _architectures(model.model_dump_json())


@lru_cache(maxsize=64)
def _architectures(model: str) -> tuple[str, ...]:
    from models.modules.used import architectures_in  # torch takes seconds to import

    return tuple(sorted(architectures_in(Model.model_validate_json(model))))
