"""Comparisons in SQL: equality with null, order, and the tests of a value against constants, lists and ranges."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlglot import exp

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.sql.dialects.dialect import TIMES
from roe.sql.forms import NoSql, Sql, equals, is_null, is_one_of, literal
from roe.sql.functions import is_constant, with_value
from roe.sql.query import RecordRow, Ref, SqlScalar

if TYPE_CHECKING:
    from roe.sql.translate import Translator

_ORDER: dict[str, type[Sql]] = {"<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}


def compared(t: Translator, node: s.Compare, exact: bool) -> Sql:
    if node.op in ("=", "!="):
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(other, s.Literal) and other.value is None:
                missing = is_null(t.key(one))
                return missing if node.op == "=" else exp.Not(this=missing)
    spans = _span(t, node)
    if spans is not None:
        return spans
    left, right = side(t, node.left), side(t, node.right)
    if node.op in ("=", "!="):
        return equal(t, left, right, node.op == "=", exact, node)
    return ordered(t, node.op, left, right)


def side(t: Translator, node: s.Node) -> SqlScalar:
    value = t.value(node)
    if isinstance(value, SqlScalar):
        return value
    if isinstance(value, (RecordRow, Ref)):
        return SqlScalar(value.key, f"record {value.entity}")
    raise NoSql(f"`{show(node)}` cannot be compared in SQL", node)


def _span(t: Translator, node: s.Compare) -> Sql | None:
    """`date - date` against a duration: a difference in days."""
    left, right = node.left, node.right
    if not (isinstance(left, s.Binary) and left.op == "-" and isinstance(right, s.Literal) and type(right.value) is timedelta):
        return None
    a, b = t.scalar(left.left), t.scalar(left.right)
    if a.kind != "date" or b.kind != "date" or right.value % timedelta(days=1):
        return None
    days = SqlScalar(exp.DateDiff(this=a.sql, expression=b.sql, unit=exp.var("DAY")), "number")
    number = SqlScalar(literal(right.value // timedelta(days=1)), "number")
    return equal(t, days, number, node.op == "=", True, node) if node.op in ("=", "!=") else ordered(t, node.op, days, number)


def equal(t: Translator, a: SqlScalar, b: SqlScalar, same: bool, exact: bool, node: s.Node) -> Sql:
    if "null" in (a.kind, b.kind):
        missing = is_null((b if a.kind == "null" else a).sql)
        return missing if same else exp.Not(this=missing)
    if a.kind != b.kind:
        raise NoSql(f"`{show(node)}` compares a {a.kind} with a {b.kind}", node)
    comparable(t, a.kind)
    plain = equals(a.sql, b.sql)
    if is_constant(a.sql) or is_constant(b.sql):  # the other side may be null, which is not equal
        if same:
            return exp.func("COALESCE", plain, exp.false()) if exact else plain
        other = a.sql if is_constant(b.sql) else b.sql
        return exp.paren(exp.or_(exp.NEQ(this=a.sql, expression=b.sql), is_null(other.copy())))
    both = exp.and_(is_null(a.sql.copy()), is_null(b.sql.copy()))
    equal = exp.paren(exp.or_(exp.func("COALESCE", plain, exp.false()), both)) if exact or not same else exp.paren(exp.or_(plain, both))
    return equal if same else exp.Not(this=equal)


def comparable(t: Translator, kind: str) -> None:
    if kind == "date and time" and TIMES in t.statement.spelling.lacks:
        raise NoSql(t.statement.spelling.lacks[TIMES])
    if kind not in ("number", "string", "boolean", "date", "date and time") and not kind.startswith("record "):
        raise NoSql(f"a {kind} cannot be written the same way in every warehouse")


def ordered(t: Translator, op: str, a: SqlScalar, b: SqlScalar) -> Sql:
    if "null" in (a.kind, b.kind):
        return exp.null()
    if a.kind != b.kind or a.kind not in ("number", "date", "date and time", "string"):
        raise NoSql(f"a {a.kind} and a {b.kind} cannot be ordered in SQL")
    if a.kind == "string":
        raise NoSql("the order of texts depends on the warehouse's collation")
    comparable(t, a.kind)
    return _ORDER[op](this=a.sql, expression=b.sql)


def tested(t: Translator, node: s.In, exact: bool) -> Sql:
    value = side(t, node.value)
    comparable(t, value.kind)
    exact = exact or node.negated
    plain: list[Sql] = []
    parts: list[Sql] = []
    for test in node.tests:
        for one in test.items if isinstance(test, s.ListOf) else (test,):
            _test(t, one, value, node, exact, plain, parts)
    if plain:
        inside = is_one_of(value.sql, plain)
        parts.insert(0, exp.func("COALESCE", inside, exp.false()) if exact else inside)
    if not parts:
        parts = [exp.false()]
    either = exp.or_(*parts)
    return exp.Not(this=exp.paren(either)) if node.negated else exp.paren(either) if len(parts) > 1 else either


def _test(t: Translator, test: s.Node, value: SqlScalar, node: s.In, exact: bool, plain: list[Sql], parts: list[Sql]) -> None:
    """One test of a value: a constant that it may equal goes to `plain`, anything else to `parts`."""
    if isinstance(test, s.Name) and test.id in t.statement.lists:
        if value.kind != "string":
            raise NoSql(f"a list holds texts, and `{show(node.value)}` is a {value.kind}", test)
        plain += [literal(x) for x in t.statement.lists[test.id]]
    elif isinstance(test, s.Literal) and test.value is None:
        parts.append(is_null(value.sql.copy()))
    elif isinstance(test, s.Literal):
        if v.kind(test.value) != value.kind:
            raise NoSql(f"`{show(test)}` is not a {value.kind}", test)
        plain.append(literal(test.value))
    elif isinstance(test, s.Unary):
        operand = side(t, test.operand)
        same = test.op in ("=", "!=")
        parts.append(equal(t, value, operand, test.op == "=", exact, node) if same else ordered(t, test.op, value, operand))
    elif isinstance(test, s.RangeOf):
        parts.append(_range(t, test, value, exact))
    elif isinstance(test, s.Not) and len(test.operands) == 1:
        parts.append(tested(t, s.In(node.value, test.operands, True), exact))
    elif "?" in s.names(test):
        parts.append(t.condition(with_value(test, node.value), exact))
    else:
        raise NoSql(f"the test `{show(test)}` cannot be written the same way in every warehouse", test)


def _range(t: Translator, test: s.RangeOf, value: SqlScalar, exact: bool) -> Sql:
    """Whether a range holds a value; a range that ends before it begins is null."""
    low = t.scalar(test.low) if test.low is not None else None
    high = t.scalar(test.high) if test.high is not None else None
    ends = []
    if low is not None:
        ends.append(ordered(t, ">=" if test.low_closed else ">", value, low))
    if high is not None:
        ends.append(ordered(t, "<=" if test.high_closed else "<", value, high))
    inside = exp.and_(*ends)
    if low is None or high is None or not exact:
        return inside
    if isinstance(test.low, s.Literal) and isinstance(test.high, s.Literal):
        return exp.null() if v.less(test.high.value, test.low.value) is not False else inside
    return exp.Case().when(ordered(t, "<", high, low), exp.null()).else_(inside)
