"""SQL in pieces that mean the same in every dialect: literals, arithmetic within bounds, and parentheses where they are needed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import reduce
from typing import TypeAlias

from sqlglot import exp

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.sql.dialects.dialect import Dialect

Sql: TypeAlias = exp.Expression


class NoSql(Exception):
    """A part of an expression has no form that every engine reads alike; the text says which, and why."""

    def __init__(self, what: str, node: s.Node | None = None) -> None:
        super().__init__(what)
        self.node = node


# --- names ----------------------------------------------------------------------------------------------------------

# words that some dialect takes for a part of its own language, even where a column is named
RESERVED = frozenset({
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "at", "between", "both", "by", "case", "cast", "check", "collate",
    "column", "constraint", "create", "cross", "current", "current_date", "current_time", "current_timestamp", "current_user", "default",
    "desc", "distinct", "do", "else", "end", "except", "exists", "false", "fetch", "for", "foreign", "from", "full", "grant", "group", "having",
    "in", "initially", "inner", "intersect", "interval", "into", "is", "join", "lateral", "leading", "left", "like", "limit", "localtime",
    "natural", "new", "not", "null", "of", "off", "offset", "old", "on", "only", "or", "order", "outer", "over", "overlaps", "partition",
    "pivot", "placing", "primary", "qualify", "range", "references", "returning", "right", "row", "rows", "select", "session_user", "similar",
    "some", "start", "symmetric", "system", "table", "tablesample", "then", "to", "trailing", "true", "union", "unique", "unpivot", "user",
    "using", "values", "when", "where", "window", "with",
})  # fmt: skip


def plain(name: str) -> str:
    """A step's name as SQL has it: the dot in `territory_owner.ae` would part two names."""
    return name.replace(".", "_")


def column(name: str, alias: str) -> exp.Column:
    return exp.column(exp.to_identifier(plain(name), quoted=name.lower() in RESERVED), table=alias)


def named(sql: Sql, name: str) -> exp.Expression:
    made: exp.Expression = exp.alias_(sql, exp.to_identifier(plain(name), quoted=name.lower() in RESERVED))
    return made


# --- literals -------------------------------------------------------------------------------------------------------

_JINJA = re.compile(r"(?<=\{)(?=[{%#])")  # what opens a template's expression, statement or comment


def text(value: str) -> Sql:
    """A text. dbt reads `{{`, `{%` and `{#` before any SQL, so their two characters stand apart."""
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise NoSql("the text has a character that databases cannot store")
    made: Sql = None
    for piece in _JINJA.split(value):
        one = exp.Literal.string(piece)
        made = one if made is None else exp.DPipe(this=made, expression=one)
    return made


def comment(value: object) -> str:
    """A text inside of a comment, which it can neither end nor leave."""
    safe = _JINJA.sub(" ", " ".join(str(value).split())).replace("*/", "* /").replace("/*", "/ *")
    return f" {safe} "


def literal(value: object) -> Sql:
    if value is None:
        return exp.null()
    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if v.is_number(value):
        made = exp.Literal.number(abs(value))
        return made if value >= 0 else exp.paren(exp.Neg(this=made))
    if isinstance(value, str):
        return text(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise NoSql("a date-time without a time zone would get one from the database")
        return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), "TIMESTAMPTZ")
    if isinstance(value, date):
        return exp.cast(exp.Literal.string(value.isoformat()), "DATE")
    raise NoSql(f"`{v.literal(value)}` cannot be written as a value in SQL")


# --- conditions and sums --------------------------------------------------------------------------------------------


def equals(a: Sql, b: Sql) -> Sql:
    return exp.EQ(this=a, expression=b)


def is_null(sql: Sql) -> Sql:
    return exp.Is(this=sql, expression=exp.null())


def is_one_of(sql: Sql, values: list[Sql]) -> Sql:
    return exp.In(this=sql, expressions=values) if len(values) > 1 else equals(sql, values[0])


def total(parts: Iterable[Sql]) -> Sql:
    return reduce(lambda a, b: exp.Add(this=a, expression=b), parts)


# --- numbers and dates within bounds --------------------------------------------------------------------------------


def double(sql: Sql) -> Sql:
    return exp.cast(sql.copy(), "DOUBLE")


def finite(sql: Sql) -> Sql:
    """A number, null beyond what a 64-bit float holds, as the language has it."""
    most = exp.Literal.number(repr(float(v.LARGEST)))
    inside = exp.Between(this=sql, low=exp.Neg(this=most), high=most.copy())
    return exp.Case().when(inside, sql.copy())


def plus(day: Sql, amount: int, unit: str, dialect: Dialect) -> Sql:
    """A date so many days or months later; null beyond the years 1 to 9999."""
    limit = v.attempt(lambda: _limit(amount, unit))
    if limit is None:
        return exp.null()
    inside = (exp.LTE if amount >= 0 else exp.GTE)(this=day.copy(), expression=literal(limit))
    return exp.Case().when(inside, exp.cast(dialect.moved(day, amount, unit), "DATE"))


def _limit(amount: int, unit: str) -> date:
    """The last day (the first, for a negative amount) whose sum the calendar has."""
    if unit == "DAY":
        return (date.max if amount >= 0 else date.min) - timedelta(days=amount)
    if amount < 0:
        first: date = v.add_months(date.min, -amount)
        return first
    last: date = v.add_months(date(9999, 12, 1), -amount)
    return date.max if amount == 0 else v.add_months(last, 1) - timedelta(days=1)


# --- parentheses ----------------------------------------------------------------------------------------------------

_SPELT_AS_OPERATORS = (exp.DateAdd, exp.DateSub, exp.DateDiff, exp.StrPosition)
_COMPARED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Between, exp.Not)


def is_operator(node: exp.Expression) -> bool:
    """Whether a node is written with an operator between or before its parts."""
    if isinstance(node, (exp.Paren, exp.Dot)):
        return False
    return isinstance(node, (exp.Binary, exp.Unary, exp.In, exp.Between, *_SPELT_AS_OPERATORS))


def grouped(tree: exp.Expression, every: bool = False) -> exp.Expression:
    """The tree with parentheses wherever its text would read as another tree. With `every` operand in them it can read as no other."""
    tree = tree.copy()
    for node in list(tree.walk()):
        if not is_operator(node):
            continue
        for key, child in list(node.args.items()):
            parts = child if isinstance(child, list) else [child]
            wrapped = [
                exp.Paren(this=p) if isinstance(p, exp.Expression) and is_operator(p) and _needs(node, p, every) else p for p in parts
            ]
            if any(a is not b for a, b in zip(parts, wrapped, strict=True)):
                node.set(key, wrapped if isinstance(child, list) else wrapped[0])
    return tree


def _needs(node: exp.Expression, part: exp.Expression, every: bool) -> bool:
    if isinstance(node, exp.Connector) and isinstance(part, type(node)):
        return False  # a chain of `and` is one, however it is read
    if every:
        return True
    if isinstance(node, exp.Connector):
        return not isinstance(part, _COMPARED)
    return not (isinstance(node, exp.Not) and isinstance(part, (exp.Is, exp.In)))
