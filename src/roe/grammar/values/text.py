"""Values as text: as literals of the language, as people read them, and as JSON has them."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo

from roe.dynamic import Value
from roe.grammar.values.kinds import Months, Range, attempt, is_number, show_number
from roe.words import counted


def show_duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    hours, rest = divmod(value.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    fraction = f".{value.microseconds:06d}".rstrip("0") if value.microseconds else ""
    clock = "".join(f"{n}{u}" for n, u in ((hours, "H"), (minutes, "M")) if n)
    clock += f"{seconds}{fraction}S" if seconds or fraction else ""
    text = (f"{value.days}D" if value.days else "") + (f"T{clock}" if clock else "")
    return f"{sign}P{text or 'T0S'}"


def show_clock(value: time | datetime) -> str:
    text = value.replace(tzinfo=None).isoformat()
    text = text.rstrip("0") if "." in text else text
    offset = value.utcoffset()
    if offset is None:
        return text
    if not offset:
        return text + "Z"
    total = int(abs(offset).total_seconds())
    zone = f"{total // 3600:02d}:{total // 60 % 60:02d}" + (f":{total % 60:02d}" if total % 60 else "")
    return f"{text}{'-' if offset < timedelta() else '+'}{zone}"


def string(value: object) -> str | None:
    """FEEL's `string(value)`: text as it is, everything else as a literal without quotes."""
    if value is None:
        return None
    if isinstance(value, str):
        return str(value)
    return literal(value)


def readable(value: Value, zone: tzinfo | None = None) -> str:
    """A value in a sentence: a day as people read it, `24 February 2026`, with the time of day in a zone where there is one that matters;
    a duration with its units, `45 days`, `1 year 6 months`.
    """
    if isinstance(value, (timedelta, Months)):
        return _with_units(value)
    if isinstance(value, date):
        if isinstance(value, datetime) and value.tzinfo is not None and zone is not None:
            value = attempt(lambda: value.astimezone(zone)) or value
        day = f"{value.day} {MONTHS[value.month - 1]} {value.year}"
        if not isinstance(value, datetime) or (value.hour, value.minute, value.second) == (0, 0, 0):
            return day
        return f"{day}, {value:%H:%M}"
    return string(value) or ""


def _with_units(span: timedelta | Months) -> str:
    if isinstance(span, Months):
        years, months = divmod(abs(span.months), 12)
        counts: list[tuple[float, str]] = [(years, "year"), (months, "month")]
        below_zero, none = span.months < 0, "month"
    else:
        size, below_zero, none = abs(span), span < timedelta(), "day"
        minutes, seconds = divmod(size.seconds, 60)
        fraction = seconds + size.microseconds / 1_000_000 if size.microseconds else seconds
        counts = [(size.days, "day"), (minutes // 60, "hour"), (minutes % 60, "minute"), (fraction, "second")]
    text = " ".join(counted(n, noun) for n, noun in counts if n) or counted(0, none)
    return f"minus {text}" if below_zero else text


MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")


def literal(value: object) -> str:
    """A value as text that reads as the value: strings quoted, temporal values in their ISO form."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return show_number(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, (datetime, time)):
        return show_clock(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return show_duration(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(v) for v in value) + "]"
    if isinstance(value, Range):
        return _show_range(value)
    if hasattr(value, "label"):  # a record: its fields may lead back to it
        return str(value.label)
    if isinstance(value, dict):
        entries = value.as_json() if hasattr(value, "as_json") else value
        return "{" + ", ".join(f"{k}: {literal(v)}" for k, v in entries.items()) + "}"
    return str(value)


def _show_range(r: Range) -> str:
    if r.open_low:
        return f"({'<=' if r.high_closed else '<'} {literal(r.high)})"
    if r.open_high:
        return f"({'>=' if r.low_closed else '>'} {literal(r.low)})"
    return f"{'[' if r.low_closed else '('}{literal(r.low)}..{literal(r.high)}{']' if r.high_closed else ')'}"


_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}


def quote(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(c, c if c.isprintable() else f"\\U{ord(c):06X}") for c in text) + '"'


def plain(value: object) -> Value:
    """A value as JSON has it: temporal values, durations and ranges as text, records as objects."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "as_json"):
        return value.as_json()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    return literal(value)
