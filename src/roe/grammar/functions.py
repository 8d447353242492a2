"""FEEL's built-in functions (DMN 1.5, section 10.3.4), one row each; `roe`'s own are in `field_functions`.

A function sees arguments of its parameters' types only: `Function.invoke` has already answered null for the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from functools import lru_cache
from typing import Any

from roe.grammar import values as v
from roe.grammar.registry import ALIASES, BY_NAME, Function, canonical, function

__all__ = ["ALIASES", "BY_NAME", "Function", "canonical"]

# --- conversion -----------------------------------------------------------------------------------------------------


@function(
    "date",
    "from/year: any, month: any?, day: any?",
    "date",
    'date("2026-02-01")',
    "2026-02-01",
    "a date from text, from a date-time, or from year, month and day",
)
def _date(source: Any, month: Any = None, day: Any = None) -> Any:
    if month is not None or day is not None:
        return v.attempt(lambda: date(*(_whole(p) for p in (source, month, day))))
    if isinstance(source, datetime):
        return source.date()
    if isinstance(source, date):
        return source
    return v.parse_date(source) if isinstance(source, str) else None


def _whole(value: Any) -> int:
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
def _time(source: Any, minute: Any = None, second: Any = None, offset: Any = None) -> Any:
    if minute is None and second is None and offset is None:
        if isinstance(source, datetime):
            return source.timetz()
        if isinstance(source, date):
            return v.midnight(source).timetz()
        if isinstance(source, time):
            return source
        return v.parse_time(source.removeprefix("T")) if isinstance(source, str) else None
    return v.attempt(lambda: _clock_of(source, minute, second, offset))


def _clock_of(hour: Any, minute: Any, second: Any, offset: Any) -> time | None:
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
    feel="date and time",
)
def _date_and_time(source: Any, at: time | None = None) -> Any:
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
def _number(text: Any, group: str | None = None, point: str | None = None) -> Any:
    if group not in (None, " ", ",", ".") or point not in (None, ",", ".") or (group and group == point):
        return None
    if not isinstance(text, str):
        return text
    text = text.replace(group, "") if group else text
    text = text.replace(point, ".") if point else text
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", text, re.ASCII):
        return None
    return v.number(int(text) if re.fullmatch(r"[+-]?\d{1,300}", text) else float(text))


@function("string", "from: any", "string", "string(12.50)", '"12.5"', "any value as text; null for null")
def _string(value: Any) -> Any:
    return v.string(value)


@function("duration", "from: string|duration|months", "duration", 'duration("P2DT3H")', "P2DT3H", "a duration from ISO 8601 text")
def _duration(text: Any) -> Any:
    return v.parse_duration(text) if isinstance(text, str) else text


@function(
    "years_and_months_duration",
    "from: date|datetime, to: date|datetime",
    "months",
    'years_and_months_duration(@"2024-05-10", @"2026-02-01")',
    "P1Y8M",
    "the whole months between two dates, or between the days of two date-times",
    feel="years and months duration",
)
def _months_between(start: date, end: date) -> Any:
    """From day to day: the times of date-times do not count."""
    total = (end.year - start.year) * 12 + end.month - start.month
    if total > 0 and end.day < start.day:
        total -= 1
    elif total < 0 and end.day > start.day:
        total += 1
    return v.Months(total)


@function("range", "from: string", "range", 'range("[18..21)")', "[18..21)", "a range from text with literal ends")
def _range(text: str) -> Any:
    from roe.grammar import syntax as s
    from roe.grammar.parser import parse

    tree, _ = parse(text)
    if not isinstance(tree, s.RangeOf) or tree.low is None or tree.high is None:
        return None
    low, high = _end_value(tree.low), _end_value(tree.high)
    if low is None or high is None or v.less(high, low) is not False:
        return None
    return v.Range(low, high, tree.low_closed, tree.high_closed)


def _end_value(node: Any) -> Any:
    """The value of a range end in `range("…")`: a literal, or a constructor applied to a string literal."""
    from roe.grammar import syntax as s

    if isinstance(node, s.Literal):
        return node.value
    if isinstance(node, s.Call) and node.function in ("date", "time", "date_and_time", "duration"):
        if len(node.args) == 1 and isinstance(node.args[0], s.Literal):
            return BY_NAME[node.function].invoke([node.args[0].value])
    return None


# --- strings --------------------------------------------------------------------------------------------------------


@function(
    "substring",
    "string: string, start_position: number, length: number?",
    "string",
    'substring("territory", 1, 4)',
    '"terr"',
    "part of a text; positions count from 1, negative ones from the end",
)
def _substring(text: str, start: float, length: float | None = None) -> Any:
    at = int(start)
    if at == 0 or abs(at) > len(text) or (length is not None and length < 1):
        return None
    at = at - 1 if at > 0 else len(text) + at
    return text[at : len(text) if length is None else at + int(length)]


@function("string_length", "string: string", "number", 'string_length("ACME")', "4", "the number of characters", feel="string length")
def _string_length(text: str) -> Any:
    return len(text)


@function("upper_case", "string: string", "string", 'upper_case("acme")', '"ACME"', "the text in capitals", feel="upper case")
def _upper(text: str) -> Any:
    return text.upper()


@function("lower_case", "string: string", "string", 'lower_case("ACME")', '"acme"', "the text in small letters", feel="lower case")
def _lower(text: str) -> Any:
    return text.lower()


@function(
    "substring_before",
    "string: string, match: string",
    "string",
    'substring_before("Austin, Texas", ", ")',
    '"Austin"',
    "what stands before the first match; empty if there is none",
    feel="substring before",
)
def _before_text(text: str, match: str) -> Any:
    return text.partition(match)[0] if match and match in text else ""


@function(
    "substring_after",
    "string: string, match: string",
    "string",
    'substring_after("Austin, Texas", ", ")',
    '"Texas"',
    "what stands after the first match; empty if there is none",
    feel="substring after",
)
def _after_text(text: str, match: str) -> Any:
    return text.partition(match)[2] if match else text


@function(
    "contains",
    "string: string, match: string",
    "boolean",
    'contains("VP of Sales", "Sales")',
    "true",
    "whether the text has the match in it",
)
def _contains(text: str, match: str) -> Any:
    return match in text


@function(
    "starts_with",
    "string: string, match: string",
    "boolean",
    'starts_with("94105", "941")',
    "true",
    "whether the text begins with the match",
    feel="starts with",
)
def _starts_with(text: str, match: str) -> Any:
    return text.startswith(match)


@function(
    "ends_with",
    "string: string, match: string",
    "boolean",
    'ends_with("acme.de", ".de")',
    "true",
    "whether the text ends with the match",
    feel="ends with",
)
def _ends_with(text: str, match: str) -> Any:
    return text.endswith(match)


# a dot that is not escaped and not in a character class: by XPath, whose expressions FEEL's are, it matches neither \n nor \r
_DOT = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?[a-z]*s[a-z]*\).*)|\.", re.S)


@lru_cache(maxsize=2_000)
def regex(pattern: str, flags: str = "") -> Any:
    """An RE2 pattern, which runs in linear time; None if it is none (a back-reference, a look-ahead, a syntax error)."""
    import re2

    if set(flags) - set("smix"):
        return None
    if "x" in flags:  # XPath's x flag: white space outside of a character class does not count
        pattern = re.sub(r"(\[(?:\\.|[^\]\\])*\])|\s+", lambda m: m[1] or "", pattern)
    if "s" not in flags:
        pattern = _DOT.sub(lambda m: m[1] or r"[^\n\r]", pattern)
    prefix = "".join(f for f in "smi" if f in flags)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 8 << 20
    try:
        return re2.compile(f"(?{prefix}){pattern}" if prefix else pattern, options)
    except re2.error:
        return None


@function(
    "matches",
    "input: string, pattern: string, flags: string|null?",
    "boolean",
    'matches("CA-94105", "^[A-Z]{2}-\\\\d{5}$")',
    "true",
    "whether a regular expression (RE2, linear time) is found in the text; flags s, m, i, x",
    cost=10,
)
def _matches(text: str, pattern: str, flags: str | None = None) -> Any:
    compiled = regex(pattern, flags or "")
    return None if compiled is None else compiled.search(text) is not None


@function(
    "replace",
    "input: string, pattern: string, replacement: string, flags: string|null?",
    "string",
    'replace("(415) 555-0100", "[^0-9]", "")',
    '"4155550100"',
    "every match of a regular expression replaced; `$1` is the first group",
    cost=10,
)
def _replace(text: str, pattern: str, replacement: str, flags: str | None = None) -> Any:
    compiled = regex(pattern, flags or "")
    if compiled is None or compiled.search("") is not None:
        return None
    pieces = re.split(r"(\$\d|\\[\\$])", replacement)
    if any(re.search(r"[\\$]", p) for p in pieces[::2]):
        return None
    groups = compiled.groups

    def expand(m: Any) -> str:
        out = []
        for i, piece in enumerate(pieces):
            if i % 2 == 0:
                out.append(piece)
            elif piece[0] == "\\":
                out.append(piece[1])
            elif int(piece[1]) <= groups:
                out.append(m.group(int(piece[1])) or "")
        return "".join(out)

    return compiled.sub(expand, text)


@function(
    "split",
    "string: string, delimiter: string",
    "list",
    'split("a;b;c", ";")',
    '["a", "b", "c"]',
    "the parts of a text between matches of a regular expression",
    cost=10,
)
def _split(text: str, delimiter: str) -> Any:
    compiled = regex(delimiter)
    if compiled is None or compiled.search("") is not None:
        return None
    parts, at = [], 0
    for m in compiled.finditer(text):
        parts.append(text[at : m.start()])
        at = m.end()
    return [*parts, text[at:]]


@function(
    "string_join",
    "list: list, delimiter: string|null?",
    "string",
    'string_join(["AE", "SDR"], " and ")',
    '"AE and SDR"',
    "texts joined; null ones are left out",
    feel="string join",
)
def _string_join(items: list[Any], delimiter: str | None = None) -> Any:
    texts = [i for i in items if i is not None]
    return (delimiter or "").join(texts) if all(isinstance(t, str) for t in texts) else None


# --- lists ----------------------------------------------------------------------------------------------------------


@function(
    "list_contains",
    "list: list, element: any",
    "boolean",
    'list_contains(["US", "CA"], "CA")',
    "true",
    "whether the list has the element",
    feel="list contains",
)
def _list_contains(items: list[Any], element: Any) -> Any:
    return any(v.equal(i, element) is True for i in items)


@function("count", "list: list", "number", "count([1, 2, 3])", "3", "how many items the list has", variadic=True)
def _count(items: list[Any]) -> Any:
    return len(items)


def _extreme(items: list[Any], wins: Callable[[Any, Any], bool | None]) -> Any:
    best = items[0] if items else None
    for item in items:
        verdict = wins(item, best)
        if verdict is None:
            return None
        best = item if verdict else best
    return best


@function("min", "list: list", "any", "min([3, 1, 2])", "1", "the least item; null if the list is empty or holds null", variadic=True)
def _min(items: list[Any]) -> Any:
    return _extreme(items, v.less)


@function(
    "max",
    "list: list",
    "any",
    'max([@"2026-01-05", @"2026-02-01"])',
    "2026-02-01",
    "the greatest item; null if the list is empty or holds null",
    variadic=True,
)
def _max(items: list[Any]) -> Any:
    return _extreme(items, lambda a, b: v.less(b, a))


def _numbers(items: list[Any]) -> bool:
    return bool(items) and all(map(v.is_number, items))


@function("sum", "list: list", "number", "sum([10, 20, 30])", "60", "the total; null if the list is empty or holds a null", variadic=True)
def _sum(items: list[Any]) -> Any:
    if items and all(isinstance(i, (timedelta, v.Months)) for i in items):
        total = items[0]
        for item in items[1:]:
            total = v.add(total, item)
        return total
    return v.number(_total(items)) if _numbers(items) else None


def _total(items: list[Any]) -> float:
    return sum(items) if all(type(i) is int for i in items) else math.fsum(items)


@function("mean", "list: list", "number", "mean([1, 2, 6])", "3", "the average", variadic=True)
def _mean(items: list[Any]) -> Any:
    return v.divide(v.number(_total(items)), len(items)) if _numbers(items) else None


@function("product", "list: list", "number", "product([2, 3, 4])", "24", "the product", variadic=True)
def _product(items: list[Any]) -> Any:
    return v.attempt(lambda: v.number(math.prod(items))) if _numbers(items) else None


@function("median", "list: list", "number", "median([8, 2, 5, 7])", "6", "the middle number", variadic=True)
def _median(items: list[Any]) -> Any:
    if not _numbers(items):
        return None
    ordered, half = sorted(items), len(items) // 2
    return ordered[half] if len(items) % 2 else v.divide(ordered[half - 1] + ordered[half], 2)


@function(
    "stddev",
    "list: list",
    "number",
    "stddev([2, 4, 7, 5])",
    "2.0816659994661326",
    "the sample standard deviation; null for fewer than two",
    variadic=True,
)
def _stddev(items: list[Any]) -> Any:
    if not _numbers(items) or len(items) < 2:
        return None
    mean = math.fsum(items) / len(items)
    return v.number(math.sqrt(math.fsum((i - mean) ** 2 for i in items) / (len(items) - 1)))


@function("mode", "list: list", "list", "mode([6, 3, 9, 6])", "[6]", "the most frequent numbers, ascending", variadic=True)
def _mode(items: list[Any]) -> Any:
    if not items:
        return []
    if not _numbers(items):
        return None
    counts = {i: items.count(i) for i in dict.fromkeys(items)} if len(items) < 64 else _tally(items)
    most = max(counts.values())
    return sorted(i for i, n in counts.items() if n == most)


def _tally(items: list[Any]) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


@function("all", "list: list", "boolean", "all([true, true])", "true", "whether every item is true; null counts as unknown", variadic=True)
def _all_true(items: list[Any]) -> Any:
    return _kleene(items, False)


@function("any", "list: list", "boolean", "any([false, true])", "true", "whether some item is true; null counts as unknown", variadic=True)
def _any_true(items: list[Any]) -> Any:
    return _kleene(items, True)


def _kleene(items: list[Any], decides: bool) -> bool | None:
    if any(i is decides for i in items):
        return decides
    return not decides if all(i is (not decides) for i in items) else None


@function(
    "sublist",
    "list: list, start_position: number, length: number?",
    "list",
    "sublist([4, 5, 6], 2)",
    "[5, 6]",
    "part of a list; positions count from 1, negative ones from the end",
)
def _sublist(items: list[Any], start: float, length: float | None = None) -> Any:
    at = int(start)
    if at == 0 or abs(at) > len(items) or (length is not None and length < 0):
        return None
    at = at - 1 if at > 0 else len(items) + at
    if length is not None and at + int(length) > len(items):
        return None
    return items[at : len(items) if length is None else at + int(length)]


@function("append", "list: list, item: any", "list", "append([1], 2)", "[1, 2]", "the list with the items at its end")
def _append(items: list[Any], *more: Any) -> Any:
    return [*items, *more]


@function("concatenate", "list: list", "list", "concatenate([1], [2, 3])", "[1, 2, 3]", "the lists one after the other", variadic=True)
def _concatenate(lists: list[Any]) -> Any:
    return [i for part in lists for i in part] if all(isinstance(p, list) for p in lists) else list(lists)


@function(
    "union", "list: list", "list", "union([1, 2], [2, 3])", "[1, 2, 3]", "the lists one after the other, without repetitions", variadic=True
)
def _union(lists: list[Any]) -> Any:
    return _distinct([i for part in lists for i in (part if isinstance(part, list) else [part])])


@function(
    "distinct_values", "list: list", "list", "distinct_values([1, 2, 1])", "[1, 2]", "the list without repetitions", feel="distinct values"
)
def _distinct(items: list[Any]) -> Any:
    out: list[Any] = []
    seen: set[Any] = set()
    for item in items:
        if type(item) in (str, int, float):
            if item in seen:
                continue
            seen.add(item)
        elif any(v.equal(item, o) is True for o in out):
            continue
        out.append(item)
    return out


@function(
    "insert_before",
    "list: list, position: number, newItem: any",
    "list",
    "insert_before([1, 3], 2, 2)",
    "[1, 2, 3]",
    "the list with an item put in",
    feel="insert before",
)
def _insert_before(items: list[Any], position: float, item: Any) -> Any:
    at = _index(items, position)
    return None if at is None else [*items[:at], item, *items[at:]]


@function("remove", "list: list, position: number", "list", "remove([1, 2, 3], 2)", "[1, 3]", "the list without the item at a position")
def _remove(items: list[Any], position: float) -> Any:
    at = _index(items, position)
    return None if at is None else [*items[:at], *items[at + 1 :]]


@function(
    "list_replace",
    "list: list, position: number, newItem: any",
    "list",
    "list_replace([1, 2, 3], 2, 4)",
    "[1, 4, 3]",
    "the list with the item at a position replaced",
    feel="list replace",
)
def _list_replace(items: list[Any], position: float, item: Any) -> Any:
    at = _index(items, position)
    return None if at is None else [*items[:at], item, *items[at + 1 :]]


def _index(items: list[Any], position: float) -> int | None:
    at = int(position)
    if at == 0 or abs(at) > len(items):
        return None
    return at - 1 if at > 0 else len(items) + at


@function("reverse", "list: list", "list", "reverse([1, 2, 3])", "[3, 2, 1]", "the list backwards")
def _reverse(items: list[Any]) -> Any:
    return list(reversed(items))


@function("index_of", "list: list, match: any", "list", "index_of([1, 2, 1], 1)", "[1, 3]", "the positions of an item", feel="index of")
def _index_of(items: list[Any], match: Any) -> Any:
    return [i for i, item in enumerate(items, 1) if v.equal(item, match) is True]


@function("flatten", "list: list", "list", "flatten([[1, [2]], 3])", "[1, 2, 3]", "lists in lists made one list")
def _flatten(items: list[Any]) -> Any:
    out: list[Any] = []
    todo = list(reversed(items))
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(reversed(item))
        else:
            out.append(item)
    return out


def _per_item(items: list[Any], by: Any) -> Any:
    """The parser makes a node of its own of `latest` and `earliest`, whose second argument is asked of each item: see `syntax.Pick`."""
    return None


for _name, _which in (("latest", "greatest"), ("earliest", "least")):
    function(
        _name,
        "list: list, field: any",
        "any",
        f'{_name}([@"2026-01-05", @"2026-02-01"], item)',
        {"latest": "2026-02-01", "earliest": "2026-01-05"}[_name],
        f"the item with the {_which} value of a field, such as `{_name}(account.activities, date)`; of equals the first, and items "
        "without a value do not count",
        own=True,
    )(_per_item)


@function("sort", "list: list", "list", "sort([3, 1, 2])", "[1, 2, 3]", "the list in ascending order; null if its items have no order")
def _sort(items: list[Any]) -> Any:
    if any(v.less(items[0], i) is None for i in items):
        return None
    return sorted(items, key=v.in_order)


# --- numbers --------------------------------------------------------------------------------------------------------

_PRECISE = Context(prec=400)


def _rounded(n: float, scale: float, mode: str) -> Any:
    places = int(scale)
    if not -6111 <= places <= 6176:
        return None
    exact = Decimal(repr(n))
    exponent = exact.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent <= places:
        return n
    result = exact.quantize(Decimal(1).scaleb(-places, _PRECISE), mode, _PRECISE)
    return v.number(int(result) if result == result.to_integral_value() else float(result))


def _rounding(name: str, mode: str, example: str, value: str, doc: str, feel: str) -> None:
    params = "n: number, scale: number" if name != "floor" and name != "ceiling" else "n: number, scale: number?"
    function(name, params, "number", example, value, doc, feel=feel)(lambda n, scale=0: _rounded(n, scale or 0, mode))


_rounding("decimal", ROUND_HALF_EVEN, "decimal(2.345, 2)", "2.34", "rounded to so many places, halves to the even digit", "")
_rounding("floor", ROUND_FLOOR, "floor(1.5)", "1", "rounded down", "")
_rounding("ceiling", ROUND_CEILING, "ceiling(1.5)", "2", "rounded up", "")
_rounding("round_up", ROUND_UP, "round_up(5.5, 0)", "6", "rounded away from zero", "round up")
_rounding("round_down", ROUND_DOWN, "round_down(5.5, 0)", "5", "rounded towards zero", "round down")
_rounding("round_half_up", ROUND_HALF_UP, "round_half_up(2.5, 0)", "3", "rounded, halves away from zero", "round half up")
_rounding("round_half_down", ROUND_HALF_DOWN, "round_half_down(2.5, 0)", "2", "rounded, halves towards zero", "round half down")


@function("abs", "n: number|duration|months", "any", "abs(-10)", "10", "the amount without its sign")
def _abs(n: Any) -> Any:
    return v.Months(abs(n.months)) if isinstance(n, v.Months) else v.attempt(lambda: abs(n))


@function("modulo", "dividend: number, divisor: number", "number", "modulo(-12, 5)", "3", "the rest of a division, with the divisor's sign")
def _modulo(a: float, b: float) -> Any:
    if b == 0:
        return None
    if type(a) is type(b) is int:
        return a % b
    x, y = Decimal(repr(a)), Decimal(repr(b))
    return v.attempt(lambda: v.number(float(x - y * (x / y).to_integral_value(ROUND_FLOOR))))


@function("sqrt", "number: number", "number", "sqrt(16)", "4", "the square root; null for a negative number")
def _sqrt(n: float) -> Any:
    return v.attempt(lambda: math.sqrt(n))


@function("log", "number: number", "number", "log(1)", "0", "the natural logarithm")
def _log(n: float) -> Any:
    return v.attempt(lambda: math.log(n))


@function("exp", "number: number", "number", "exp(0)", "1", "e to the power of the number")
def _exp(n: float) -> Any:
    return v.attempt(lambda: math.exp(n))


@function("odd", "number: number", "boolean", "odd(5)", "true", "whether a whole number is odd")
def _odd(n: float) -> Any:
    return n % 2 == 1


@function("even", "number: number", "boolean", "even(2)", "true", "whether a whole number is even")
def _even(n: float) -> Any:
    return n % 2 == 0


# --- dates ----------------------------------------------------------------------------------------------------------

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip


@function(
    "day_of_year", "date: date|datetime", "number", 'day_of_year(@"2026-02-01")', "32", "the day's number in its year", feel="day of year"
)
def _day_of_year(day: date) -> Any:
    return day.timetuple().tm_yday


@function(
    "day_of_week",
    "date: date|datetime",
    "string",
    'day_of_week(@"2026-02-01")',
    '"Sunday"',
    "the English name of the weekday",
    feel="day of week",
)
def _day_of_week(day: date) -> Any:
    return DAYS[day.weekday()]


@function(
    "month_of_year",
    "date: date|datetime",
    "string",
    'month_of_year(@"2026-02-01")',
    '"February"',
    "the English name of the month",
    feel="month of year",
)
def _month_of_year(day: date) -> Any:
    return MONTHS[day.month - 1]


@function("week_of_year", "date: date|datetime", "number", 'week_of_year(@"2026-02-01")', "5", "the ISO week", feel="week of year")
def _week_of_year(day: date) -> Any:
    return day.isocalendar().week


@function(
    "fiscal_year",
    "date: date|datetime",
    "number",
    'fiscal_year(@"2026-02-01")',
    "2026",
    "the policy's fiscal year: `fiscal_year:` says in which month it starts, and which year it is named after",
    own=True,
    clock=True,
)
def _fiscal_year(clock: Any, day: date) -> Any:
    return clock.fiscal.year_of(day)


@function(
    "fiscal_quarter",
    "date: date|datetime",
    "number",
    'fiscal_quarter(@"2026-02-01")',
    "1",
    "the quarter of the policy's fiscal year, 1 to 4",
    own=True,
    clock=True,
)
def _fiscal_quarter(clock: Any, day: date) -> Any:
    return clock.fiscal.quarter_of(day)


@function(
    "is",
    "value1: any, value2: any?",
    "boolean",
    'is(@"09:00:00Z", @"09:00:00Z")',
    "true",
    "whether two values are the same, zone and type too; a value that is left out is null",
)
def _is(a: Any, b: Any = None) -> Any:
    if v.kind(a) != v.kind(b):
        return False
    if isinstance(a, (time, datetime)):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.utcoffset() == b.utcoffset()
    return v.equal(a, b)


@function("now", "", "datetime", "now() = now", "true", "the run's as-of date-time; the bare name `now` is the same", clock=True)
def _now(clock: Any) -> Any:
    return clock.now


@function("today", "", "date", "today() = today", "true", "the run's as-of date; the bare name `today` is the same", clock=True)
def _today(clock: Any) -> Any:
    return clock.today


# --- ranges ---------------------------------------------------------------------------------------------------------
# DMN 1.5, table 78. A point is the range [p..p].


def _ends(x: Any) -> v.Range:
    return x if isinstance(x, v.Range) else v.Range(x, x)


def _lt(a: Any, b: Any) -> bool:
    verdict = v.less(a, b)
    if verdict is None:
        raise TypeError
    return verdict


def _eq(a: Any, b: Any) -> bool:
    _lt(a, b)
    return v.equal(a, b) is True


def _before(a: v.Range, b: v.Range) -> bool:
    return _lt(a.high, b.low) or (_eq(a.high, b.low) and not (a.high_closed and b.low_closed))


def _includes(a: v.Range, b: v.Range) -> bool:
    low = _lt(a.low, b.low) or (_eq(a.low, b.low) and (a.low_closed or not b.low_closed))
    high = _lt(b.high, a.high) or (_eq(a.high, b.high) and (a.high_closed or not b.high_closed))
    return low and high


def _starts(a: v.Range, b: v.Range) -> bool:
    return _eq(a.low, b.low) and a.low_closed == b.low_closed and _includes(b, a)


def _finishes(a: v.Range, b: v.Range) -> bool:
    return _eq(a.high, b.high) and a.high_closed == b.high_closed and _includes(b, a)


def _overlaps_before(a: v.Range, b: v.Range) -> bool:
    starts = _lt(a.low, b.low) or (_eq(a.low, b.low) and a.low_closed and not b.low_closed)
    meets = _lt(b.low, a.high) or (_eq(b.low, a.high) and a.high_closed and b.low_closed)
    ends = _lt(a.high, b.high) or (_eq(a.high, b.high) and (not a.high_closed or b.high_closed))
    return starts and meets and ends


def _overlaps_after(a: v.Range, b: v.Range) -> bool:
    starts = _lt(b.low, a.low) or (_eq(a.low, b.low) and b.low_closed and not a.low_closed)
    meets = _lt(a.low, b.high) or (_eq(a.low, b.high) and a.low_closed and b.high_closed)
    ends = _lt(b.high, a.high) or (_eq(a.high, b.high) and (a.high_closed or not b.high_closed))
    return starts and meets and ends


def _range_function(name: str, feel: str, points: str, run: Callable[[v.Range, v.Range], bool], example: str, value: str, doc: str) -> None:
    """`points` says which of the two arguments may be a point: 'both', 'first', 'second' or ''."""

    def call(a: Any, b: Any) -> Any:
        first, second = isinstance(a, v.Range), isinstance(b, v.Range)
        allowed = {"both": True, "first": second, "second": first, "": first and second}[points]
        return v.attempt(lambda: run(_ends(a), _ends(b))) if allowed and a is not None and b is not None else None

    names = {"both": ("point1", "point2"), "first": ("point", "range"), "second": ("range", "point"), "": ("range1", "range2")}
    one, two = names[points]
    function(name, f"{one}: any, {two}: any", "boolean", example, value, doc, feel=feel)(call)


_range_function("before", "", "both", _before, "before([1..5], 10)", "true", "whether the first ends before the second begins")
_range_function(
    "after", "", "both", lambda a, b: _before(b, a), "after(10, [1..5])", "true", "whether the first begins after the second ends"
)
_range_function(
    "meets",
    "",
    "",
    lambda a, b: a.high_closed and b.low_closed and _eq(a.high, b.low),
    "meets([1..5], [5..10])",
    "true",
    "whether the first ends where the second begins",
)
_range_function(
    "met_by",
    "met by",
    "",
    lambda a, b: b.high_closed and a.low_closed and _eq(b.high, a.low),
    "met_by([5..10], [1..5])",
    "true",
    "whether the first begins where the second ends",
)
_range_function(
    "overlaps",
    "",
    "",
    lambda a, b: not _before(a, b) and not _before(b, a),
    "overlaps([1..5], [3..8])",
    "true",
    "whether the two share a point",
)
_range_function(
    "overlaps_before",
    "overlaps before",
    "",
    _overlaps_before,
    "overlaps_before([1..5], [3..8])",
    "true",
    "whether the first begins first and ends inside the second",
)
_range_function(
    "overlaps_after",
    "overlaps after",
    "",
    _overlaps_after,
    "overlaps_after([3..8], [1..5])",
    "true",
    "whether the first begins inside the second and ends after it",
)
_range_function("finishes", "", "first", _finishes, "finishes(5, [1..5])", "true", "whether the first is the end of the second")
_range_function(
    "finished_by",
    "finished by",
    "second",
    lambda a, b: _finishes(b, a),
    "finished_by([1..5], 5)",
    "true",
    "whether the second is the end of the first",
)
_range_function("includes", "", "second", _includes, "includes([1..10], 5)", "true", "whether the first holds all of the second")
_range_function(
    "during", "", "first", lambda a, b: _includes(b, a), "during(5, [1..10])", "true", "whether the second holds all of the first"
)
_range_function("starts", "", "first", _starts, "starts(1, [1..5])", "true", "whether the first is the beginning of the second")
_range_function(
    "started_by",
    "started by",
    "second",
    lambda a, b: _starts(b, a),
    "started_by([1..5], 1)",
    "true",
    "whether the second is the beginning of the first",
)
_range_function(
    "coincides",
    "",
    "both",
    lambda a, b: _starts(a, b) and _finishes(a, b),
    "coincides([1..5], [1..5])",
    "true",
    "whether the two are the same",
)


from roe.grammar import field_functions as _own  # noqa: E402, F401  (registers roe's own rows)
from roe.grammar import history as _history  # noqa: E402, F401  (registers what asks for former owners and values)
