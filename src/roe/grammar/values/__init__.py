"""The values of the language and what operators do to them, as the DMN standard (1.5, chapter 10) says.

Every operation is *total*: where FEEL has no answer (mixed types, null, a month 13) the answer is `None`. Values are
Python's own: `bool`, `int | float`, `str`, `date`, `datetime`, `time`, `timedelta`, `list`, `dict`; plus the classes of `kinds`.
Naive date-times and times have no zone; those with a zone do not compare with those without.
"""

from __future__ import annotations

from roe.grammar.values.arithmetic import ARITHMETIC, add, add_months, divide, midnight, multiply, negate, power, subtract
from roe.grammar.values.kinds import (
    EXACT,
    LARGEST,
    NUMBERS,
    CalendarDays,
    Duration,
    Months,
    Range,
    WorkingDays,
    WorkingHours,
    attempt,
    is_number,
    kind,
    number,
    show_number,
)  # fmt: skip
from roe.grammar.values.order import COMPARE, both, compare, contains, equal, existing, in_order, less, less_equal, moment, passes, zoned
from roe.grammar.values.temporal import parse_date, parse_datetime, parse_duration, parse_temporal, parse_time
from roe.grammar.values.text import MONTHS, literal, plain, quote, readable, string

__all__ = [
    "ARITHMETIC", "COMPARE", "EXACT", "LARGEST", "MONTHS", "NUMBERS", "CalendarDays", "Duration", "Months", "Range", "WorkingDays", "WorkingHours",
    "add", "add_months", "attempt", "both", "compare", "contains", "divide", "equal", "existing", "in_order", "is_number", "kind", "less",
    "less_equal", "literal", "midnight", "moment", "multiply", "negate", "number", "parse_date", "parse_datetime", "parse_duration",
    "parse_temporal", "parse_time", "passes", "plain", "power", "quote", "readable", "show_number", "string", "subtract", "zoned",
]  # fmt: skip
