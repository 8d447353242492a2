"""Arithmetic of the language as SQL, and the SQL forms of its functions (`grammar/registry.py`) with their arguments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp, parse_one
from sqlglot.optimizer.simplify import simplify

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.sql.dialects.dialect import Dialect
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
        right = right if is_constant(b.sql) and b.most else exp.func("NULLIF", right, literal(0))
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


def filled(form: str, arguments: Mapping[str, Sql], dialect: Dialect) -> Sql:
    """A function's form in SQL with the arguments for its parameters' names, and simpler where they are known."""
    known = {name: sql for name, sql in arguments.items() if isinstance(sql, exp.Literal)}
    tree = simplify(_replaced(parse_one(form), known)) if known else parse_one(form)
    tree = tree.transform(lambda n: dialect.calendar_part(n.expression, n.name.lower()) if isinstance(n, exp.Extract) else n)
    return _replaced(tree, arguments)


def _replaced(tree: Sql, arguments: Mapping[str, Sql]) -> Sql:
    return tree.transform(lambda n: arguments[n.name].copy() if isinstance(n, exp.Column) and n.name in arguments else n)
