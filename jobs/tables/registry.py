"""The model registry that people look at: MLflow on a database, a mirror of the bundles.

`promotions` decides who is the champion; MLflow mirrors the versions and the newest champion, and no job
reads it to decide what to compute. A database that was removed is written again from the bundles.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.paths import Place, by_parts, uri_of
from jobs.tables.decisions import newest_champion
from jobs.tables.faults import explained
from jobs.tables.store import Store
from jobs.tables.training_facts import training_of

CHAMPION = "champion"
log = logging.getLogger("lamplighter")


def register(store: Store, bundle: Place) -> None:
    """Mirror a bundle; registering an existing version again does nothing.

    Args:
        store: tables of the data set, whose name the registered model has.
        bundle: folder of the bundle; its name is the model version.

    Raises:
        LamplighterError: the database cannot be used.
    """
    with _registry(store, bundle) as client:
        _register(client, store, bundle)


def mirror_champion(store: Store) -> None:
    """Point MLflow's alias at the newest champion of `promotions`; errors as of `register`."""
    with _registry(store) as client:
        _mirror_champion(client, store)


def registered(store: Store) -> list[Any]:
    """Return all registered versions, as MLflow has them, newest first; errors as of `register`."""
    with _registry(store) as client:
        return list(client.search_model_versions(f"name = '{store.catalog.dataset}'"))


def _mirror_champion(client: Any, store: Store) -> None:
    name, champion = store.catalog.dataset, newest_champion(store)
    version = None if champion is None else _find(client, name, champion)
    if version is not None:
        client.set_registered_model_alias(name, CHAMPION, version.version)


def _register(client: Any, store: Store, bundle: Place) -> None:
    """Write a run with all that is known of the training, then the version that points to it."""
    from mlflow.exceptions import MlflowException

    name = store.catalog.dataset
    if _find(client, name, bundle.name) is not None:
        return
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    _remove_runs(client, experiment_id, bundle.name)
    told = training_of(bundle, store.catalog.root)
    tags = {"model_version": bundle.name, **told.tags}
    run = client.create_run(experiment_id, start_time=told.time_ms, run_name=bundle.name, tags=tags)
    told.log_to(client, run.info.run_id)
    client.set_terminated(run.info.run_id, end_time=told.time_ms)
    client.create_model_version(
        name, source=_source(bundle), run_id=run.info.run_id, tags=tags, description=told.summary
    )


def _remove_runs(client: Any, experiment_id: str, model_version: str) -> None:
    """Remove what a process has left that ended before it had registered the version."""
    for run in client.search_runs([experiment_id], f"tags.model_version = '{model_version}'"):
        client.delete_run(run.info.run_id)


def _find(client: Any, name: str, model_version: str) -> Any | None:
    found = client.search_model_versions(f"name = '{name}' AND tags.model_version = '{model_version}'")
    return found[0] if found else None


def _source(bundle: Place) -> str:
    """Return where MLflow finds a bundle: it knows `s3://`, and not the name that Hadoop gives to it."""
    return str(bundle) if isinstance(bundle, Path) else uri_of(bundle).replace("s3a://", "s3://", 1)


@contextmanager
def _registry(store: Store, new_bundle: Place | None = None) -> Iterator[Any]:
    """MLflow's client, to a database that knows all bundles (but the new one, which its caller registers).

    A database that has lost bundles may have lost the champion, too.
    """
    # MLflow takes seconds to import, so only the jobs that talk to it pay for it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they log their tables at every start
    catalog = store.catalog
    folder, address = catalog.models, catalog.registry
    database = Path(address.removeprefix("sqlite:///")) if isinstance(folder, Path) else None
    with explained("model registry", database):
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
            with database.open("ab"):
                pass  # fails at once where MLflow would try for two minutes
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        known = client.search_model_versions(f"name = '{catalog.dataset}'")
        names = {version.tags.get("model_version") for version in known}
        bundles = {file.parent for file in folder.glob("*/manifest.json")} - {new_bundle}
        lost = sorted((bundle for bundle in bundles if bundle.name not in names), key=by_parts)
        for bundle in lost:
            _register(client, store, bundle)
        if lost:
            _mirror_champion(client, store)
            where = database or "the registry"
            log.info(f"model registry: {len(lost)} bundles were not in {where} and are registered again")
        yield client
