"""What a number in a spreadsheet means, by its number format (ECMA-376 part 1, section 18.8.30).

A spreadsheet keeps dates, ZIP codes and percentages as plain numbers and a format. Read without the format, 02134 is 2134 and
1 February 2026 is 46054. The rule here: dates and times are ISO texts; a format that pads with zeros or has letters or dashes
between digits (`00000`, `00000-0000`, `"T-"000`) makes a code, read as it is shown; any other format, such as thousands
separators, currency, decimals or percent, is decoration, and the number is read in full (15 % is 0.15).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

# Formats that files name by number and never write out. 27-36 and 50-58 are dates in East Asian versions of Excel.
BUILTIN: dict[int, str] = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??",
    14: "m/d/yyyy", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss",
    22: "m/d/yyyy h:mm", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "##0.0E+0", 49: "@",
    **dict.fromkeys((5, 6, 7, 8, *range(37, 45)), "#,##0.00"),
    **dict.fromkeys((*range(27, 37), *range(50, 59)), "yyyy-mm-dd"),
}  # fmt: skip

LAST_DAY = 2_958_465  # 9999-12-31 as a serial number
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|\[(?P<bracket>[^\]]*)\]?|_.?|\*.?|(?P<general>(?i:General))|(?P<ampm>AM/PM|A/P)'
    r"|(?P<exponent>[Ee][+-])|(?P<digit>[0#?])|(?P<mark>[.,%/])|(?P<clock>[ymdhsYMDHSbBeEgG]+)|(?P<literal>.)",
    re.S,
)
_CONDITION = re.compile(r"(<=|>=|<>|<|>|=)\s*(-?[\d.]+)$")
_PART = re.compile(r'"[^"]*"?|\\.?|\[[^\]]*\]?|;|[^;"\\\[]+', re.S)


class UnreadableCell(ValueError):
    """A cell that has no value a reader could rely on; the text says why."""


@dataclass(frozen=True, slots=True)
class FormatSection:
    """One of the parts between semicolons: what kind of value it shows, and when it applies."""

    kind: str  # number, code, date, datetime, time or elapsed
    condition: tuple[str, float] | None = None
    pieces: tuple[tuple[bool, str], ...] = ()  # of a code, in order: (is a digit's place, the character or literal)


def as_text(number: float, code: str, epoch_1904: bool) -> str:
    """A number as the text that its format makes of it. Raises UnreadableCell for a date that does not exist."""
    sections = _parse(code)
    section = _section_for(number, sections)
    if section.kind == "number":
        return plain(number)
    if section.kind == "code":
        if number != int(number) or abs(number) >= 1e15:
            return plain(number)
        sign = "-" if number < 0 and (len(sections) == 1 or section.condition is not None) else ""
        return sign + _fill(str(abs(int(number))), section.pieces)
    return _moment(number, section.kind, epoch_1904)


def plain(number: float) -> str:
    """A number in full, with the 15 digits that a spreadsheet shows: 0.1 + 0.2 is 0.3, and never 1E+15."""
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return format(Decimal(f"{number:.15g}"), "f")


@lru_cache(maxsize=4096)
def _parse(code: str) -> tuple[FormatSection, ...]:
    parts = [""]
    for m in _PART.finditer(code[:255]):
        if m[0] == ";":
            parts.append("")
        else:
            parts[-1] += m[0]
    return tuple(_parse_section(part) for part in parts)


def _parse_section(text: str) -> FormatSection:
    tokens = [(m.lastgroup, m[m.lastgroup]) for m in _TOKEN.finditer(text) if m.lastgroup]
    kinds = {kind for kind, _ in tokens}
    brackets = [value for kind, value in tokens if kind == "bracket"]
    condition = next((c for c in map(_condition, reversed(brackets)) if c is not None), None)
    letters = "".join("h" if kind == "ampm" else value.lower() for kind, value in tokens if kind in ("ampm", "clock"))
    pieces = [(kind == "digit", value) for kind, value in tokens if kind in ("digit", "quoted", "escaped", "literal")]
    if "general" in kinds:
        return FormatSection("number", condition)
    if any(value.lower() in ("h", "hh", "m", "mm", "s", "ss") for value in brackets):
        return FormatSection("elapsed", condition)
    if letters:
        return FormatSection(_kind_of_moment(letters), condition)
    if kinds & {"mark", "exponent"} or not _is_code(pieces):
        return FormatSection("number", condition)
    return FormatSection("code", condition, tuple(pieces))


def _condition(bracket: str) -> tuple[str, float] | None:
    """`>=100` in brackets: when a section applies."""
    compared = _CONDITION.match(bracket)
    is_number = compared is not None and compared[2].count(".") <= 1 and compared[2].strip("-.")
    return (compared[1], float(compared[2])) if compared is not None and is_number else None


def _kind_of_moment(letters: str) -> str:
    has_time = any(c in letters for c in "hs")
    has_date = any(c in letters for c in "ydbeg") or not has_time
    return "datetime" if has_date and has_time else "date" if has_date else "time"


def _is_code(pieces: list[tuple[bool, str]]) -> bool:
    """Whether the digits are padded, or have something between or beside them that a number has not."""
    places = [i for i, (is_digit, _) in enumerate(pieces) if is_digit]
    if not places:
        return False
    zeros = sum(is_digit and value == "0" for is_digit, value in pieces)
    inside = any(not is_digit and value.strip() for is_digit, value in pieces[places[0] : places[-1]])
    letters = any(not is_digit and any(c.isalpha() for c in value) for is_digit, value in pieces)
    return zeros >= 2 or inside or letters


def _section_for(number: float, sections: tuple[FormatSection, ...]) -> FormatSection:
    if any(s.condition for s in sections):
        return next((s for s in sections if s.condition is None or _holds(number, *s.condition)), FormatSection("number"))
    if len(sections) == 1 or number > 0:
        return sections[0]
    if number < 0:
        return sections[1]
    return sections[2] if len(sections) > 2 else sections[0]


def _holds(number: float, op: str, bound: float) -> bool:
    return {
        "<": number < bound, "<=": number <= bound, ">": number > bound, ">=": number >= bound, "=": number == bound, "<>": number != bound,
    }[op]  # fmt: skip


def _fill(digits: str, pieces: tuple[tuple[bool, str], ...]) -> str:
    """The digits in their places, from the right; those left over stand at the first place."""
    shown: list[str] = []
    left = digits.lstrip("0")
    first = next(i for i, (is_digit, _) in enumerate(pieces) if is_digit)
    for i in range(len(pieces) - 1, -1, -1):
        is_digit, value = pieces[i]
        if not is_digit:
            shown.append(value)
        elif i == first and left:
            shown.append(left)
            left = ""
        else:
            shown.append(left[-1:] or {"0": "0", "?": " "}.get(value, ""))
            left = left[:-1]
    return "".join(reversed(shown)).strip()


def _moment(serial: float, kind: str, epoch_1904: bool) -> str:
    first = 0 if epoch_1904 or kind in ("time", "elapsed") else 1
    if not first <= serial < LAST_DAY + 1 - (1462 if epoch_1904 else 0):
        raise UnreadableCell(f"the number {plain(serial)} is shown as a date, and no calendar has that day")
    thousandths = round((serial % 1) * 86_400_000)
    days = int(serial) + thousandths // 86_400_000
    clock = timedelta(milliseconds=thousandths % 86_400_000)
    if kind == "elapsed":
        minutes, seconds = divmod(round(serial * 86_400), 60)
        return f"PT{minutes // 60}H{minutes % 60}M{seconds}S"
    hour = (datetime.min + clock).time()
    return _clock(hour) if kind == "time" else _with_clock(_day(days, epoch_1904), hour if kind == "datetime" else time())


def _day(serial: int, epoch_1904: bool) -> date:
    if epoch_1904:
        return date(1904, 1, 1) + timedelta(days=serial)
    if serial == 60:
        raise UnreadableCell("the date is 29 February 1900, a day that only spreadsheets know")
    return date(1899, 12, 30) + timedelta(days=serial + (serial < 60))  # serial 60 is that day, so earlier ones are off by one


def _with_clock(day: date, hour: time) -> str:
    return day.isoformat() if hour == time() else f"{day.isoformat()}T{_clock(hour)}"


def _clock(hour: time) -> str:
    return hour.isoformat("milliseconds" if hour.microsecond else "seconds")
