"""What names of columns say: words of users, items, durations, ratings; names that a configuration takes."""

import re
from collections.abc import Collection

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

USER = {"user": 3, "uid": 3, "customer": 3, "member": 2, "visitor": 3, "subscriber": 2, "player": 2} | {
    **dict.fromkeys(("reader", "listener", "client", "buyer", "shopper", "viewer", "person", "account"), 2),
    **dict.fromkeys(("patron", "guest", "student", "patient", "fan", "learner"), 2),
    **dict.fromkeys(("profile", "device", "cookie", "session", "household"), 1),
}
ITEM = {"item": 3, "product": 3, "video": 3, "movie": 3, "film": 3, "article": 3, "sku": 3, "asin": 3} | {
    **dict.fromkeys(
        ("book", "song", "track", "news", "game", "app", "recipe", "listing", "hotel", "offer", "isbn"), 3
    ),
    **dict.fromkeys(("business", "restaurant", "job", "course", "post", "photo", "ad", "campaign"), 2),
    **dict.fromkeys(("content", "document", "doc", "page", "show", "series", "artist", "place", "venue"), 2),
    **dict.fromkeys(("clip", "episode", "podcast", "stock", "property", "ware", "work"), 2),
}
TIME = {
    "timestamp": 4,
    "time": 3,
    "ts": 4,
    "datetime": 3,
    "at": 2,
    "when": 2,
    "date": 1,
    "created": 1,
    "ms": 1,
}
EVENT_ID = {"event", "impression", "request", "uuid", "log", "interaction", "row", "record"}
DURATION = {"duration", "seconds", "secs", "sec", "dwell", "watch", "play", "stay", "minutes", "elapsed"} | {
    "played",
    "reading",
    "listened",
    "watched",
    "msec",
    "millis",
    "hours",
}
UNITS = {"ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms"} | {
    **dict.fromkeys(("s", "sec", "secs", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minutes"), "min"),
    **dict.fromkeys(("h", "hours"), "h"),
}
RATING = {"rating", "ratings", "score", "stars", "grade", "vote", "points"}
AMOUNT = {"price", "amount", "revenue", "quantity", "qty", "value", "cost", "sales", "total"}
STATE = {
    "mobile",
    "weekend",
    "holiday",
    "new",
    "premium",
    "promoted",
    "sponsored",
    "test",
    "rand",
    "random",
} | {
    "member",
    "subscriber",
    "ad",
    "bot",
    "night",
}
"""Words of flags that are known before anybody does something: no behaviours."""
ACTIONS = {
    "view",
    "impression",
    "click",
    "cart",
    "purchase",
    "buy",
    "like",
    "share",
    "play",
    "add",
    "order",
} | {
    *(
        "favorite",
        "fav",
        "pv",
        "collect",
        "watch",
        "follow",
        "comment",
        "save",
        "open",
        "show",
        "transaction",
    ),
    *("remove", "addtocart", "read", "listen", "skip", "rate", "download", "install", "checkout"),
}
KEYWORDS = {"end", "case", "when", "then", "else", "user", "interval", "date", "timestamp"}
"""Names that are columns to a parser here, and something else there."""
UNWANTED = {
    "hate",
    "dislike",
    "skip",
    "report",
    "block",
    "unlike",
    "unfollow",
    "remove",
    "hide",
    "return",
    "bounce",
}
SHOWN = {"view", "impression", "show", "pv", "exposure"}


def words(name: str) -> list[str]:
    """Return the words of a name: playTimeMs and play_time_ms are play, time, ms."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)]


def our_name(name: str, taken: Collection[str], prefix: str = "") -> str:
    """Return a name of the configuration for a column: lower case with underscores, and not yet taken.

    Args:
        name: as the source spells it.
        taken: names that are used already.
        prefix: what it has to begin with, such as `user_`.
    """
    plain = "_".join(words(name)) or "column"
    plain = plain if plain[0].isalpha() else f"c_{plain}"
    found = plain if plain.startswith(prefix) else f"{prefix}{plain}"
    number = 2
    while found in taken:
        found, number = f"{found.removesuffix(f'_{number - 1}')}_{number}", number + 1
    return found


def quoted(name: str) -> str:
    """Return a source column as an expression names it, in backticks where that is needed."""
    try:
        tree = sqlglot.parse_one(name, dialect="spark")
    except SqlglotError:
        return f"`{name}`"
    is_plain = isinstance(tree, exp.Column) and tree.name == name and name.lower() not in KEYWORDS
    return name if is_plain and re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f"`{name}`"


def text_constant(value: str) -> str:
    """Return a text as a constant of Spark SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
