"""What Lark calls while it parses: each grammar rule becomes a syntax node, with the offsets of its text.

The tree is built inside the parser, so no parse tree is made and thrown away. Left-hand names are rules of feel.lark.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from lark import Token, Transformer

from roe.crm.ids import fold
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.functions import canonical

Parts = list[Any]  # of a grammar rule: tokens, and the nodes that its inner rules became


class Malformed(Exception):
    """A token that the grammar accepts and the language does not: raised through Lark to the parser."""

    def __init__(self, code: str, message: str, at: s.Place, help: str) -> None:
        super().__init__(message)
        self.code, self.message, self.at, self.help = code, message, at, help


def _start(part: Token | s.Node) -> int:
    return part.start_pos or 0 if isinstance(part, Token) else part.at[0]


def _end(part: Token | s.Node) -> int:
    return part.end_pos or 0 if isinstance(part, Token) else part.at[1]


def _over(parts: Parts) -> s.Place:
    return _start(parts[0]), _end(parts[-1])


_UNITS = {
    "second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1),
    "day": timedelta(days=1), "week": timedelta(weeks=1), "month": v.Months(1), "quarter": v.Months(3),
    "year": v.Months(12),
}  # fmt: skip


def readable_duration(text: str) -> timedelta | v.Months | v.WorkingDays | v.WorkingHours | None:
    """The value of `90 days`, `6 months`, `5 working days`; None if it is out of bounds or no whole number of months."""
    amount, *words = text.split()
    unit = words[-1].rstrip("s")
    if words == ["working", "hours"] or words == ["working", "hour"]:
        hours = float(amount)
        return v.WorkingHours(int(hours) if hours == int(hours) else hours) if hours < 1e6 else None
    if "working" in words:
        return v.WorkingDays(int(amount)) if amount.isdigit() and len(amount) < 7 else None
    value: timedelta | v.Months | None = v.multiply(_UNITS[unit], float(amount) if "." in amount else int(amount))
    if isinstance(value, v.Months) and "." in amount:
        return None
    return value


_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{6}|[nrt\"\\/'])")
_NAMED = {"n": "\n", "r": "\r", "t": "\t"}


def unescape(body: str) -> str:
    r"""The escapes of FEEL strings; a backslash before anything else stays, so that regular expressions read well."""

    def one(m: re.Match[str]) -> str:
        code = m[1]
        if code[0] in "uU" and len(code) > 1:
            return chr(min(int(code[1:], 16), 0x10FFFF))
        return _NAMED.get(code, code)

    text = _ESCAPE.sub(one, body)
    # two escaped halves of a surrogate pair are one character
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if re.search("[\ud800-\udfff]", text) else text


PICKS = ("latest", "earliest")  # functions whose second argument is asked of each item of the first


class Build(Transformer[Token, object]):
    def number(self, parts: Parts) -> s.Node:
        text = str(parts[0])
        value = v.number(int(text) if text.isdigit() and len(text) < 400 else float(text))
        if value is None:
            raise Malformed("R103", "the number is too large", _over(parts), "numbers go up to 1.8e308")
        return s.Literal(value, text, _over(parts))

    def duration(self, parts: Parts) -> s.Node:
        value = readable_duration(str(parts[0]))
        if value is None:
            help = "use a whole number of months or years, and of working days"
            raise Malformed("R103", f"`{parts[0]}` is not a duration", _over(parts), help)
        return s.Literal(value, str(parts[0]), _over(parts))

    def string(self, parts: Parts) -> s.Node:
        return s.Literal(fold(unescape(parts[0][1:-1])), str(parts[0]), _over(parts))

    def at(self, parts: Parts) -> s.Node:
        text = parts[0][2:-1]
        value = v.parse_temporal(text)
        if value is None:
            zone = "@" in text
            help = "named zones are outside the language: write the offset" if zone else 'write `@"2026-01-31"`, `@"P90D"`'
            raise Malformed("R102" if zone else "R103", f"`{text}` is not a date, time or duration", _over(parts), help)
        return s.Literal(value, str(parts[0]), _over(parts))

    def true(self, parts: Parts) -> s.Node:
        return s.Literal(True, "true", _over(parts))

    def false(self, parts: Parts) -> s.Node:
        return s.Literal(False, "false", _over(parts))

    def null(self, parts: Parts) -> s.Node:
        return s.Literal(None, "null", _over(parts))

    def name(self, parts: Parts) -> s.Node:
        return s.Name(str(parts[0]), _over(parts))

    def path(self, parts: Parts) -> s.Node:
        return s.Path(parts[0], str(parts[1]).replace(" ", "_"), _over(parts))

    def filter(self, parts: Parts) -> s.Node:
        return s.Filter(parts[0], parts[1], _over(parts))

    def call(self, parts: Parts) -> s.Node:
        function, *args = parts[:-1]
        name = canonical(str(function))
        if name in PICKS and sorted(a[0] for a in args) in (["", ""], ["field", "list"]):
            given = dict(args) if args[0][0] else {"list": args[0][1], "field": args[1][1]}
            return s.Pick(name, given["list"], given["field"], _over(parts))
        return s.Call(name, tuple(a[1] for a in args), tuple(a[0] for a in args), _over(parts))

    def named(self, parts: Parts) -> tuple[str, s.Node]:
        return "_".join(str(parts[0])[:-1].split()), parts[1]

    def positional(self, parts: Parts) -> tuple[str, s.Node]:
        return "", parts[0]

    def group(self, parts: Parts) -> s.Node:
        return parts[1]  # type: ignore[no-any-return]

    def negative(self, parts: Parts) -> s.Node:
        operand = parts[1]
        if isinstance(operand, s.Literal) and v.is_number(operand.value) and operand.value > 0:
            return s.Literal(-operand.value, "-" + operand.text, _over(parts))
        return s.Negative(operand, _over(parts))

    def binary(self, parts: Parts) -> s.Node:
        return s.Binary(str(parts[1]), parts[0], parts[2], _over(parts))

    def compare(self, parts: Parts) -> s.Node:
        return s.Compare(str(parts[1]), parts[0], parts[2], _over(parts))

    def unary(self, parts: Parts) -> s.Node:
        return s.Unary(str(parts[0]), parts[1], _over(parts))

    def between(self, parts: Parts) -> s.Node:
        return s.Between(parts[0], parts[1], parts[2], _over(parts))

    def tests(self, parts: Parts) -> s.Node:
        return s.Tests(_tests(parts), False, _over(parts))

    def outside(self, parts: Parts) -> s.Node:
        return s.Not(_tests(parts), _over(parts))

    def in_(self, parts: Parts, negated: bool = False) -> s.Node:
        tests = parts[1].tests if isinstance(parts[1], s.Tests) else (parts[1],)
        return s.In(parts[0], tests, negated, _over(parts))

    def not_in(self, parts: Parts) -> s.Node:
        return self.in_(parts, negated=True)

    def and_(self, parts: Parts) -> s.Node:
        return s.And(_flat(parts, s.And), _over(parts))

    def or_(self, parts: Parts) -> s.Node:
        return s.Or(_flat(parts, s.Or), _over(parts))

    def not_(self, parts: Parts) -> s.Node:
        return s.Not(_tests(parts[1:-1]), _over(parts))

    def if_(self, parts: Parts) -> s.Node:
        return s.If(parts[1], parts[2], parts[3], _over(parts))

    def over(self, parts: Parts) -> s.Node:
        return s.Binding(str(parts[0]), parts[1], None, _over(parts))

    def counting(self, parts: Parts) -> s.Node:
        return s.Binding(str(parts[0]), parts[1], parts[2], _over(parts))

    def quantified(self, parts: Parts) -> s.Node:
        return s.Quantified(str(parts[0]), tuple(parts[1:-1]), parts[-1], _over(parts))

    def for_(self, parts: Parts) -> s.Node:
        return s.For(tuple(parts[1:-1]), parts[-1], _over(parts))

    def list_(self, parts: Parts) -> s.Node:
        return s.ListOf(tuple(p for p in parts if not isinstance(p, Token)), _over(parts))

    def range_end(self, parts: Parts) -> s.Node:
        return parts[0]  # type: ignore[no-any-return]

    def range(self, parts: Parts) -> s.Node:
        opener, low, high, end = parts
        return s.RangeOf(low, high, opener == "[", end == "]", _over(parts))

    def unary_range(self, parts: Parts) -> s.Node:
        _, op, operand, _ = parts
        if op in ("=", "!="):
            return s.Unary(str(op), operand, _over(parts))
        low, high = (operand, None) if op[0] == ">" else (None, operand)
        return s.RangeOf(low, high, op == ">=", op == "<=", _over(parts))


def _tests(parts: Parts) -> tuple[s.Node, ...]:
    """Tests in a row; those of a parenthesis, `in ("US", "CA")`, stand among the others."""
    return tuple(i for p in parts for i in (p.tests if isinstance(p, s.Tests) else (p,)))


def _flat(parts: Parts, same: type[s.And] | type[s.Or]) -> tuple[s.Node, ...]:
    return tuple(i for p in parts for i in (p.items if isinstance(p, same) else (p,)))
