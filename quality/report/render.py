"""Render the pages: one per night and an index, each a file that needs no network and no script."""

from collections.abc import Iterable, Sequence
from datetime import date
from functools import cache
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined

from quality.report import plots, views, words
from quality.report.model import FeatureRow, IndexEntry, NightReport


def render_night(night: NightReport, index_href: str = "index.html", features_href: str | None = None) -> str:
    """Return the page of one night.

    Args:
        night: all that it shows.
        index_href: where the index lies, relative to this page.
        features_href: where the page of features lies; None: there is none.
    """
    night = views.in_order(night)
    lines = views.metric_lines(night.cells, "auc")
    gates = views.of_one_axis(night.gates)
    return (
        _environment()
        .get_template("night.html.j2")
        .render(
            night=night,
            index_href=index_href,
            features_href=features_href,
            in_short=views.in_short(night),
            seconds=sum(step.seconds for step in night.steps),
            slowest=max((step.seconds for step in night.steps), default=0.0),
            tables=views.table_verdicts(night.verdicts),
            notable=[verdict for verdict in night.verdicts if verdict.outcome != "passed"],
            sizes={entity: views.sizes(night, entity) for entity in ("user", "item")},
            movements={entity: views.movement(night.cohort_moves, entity) for entity in ("user", "item")},
            roles=views.roles(night.cells),
            lines=[line for line in lines if views.cohort_rank(line.cohort) < 3],
            crossed=[line for line in lines if views.cohort_rank(line.cohort) == 3],
            forest=plots.forest_plot(views.of_models(views.of_one_axis(night.cells)), "auc", "AUC"),
            others={name: views.metric_lines(night.cells, name) for name in views.other_metrics(night.cells)},
            calibrations=[
                plots.calibration_plot(night.calibration, task)
                for task in dict.fromkeys(point.task for point in night.calibration)
            ],
            gate_plots=[plots.gate_plot(bars) for _, bars in views.by_gate(gates)],
            gates=[(gate, views.by_expert(bars)) for gate, bars in views.by_gate(gates)],
            gate_cohorts=list(dict.fromkeys(bar.cohort for bar in gates)),
            score_plot=None if night.scores is None else plots.score_plot(night.scores),
            outcomes=views.outcome_lines(night.outcomes),
        )
    )


def render_features(features: Sequence[FeatureRow], data_date: date, dataset: str, night_href: str) -> str:
    """Return the page of all features as of a data date.

    Args:
        features: in the order in which they are shown, group by group.
        data_date: whose values.
        dataset: whose features.
        night_href: where the page of the night lies, relative to this page.
    """
    groups = [(name, list(own)) for name, own in groupby(features, key=lambda row: row.group)]
    return (
        _environment()
        .get_template("features.html.j2")
        .render(groups=groups, data_date=data_date, dataset=dataset, night_href=night_href)
    )


def render_index(nights: Iterable[IndexEntry], dataset: str) -> str:
    """Return the page that lists all nights, the newest first.

    Args:
        nights: in any order.
        dataset: whose nights.
    """
    ordered = sorted(nights, key=lambda night: night.data_date, reverse=True)
    return _environment().get_template("index.html.j2").render(nights=ordered, dataset=dataset)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("quality.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "by_task": views.by_task,
        "change": lambda size: words.change(size.members, size.day_before),
        "count": words.count,
        "counts_of": views.counts_of,
        "decision_name": views.decision_name,
        "duration": words.duration,
        "gain": lambda cell, night: words.gain(cell, views.replicates_of(night, cell)),
        "interval": words.interval,
        "metric_name": lambda name: views.METRIC_NAMES.get(name, name),
        "probability": words.probability,
        "served": views.served,
        "share": words.share,
        "small_bars": plots.small_bars,
        "spread": lambda bar: words.spread(bar.mean, bar.std),
    }
    return environment
