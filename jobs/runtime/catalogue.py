"""The catalogue of features: what each column is, since when it is there, what it holds, who reads it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any

from core.described_features import FeatureDescription, described_features
from core.schema import Config
from jobs.runtime.models import ModelFolders
from jobs.runtime.project import Project
from jobs.tables.since import columns_since
from quality.report.model import FeatureRow
from quality.report.words import number


def catalogue_of(project: Project) -> tuple[date | None, list[FeatureRow]]:
    """Return the last data date with profiles, None without any, and all features. Starts no Spark."""
    dates = project.store.data_dates("feature_profiles")
    profiles = project.store.rows_of("feature_profiles", {"data_date": dates[-1]}) if dates else []
    since = {
        column: day
        for group in project.config.features.groups
        for column, day in columns_since(project.store, f"{group}_features").items()
    }
    rows = feature_rows(project.config, profiles, since, columns_of_models(project))
    return dates[-1] if dates else None, rows


def columns_of_models(project: Project) -> dict[str, Collection[str]]:
    """Return the newest version of each model, by data date, -> the columns that it reads."""
    rows = sorted(project.store.rows("models"), key=lambda row: row["data_date"])
    newest = {row["model"]: row["model_version"] for row in rows}
    folders = ModelFolders(project.store)
    return {version: folders.columns(version) for version in newest.values()}


def feature_rows(
    config: Config,
    profiles: Sequence[Mapping[str, Any]],
    since: Mapping[str, date],
    models: Mapping[str, Collection[str]],
) -> list[FeatureRow]:
    """Return all features, users first, with what is known of each.

    Args:
        config: its features, source and behaviours.
        profiles: rows of `feature_profiles` of one data date.
        since: column -> first data date.
        models: version -> columns that it reads.
    """
    found = {row["feature"]: row for row in profiles}
    return [
        _row(
            each, found.get(each.name), since.get(each.name), [m for m, c in models.items() if each.name in c]
        )
        for each in described_features(config)
    ]


def _row(
    description: FeatureDescription,
    profile: Mapping[str, Any] | None,
    since: date | None,
    models: Sequence[str],
) -> FeatureRow:
    known = FeatureRow(**vars(description), since=since, models=tuple(models))
    if profile is None:
        return known
    bins = zip(profile["low"], profile["high"], profile["bin_rows"], strict=True)
    values = zip(profile["frequent_values"], profile["value_rows"], strict=True)
    is_number = bool(profile["bin_rows"])
    counted = [(_label(low, high), rows) for low, high, rows in bins] if is_number else list(values)
    return FeatureRow(
        **vars(known)
        | {
            "rows": profile["rows"],
            "nulls": profile["nulls"],
            "is_number": is_number,
            "values": tuple(counted),
        }
    )


def _label(low: float, high: float) -> str:
    return number(low) if low == high else f"{number(low)} to {number(high)}"
