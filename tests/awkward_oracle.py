"""What data/awkward must give, row by row in plain Python: no Spark, none of our code but the dates."""

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
LATENESS, HORIZON = timedelta(days=1), 24 * 3600
Row = dict[str, str]


@dataclass
class View:
    """An impression."""

    visitor: str
    product: str
    at: int
    dwell: Decimal
    delivered: date
    orders: int = 0
    value: Decimal = Decimal(0)

    @property
    def date(self) -> date:
        return date_of(self.at)

    @property
    def event_id(self) -> str:
        """The visitor, the product, the second; a product's ":" has a backslash before it."""
        return ":".join((self.visitor, self.product.replace(":", r"\:"), str(self.at)))


@dataclass
class Expected:
    """Counts per data date."""

    views: dict[tuple[date, str], View] = field(default_factory=dict)  # accepted, by data date and id
    read: Counter[date] = field(default_factory=Counter)
    failed: Counter[date] = field(default_factory=Counter)  # views
    rules: Counter[tuple[date, str]] = field(default_factory=Counter)  # orders in quarantine
    attributed: Counter[date] = field(default_factory=Counter)  # by the date of the file, as the next two
    duplicates: Counter[date] = field(default_factory=Counter)
    offered: Counter[date] = field(default_factory=Counter)


def date_of(epoch_seconds: int) -> date:
    return datetime.fromtimestamp(epoch_seconds, UTC).astimezone(ZONE).date()


def expected(root: Path) -> Expected:
    """Return what the views and orders of a folder give."""
    found = Expected()
    shown = _read_views(root, found)
    seen: dict[str, date] = {}
    for file_date, order in _orders(root):
        found.offered[file_date] += 1
        rule = _place(order, file_date, shown, seen, found)
        if rule is not None:
            found.rules[file_date, rule] += 1
    return found


def _read_views(root: Path, found: Expected) -> list[View]:
    """Read all views; return each as often as it was delivered, for orders to look at."""
    shown = []
    for path in sorted((root / "views").iterdir()):
        file_date = datetime.strptime(path.name[:8], "%Y%m%d").date()
        for row in _rows(path):
            at = int(row["seen_at"]) if row["seen_at"].isdigit() else None
            in_range = at is not None and file_date - LATENESS <= date_of(at) <= file_date
            day = date_of(at) if at is not None and in_range else file_date
            found.read[day] += 1
            is_sound = in_range and row["visitor"] and row["product"] != "\\N" and row["dwell"] != "long"
            if at is None or not is_sound:
                found.failed[day] += 1
                continue
            view = View(row["visitor"], row["product"], at, Decimal(row["dwell"]), file_date)
            shown.append(view)
            key = (day, view.event_id)
            kept = found.views.setdefault(key, view)
            kept.dwell = max(kept.dwell, view.dwell)
    return shown


def _place(
    order: Row, file_date: date, shown: list[View], seen: dict[str, date], found: Expected
) -> str | None:
    """Attribute one order, or return the rule that it fails."""
    if not order["ordered_at"].isdigit():
        return "unreadable_action"
    at, amount = int(order["ordered_at"]), Decimal(order["amount"].replace(",", "."))
    if amount < 0:
        return "order_value_out_of_range"
    if date_of(at) < file_date - LATENESS:
        return "too_late"
    before = seen.get(order["order_no"])
    seen[order["order_no"]] = file_date
    if before is not None and before >= file_date - LATENESS:
        found.duplicates[file_date] += 1
        return None
    candidates = [
        view
        for view in shown
        if (view.visitor, view.product) == (order["visitor"], order["product"])
        and at - HORIZON <= view.at <= at
        and view.delivered <= file_date
        and view.date >= file_date - LATENESS
    ]
    if not candidates:
        return "too_late" if date_of(at - HORIZON) < file_date - LATENESS else "no_impression"
    found.attributed[file_date] += 1
    latest = max(candidates, key=lambda view: view.at)
    kept = found.views[latest.date, latest.event_id]
    kept.orders += 1
    kept.value += amount
    return None


def _orders(root: Path) -> Iterator[tuple[date, Row]]:
    for folder in sorted((root / "orders").iterdir()):
        for path in sorted(folder.iterdir()):
            for row in _rows(path):
                yield date.fromisoformat(folder.name), row


def versions(root: Path) -> set[tuple[str, date, date | None, str, int]]:
    """Return the versions of the visitors: (visitor, valid_from, valid_to, country, level)."""
    snapshots = {
        datetime.strptime(path.name[:8], "%Y%m%d").date(): {
            row["visitor"]: (row["country"], int(row["level"])) for row in _rows(path)
        }
        for path in (root / "visitors").iterdir()
    }
    found = set()
    for visitor in {v for snapshot in snapshots.values() for v in snapshot}:
        begun: tuple[date, tuple[str, int]] | None = None
        for day in sorted(snapshots):
            value = snapshots[day].get(visitor)
            if begun is not None and value != begun[1]:
                found.add((visitor, begun[0], day, *begun[1]))
                begun = None
            if begun is None and value is not None:
                begun = (day, value)
        if begun is not None:
            found.add((visitor, begun[0], None, *begun[1]))
    return found


def _rows(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text, delimiter=";"))
