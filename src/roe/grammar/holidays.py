"""The public holidays of a country or a part of it, kept year by year in the cache folder.

They come from the package `holidays`, which loads two hundred countries to know one: that takes longer than deciding a small table.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from roe.dynamic import Json, Value
from roe.files import cache_folder, is_private, read_own, write_aside


class Holidays:
    """The days of one calendar (`US`, `US-CA`), with `in`. ValueError if there is no such calendar."""

    def __init__(self, calendar: str) -> None:
        self.calendar = calendar
        self._package = _installed()
        self._place = _place(calendar) if self._package else None
        self._years = self._read()
        if not self._years:
            _ = self._computed  # which says whether there is such a calendar

    def __contains__(self, day: object) -> bool:
        if not isinstance(day, date):
            return False
        days = self._years.get(day.year)
        if days is None:
            days = self._of(day.year)
        return date(day.year, day.month, day.day) in days

    def _of(self, year: int) -> frozenset[date]:
        """The days of a year that has not been asked for before, on this machine."""
        _ = date(year, 1, 1) in self._computed  # now it has those of the year
        self._years[year] = frozenset(day for day in self._computed if day.year == year)
        if self._place is not None:
            kept = {str(of): sorted(map(date.isoformat, days)) for of, days in sorted(self._years.items())}
            write_aside(self._place, json.dumps({"package": self._package, "calendar": self.calendar, "years": kept}))
        return self._years[year]

    @cached_property
    def _computed(self) -> Value:
        import holidays

        country, _, region = self.calendar.partition("-")
        try:
            return holidays.country_holidays(country, subdiv=region or None)
        except NotImplementedError as e:
            raise ValueError(f"no calendar `{self.calendar}`") from e

    def _read(self) -> dict[int, frozenset[date]]:
        """What is kept by the same version of the package."""
        if self._place is None:
            return {}
        try:
            kept: Json = json.loads(read_own(self._place))
            if kept["package"] != self._package or kept["calendar"] != self.calendar:
                return {}
            return {int(year): frozenset(map(date.fromisoformat, days)) for year, days in kept["years"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _place(calendar: str) -> Path | None:
    folder = cache_folder()
    if folder is None or not is_private(folder):
        return None
    return folder / f"holidays-{hashlib.sha256(calendar.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"


def _installed() -> str:
    """The package with its version, as it was installed, without loading it; empty if that is not known."""
    spec = find_spec("holidays")
    if spec is None or spec.origin is None:
        return ""
    return min((path.name for path in Path(spec.origin).parents[1].glob("holidays-*.dist-info")), default="")
