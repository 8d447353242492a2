"""One value: from a raw cell to a value of its field's type, or a ValueError with the reason why it cannot be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, tzinfo

from roe.crm.ids import fold
from roe.data import bands, dates, numbers
from roe.data.habits import Habits, declared
from roe.diagnostics import suggest
from roe.dynamic import Cell
from roe.grammar import values as v
from roe.grammar.clock import holidays_of, hours_of, zone_of
from roe.grammar.functions import sales as own
from roe.policy.model import DataSource, Field

# as databases, spreadsheets and CRMs write them in the languages of the profiles
_TRUE = frozenset(
    {"true", "yes", "y", "1", "t", "ja", "wahr", "oui", "vrai", "sí", "si", "verdadero", "sim", "verdadeiro", "sì", "vero", "はい"}
)


_FALSE = frozenset({"false", "no", "n", "0", "f", "nein", "falsch", "non", "faux", "falso", "não", "nao", "nee", "いいえ"})


def clean(text: str) -> str:
    """A cell without spaces around it, in one form of Unicode: a name that is composed otherwise is the same name."""
    text = text.strip()
    return text if text.isascii() else unicodedata.normalize("NFC", text).strip("\u200b\ufeff").strip()


def maker(f: Field, zone: tzinfo, source: DataSource, habits: Habits | None = None, entity: str = "") -> Callable[[object], object]:
    """A function from raw to typed that raises ValueError with the reason for a reject; None for what a standard field cannot read."""
    if f.type.name in ("record", "owners") or f.normalize == "queue":
        return _key(f)
    if f.words:
        return lambda value: _worded(value, f.words)
    sign, order = declared(f, source)
    if habits is not None:
        sign, order = sign or habits.sign, order or habits.order
    if f.type.name in ("number", "range"):
        return _numeric(f, sign, entity, habits)
    if f.type.name in ("date", "date and time"):
        formats = tuple(x for x in (f.format, source.format) if "%" in x)
        return _day(zone, formats, order, entity) if f.type.name == "date" else _moment(zone, formats, order, entity)
    if f.type.name == "list":
        one = _text(f)
        return lambda value: (
            [x for part in map(clean, re.split(r"[;\n|]", str(value))) if part and (x := one(f.aliases.get(part, part))) is not None]
            or None
        )
    return _text(f) if f.type.name == "string" else _MAKERS[f.type.name]


def _text(f: Field) -> Callable[[Cell], str | None]:
    tidy = NORMALIZERS.get(f.normalize, fold)
    allowed = f.type.values
    if tidy is fold and not allowed:
        return lambda value: fold(value if type(value) is str else v.show_number(value) if v.is_number(value) else str(value))

    def text(value: object) -> str | None:
        raw = v.show_number(value) if v.is_number(value) else str(value)
        text_meant = tidy(raw)
        if text_meant is None and f.normalize in ("country", "domain", "phone", "hours", "timezone", "calendar"):
            if f.standard and f.normalize != "hours":
                return None
            raise ValueError(f"`{raw}` is not a {_CALLED.get(f.normalize, f.normalize)}")
        if allowed and text_meant not in allowed:
            help = suggest(str(text_meant), allowed, "it is one of " + ", ".join(f"`{a}`" for a in allowed[:6]))
            raise ValueError(f"`{text_meant}` is not among the declared values; {help}")
        return text_meant

    return text


_CALLED = {"hours": "time of opening hours such as 09:00-17:30", "phone": "phone number"}


def _key(f: Field) -> Callable[[Cell], str | None]:
    """What a cell names: an id, a name or an e-mail address; of owners a queue is nobody, and `owner_queue` has it.

    The id of a rep stays as it is written: a rep whom no file lists is known by nothing else.
    """
    rep = f.type.name == "owners" or f.type.entity == "rep"

    def key(value: object) -> str | None:
        text = v.show_number(value) if v.is_number(value) else str(value).strip()
        if f.normalize == "queue":
            return fold(text) if f.keys is not None and f.keys.is_queue(text) else None
        named = f.keys.read(text) if f.keys is not None else text
        return (named if rep else fold(named)) or None

    return key


def _worded(value: object, words: tuple[str, ...]) -> bool:
    """Yes or no, or a text such as a deal's stage that means yes if it is one of the words: `Closed won (Sales Pipeline)`."""
    try:
        return _boolean(value)
    except ValueError:
        text = str(value).strip().casefold()
        return text in words or re.sub(r"\s*\([^()]*\)$", "", text) in words


