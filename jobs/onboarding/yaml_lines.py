"""Lines of YAML with the reason of a guess behind them."""

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Puts texts with quotes, such as constants of SQL, into double ones, in which they stay as they are."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Return the node of a text."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "'" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def line(text: str, reason: str = "") -> str:
    """Return a line with the reason of its guess."""
    return f"{text}  # guess: {' '.join(reason.split())}" if reason else text


def flow(values: Any) -> str:
    """Return values as YAML in one line."""
    text = yaml.dump(
        values,
        Dumper=_Dumper,
        default_flow_style=True,
        sort_keys=False,
        width=float("inf"),
        allow_unicode=True,
    )
    return text.removesuffix("\n").removesuffix("\n...")
