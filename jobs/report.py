"""Write the page of a night, and the index of all nights.

spark-submit jobs/report.py --data-date 2022-05-07

Reads what the night left in its tables; what grows with users or events is aggregated in Spark before
it comes here. Cost: cohorts of two dates joined, one histogram per night of scores, the lists joined with
the pairs of user and item of `audits.days_before` + 1 days of events.
"""

import json
from dataclasses import asdict, replace
from datetime import date

from core.paths import exists, name_of, place, read_bytes, write_atomically
from jobs.runtime.catalogue import feature_rows
from jobs.runtime.job import ONE, job
from jobs.runtime.night_report import collect
from jobs.runtime.reads import USER_POOLS, day_before, same_day, trailing
from jobs.runtime.run import Run
from quality.report.model import FeatureRow, IndexEntry, NightReport, index_entry
from quality.report.render import render_features, render_index, render_night

OF_THE_NIGHT = (
    *("source_file_dates", "{group}_features", "{entity}_cohorts", "feature_profiles", "encoders"),
    *("model_warnings", "gate_weights"),
    *("calibration_curves", "evaluations", "promotion_cells", "promotions", "scores", "outcomes"),
    *("pools", USER_POOLS),
)


@job(
    reads=(
        *(same_day(table, is_needed=False) for table in OF_THE_NIGHT),
        *(day_before(table, is_needed=False) for table in ("{entity}_cohorts", "scores")),
        trailing("events", lambda config: config.audits.days_before + 1, "days of the audits"),
        trailing("row_balance", lambda config: config.source.events.lateness_days + 1, "days of late rows"),
    ),
    writes=(),
    config=(
        *(
            "audits",
            "behaviours",
            "cohorts",
            "derived",
            "exposure",
            "features",
            "lists[].pool",
            "source.items",
        ),
        *("source.users", "tasks[].name", "tasks[].matures_days"),
    ),
    dates=ONE,
    entry_points=("jobs.check",),  # its verdicts are no table of its own
    templates=("quality/report/templates",),
)
def report(run: Run) -> None:
    """Render what the ledger and the tables say of the data date."""
    night = collect(run)
    page, features_page = f"{run.data_date}.html", f"{run.data_date}-features.html"
    features = features_of(run, night)
    if features:
        html = render_features(features, run.data_date, run.config.dataset, page)
        write_atomically(run.report_uri(features_page), html)
    written = run.report_uri(page)
    write_atomically(written, render_night(night, features_href=features_page if features else None))

    index = run.report_uri("index.json")
    entries = read_index(index) | {str(run.data_date): index_entry(night, page)}
    write_atomically(index, json.dumps({day: asdict(e) for day, e in entries.items()}, default=str))
    newest_first = [entries[day] for day in sorted(entries, reverse=True)]
    write_atomically(run.report_uri("index.html"), render_index(newest_first, run.config.dataset))
    run.note(name_of(place(written)))


def features_of(run: Run, night: NightReport) -> list[FeatureRow]:
    """Return all features with what they hold and which of the night's models read them."""
    profiles = run.rows("feature_profiles", data_date=run.data_date)
    if not profiles:
        return []
    since = {
        column: day
        for group in run.config.features.groups
        for column, day in run.columns_since(f"{group}_features").items()
    }
    candidate = () if night.decision is None else (night.decision.candidate,)
    versions = dict.fromkeys((night.champion, *candidate))
    models = {version: run.models.columns(version) for version in versions if version is not None}
    return feature_rows(run.config, profiles, since, models)


def read_index(uri: str) -> dict[str, IndexEntry]:
    """Return the nights that have pages already, by data date."""
    if not exists(uri):
        return {}
    return {
        day: replace(IndexEntry(**entry), data_date=date.fromisoformat(day))
        for day, entry in json.loads(read_bytes(uri)).items()
    }


if __name__ == "__main__":
    report.main()
