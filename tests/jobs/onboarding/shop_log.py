"""A log that nobody has described: compressed text with semicolons, epoch seconds, days of New York.

Ids hold letters outside of ASCII, NA is null, some rows are late, twice, or cannot be read; the file of users
is JSON lines, and there is none of items.
"""

import csv
import gzip
import json
import random
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/New_York")
FIRST, LAST = date(2024, 3, 7), date(2024, 3, 13)  # summer time begins on the 10th
MEMBERS = [f"Zoë-{n:03d}" for n in range(60)]
WARES = [f"№{n:02d}" for n in range(40)]
NAMES = ("customer", "product", "ts", "clicked", "watch_time_ms", "stars", "platform", "note", "brand")


def write_shop_log(folder: Path, rows_per_day: int = 300) -> Path:
    """Write day folders with two files each, and a file of customers; return the folder."""
    chance = random.Random(5)
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + timedelta(days=number)
        rows = [_row(chance, day) for _ in range(rows_per_day)]
        rows[3]["ts"] = str(int(rows[3]["ts"]) - 86_400)  # a day late
        rows[5]["ts"] = "soon"
        of_day = folder / "events" / f"{day:%Y%m%d}"
        of_day.mkdir(parents=True)
        for part, some in enumerate((rows[::2], [*rows[1::2], rows[0]])):  # one row twice
            with gzip.open(of_day / f"part-{part}.csv.gz", "wt", encoding="utf-8", newline="") as text:
                writer = csv.DictWriter(text, NAMES, delimiter=";")
                writer.writeheader()
                writer.writerows(some)
    lines = [
        json.dumps({"customer": m, "born": chance.randint(1950, 2010), "tier": chance.choice("AB")})
        for m in MEMBERS
    ]
    (folder / "customers.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _row(chance: random.Random, day: date) -> dict[str, str]:
    moment = datetime(day.year, day.month, day.day, tzinfo=ZONE) + timedelta(minutes=chance.randint(0, 1430))
    ware = min(chance.randrange(len(WARES)), chance.randrange(len(WARES)))
    clicked = chance.random() < 0.4
    return {
        "customer": chance.choice(MEMBERS),
        "product": WARES[ware],
        "ts": str(int(moment.timestamp())),
        "clicked": "yes" if clicked else "no",
        "watch_time_ms": str(chance.randint(100, 90_000) if clicked else 0),
        "stars": f"{chance.randint(2, 10) / 2}" if clicked else "NA",
        "platform": chance.choice(["phone", "web", "TV"]),
        "note": f"free text {chance.random()}",
        "brand": f"brand {ware % 7}",
    }
