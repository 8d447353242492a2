"""Texts as dates, where the column has settled whether the day or the month comes first.

ISO dates, names of months and years in front need no agreement. `1/13/2026` can only be a month and a day, and votes for its column; `3/4/2026`
is read by the votes of the others, and has no reading where they are missing or disagree. A format of fixed width is
matched at full width: `202612` is not a day.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache

from roe.grammar import values as v

DAY, MONTH = "day-first", "month-first"
_SHAPES = ("%Y/%m/%d", "%Y.%m.%d", "%d %b, %Y", "%d %b %Y", "%b %d, %Y", "%B %d, %Y", "%d %B %Y", "%d-%b-%Y")
_CLOCK = (
    r"(?:[T ,]\s?(?P<hour>\d{1,2})(?P<colon>[:.])(?P<minute>\d{2})(?:(?P=colon)(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"\s?(?P<half>[AaPp])?(?(half)\.?[Mm]\.?)"
    r"\s?(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?"
)


@cache
def _clocked() -> re.Pattern[str]:
    return re.compile(r"(?P<day>.*?\d)" + _CLOCK, re.ASCII)


@cache
def _numbered() -> re.Pattern[str]:
    return re.compile(r"(?P<a>\d{1,2})(?P<mark>[./-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})", re.ASCII)


@cache
def _packed() -> re.Pattern[str]:
    return re.compile(r"%[YmdHMSjy]%[YmdHMSjy]")


def order_of(text: str) -> str:
    """Which order a date's text can only have: `day-first`, `month-first`; `?` if it may have both, empty if it says nothing."""
    if text[4:5] == "-":
        return ""
    m = _clocked().fullmatch(text)
    n = _numbered().fullmatch(m["day"]) if m else None
    if n is None:
        return ""
    a, b = int(n["a"]), int(n["b"])
    if a == b or not (1 <= a <= 31 and 1 <= b <= 31):
        return ""
    return DAY if a > 12 >= b else MONTH if b > 12 >= a else "?" if a <= 12 and b <= 12 else ""


def parse_datetime(text: str, zone: tzinfo, formats: tuple[str, ...], order: str, entity: str = "") -> datetime:
    """In the policy's zone; text without an offset is meant there. Raises ValueError with the reason for a reject."""
    for shape in formats:
        moment = _shaped(text, shape)
        if moment is not None:
            return settled(moment, zone)
    if not re.fullmatch(r"\d{6,7}|[^T ]*[T ]\d\d[.,].*", text):  # `14.30` is a time, and no hour with a fraction
        try:
            return settled(datetime.fromisoformat(text), zone)
        except (ValueError, OverflowError):
            pass
    m = _clocked().fullmatch(text)
    day = _day(m["day"], order, text, entity) if m else None
    clock = _clock(m) if m else None
    if day is None or clock is None:
        raise ValueError(f"`{text}` is not a date that can be read safely{_hint(text)}")
    at, offset = clock
    moment = datetime.combine(day, at, offset)
    return settled(moment, zone)


def settled(moment: datetime, zone: tzinfo) -> datetime:
    try:
        return moment.astimezone(zone) if moment.tzinfo else v.existing(moment.replace(tzinfo=zone))
    except (OverflowError, ValueError) as e:
        raise ValueError(f"`{moment}` is out of the range of dates") from e


def _shaped(text: str, shape: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, shape)
    except ValueError:
        return None
    return None if _packed().search(shape) and len(moment.strftime(shape)) != len(text) else moment


def _day(text: str, order: str, whole: str, entity: str) -> date | None:
    text = text.strip()
    n = _numbered().fullmatch(text)
    if n is not None:
        return _numeric(n, order, whole, entity)
    if re.fullmatch(r"\d{8}", text):
        return v.parse_date(f"{text[:4]}-{text[4:6]}-{text[6:]}")
    iso = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", text, re.ASCII)
    if iso:
        return v.parse_date(f"{iso[1]}-{int(iso[2]):02}-{int(iso[3]):02}")
    for shape in _SHAPES:
        moment = _shaped(text, shape)
        if moment is not None:
            return moment.date()
    return None


def _numeric(n: re.Match[str], order: str, whole: str, entity: str) -> date | None:
    a, b, year = int(n["a"]), int(n["b"]), int(n["year"])
    own = order_of(n[0])
    if own == "?":
        if not order:
            where = f"`data: {{{entity}: {{dates: …}}}}`" if entity else "`data:`"
            raise ValueError(
                f"`{whole}` can be read in two ways; write `dates: {DAY}` or `dates: {MONTH}` in {where}, or a `format:` for the field"
            )
        own = order
    elif own and order and own != order:
        raise ValueError(f"`{whole}` is not a date with the {order.replace('-', ' ')}, as the column has them")
    day, month = (a, b) if own != MONTH else (b, a)
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _clock(m: re.Match[str]) -> tuple[time, tzinfo | None] | None:
    if m["hour"] is None:
        return time(), None
    hour, half = int(m["hour"]), (m["half"] or "").lower()
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "p" else 0) if half else hour
    try:
        at = time(hour, int(m["minute"]), int(m["second"] or 0), int((m["fraction"] or "0").ljust(6, "0")[:6]))
    except ValueError:
        return None
    return at, _offset(m["zone"] or "")


def _offset(text: str) -> tzinfo | None:
    if not text:
        return None
    if text in ("Z", "UTC", "GMT"):
        return UTC
    span = timedelta(hours=int(text[1:3]), minutes=int(text[-2:]))
    return timezone(-span if text[0] == "-" else span) if span < timedelta(hours=24) else None


def _hint(text: str) -> str:
    return "; say its `format:` in the policy" if re.match(r"\d{1,2}[-/.]\d{1,2}[-/.]\d|\d{1,2} \w+ \d{2}$", text) else ""
