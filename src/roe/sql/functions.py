"""Functions and arithmetic of the language as SQL: one row each."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.sql.forms import NoSql, Sql, double, finite, literal
from roe.sql.query import SqlScalar

ARITHMETIC: dict[str, type[Sql]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul, "/": exp.Div}


EXACT = float(v.EXACT)


def with_value(test: s.Node, value: s.Node) -> s.Node:
    """A cell's condition with the value that it tests in the place of `?`."""
    if isinstance(test, s.Name) and test.id == "?":
        return value
    return s.mapped(test, lambda part: with_value(part, value))


def is_constant(sql: Sql) -> bool:
    inner = sql.this if isinstance(sql, (exp.Paren, exp.Cast)) else sql
    return isinstance(inner, (exp.Literal, exp.Boolean)) or (isinstance(inner, exp.Neg) and isinstance(inner.this, exp.Literal))


def constant(value: object, node: s.Node) -> SqlScalar | None:
    """A constant; None for what is not a single value. A duration has a form only where it is added to a date."""
    if isinstance(value, (list, dict, v.Range)):
        return None
    kind = v.kind(value)
    if "duration" in kind or kind == "time":
        raise NoSql(f"a {kind} cannot be written the same way in every warehouse", node)
    return SqlScalar(literal(value), kind, float(abs(value)) if v.is_number(value) else float(v.LARGEST))


def arithmetic(op: str, a: SqlScalar, b: SqlScalar) -> SqlScalar:
    """Arithmetic in 64-bit floats; null for what is larger than any of them, and for a division by zero."""
    left = a.sql if a.is_double or b.is_double or isinstance(a.sql, exp.Literal) else double(a.sql)
    right = double(b.sql) if isinstance(a.sql, exp.Literal) and not b.is_double else b.sql
    if op == "/":
        b = bounded(b)  # by more than the largest number everything is 0
        right = b.sql if b.is_double and not isinstance(a.sql, exp.Literal) else right
        right = right if is_constant(b.sql) and b.most else exp.func("NULLIF", right, exp.Literal.number(0))
    most = _most(op, a, b)
    return SqlScalar(exp.paren(ARITHMETIC[op](this=left, expression=right)), "number", math.inf if math.isnan(most) else most, True)


def _most(op: str, a: SqlScalar, b: SqlScalar) -> float:
    """How large the result can be at most."""
    if op == "/":
        least = b.most if is_constant(b.sql) else 1.0 if b.most <= EXACT and not b.is_double else 0.0  # a count is not a fraction
        return a.most / least if least else math.inf
    if op == "*":
        return max(a.most, b.most) if min(a.most, b.most) <= 1 else a.most * b.most
    most = a.most + b.most
    # a small one carries no finite number beyond the largest
    return min(most, max(a.most, b.most, float(v.LARGEST))) if min(a.most, b.most) < 1e291 else most


def bounded(number: SqlScalar) -> SqlScalar:
    """A number that is null where it is larger than any that the language has."""
    return replace(number, sql=finite(number.sql), most=float(v.LARGEST)) if math.isinf(number.most) else number


CONDITIONS: dict[str, Callable[..., Sql]] = {
    "starts_with": lambda a, b: exp.EQ(
        this=exp.Substring(this=a, start=exp.Literal.number(1), length=exp.Length(this=b.copy())), expression=b
    ),
    "ends_with": lambda a, b: exp.EQ(
        this=exp.Substring(
            this=a,
            start=exp.Add(
                this=exp.Sub(this=exp.Length(this=a.copy()), expression=exp.Length(this=b.copy())), expression=exp.Literal.number(1)
            ),
        ),
        expression=b,
    ),
    "contains": lambda a, b: _has_text(a, b),
}


def _has_text(a: Sql, b: Sql) -> Sql:
    inside = exp.GT(this=exp.StrPosition(this=a, substr=b), expression=exp.Literal.number(0))
    if isinstance(b, exp.Literal) and b.this:
        return inside
    empty = exp.EQ(this=b.copy(), expression=exp.Literal.string(""))  # which is in every text, and nowhere to some warehouses
    return exp.Case().when(exp.Is(this=a.copy(), expression=exp.null()), exp.null()).else_(exp.or_(empty, inside))


FUNCTIONS: dict[str, tuple[str, str, Callable[..., Sql]]] = {
    "abs": ("number", "number", lambda a: exp.Abs(this=a)),
    "floor": ("number", "number", lambda a: exp.Floor(this=a)),
    "ceiling": ("number", "number", lambda a: exp.Ceil(this=a)),
    "string_length": ("string", "number", lambda a: exp.Length(this=a)),
}
