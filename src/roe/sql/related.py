"""Related records in SQL: lists, aggregates over them, loops, and the item at a place.

A list is a table whose rows name their record, an aggregate is that table grouped, a position is its rows numbered. So no dialect needs
correlated subqueries.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.printer import show
from roe.grammar.registry import Function
from roe.sql.compare import comparable
from roe.sql.forms import NoSql, Sql, column, double, equals, finite, is_null, literal, named
from roe.sql.functions import EXACT, filled
from roe.sql.query import Many, Query, RecordRow, SqlScalar, Translated

if TYPE_CHECKING:
    from roe.sql.translate import Translator


def quantified(t: Translator, node: s.Quantified, exact: bool) -> Sql:
    if len(node.bindings) != 1 or node.bindings[0].until is not None:
        raise NoSql("only loops over one relation can be written in SQL", node)
    source = t.value(node.bindings[0].source)
    if not isinstance(source, Many):
        raise NoSql(f"`{show(node.bindings[0].source)}` is not a relation", node)
    inner, item = t.inside(source)
    inner.names[node.bindings[0].name] = item
    held = inner.exact(node.condition)

    def any_of(test: Sql) -> Sql:
        return exp.func("MAX", exp.Case().when(test, literal(1)).else_(literal(0)))

    yes, maybe = any_of(held), any_of(is_null(exp.paren(held.copy())))
    no = any_of(exp.Not(this=exp.paren(held.copy())))
    alias = _grouped(t, source, inner, {"yes": yes, "maybe": maybe, "no": no}, "quantified")

    def is_one(name: str) -> Sql:
        return equals(exp.func("COALESCE", column(name, alias), literal(0)), literal(1))

    decides = "yes" if node.kind == "some" else "no"
    result = exp.Case().when(is_one(decides), exp.true() if node.kind == "some" else exp.false()).when(is_one("maybe"), exp.null())
    return result.else_(exp.false() if node.kind == "some" else exp.true())


def latest(t: Translator, node: s.Call) -> SqlScalar:
    """`max(append(dates, start))`: null if the start is, or any of the dates."""
    source, start = t.value(node.args[0]), t.scalar(node.args[1])
    if not isinstance(source, Many) or len(node.args) != 2:
        raise NoSql("`append` can be written in SQL only inside `max`, for a relation's field and one value", node)
    inner, item = t.inside(source)
    moment = _item(inner, item, source)
    of = {"most": exp.func("MAX", moment.sql), "known": exp.func("COUNT", moment.sql.copy()), "items": exp.Count(this=exp.Star())}
    alias = _grouped(t, source, inner, of, "latest")
    most = column("most", alias)
    unknown = exp.NEQ(this=column("known", alias), expression=column("items", alias))
    later = exp.Case().when(unknown, exp.null()).when(exp.GT(this=most, expression=start.sql), most.copy()).else_(start.sql.copy())
    return SqlScalar(later, start.kind)


def _item(inner: Translator, item: RecordRow, many: Many) -> SqlScalar:
    value: Translated = item
    for name in many.of:
        value = inner.field(value, name, s.Name(name))
    if not isinstance(value, SqlScalar):
        raise NoSql(f"the `{'.'.join(many.of)}` of related records is not a single value")
    return value


def _grouped(t: Translator, many: Many, inner: Translator, columns: dict[str, Sql], what: str) -> str:
    """Aggregates by owner as a table of their own, joined to the owner; the alias of the join."""
    made = inner.query.select(column(many.via, "i").as_("record"), *(named(sql, name) for name, sql in columns.items()))
    made = made.where(exp.Not(this=is_null(column(many.via, "i")))).group_by(column(many.via, "i"))
    table = t.statement.add(f"{many.entity}_{what}", made)
    return t.query.join(table, lambda a: equals(column("record", a), many.owner_key))


def aggregate(t: Translator, function: Function, many: Many) -> SqlScalar:
    """A function of a list, such as `sum`, over related records."""
    inner, item = t.inside(many)
    assert isinstance(function.sql, str)
    if function.sql == "COUNT(*)":  # of the rows, whatever is in them
        alias = _grouped(t, many, inner, {"items": exp.Count(this=exp.Star())}, function.name)
        return SqlScalar(exp.func("COALESCE", column("items", alias), literal(0)), "number", EXACT)
    value = _item(inner, item, many)
    comparable(t, value.kind)
    is_arithmetic = function.result == "number"
    if value.kind != "number" and (is_arithmetic or value.kind not in ("date", "date and time")):
        raise NoSql(f"`{function.name}` of a {value.kind} cannot be written the same way in every warehouse")
    total = filled(function.sql, {"list": double(value.sql) if is_arithmetic else value.sql}, t.statement.spelling)
    known = equals(exp.func("COUNT", value.sql.copy()), exp.Count(this=exp.Star()))
    total = finite(total) if is_arithmetic and value.most > EXACT else total
    alias = _grouped(t, many, inner, {"total": exp.Case().when(known, total)}, function.name)
    return SqlScalar(column("total", alias), value.kind)


def filtered(t: Translator, node: s.Filter) -> Translated:
    base = t.value(node.base)
    if not isinstance(base, Many) or base.of:
        raise NoSql(f"`{show(node.base)}` is not a relation", node)
    position = node.condition.value if isinstance(node.condition, s.Literal) else None
    if (
        isinstance(node.condition, s.Negative)
        and isinstance(node.condition.operand, s.Literal)
        and v.is_number(node.condition.operand.value)
    ):
        position = -node.condition.operand.value
    if position is not None and v.is_number(position):
        if position != int(position):
            raise NoSql("a position is a whole number", node)
        return _nth(t, base, int(position))
    return _narrowed(t, base, node.condition)


def _narrowed(t: Translator, base: Many, condition: s.Node) -> Many:
    inner, item = t.inside(base)
    inner.items, inner.names["item"] = (item,), item
    held = inner.true(condition)
    table = t.statement.add(
        f"{base.entity}_where",
        inner.query.select(exp.Column(this=exp.Star(), table=exp.to_identifier("i"))).where(held),
        show(condition),
    )
    return replace(base, table=table)


def _nth(t: Translator, base: Many, position: int) -> RecordRow:
    order = exp.Ordered(this=_by_id(t), desc=position < 0, nulls_first=False)
    inner = Query(t.statement, base.table, "i")
    return _ranked(t, base, inner, [order], abs(position), f"{base.entity}_ranked")


def _by_id(t: Translator) -> Sql:
    """The ids of items in the order of their bytes, as lists have them."""
    return t.statement.spelling.by_bytes(column("id", "i"))


def pick(t: Translator, node: s.Pick) -> RecordRow:
    """`latest` and `earliest`: the items that have a value, ranked by it, and of equals by their ids."""
    base = t.value(node.source)
    if not isinstance(base, Many) or base.of:
        raise NoSql(f"`{show(node.source)}` is not a relation", node)
    inner, item = t.inside(base)
    inner.items, inner.names["item"] = (item,), item
    by = inner.scalar(node.by)
    if by.kind not in ("number", "date", "date and time"):
        raise NoSql(f"the order of a {by.kind} depends on the warehouse", node)
    comparable(t, by.kind)
    order = [
        exp.Ordered(this=by.sql, desc=node.kind == "latest", nulls_first=False),
        exp.Ordered(this=_by_id(t), desc=False, nulls_first=False),
    ]
    known = exp.Not(this=is_null(by.sql.copy()))
    return _ranked(t, base, inner.query, order, 1, f"{base.entity}_{node.kind}", known)


def _ranked(t: Translator, base: Many, inner: Query, order: list[Sql], position: int, name: str, where: Sql = None) -> RecordRow:
    """The item at a place among its owner's, counted from 1."""
    number = exp.Window(this=exp.RowNumber(), partition_by=[column(base.via, "i")], order=exp.Order(expressions=order))
    made = inner.select(exp.Column(this=exp.Star(), table=exp.to_identifier("i")), named(number, "position"))
    table = t.statement.add(name, made.where(where) if where is not None else made)

    def on(alias: str) -> Sql:
        at = equals(column("position", alias), literal(position))
        return exp.and_(equals(column(base.via, alias), base.owner_key), at)

    alias = t.query.join(table, on)
    return RecordRow(base.entity, alias, column("id", alias))
