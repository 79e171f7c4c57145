"""Write `data/awkward`: a small made-up log in the shape in which logs are awkward.

    python -m tools.write_awkward data/awkward

Views of products in a shop's newsletter, orders in a log of their own, full snapshots of visitors; no file of
products. Everything is drawn with one fixed seed: the same text each time, and times of the archives are 0.
data/awkward/README.md says what is in it.
"""

import csv
import gzip
import io
import random
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
FIRST, LAST = date(2024, 3, 6), date(2024, 3, 13)  # clocks go forward on the 10th, at 02:00
NO_SNAPSHOT = date(2024, 3, 9)
VISITORS = [f"{name}-{number}" for number in range(14) for name in ("Zoë", "Łukasz", "Иван", "美咲")]
PRODUCTS = [f"{name}:{number:02d}" for number in range(12) for name in ("çay", "crème", "ほうじ茶")]
COUNTRIES = ["Côte d'Ivoire", "México", "Österreich", "日本"]
VIEWS_PER_DAY = 320
HOUR = 3600
Row = dict[str, str]


def main(folder: Path) -> None:
    """Write all files."""
    for path, rows in files():
        write(folder / path, rows)


def files() -> Iterator[tuple[str, list[Row]]]:
    """Yield the path of each file, relative to the data set's folder, and its rows."""
    chance = random.Random(20240310)
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    views: dict[date, list[Row]] = {day: [] for day in days}
    orders: dict[date, list[Row]] = {day: [] for day in days}
    number = 0
    for day in days:
        for _ in range(VIEWS_PER_DAY):
            view = _view(chance, day)
            delivered = day + timedelta(days=chance.random() < 0.03)
            copies = 1 + (chance.random() < 0.02)
            for _ in range(copies):
                views.get(delivered, []).append(_broken(chance, view))
            if chance.random() < 0.08 + 0.4 * (PRODUCTS.index(view["product"]) % 3 == 0):
                number += 1
                _add_order(chance, orders, view, number)
    for day in days:
        for rows in (views[day], orders[day]):
            chance.shuffle(rows)
        yield f"views/{day:%Y%m%d}.csv.gz", views[day]
        half = len(orders[day]) // 2
        yield f"orders/{day}/part-0.csv.gz", orders[day][:half]
        yield f"orders/{day}/part-1.csv.gz", orders[day][half:]
    yield from _snapshots(chance, days)


def local_date(epoch_seconds: int) -> date:
    """Return the date in New York."""
    return datetime.fromtimestamp(epoch_seconds, ZONE).date()


def _view(chance: random.Random, day: date) -> Row:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()
    tomorrow = day + timedelta(days=1)
    seconds = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZONE).timestamp() - midnight
    popular = min(chance.randrange(len(PRODUCTS)), chance.randrange(len(PRODUCTS)))
    return {
        "seen_at": str(int(midnight) + chance.randrange(int(seconds))),
        "visitor": chance.choice(VISITORS[:-2]),  # two are known by the snapshots alone
        "product": PRODUCTS[popular],
        "slot": str(chance.randint(1, 4)),
        "device": chance.choice(["Phone", "TABLET", "\\N"]),
        "dwell": chance.choice(["0", "1.5", "12.25", "240"]),
    }


def _broken(chance: random.Random, view: Row) -> Row:
    if chance.random() < 0.985:
        return view
    return view | chance.choice([{"visitor": ""}, {"seen_at": "?"}, {"dwell": "long"}, {"product": "\\N"}])


def _add_order(chance: random.Random, orders: dict[date, list[Row]], view: Row, number: int) -> None:
    """Add an order of a viewed product: mostly soon and on time, once in a while late, twice, or wrong."""
    delay = chance.choice([60, 15 * 60, HOUR, 9 * HOUR, 20 * HOUR, 26 * HOUR])
    at = int(view["seen_at"]) + delay
    order = {
        "order_no": f"A{number:05d}",
        "visitor": view["visitor"],
        "product": view["product"],
        "ordered_at": str(at),
        "amount": f"{chance.randint(100, 9_900) / 100:.2f}".replace(".", ","),
    }
    luck = chance.random()
    if luck < 0.02:
        order |= {"product": "unbekannt:1"}  # never shown
    elif luck < 0.03:
        order |= {"ordered_at": "soon"}
    elif luck < 0.04:
        order |= {"amount": "-5,00"}
    day = local_date(at)
    delivered = day + timedelta(days=chance.choices([0, 1, 2], [92, 6, 2])[0])
    for again in chance.choices([[0], [0, 0], [0, 1]], [92, 4, 4])[0]:
        orders.get(delivered + timedelta(days=again), []).append(order)


def _snapshots(chance: random.Random, days: list[date]) -> Iterator[tuple[str, list[Row]]]:
    state = {v: {"country": chance.choice(COUNTRIES), "level": str(chance.randint(1, 3))} for v in VISITORS}
    for day in days:
        for visitor in chance.sample(VISITORS, 6):
            state[visitor] = {"country": chance.choice(COUNTRIES), "level": str(chance.randint(1, 3))}
        gone = chance.sample(VISITORS, 3)
        rows = [{"visitor": v, **state[v]} for v in VISITORS if v not in gone]
        if day != NO_SNAPSHOT:
            yield f"visitors/{day:%Y%m%d}.csv.gz", rows


def write(path: Path, rows: list[Row]) -> None:
    """Write rows as compressed text with semicolons."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*rows[0]], delimiter=";", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
