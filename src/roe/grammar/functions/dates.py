"""FEEL's functions of dates and of the run's moment (DMN 1.5, sections 10.3.4.6 to 10.3.4.8), and roe's fiscal year."""

from __future__ import annotations

from datetime import date, datetime, time

from roe.dynamic import Value
from roe.grammar import values as v
from roe.grammar.clock import Clock, Fiscal
from roe.grammar.registry import function, own_function

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@function("day_of_year", "date: date|datetime", "number", 'day_of_year(@"2026-02-01")', "32", "the day's number in its year")
def _day_of_year(day: date) -> int:
    return day.timetuple().tm_yday


@function("day_of_week", "date: date|datetime", "string", 'day_of_week(@"2026-02-01")', '"Sunday"', "the English name of the weekday")
def _day_of_week(day: date) -> str:
    return DAYS[day.weekday()]


@function("month_of_year", "date: date|datetime", "string", 'month_of_year(@"2026-02-01")', '"February"', "the English name of the month")
def _month_of_year(day: date) -> str:
    return v.MONTHS[day.month - 1]


@function("week_of_year", "date: date|datetime", "number", 'week_of_year(@"2026-02-01")', "5", "the ISO week")
def _week_of_year(day: date) -> int:
    return day.isocalendar().week


def _fiscal_year_in_sql(fiscal: Fiscal) -> str:
    year, begun = "EXTRACT(YEAR FROM date)", f"EXTRACT(MONTH FROM date) >= {fiscal.starts}"
    if fiscal.starts == 1:
        return year
    from_then_on, before = (f"{year} + 1", year) if fiscal.named_by_end else (year, f"{year} - 1")
    return f"CASE WHEN {begun} THEN {from_then_on} WHEN NOT {begun} THEN {before} END"


def _fiscal_quarter_in_sql(fiscal: Fiscal) -> str:
    months = [str((fiscal.starts - 1 + i) % 12 + 1) for i in range(12)]
    cases = (f"WHEN EXTRACT(MONTH FROM date) IN ({', '.join(months[3 * q : 3 * q + 3])}) THEN {q + 1}" for q in range(4))
    return f"CASE {' '.join(cases)} END"


@own_function(
    "fiscal_year",
    "date: date|datetime",
    "number",
    'fiscal_year(@"2026-02-01")',
    "2026",
    "the policy's fiscal year: `fiscal_year:` says in which month it starts, and which year it is named after",
    clock=True,
    sql=_fiscal_year_in_sql,
)
def _fiscal_year(clock: Clock, day: date) -> int:
    return clock.fiscal.year_of(day)


@own_function(
    "fiscal_quarter",
    "date: date|datetime",
    "number",
    'fiscal_quarter(@"2026-02-01")',
    "1",
    "the quarter of the policy's fiscal year, 1 to 4",
    clock=True,
    sql=_fiscal_quarter_in_sql,
)
def _fiscal_quarter(clock: Clock, day: date) -> int:
    return clock.fiscal.quarter_of(day)


@function(
    "is",
    "value1: any, value2: any?",
    "boolean",
    'is(@"09:00:00Z", @"09:00:00Z")',
    "true",
    "whether two values are the same, zone and type too; a value that is left out is null",
)
def _is(a: Value, b: Value = None) -> bool | None:
    if v.kind(a) != v.kind(b):
        return False
    if isinstance(a, (time, datetime)):
        return bool(a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.utcoffset() == b.utcoffset())
    return v.equal(a, b)


@function("now", "", "datetime", "now() = now", "true", "the run's as-of date-time; the bare name `now` is the same", clock=True)
def _now(clock: Clock) -> datetime:
    return clock.now


@function("today", "", "date", "today() = today", "true", "the run's as-of date; the bare name `today` is the same", clock=True)
def _today(clock: Clock) -> date:
    return clock.today
