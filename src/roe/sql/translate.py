"""Expressions to SQL with the language's own meaning, null for null; what has no such form raises `NoSql`.

A query under construction is a base table and the left joins that its expressions ask for. Related records are tables
with a key: a list is a table whose rows name their record, an aggregate is that table grouped, a position is its rows
numbered. So no dialect needs correlated subqueries.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlglot import exp

from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.calls import argument_order
from roe.grammar.closures import compile_expression
from roe.grammar.functions import BY_NAME
from roe.grammar.functions.history import OWNERS
from roe.grammar.printer import show
from roe.grammar.registry import Function
from roe.grammar.scopes import CLOCK
from roe.sql.compare import comparable, compared, ordered, side, tested
from roe.sql.dialects.dialect import MONTHS
from roe.sql.forms import NoSql, Sql, column, equals, plus
from roe.sql.functions import ARITHMETIC, EXACT, arithmetic, bounded, constant, filled
from roe.sql.query import Many, OwnersByRole, Query, RecordOwners, RecordRow, Ref, RowOutputs, SqlScalar, Translated
from roe.sql.related import aggregate, filtered, latest, pick, quantified

if TYPE_CHECKING:
    from roe.policy.model import Field


class Translator:
    def __init__(self, query: Query, names: dict[str, RecordRow], items: tuple[RecordRow, ...] = ()) -> None:
        self.query, self.names, self.items = query, names, items
        self.statement = query.statement
        self.model = query.statement.policy.model
        self.steps: dict[str, Translated] = {}  # those of a role that are computed by now, by name

    # --- conditions -------------------------------------------------------------------------------------------------

    def true(self, node: s.Node) -> Sql:
        """SQL that is true just where the expression is; elsewhere it may be false or null."""
        return self.condition(node, False)

    def exact(self, node: s.Node) -> Sql:
        """SQL that is true, false or null where the expression is."""
        return self.condition(node, True)

    def condition(self, node: s.Node, exact: bool) -> Sql:
        if isinstance(node, s.Literal) and isinstance(node.value, bool):
            return exp.true() if node.value else exp.false()
        if isinstance(node, s.And):
            return exp.and_(*(self.condition(i, exact) for i in node.items))
        if isinstance(node, s.Or):
            return exp.or_(*(self.condition(i, exact) for i in node.items))
        if isinstance(node, s.Not):
            return exp.Not(this=exp.paren(self.condition(node.operands[0], True)))
        if isinstance(node, s.Compare):
            return compared(self, node, exact)
        if isinstance(node, s.Between):
            value = self.scalar(node.value)
            return exp.and_(ordered(self, ">=", value, self.scalar(node.low)), ordered(self, "<=", value, self.scalar(node.high)))
        if isinstance(node, s.In):
            return tested(self, node, exact)
        if isinstance(node, s.Quantified):
            return quantified(self, node, exact)
        operand = self._call(node) if isinstance(node, s.Call) else self.value(node)
        if isinstance(operand, SqlScalar) and operand.kind in ("boolean", "null"):
            return operand.sql
        raise NoSql(f"`{show(node)}` cannot be written as a condition in SQL", node)

    def _arguments(self, node: s.Call, count: int) -> list[s.Node]:
        """The arguments of a call in the order of the parameters."""
        order = argument_order(node)
        if order is None or len(order) != count or None in order:
            raise NoSql(f"`{node.function}` with these arguments cannot be written the same way in every warehouse", node)
        return [node.args[i] for i in order if i is not None]

    # --- values -----------------------------------------------------------------------------------------------------

    def scalar(self, node: s.Node, kind: str = "") -> SqlScalar:
        value = self.value(node)
        if not isinstance(value, SqlScalar) or (kind and value.kind not in (kind, "null")):
            raise NoSql(f"`{show(node)}` is not a {kind or 'single value'} in SQL", node)
        return value

    def key(self, node: s.Node) -> Sql:
        """What is null just where the expression is."""
        value = self.value(node)
        if isinstance(value, SqlScalar):
            return value.sql
        if isinstance(value, (RecordRow, Ref)):
            return value.key
        if isinstance(value, RowOutputs):
            return column(f"{value.prefix}__held", value.row.alias)
        raise NoSql(f"`{show(node)}` is never null", node)

    def value(self, node: s.Node) -> Translated:
        constant = self._constant(node)
        if constant is not None:
            return constant
        if isinstance(node, s.Name):
            return self._name(node)
        if isinstance(node, s.Path):
            return self.field(self.value(node.base), node.field, node)
        if isinstance(node, s.Filter):
            return filtered(self, node)
        if isinstance(node, s.If):
            return self._if(node)
        if isinstance(node, s.Binary):
            return bounded(self._binary(node))
        if isinstance(node, s.Pick):
            return pick(self, node)
        if isinstance(node, s.Negative):
            negated = bounded(self._operand(node.operand))
            if negated.kind not in ("number", "null"):
                raise NoSql(f"a {negated.kind} has no negative in SQL", node)
            return SqlScalar(exp.Neg(this=negated.sql), negated.kind, negated.most, negated.is_double)
        if isinstance(node, s.Call):
            return self._call(node)
        if isinstance(node, (s.And, s.Or, s.Not, s.Compare, s.Between, s.In, s.Quantified)):
            return SqlScalar(self.condition(node, True), "boolean")
        raise NoSql(f"`{show(node)}` cannot be written the same way in every warehouse", node)

    def _constant(self, node: s.Node) -> SqlScalar | None:
        """A part that names no record: its value, if time is not asked for or known."""
        evaluated = self._evaluated(node)
        if evaluated is not None and evaluated.kind == "date and time":
            comparable(self, evaluated.kind)
        return evaluated

    def _evaluated(self, node: s.Node) -> SqlScalar | None:
        if isinstance(node, s.Literal):
            return constant(node.value, node)
        names = s.names(node)
        binds = any(isinstance(n, (s.For, s.Quantified, s.Filter, s.Pick)) for n in s.walk(node))
        if not names <= {"today", "now"} or binds or isinstance(node, (s.ListOf, s.RangeOf, s.Unary)):
            return None
        clock = self.statement.clock
        if clock is None:
            if isinstance(node, s.Name):
                return SqlScalar(exp.CurrentDate(), "date") if node.id == "today" else SqlScalar(exp.CurrentTimestamp(), "date and time")
            return None
        value = compile_expression(node)({"today": clock.today, "now": clock.now, CLOCK: clock})
        return constant(value, node)

    def _name(self, node: s.Name) -> Translated:
        if node.id in self.steps:
            return self.steps[node.id]
        for item in reversed(self.items):
            if self._has(item, node.id):
                return self.field(item, node.id, node)
        if node.id in self.names:
            return self.names[node.id]
        for row in self.names.values():
            if self._has(row, node.id):
                return self.field(row, node.id, node)
        raise NoSql(f"`{node.id}` cannot be reached in SQL", node)

    def _has(self, row: RecordRow, name: str) -> bool:
        return name in self.model.entities[row.entity] or (row.entity, name) in self.statement.compiled.steps

    def field(self, of: Translated, name: str, node: s.Node) -> Translated:
        if isinstance(of, Ref):
            if name == "id":
                return SqlScalar(of.key, "string")
            key = of.key
            alias = self.query.join(self.statement.table(of.entity), lambda a: equals(column("id", a), key.copy()))
            of = RecordRow(of.entity, alias, column("id", alias))
        if isinstance(of, RecordOwners):
            return Ref("rep", column(f"owner_{name}", of.row.alias))
        if isinstance(of, RowOutputs):
            return SqlScalar(column(f"{of.prefix}__{name}", of.row.alias), self.statement.struct_kind(of.prefix, of.row.entity, name))
        if isinstance(of, OwnersByRole):
            return Ref("rep", column(of.steps[name], of.row.alias))
        if isinstance(of, Many):
            return replace(of, of=(*of.of, name))
        if isinstance(of, RecordRow):
            return self._row_field(of, name, node)
        if isinstance(of, SqlScalar) and of.kind == "date" and name in ("year", "month", "day"):
            return SqlScalar(self.part(of.sql, name), "number", EXACT)
        raise NoSql(f"`{show(node)}` cannot be written the same way in every warehouse", node)

    def part(self, day: Sql, part: str) -> Sql:
        """A date's year, month or day as a number."""
        return self.statement.spelling.calendar_part(day, part)

    def _row_field(self, row: RecordRow, name: str, node: s.Node) -> Translated:
        try:
            step = self.statement.step(row.entity, name)
        except NoSql as e:
            raise NoSql(str(e), node) from e
        if step is not None:
            return step(self, row)
        if name == "owner":
            return RecordOwners(row)
        if name == "local_day" and row.entity == "rep":  # the policy's day: a warehouse has no clocks of other zones
            return self.value(s.Name("today"))
        f = self.model.entities[row.entity].get(name)
        if f is None and name == OWNERS:
            raise NoSql(f"`{show(node)}` is in the ledger, which a warehouse does not have", node)
        if f is None:
            raise NoSql(f"`{show(node)}` is not a stored field", node)
        if f.via and f.type.item:
            return Many(row, f.type.item.entity, self._keyed(row, f), f.via, key=f.key)
        if f.type.name == "record":
            return Ref(f.type.entity, column(name, row.alias))
        return SqlScalar(column(name, row.alias), f.type.name)

    def _keyed(self, row: RecordRow, f: Field) -> str:
        """The table of a relation's records; by a key, both sides must be there, and be what SQL compares alike."""
        assert f.type.item is not None
        other = f.type.item.entity
        for entity, name in ((row.entity, f.key), (other, f.via)) if f.key else ():
            self.statement.step(entity, name)
            kind = self.model.field_type(entity, name)
            comparable(self, kind.name if kind is not None else "any")
        return self.statement.table(other)

    def _if(self, node: s.If) -> Translated:
        then, otherwise = side(self, node.then), side(self, node.otherwise)
        kind = then.kind if otherwise.kind == "null" else otherwise.kind
        if then.kind not in (kind, "null"):
            raise NoSql(f"`{show(node)}` gives two kinds of value", node)
        made = exp.Case().when(self.true(node.condition), then.sql).else_(otherwise.sql)
        return Ref(kind.removeprefix("record "), made) if kind.startswith("record ") else SqlScalar(made, kind)

    def _binary(self, node: s.Binary) -> SqlScalar:
        left = self.value(node.left)
        amount = node.right.value if isinstance(node.right, s.Literal) else None
        if (
            isinstance(left, SqlScalar)
            and left.kind == "date"
            and node.op in "+-"
            and (type(amount) is timedelta or isinstance(amount, v.Months))
        ):
            return self._moved(left, amount if node.op == "+" else v.negate(amount), node)
        a, b = self._operand(node.left), self._operand(node.right)
        if a.kind == b.kind == "number" and node.op in ARITHMETIC:
            return arithmetic(node.op, a, b)
        if a.kind == b.kind == "string" and node.op == "+":
            return SqlScalar(exp.DPipe(this=a.sql, expression=b.sql), "string")
        raise NoSql(f"`{show(node)}` cannot be written the same way in every warehouse", node)

    def _operand(self, node: s.Node) -> SqlScalar:
        """An operand of arithmetic. What may have grown beyond the largest number is seen to once, at the end of it all."""
        arithmetic = isinstance(node, s.Binary) and self._constant(node) is None
        return self._binary(node) if arithmetic else self.scalar(node)  # type: ignore[arg-type]

    def _moved(self, day: SqlScalar, amount: timedelta | v.Months, node: s.Node) -> SqlScalar:
        """A date so much later or, where the amount is negative, earlier."""
        dialect = self.statement.spelling
        if isinstance(amount, v.Months):
            if MONTHS in dialect.lacks:
                raise NoSql(dialect.lacks[MONTHS], node)
            return SqlScalar(plus(day.sql, amount.months, "MONTH", dialect), "date")
        if amount % timedelta(days=1):
            raise NoSql("hours cannot be added to a date in every warehouse", node)
        return SqlScalar(plus(day.sql, amount // timedelta(days=1), "DAY", dialect), "date")

    def _call(self, node: s.Call) -> SqlScalar:
        name = node.function
        if name == "max" and len(node.args) == 1 and isinstance(node.args[0], s.Call) and node.args[0].function == "append":
            return latest(self, node.args[0])
        row = BY_NAME[name]
        if row.sql and not row.variadic:
            return self._function(row, node)
        if row.sql and len(node.args) == 1 and isinstance(source := self.value(node.args[0]), Many):
            return aggregate(self, row, source)
        raise NoSql(f"`{name}` {row.no_sql}", node)

    def _function(self, row: Function, node: s.Call) -> SqlScalar:
        """A function of single values, none of which may be left out; null if one of them is."""
        parameters = [p for p in row.parameters if not p.optional]
        given = [self.scalar(a, p.type.split("|")[0]) for a, p in zip(self._arguments(node, len(parameters)), parameters, strict=True)]
        if any(g.kind == "null" for g in given):
            return SqlScalar(exp.null(), "null")
        form = row.sql if isinstance(row.sql, str) else row.sql(self.statement.policy.fiscal)
        made = filled(form, {p.name: g.sql for p, g in zip(parameters, given, strict=True)}, self.statement.spelling)
        first = given[0]
        return SqlScalar(made, first.kind if row.result == "any" else row.result, first.most if first.kind == "number" else EXACT)

    # --- related records --------------------------------------------------------------------------------------------

    def inside(self, many: Many) -> tuple[Translator, RecordRow]:
        """A translator for the rows of a relation, from which the owner's own columns can be reached."""
        query = Query(self.statement, many.table, "i")
        item = RecordRow(many.entity, "i", column("id", "i"))
        names: dict[str, RecordRow] = {}
        for name, row in self.names.items():
            if not many.key and row.alias == many.owner.alias and row.entity == many.owner.entity:
                names[name] = _Outer(row.entity, many.via, query)
        return Translator(query, names), item


class _Outer(RecordRow):
    """The owner of related records, joined to them when one of its columns is read."""

    def __init__(self, entity: str, via: str, query: Query) -> None:
        self.entity, self._via, self._query = entity, via, query

    @property
    def alias(self) -> str:  # type: ignore[override]
        table = self._query.statement.table(self.entity)
        return self._query.join(table, lambda a: equals(column("id", a), column(self._via, "i")))

    @property
    def key(self) -> Sql:
        return column(self._via, "i")
