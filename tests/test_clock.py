"""Clocks: working days and hours, and time that passes while clocks are changed."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from roe.grammar import values as v
from roe.grammar.clock import Clock, Fiscal, hours_of

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


CLOSED = {date(2026, 1, 1), date(2025, 12, 25), date(2025, 12, 26), date(2026, 4, 3), date(2026, 4, 6)}  # of Germany, on days of the week


def open_days(calendar: str, first: date, last: date) -> list[date]:
    """Every working day of some time, one after the other."""
    days = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    return [day for day in days if day.isoweekday() <= 5 and not (calendar and day in CLOSED)]


@pytest.mark.parametrize("calendar", ["", "DE"])
@pytest.mark.parametrize("start", [date(2025, 12, 19) + timedelta(days=i) for i in range(16)])
def test_working_days_are_counted_one_after_the_other(calendar: str, start: date) -> None:
    clock = Clock.at(start, calendar=calendar)
    later, earlier = open_days(calendar, start + timedelta(days=1), start + timedelta(days=90)), open_days(calendar, start - timedelta(days=29), start - timedelta(days=1))  # fmt: skip
    for n in range(1, 15):
        assert clock.plus(start, v.WorkingDays(n)) == later[n - 1]
        assert clock.plus(start, v.WorkingDays(-n)) == earlier[-n]
    for days in range(31):
        end = start + timedelta(days=days)
        count = len(open_days(calendar, start + timedelta(days=1), end))
        assert clock.between(start, end) == count and clock.between(end, start) == -count
    assert clock.plus(start, v.WorkingDays(0)) == start
    assert clock.is_working(start) is (start in open_days(calendar, start, start))


def test_working_days_have_an_end_where_the_calendar_has_one() -> None:
    clock = Clock.at("2026-01-01")
    assert clock.plus(date(9999, 12, 30), v.WorkingDays(1)) == date(9999, 12, 31)
    assert clock.plus(date(9999, 12, 31), v.WorkingDays(1)) is clock.plus(date(1, 1, 1), v.WorkingDays(-1)) is None
    assert clock.after(datetime(9999, 12, 31, 16, 30), v.WorkingHours(0.5)) == datetime(9999, 12, 31, 17)
    assert clock.after(datetime(9999, 12, 31, 16, 30), v.WorkingHours(1)) is None


@pytest.mark.parametrize(
    ("now", "hours", "is_open"),
    [
        ("2026-02-04T08:59:59", None, False),
        ("2026-02-04T09:00", None, True),
        ("2026-02-04T16:59:59", None, True),
        ("2026-02-04T17:00", None, False),
        ("2026-02-04T08:30", "08:30-12:00", True),
        ("2026-02-04T08:29", "08:30-12:00", False),
        ("2026-02-04T11:59", "08:30-12:00", True),
        ("2026-02-04T12:00", "08:30-12:00", False),
        ("2026-02-04T12:00", "nonsense", True),
        ("2026-02-07T12:00", None, False),  # Saturday
        ("2026-01-01T12:00", None, False),  # New Year
    ],
)
def test_whether_it_is_working_time(now: str, hours: str | None, is_open: bool) -> None:
    assert Clock.at(now, "Europe/Berlin", "DE").is_open(hours) is is_open


@pytest.mark.parametrize(
    ("zone", "calendar", "shown", "theirs"),
    [
        (None, None, "2026-02-04T12:00:00+01:00", "DE"),
        ("America/New_York", None, "2026-02-04T06:00:00-05:00", "DE"),
        ("America/New_York", "US", "2026-02-04T06:00:00-05:00", "US"),
        ("Mars/Base", "XX", "2026-02-04T12:00:00+01:00", "DE"),  # what nobody knows is as it is here
        ("", "", "2026-02-04T12:00:00+01:00", "DE"),
    ],
)
def test_somebody_elses_clock_shows_the_same_moment(zone: str | None, calendar: str | None, shown: str, theirs: str) -> None:
    here = Clock.at("2026-02-04T12:00", "Europe/Berlin", "DE", (time(8), time(16)), Fiscal(4, named_by_end=False))
    there = here.of(zone, calendar)
    assert (there.now.isoformat(), there.calendar, there.hours, there.fiscal) == (shown, theirs, here.hours, here.fiscal)
    assert here.of_rep(zone, calendar, None) == there == here.of_rep(zone, calendar, "soon")
    assert here.of_rep(zone, calendar, "10:00-18:00") == replace(there, hours=(time(10), time(18)))


def test_a_moment_is_shown_by_the_clocks_of_a_zone() -> None:
    clock = Clock.at("2026-02-04", "Europe/Berlin")
    assert clock.here(datetime(2026, 2, 4, 12, tzinfo=UTC)).isoformat() == "2026-02-04T13:00:00+01:00"
    assert clock.here(datetime(2026, 2, 4, 12)) == datetime(2026, 2, 4, 12), "one without a zone stays as it is"


@pytest.mark.parametrize(("text", "expected"), [("09:00-17:30", (time(9), time(17, 30))), (" 8:05 - 16:00 ", (time(8, 5), time(16))), ("09:00-09:01", (time(9), time(9, 1))), ("00:00-23:59", (time(0), time(23, 59)))])  # fmt: skip
def test_hours_of_work(text: str, expected: tuple[time, time]) -> None:
    assert hours_of(text) == expected


@pytest.mark.parametrize("starts", range(1, 13))
@pytest.mark.parametrize("named_by_end", [True, False])
def test_years_and_quarters_begin_with_their_month(starts: int, named_by_end: bool) -> None:
    """A year is a walk through twelve months from its first one, a quarter three of them."""
    fiscal = Fiscal(starts, named_by_end)
    for year in (2024, 2025):
        months = [(year + (starts - 1 + i) // 12, (starts - 1 + i) % 12 + 1) for i in range(12)]
        name = months[-1][0] if named_by_end else months[0][0]
        for i, (of, month) in enumerate(months):
            for day in (date(of, month, 1), date(of, month, 28)):
                assert (fiscal.year_of(day), fiscal.quarter_of(day)) == (name, i // 3 + 1)


def test_a_fiscal_year_is_the_calendar_year_unless_it_is_said() -> None:
    for fiscal in (Fiscal(), Clock.at("2026-01-01").fiscal):
        assert [(fiscal.year_of(day), fiscal.quarter_of(day)) for day in (date(2026, 1, 1), date(2026, 3, 31), date(2026, 4, 1), date(2026, 12, 31))] == [(2026, 1), (2026, 1), (2026, 2), (2026, 4)]  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "days", "expected"),
    [
        ("2026-03-27T10:00+01:00", 2, "2026-03-29T10:00:00+02:00"),  # the clocks change in between
        ("2026-03-28T02:30+01:00", 1, "2026-03-29T03:30:00+02:00"),  # a time that this day does not have
        ("2026-10-24T10:00+02:00", 1, "2026-10-25T10:00:00+01:00"),
        ("2026-03-27T09:00+00:00", 30, "2026-04-26T10:00:00+02:00"),  # by the clocks of the policy's zone
    ],
)
def test_days_of_a_section_end_at_the_time_at_which_they_began(moment: str, days: int, expected: str) -> None:
    ends = Clock.at("2026-01-01", "Europe/Berlin").add(datetime.fromisoformat(moment), v.CalendarDays(days))
    assert ends.isoformat() == expected
