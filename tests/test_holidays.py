"""Holidays that are kept are those of the package, which is not loaded again for them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import holidays
import pytest

from roe.files import cache_folder
from roe.grammar.holidays import Holidays

YEARS = (2030, 1999, 2025, 2026, 2022, 2021)
DAYS = [date(year, 1, 1) + timedelta(days=i) for year in YEARS for i in range(365)]


def fails(*args: object, **more: object) -> object:
    raise AssertionError("the package was asked")


@pytest.mark.parametrize("calendar", ["US", "DE", "US-CA", "DE-BY", "CN", "SA", "IL", "JP"])
def test_days_that_are_kept_are_those_of_the_package(calendar: str, monkeypatch: pytest.MonkeyPatch) -> None:
    country, _, region = calendar.partition("-")
    theirs = holidays.country_holidays(country, subdiv=region or None)
    wanted = [day in theirs for day in DAYS]
    assert any(wanted)
    assert [day in Holidays(calendar) for day in DAYS[:5]] == wanted[:5]
    first = Holidays(calendar)
    assert [day in first for day in DAYS] == wanted
    monkeypatch.setattr(holidays, "country_holidays", fails)
    second = Holidays(calendar)
    assert [datetime(day.year, day.month, day.day, 23) in second for day in DAYS] == wanted
    assert "2026-01-01" not in second


@pytest.mark.parametrize("calendar", ["XX", "US-ZZ", "../US", "nowhere \ud800"])
def test_a_calendar_that_does_not_exist(calendar: str) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no calendar"):
            Holidays(calendar)
    folder = cache_folder()
    assert folder is not None
    assert not list(folder.iterdir())


@pytest.mark.parametrize("text", ['{"package": "holidays-0.1.dist-info", "calendar": "US", "years": {"2026": []}}', "{", "[]", "null"])
def test_what_another_version_kept_does_not_count(text: str) -> None:
    assert date(2026, 7, 3) in Holidays("US")
    folder = cache_folder()
    assert folder is not None
    (kept,) = folder.iterdir()
    kept.write_text(text, "utf-8")
    assert date(2026, 7, 3) in Holidays("US")


def test_without_a_cache_the_package_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROE_CACHE", "off")
    assert date(2026, 12, 25) in Holidays("US")
    monkeypatch.setattr(holidays, "country_holidays", fails)
    with pytest.raises(AssertionError, match="was asked"):
        Holidays("US")