_ZONE = re.compile(r"\(([A-Za-z_]+/[\w/+-]+)\)\s*$")  # `(GMT-08:00) Pacific Standard Time (America/Los_Angeles)`


def _known(find: Callable[[str], object], name: str) -> str | None:
    """A name that stands for something, and None for another one."""
    try:
        find(name)
    except ValueError:
        return None
    return name


NORMALIZERS: dict[str, Callable[[str], str | None]] = {
    "country": own.country,
    "domain": own.domain,
    "phone": lambda text: own.normalize_phone(text) or own.normalize_phone(text, "US"),
    "company": own.company,
    "hours": lambda text: text.strip() if hours_of(text) else None,
    "timezone": lambda text: _known(zone_of, found[1] if (found := _ZONE.search(text)) else text.strip()),
    "calendar": lambda text: _known(holidays_of, text.strip()),
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda text: " ".join(text.split()),
}


_PARSERS: dict[str, Callable[[str, str, str], float | v.Range | None]] = {
    "percent": numbers.parse_percent,
    "money": numbers.parse_money,
    "band": bands.parse_band,
}


def _numeric(f: Field, sign: str, entity: str, habits: Habits | None) -> Callable[[object], object]:
    parse = _PARSERS.get(f.reads, numbers.parse_number)
    several = sorted(habits.money) if habits is not None and habits.has_several_currencies and not f.currency else []

    def number(value: object) -> Cell:
        if isinstance(value, bool):
            raise ValueError(f"`{value}` is not a number")
        if v.is_number(value):
            exact = v.number(value)
            if exact is None:
                raise ValueError(f"`{value}` is not a number")
            return v.Range(exact, exact) if f.type.name == "range" else exact
        text = str(value)
        if several or f.currency:
            _one_currency(text, f, several)
        return parse(text, sign, entity)

    return number


def _one_currency(text: str, f: Field, several: list[str]) -> None:
    for piece in bands.figures(text, f.reads or "number"):
        number = numbers.amount(piece)
        if number is not None and number.money and (several or not numbers.currencies(number.money) & numbers.currencies(f.currency)):
            if several:
                raise ValueError(
                    f"`{text}` is one of several currencies in its column ({', '.join(several[:4])}); say which the field has: `currency: {several[0]}`"
                )
            raise ValueError(f"`{text}` is not in {f.currency}, the field's currency")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = v.show_number(value) if v.is_number(value) else str(value).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"`{value}` is neither yes nor no")


def _moment(zone: tzinfo, formats: tuple[str, ...], order: str, entity: str) -> Callable[[Cell], datetime]:
    def moment(value: object) -> datetime:
        if isinstance(value, datetime):
            return dates.settled(value, zone)
        if isinstance(value, date):
            return datetime.combine(value, time(), zone)
        return dates.parse_datetime(str(value), zone, formats, order, entity)

    return moment


def _day(zone: tzinfo, formats: tuple[str, ...], order: str, entity: str) -> Callable[[Cell], date]:
    moment = _moment(zone, formats, order, entity)

    def day(value: object) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if isinstance(value, str) and (parsed := v.parse_date(value)) is not None:
            return parsed
        return moment(value).date()

    return day


def _time(value: object) -> time:
    at = value if isinstance(value, time) else v.parse_time(str(value)) or v.parse_time(f"{value}:00")
    if at is None:
        raise ValueError(f"`{value}` is not a time of day")
    return at


def _duration(value: object) -> object:
    duration = value if isinstance(value, (timedelta, v.Months)) else v.parse_duration(str(value))
    if duration is None:
        raise ValueError(f"`{value}` is not a duration")
    return duration


_MAKERS: dict[str, Callable[[object], object]] = {
    "boolean": _boolean,
    "time": _time,
    "days and time duration": _duration,
    "years and months duration": _duration,
}
