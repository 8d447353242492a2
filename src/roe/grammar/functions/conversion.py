"""FEEL's conversions (DMN 1.5, section 10.3.4.1): a value of one type from one of another."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, timezone

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.registry import BY_NAME, function


@function(
    "date",
    "from/year: any, month: any?, day: any?",
    "date",
    'date("2026-02-01")',
    "2026-02-01",
    "a date from text, from a date-time, or from year, month and day",
)
def _date(source: object, month: object = None, day: object = None) -> date | None:
    if month is not None or day is not None:
        return v.attempt(lambda: date(*(_whole(p) for p in (source, month, day))))
    if isinstance(source, datetime):
        return source.date()
    if isinstance(source, date):
        return source
    return v.parse_date(source) if isinstance(source, str) else None


def _whole(value: object) -> int:
    if not v.is_number(value) or value != int(value):
        raise ValueError(value)
    return int(value)


@function(
    "time",
    "from/hour: any, minute: any?, second: any?, offset: any?",
    "time",
    'time("09:30:00")',
    "09:30:00",
    "a time from text, from a date-time, or from hour, minute, second and offset",
)
def _time(source: object, minute: object = None, second: object = None, offset: object = None) -> time | None:
    if minute is None and second is None and offset is None:
        if isinstance(source, datetime):
            return source.timetz()
        if isinstance(source, date):
            return v.midnight(source).timetz()
        if isinstance(source, time):
            return source
        return v.parse_time(source.removeprefix("T")) if isinstance(source, str) else None
    return v.attempt(lambda: _clock_of(source, minute, second, offset))


def _clock_of(hour: Value, minute: Value, second: Value, offset: Value) -> time | None:
    if not all(map(v.is_number, (hour, minute, second))) or not isinstance(offset, timedelta | None):
        return None
    zone = timezone(offset) if offset is not None else None
    return time(_whole(hour), _whole(minute), int(second), round(second % 1 * 1e6), zone)


@function(
    "date_and_time",
    "date/from: any, time: time?",
    "datetime",
    'date_and_time("2026-02-01T09:30:00")',
    "2026-02-01T09:30:00",
    "a date-time from text, or from a date and a time",
)
def _date_and_time(source: object, at: time | None = None) -> datetime | None:
    if at is None:
        if isinstance(source, datetime):
            return source
        if isinstance(source, date):
            return v.midnight(source)
        return v.parse_datetime(source) if isinstance(source, str) else None
    day = source.date() if isinstance(source, datetime) else source
    return datetime.combine(day, at) if isinstance(day, date) else None


@function(
    "number",
    "from: string|number, grouping_separator: string|null?, decimal_separator: string|null?",
    "number",
    'number("1,000.5", ",", ".")',
    "1000.5",
    "a number from text, with the separators given",
)
def _number(text: Value, group: str | None = None, point: str | None = None) -> float | None:
    if group not in (None, " ", ",", ".") or point not in (None, ",", ".") or (group and group == point):
        return None
    if v.is_number(text):
        return text
    text = text.replace(group, "") if group else text
    text = text.replace(point, ".") if point else text
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", text, re.ASCII):
        return None
    return v.number(int(text) if re.fullmatch(r"[+-]?\d{1,300}", text) else float(text))


@function("string", "from: any", "string", "string(12.50)", '"12.5"', "any value as text; null for null")
def _string(value: object) -> str | None:
    return v.string(value)


@function("duration", "from: string|duration|months", "duration", 'duration("P2DT3H")', "P2DT3H", "a duration from ISO 8601 text")
def _duration(text: object) -> object:
    return v.parse_duration(text) if isinstance(text, str) else text


@function(
    "years_and_months_duration",
    "from: date|datetime, to: date|datetime",
    "months",
    'years_and_months_duration(@"2024-05-10", @"2026-02-01")',
    "P1Y8M",
    "the whole months between two dates, or between the days of two date-times",
)
def _months_between(start: date, end: date) -> v.Months:
    """From day to day: the times of date-times do not count."""
    total = (end.year - start.year) * 12 + end.month - start.month
    if total > 0 and end.day < start.day:
        total -= 1
    elif total < 0 and end.day > start.day:
        total += 1
    return v.Months(total)


@function("range", "from: string", "range", 'range("[18..21)")', "[18..21)", "a range from text with literal ends")
def _range(text: str) -> v.Range | None:
    from roe.grammar.parser import parse

    tree, _ = parse(text)
    if not isinstance(tree, s.RangeOf) or tree.low is None or tree.high is None:
        return None
    low, high = _end_value(tree.low), _end_value(tree.high)
    if low is None or high is None or v.less(high, low) is not False:
        return None
    return v.Range(low, high, tree.low_closed, tree.high_closed)


def _end_value(node: s.Node) -> object:
    """The value of a range end in `range("…")`: a literal, or a constructor applied to a string literal."""

    if isinstance(node, s.Literal):
        return node.value
    if isinstance(node, s.Call) and node.function in ("date", "time", "date_and_time", "duration"):
        if len(node.args) == 1 and isinstance(node.args[0], s.Literal):
            return BY_NAME[node.function].invoke([node.args[0].value])
    return None
