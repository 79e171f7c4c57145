"""The model bundles of a data set, and their mirror in the registry, as a run leaves them."""

from pathlib import Path

from core.paths import Place
from jobs.tables import registry
from jobs.tables.store import Store


class ModelFolders:
    """Where bundles are; MLflow mirrors them, for people."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def new_bundle(self, model_version: str) -> Place:
        """Return the folder of a bundle that a run leaves."""
        return self._store.catalog.bundle(model_version)

    def columns(self, model_version: str) -> tuple[str, ...]:
        """Return the columns that a model reads; none if there is no such bundle."""
        from models.serving.bundle import read_manifest
        from models.serving.stored import MANIFEST

        bundle = self._store.catalog.bundle(model_version)
        return tuple(read_manifest(bundle).columns) if (bundle / MANIFEST).exists() else ()

    def register(self, bundle: Place) -> None:
        """Mirror a bundle; see `registry.register`."""
        registry.register(self._store, bundle)

    def mirror_champion(self) -> None:
        """Point MLflow's alias at the newest champion."""
        registry.mirror_champion(self._store)


class TrialFolders(ModelFolders):
    """Bundles of a trial run: in a folder of its own, without a mirror."""

    def __init__(self, store: Store, folder: Path) -> None:
        super().__init__(store)
        self._folder = folder

    def new_bundle(self, model_version: str) -> Place:
        """Return a folder of the trial's own."""
        return self._folder / model_version

    def register(self, bundle: Place) -> None:
        """Register nothing."""

    def mirror_champion(self) -> None:
        """Leave the alias as it is."""
