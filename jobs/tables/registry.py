"""Models: the champion as of a data date, and the registry that people look at.

`promotions` decides; MLflow's registry mirrors versions and the newest champion, and no job reads it
to decide what to compute.
"""

import logging
import os
from datetime import date
from pathlib import Path
from typing import Any

from jobs.tables.catalog import Catalog
from jobs.tables.store import Store

CHAMPION = "champion"


def champion_as_of(store: Store, day: date, candidate: str | None = None) -> str | None:
    """Champion after the last promotion with data_date <= day.

    Args:
        candidate: leave out this candidate's own decision of that day and later ones: the champion
            that it has to beat.
    """
    decisions = sorted(store.rows("promotions"), key=lambda row: (row["data_date"], row["decision_no"]))
    own = [
        row["decision_no"] for row in decisions if row["data_date"] == day and row["candidate"] == candidate
    ]
    before = own[0] if candidate is not None and own else None
    champion = None
    for row in decisions:
        is_later = row["data_date"] > day
        is_own_or_later = before is not None and row["data_date"] == day and row["decision_no"] >= before
        if not is_later and not is_own_or_later:
            champion = row["champion_after"]
    return champion


def register(catalog: Catalog, bundle: Path, tags: dict[str, str], metrics: dict[str, float]) -> None:
    """Mirror a bundle in MLflow; registering an existing version again is a no-op."""
    client = _client(catalog)
    name = catalog.root.name
    model_version = bundle.name
    if _find(client, name, model_version) is not None:
        return
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    experiment = client.get_experiment_by_name(name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(name)
    run = client.create_run(experiment_id, run_name=model_version, tags=tags)
    for key, value in metrics.items():
        client.log_metric(run.info.run_id, key, value)
    client.set_terminated(run.info.run_id)
    client.create_model_version(
        name, source=str(bundle), run_id=run.info.run_id, tags={"model_version": model_version, **tags}
    )


def mirror_champion(catalog: Catalog, model_version: str) -> None:
    """Point MLflow's alias at the newest champion."""
    client = _client(catalog)
    version = _find(client, catalog.root.name, model_version)
    if version is not None:
        client.set_registered_model_alias(catalog.root.name, CHAMPION, version.version)


def registered(catalog: Catalog) -> list[Any]:
    """All registered versions, as MLflow has them, newest first."""
    return list(_client(catalog).search_model_versions(f"name = '{catalog.root.name}'"))


def _find(client: Any, name: str, model_version: str) -> Any | None:
    found = client.search_model_versions(f"name = '{name}' AND tags.model_version = '{model_version}'")
    return found[0] if found else None


def _client(catalog: Catalog) -> Any:
    # MLflow takes seconds to import, so only the jobs that talk to it pay for it.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)  # they tell of their tables at every start
    (catalog.root / "_models").mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=catalog.registry, registry_uri=catalog.registry)
