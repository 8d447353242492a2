"""Clocks: working days and hours, and time that passes while clocks are changed."""

from __future__ import annotations

import random
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from roe.grammar import values as v
from roe.grammar.clock import Clock, hours_of

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


HOURS = [  # from, working hours, to; Berlin, 09:00 to 17:00, German holidays
    ("2026-02-06T15:00", 4, "2026-02-09T11:00"),  # over a weekend
    ("2026-02-06T15:00", 2, "2026-02-06T17:00"),
    ("2026-02-06T20:00", 1, "2026-02-09T10:00"),
    ("2026-02-06T03:00", 1.5, "2026-02-06T10:30"),
    ("2026-03-27T16:00", 2, "2026-03-30T10:00"),  # over the change to summer time
    ("2026-04-30T16:00", 2, "2026-05-04T10:00"),  # over Labour Day and a weekend
    ("2026-02-09T11:00", -4, "2026-02-06T15:00"),
    ("2026-02-09T10:00", 0, "2026-02-09T10:00"),
]


@pytest.mark.parametrize(("start", "hours", "end"), HOURS)
def test_working_hours(start: str, hours: float, end: str) -> None:
    clock = Clock.at("2026-01-01", "Europe/Berlin", "DE")
    assert clock.add(at(start), v.WorkingHours(hours)) == at(end)


@pytest.mark.parametrize("amount", [v.WorkingDays(5), v.WorkingHours(5), v.CalendarDays(5)])
@pytest.mark.parametrize("other", [3, "x", None, True, [1], v.WorkingDays(1)])
def test_working_time_is_added_to_days_and_moments_alone(amount: object, other: object) -> None:
    clock = Clock.at("2026-02-01")
    assert clock.add(amount, other) is clock.add(other, amount) is clock.subtract(other, amount) is None


def test_working_hours_are_counted_minutes() -> None:
    """Against counting the open minutes one by one, in a calendar with holidays, over both changes of the clocks."""
    clock, rng = Clock.at("2026-01-01", "Europe/Berlin", "DE", (time(8, 30), time(16, 15))), random.Random(3)
    for _ in range(40):
        start = at("2026-03-20T00:00") + timedelta(minutes=rng.randrange(60 * 24 * 40))
        wanted = rng.randrange(1, 60 * 20)
        end = clock.add(start, v.WorkingHours(wanted / 60))
        naive, count = start.replace(tzinfo=None), 0
        while count < wanted:
            count += clock.is_working(naive.date()) and clock.hours[0] <= naive.time() < clock.hours[1]
            naive += timedelta(minutes=1)
        assert end == naive.replace(tzinfo=BERLIN)


def test_time_passes_while_clocks_are_changed() -> None:
    before, after = at("2026-03-28T12:00"), at("2026-03-29T12:00")
    assert v.subtract(after, before) == timedelta(hours=23)
    assert v.add(before, timedelta(hours=24)) == at("2026-03-29T13:00")
    assert v.subtract(v.add(before, timedelta(hours=24)), timedelta(hours=24)) == before
    autumn = at("2026-10-24T12:00")
    assert v.add(autumn, timedelta(hours=48)) == at("2026-10-26T11:00")
    assert Clock.at("2026-01-01", "Europe/Berlin").add(autumn, v.WorkingDays(1)) == at("2026-10-26T12:00")  # days keep the time of day


@pytest.mark.parametrize("text", ["", "9-17", "17:00-09:00", "25:00-26:00", "09:00", "09:00-09:00", "soon"])
def test_what_are_no_hours(text: str) -> None:
    assert hours_of(text) is None
