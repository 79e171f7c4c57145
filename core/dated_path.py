"""Paths that hold a date: `log/{data_date}.parquet`, `log/{data_date:%Y/%m/%d}/*.csv.gz`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

_PLACEHOLDER = re.compile(r"\{(?P<name>[a-z_]+)(?::(?P<format>[^{}]*))?\}")
_DIRECTIVE = re.compile(r"%(.)")
_DIGITS = {"Y": 4, "m": 2, "d": 2, "j": 3}
ISO = "%Y-%m-%d"


@dataclass(frozen=True)
class DatedPath:
    """A path with one or more spellings of a date, and perhaps with `*` and `?`.

    Attributes:
        text: the path; `{data_date}` is the date as 2022-05-07, `{data_date:%Y%m%d}` as 20220507.
        name: the word that stands for the date.
        names: where files carry names in place of dates: what stands for each date, which is no pattern.
    """

    text: str
    name: str = "data_date"
    names: Mapping[date, str] = field(default_factory=dict)

    def check(self) -> None:
        """Check the placeholders.

        Raises:
            ValueError: the date is missing or incomplete, or something else stands in braces.
        """
        formats = [*self._formats()]
        if self.names and formats != [ISO]:
            raise ValueError(f"path {self.text!r}: dates have names, which stand for {{{self.name}}}, once")
        directives = {each for text in formats for each in _DIRECTIVE.findall(text)}
        if unknown := sorted(directives - set(_DIGITS)):
            raise ValueError(
                f"path {self.text!r}: %{unknown[0]} is no part of a date; expected %Y, %m, %d or %j"
            )
        if not directives >= {"Y", "m", "d"} and not directives >= {"Y", "j"}:
            raise ValueError(
                f"path {self.text!r} must hold a whole date: {{{self.name}}}, or {{{self.name}:%Y%m%d}}"
            )

    def of(self, data_date: date) -> str:
        """Return the path of a date; of one without a name as if dates had none."""
        if data_date in self.names:
            return _PLACEHOLDER.sub(lambda _: self.names[data_date], self.text)
        return _PLACEHOLDER.sub(lambda found: f"{data_date:{found['format'] or ISO}}", self.text)

    @property
    def pattern(self) -> str:
        """The path of any date, with `*` for the date's parts."""
        if self.names:
            return _PLACEHOLDER.sub("*", self.text)
        stars = _PLACEHOLDER.sub(lambda found: _DIRECTIVE.sub("*", found["format"] or ISO), self.text)
        return re.sub(r"\*{2,}", "*", stars)

    def date_of(self, path: str) -> date | None:
        """Return the date of a path, or of something below it; None if it is none of ours."""
        if self.names:
            named = (day for day in self.names if self._regex_of(self.of(day)).match(path))
            return next(named, None)
        found = self._regex.match(path)
        if found is None:
            return None
        parts = {name[0]: int(text) for name, text in found.groupdict().items()}
        try:
            if "j" in parts:
                day = date.fromordinal(date(parts["Y"], 1, 1).toordinal() + parts["j"] - 1)
            else:
                day = date(parts["Y"], parts["m"], parts["d"])
        except ValueError:
            return None
        # The same part may stand twice, as in {data_date:%Y}/{data_date}: both must agree.
        return day if self._regex_of(self.of(day)).match(path) else None

    def _formats(self) -> Iterator[str]:
        for found in _PLACEHOLDER.finditer(self.text):
            if found["name"] != self.name:
                raise ValueError(
                    f"path {self.text!r}: {{{found['name']}}} is unknown; expected {{{self.name}}}"
                )
            yield found["format"] or ISO

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        numbers = iter(range(100))

        def digits(found: re.Match[str]) -> str:
            return f"(?P<{found[1]}{next(numbers)}>[0-9]{{{_DIGITS[found[1]]}}})"

        parts, end = [], 0
        for found in _PLACEHOLDER.finditer(self.text):
            parts.append(_escaped(self.text[end : found.start()]))
            spelled = re.escape(found["format"] or ISO)
            parts.append(_DIRECTIVE.sub(digits, spelled))
            end = found.end()
        return re.compile("".join(parts) + _escaped(self.text[end:]) + "(?:/.*)?$")

    @staticmethod
    def _regex_of(text: str) -> re.Pattern[str]:
        return re.compile(_escaped(text) + "(?:/.*)?$")


def _escaped(text: str) -> str:
    """Return a path as a regular expression: `*` and `?` stand for characters other than `/`."""
    return re.escape(text).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
