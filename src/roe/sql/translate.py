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
from roe.grammar.closures import CLOCK, compile_expression
from roe.grammar.functions.history import LOOK_BACK, OWNERS
from roe.grammar.printer import show
from roe.sql.dialects.dialect import MONTHS, TIMES
from roe.sql.forms import NoSql, Sql, column, double, finite, literal, named, plus
from roe.sql.functions import ARITHMETIC, CONDITIONS, EXACT, FUNCTIONS, arithmetic, bounded, constant, is_constant, with_value
from roe.sql.query import Found, Many, OwnersByRole, Query, RecordOwners, RecordRow, Ref, RowOutputs, SqlScalar

if TYPE_CHECKING:
    from roe.policy.model import Field


class Translator:
    def __init__(self, query: Query, names: dict[str, RecordRow], items: tuple[RecordRow, ...] = ()) -> None:
        self.query, self.names, self.items = query, names, items
        self.statement = query.statement
        self.model = query.statement.policy.model
        self.steps: dict[str, Found] = {}  # those of a role that are computed by now, by name

    # --- conditions -------------------------------------------------------------------------------------------------

    def true(self, node: s.Node) -> Sql:
        """SQL that is true just where the expression is; elsewhere it may be false or null."""
        return self._condition(node, False)

    def exact(self, node: s.Node) -> Sql:
        """SQL that is true, false or null where the expression is."""
        return self._condition(node, True)

    def _condition(self, node: s.Node, exact: bool) -> Sql:
        if isinstance(node, s.Literal) and isinstance(node.value, bool):
            return exp.true() if node.value else exp.false()
        if isinstance(node, s.And):
            return exp.and_(*(self._condition(i, exact) for i in node.items))
        if isinstance(node, s.Or):
            return exp.or_(*(self._condition(i, exact) for i in node.items))
        if isinstance(node, s.Not):
            return exp.Not(this=exp.paren(self._condition(node.operands[0], True)))
        if isinstance(node, s.Compare):
            return self._compare(node, exact)
        if isinstance(node, s.Between):
            value = self.scalar(node.value)
            return exp.and_(self._order(">=", value, self.scalar(node.low)), self._order("<=", value, self.scalar(node.high)))
        if isinstance(node, s.In):
            return self._in(node, exact)
        if isinstance(node, s.Quantified):
            return self._quantified(node, exact)
        if isinstance(node, s.Call):
            made = CONDITIONS.get(node.function)
            if made is None:
                raise NoSql(f"`{node.function}` cannot be written the same way in every warehouse", node)
            return made(*(self.scalar(a, "string").sql for a in self._arguments(node, 2)))
        operand = self.value(node)
        if isinstance(operand, SqlScalar) and operand.kind in ("boolean", "null"):
            return operand.sql
        raise NoSql(f"`{show(node)}` cannot be written as a condition in SQL", node)

    def _arguments(self, node: s.Call, count: int) -> list[s.Node]:
        """The arguments of a call in the order of the parameters."""
        order = argument_order(node)
        if order is None or len(order) != count or None in order:
            raise NoSql(f"`{node.function}` with these arguments cannot be written the same way in every warehouse", node)
        return [node.args[i] for i in order if i is not None]

    def _compare(self, node: s.Compare, exact: bool) -> Sql:
        if node.op in ("=", "!="):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                if isinstance(other, s.Literal) and other.value is None:
                    missing = exp.Is(this=self.key(one), expression=exp.null())
                    return missing if node.op == "=" else exp.Not(this=missing)
        spans = self._span(node)
        if spans is not None:
            return spans
        left, right = self._side(node.left), self._side(node.right)
        if node.op in ("=", "!="):
            return self._equal(left, right, node.op == "=", exact, node)
        return self._order(node.op, left, right)

    def _side(self, node: s.Node) -> SqlScalar:
        value = self.value(node)
        if isinstance(value, SqlScalar):
            return value
        if isinstance(value, (RecordRow, Ref)):
            return SqlScalar(value.key, f"record {value.entity}")
        raise NoSql(f"`{show(node)}` cannot be compared in SQL", node)

    def _span(self, node: s.Compare) -> Sql | None:
        """`date - date` against a duration: a difference in days."""
        left, right = node.left, node.right
        if not (isinstance(left, s.Binary) and left.op == "-" and isinstance(right, s.Literal) and type(right.value) is timedelta):
            return None
        a, b = self.scalar(left.left), self.scalar(left.right)
        if a.kind != "date" or b.kind != "date" or right.value % timedelta(days=1):
            return None
        days = SqlScalar(exp.DateDiff(this=a.sql, expression=b.sql, unit=exp.var("DAY")), "number")
        number = SqlScalar(literal(right.value // timedelta(days=1)), "number")
        return self._equal(days, number, node.op == "=", True, node) if node.op in ("=", "!=") else self._order(node.op, days, number)

    def _equal(self, a: SqlScalar, b: SqlScalar, same: bool, exact: bool, node: s.Node) -> Sql:
        if "null" in (a.kind, b.kind):
            missing = exp.Is(this=(b if a.kind == "null" else a).sql, expression=exp.null())
            return missing if same else exp.Not(this=missing)
        if a.kind != b.kind:
            raise NoSql(f"`{show(node)}` compares a {a.kind} with a {b.kind}", node)
        self._comparable(a.kind)
        plain = exp.EQ(this=a.sql, expression=b.sql)
        if is_constant(a.sql) or is_constant(b.sql):  # the other side may be null, which is not equal
            if same:
                return exp.func("COALESCE", plain, exp.false()) if exact else plain
            other = a.sql if is_constant(b.sql) else b.sql
            return exp.paren(exp.or_(exp.NEQ(this=a.sql, expression=b.sql), exp.Is(this=other.copy(), expression=exp.null())))
        both = exp.and_(exp.Is(this=a.sql.copy(), expression=exp.null()), exp.Is(this=b.sql.copy(), expression=exp.null()))
        equal = exp.paren(exp.or_(exp.func("COALESCE", plain, exp.false()), both)) if exact or not same else exp.paren(exp.or_(plain, both))
        return equal if same else exp.Not(this=equal)

    def _comparable(self, kind: str) -> None:
        if kind == "date and time" and TIMES in self.statement.spelling.lacks:
            raise NoSql(self.statement.spelling.lacks[TIMES])
        if kind not in ("number", "string", "boolean", "date", "date and time") and not kind.startswith("record "):
            raise NoSql(f"a {kind} cannot be written the same way in every warehouse")

    def _order(self, op: str, a: SqlScalar, b: SqlScalar) -> Sql:
        if "null" in (a.kind, b.kind):
            return exp.null()
        if a.kind != b.kind or a.kind not in ("number", "date", "date and time", "string"):
            raise NoSql(f"a {a.kind} and a {b.kind} cannot be ordered in SQL")
        if a.kind == "string":
            raise NoSql("the order of texts depends on the warehouse's collation")
        self._comparable(a.kind)
        return _ORDER[op](this=a.sql, expression=b.sql)

    def _in(self, node: s.In, exact: bool) -> Sql:
        value = self._side(node.value)
        self._comparable(value.kind)
        exact = exact or node.negated
        plain: list[Sql] = []
        parts: list[Sql] = []
        for test in node.tests:
            for one in test.items if isinstance(test, s.ListOf) else (test,):
                self._test(one, value, node, exact, plain, parts)
        if plain:
            inside: Sql = exp.In(this=value.sql, expressions=plain) if len(plain) > 1 else exp.EQ(this=value.sql, expression=plain[0])
            parts.insert(0, exp.func("COALESCE", inside, exp.false()) if exact else inside)
        if not parts:
            parts = [exp.false()]
        either = exp.or_(*parts)
        return exp.Not(this=exp.paren(either)) if node.negated else exp.paren(either) if len(parts) > 1 else either

    def _test(self, test: s.Node, value: SqlScalar, node: s.In, exact: bool, plain: list[Sql], parts: list[Sql]) -> None:
        """One test of a value: a constant that it may equal goes to `plain`, anything else to `parts`."""
        if isinstance(test, s.Name) and test.id in self.statement.lists:
            if value.kind != "string":
                raise NoSql(f"a list holds texts, and `{show(node.value)}` is a {value.kind}", test)
            plain += [literal(x) for x in self.statement.lists[test.id]]
        elif isinstance(test, s.Literal) and test.value is None:
            parts.append(exp.Is(this=value.sql.copy(), expression=exp.null()))
        elif isinstance(test, s.Literal):
            if v.kind(test.value) != value.kind:
                raise NoSql(f"`{show(test)}` is not a {value.kind}", test)
            plain.append(literal(test.value))
        elif isinstance(test, s.Unary):
            operand = self._side(test.operand)
            same = test.op in ("=", "!=")
            parts.append(self._equal(value, operand, test.op == "=", exact, node) if same else self._order(test.op, value, operand))
        elif isinstance(test, s.RangeOf):
            parts.append(self._range(test, value, exact))
        elif isinstance(test, s.Not) and len(test.operands) == 1:
            parts.append(self._in(s.In(node.value, test.operands, True), exact))
        elif any(isinstance(n, s.Name) and n.id == "?" for n in s.walk(test)):
            parts.append(self._condition(with_value(test, node.value), exact))
        else:
            raise NoSql(f"the test `{show(test)}` cannot be written the same way in every warehouse", test)

    def _range(self, test: s.RangeOf, value: SqlScalar, exact: bool) -> Sql:
        """Whether a range holds a value; a range that ends before it begins is null."""
        low = self.scalar(test.low) if test.low is not None else None
        high = self.scalar(test.high) if test.high is not None else None
        ends = []
        if low is not None:
            ends.append(self._order(">=" if test.low_closed else ">", value, low))
        if high is not None:
            ends.append(self._order("<=" if test.high_closed else "<", value, high))
        inside = exp.and_(*ends)
        if low is None or high is None or not exact:
            return inside
        if isinstance(test.low, s.Literal) and isinstance(test.high, s.Literal):
            return exp.null() if v.less(test.high.value, test.low.value) is not False else inside
        return exp.Case().when(self._order("<", high, low), exp.null()).else_(inside)

    def _quantified(self, node: s.Quantified, exact: bool) -> Sql:
        if len(node.bindings) != 1 or node.bindings[0].until is not None:
            raise NoSql("only loops over one relation can be written in SQL", node)
        source = self.value(node.bindings[0].source)
        if not isinstance(source, Many):
            raise NoSql(f"`{show(node.bindings[0].source)}` is not a relation", node)
        inner, item = self._inside(source)
        inner.names[node.bindings[0].name] = item
        held = inner.exact(node.condition)

        def any_of(test: Sql) -> Sql:
            return exp.func("MAX", exp.Case().when(test, exp.Literal.number(1)).else_(exp.Literal.number(0)))

        yes, maybe = any_of(held), any_of(exp.Is(this=exp.paren(held.copy()), expression=exp.null()))
        no = any_of(exp.Not(this=exp.paren(held.copy())))
        alias = self._grouped(source, inner, {"yes": yes, "maybe": maybe, "no": no}, "quantified")

        def is_one(name: str) -> Sql:
            return exp.EQ(this=exp.func("COALESCE", column(name, alias), exp.Literal.number(0)), expression=exp.Literal.number(1))

        decides = "yes" if node.kind == "some" else "no"
        result = exp.Case().when(is_one(decides), exp.true() if node.kind == "some" else exp.false()).when(is_one("maybe"), exp.null())
        return result.else_(exp.false() if node.kind == "some" else exp.true())

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

    def value(self, node: s.Node) -> Found:
        constant = self._constant(node)
        if constant is not None:
            return constant
        if isinstance(node, s.Name):
            return self._name(node)
        if isinstance(node, s.Path):
            return self.field(self.value(node.base), node.field, node)
        if isinstance(node, s.Filter):
            return self._filter(node)
        if isinstance(node, s.If):
            return self._if(node)
        if isinstance(node, s.Binary):
            return bounded(self._binary(node))
        if isinstance(node, s.Pick):
            return self._pick(node)
        if isinstance(node, s.Negative):
            negated = bounded(self._operand(node.operand))
            if negated.kind not in ("number", "null"):
                raise NoSql(f"a {negated.kind} has no negative in SQL", node)
            return SqlScalar(exp.Neg(this=negated.sql), negated.kind, negated.most, negated.is_double)
        if isinstance(node, s.Call):
            return self._call(node)
        if isinstance(node, (s.And, s.Or, s.Not, s.Compare, s.Between, s.In, s.Quantified)):
            return SqlScalar(self._condition(node, True), "boolean")
        raise NoSql(f"`{show(node)}` cannot be written the same way in every warehouse", node)

    def _constant(self, node: s.Node) -> SqlScalar | None:
        """A part that names no record: its value, if time is not asked for or known."""
        evaluated = self._evaluated(node)
        if evaluated is not None and evaluated.kind == "date and time":
            self._comparable(evaluated.kind)
        return evaluated

    def _evaluated(self, node: s.Node) -> SqlScalar | None:
        if isinstance(node, s.Literal):
            return constant(node.value, node)
        names = {n.id for n in s.walk(node) if isinstance(n, s.Name)}
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

    def _name(self, node: s.Name) -> Found:
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

    def field(self, of: Found, name: str, node: s.Node) -> Found:
        if isinstance(of, Ref):
            if name == "id":
                return SqlScalar(of.key, "string")
            key = of.key
            alias = self.query.join(self.statement.table(of.entity), lambda a: exp.EQ(this=column("id", a), expression=key.copy()))
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

    def _fiscal(self, name: str, day: SqlScalar) -> SqlScalar:
        """The fiscal year or quarter of a date, by the month in which the policy's fiscal year starts."""
        fiscal = self.statement.policy.fiscal
        if day.kind == "null":
            return SqlScalar(exp.null(), "null")
        month, year = self.part(day.sql, "month"), self.part(day.sql.copy(), "year")
        if name == "fiscal_quarter":
            case = exp.Case()
            for quarter in range(4):
                months = [exp.Literal.number((fiscal.starts - 1 + 3 * quarter + i) % 12 + 1) for i in range(3)]
                case = case.when(exp.In(this=month.copy(), expressions=months), exp.Literal.number(quarter + 1))
            return SqlScalar(case, "number", EXACT)
        if fiscal.starts == 1:
            return SqlScalar(year, "number", EXACT)
        begun = exp.GTE(this=month, expression=exp.Literal.number(fiscal.starts))
        after, before = (exp.Add(this=year.copy(), expression=exp.Literal.number(1)), year) if fiscal.named_by_end else (
            year.copy(), exp.Sub(this=year, expression=exp.Literal.number(1)),
        )  # fmt: skip
        return SqlScalar(exp.Case().when(begun, after).when(exp.Not(this=begun.copy()), before), "number", EXACT)

    def _row_field(self, row: RecordRow, name: str, node: s.Node) -> Found:
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
            self._comparable(kind.name if kind is not None else "any")
        return self.statement.table(other)

    def _if(self, node: s.If) -> Found:
        then, otherwise = self._side(node.then), self._side(node.otherwise)
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
            return self._latest(node.args[0])
        if name in ("count", "sum", "min", "max", "mean") and len(node.args) == 1:
            source = self.value(node.args[0])
            if isinstance(source, Many):
                return self._aggregate(name, source)
        if name in CONDITIONS:
            return SqlScalar(self._condition(node, True), "boolean")
        if name in FUNCTIONS:
            kind, result, made = FUNCTIONS[name]
            given = self.scalar(self._arguments(node, 1)[0], kind)
            return SqlScalar(made(given.sql), result, given.most if kind == "number" else EXACT)
        if name in ("fiscal_year", "fiscal_quarter"):
            return self._fiscal(name, self.scalar(self._arguments(node, 1)[0], "date"))
        if name in LOOK_BACK:
            raise NoSql(f"`{name}` needs the ledger, which a warehouse does not have", node)
        raise NoSql(f"`{name}` cannot be written the same way in every warehouse", node)

    def _latest(self, node: s.Call) -> SqlScalar:
        """`max(append(dates, start))`: null if the start is, or any of the dates."""
        source, start = self.value(node.args[0]), self.scalar(node.args[1])
        if not isinstance(source, Many) or len(node.args) != 2:
            raise NoSql("`append` can be written in SQL only inside `max`, for a relation's field and one value", node)
        inner, item = self._inside(source)
        moment = self._item(inner, item, source)
        of = {"most": exp.func("MAX", moment.sql), "known": exp.func("COUNT", moment.sql.copy()), "items": exp.Count(this=exp.Star())}
        alias = self._grouped(source, inner, of, "latest")
        most = column("most", alias)
        unknown = exp.NEQ(this=column("known", alias), expression=column("items", alias))
        later = exp.Case().when(unknown, exp.null()).when(exp.GT(this=most, expression=start.sql), most.copy()).else_(start.sql.copy())
        return SqlScalar(later, start.kind)

    # --- related records --------------------------------------------------------------------------------------------

    def _inside(self, many: Many) -> tuple[Translator, RecordRow]:
        """A translator for the rows of a relation, from which the owner's own columns can be reached."""
        query = Query(self.statement, many.table, "i")
        item = RecordRow(many.entity, "i", column("id", "i"))
        names: dict[str, RecordRow] = {}
        for name, row in self.names.items():
            if not many.key and row.alias == many.owner.alias and row.entity == many.owner.entity:
                names[name] = _Outer(row.entity, many.via, query)
        return Translator(query, names), item

    def _item(self, inner: Translator, item: RecordRow, many: Many) -> SqlScalar:
        value: Found = item
        for name in many.of:
            value = inner.field(value, name, s.Name(name))
        if not isinstance(value, SqlScalar):
            raise NoSql(f"the `{'.'.join(many.of)}` of related records is not a single value")
        return value

    def _grouped(self, many: Many, inner: Translator, columns: dict[str, Sql], what: str) -> str:
        """Aggregates by owner as a table of their own, joined to the owner; the alias of the join."""
        made = inner.query.select(column(many.via, "i").as_("record"), *(named(sql, name) for name, sql in columns.items()))
        made = made.where(exp.Not(this=exp.Is(this=column(many.via, "i"), expression=exp.null()))).group_by(column(many.via, "i"))
        table = self.statement.add(f"{many.entity}_{what}", made)
        return self.query.join(table, lambda a: exp.EQ(this=column("record", a), expression=many.owner_key))

    def _aggregate(self, name: str, many: Many) -> SqlScalar:
        inner, item = self._inside(many)
        if name == "count":
            alias = self._grouped(many, inner, {"items": exp.Count(this=exp.Star())}, "count")
            return SqlScalar(exp.func("COALESCE", column("items", alias), exp.Literal.number(0)), "number", EXACT)
        value = self._item(inner, item, many)
        self._comparable(value.kind)
        if value.kind not in ("number", "date", "date and time") or (name in ("sum", "mean") and value.kind != "number"):
            raise NoSql(f"`{name}` of a {value.kind} cannot be written the same way in every warehouse")
        of = value.sql if name in ("min", "max") else double(value.sql)
        total = exp.func({"mean": "AVG"}.get(name, name.upper()), of)
        known = exp.EQ(this=exp.func("COUNT", value.sql.copy()), expression=exp.Count(this=exp.Star()))
        total = finite(total) if name in ("sum", "mean") and value.most > EXACT else total
        alias = self._grouped(many, inner, {"total": exp.Case().when(known, total)}, name)
        return SqlScalar(column("total", alias), value.kind)

    def _filter(self, node: s.Filter) -> Found:
        base = self.value(node.base)
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
            return self._nth(base, int(position))
        return self._narrowed(base, node.condition)

    def _narrowed(self, base: Many, condition: s.Node) -> Many:
        inner, item = self._inside(base)
        inner.items, inner.names["item"] = (item,), item
        held = inner.true(condition)
        table = self.statement.add(
            f"{base.entity}_where",
            inner.query.select(exp.Column(this=exp.Star(), table=exp.to_identifier("i"))).where(held),
            show(condition),
        )
        return replace(base, table=table)

    def _nth(self, base: Many, position: int) -> RecordRow:
        order = exp.Ordered(this=self._by_id(), desc=position < 0, nulls_first=False)
        inner = Query(self.statement, base.table, "i")
        return self._ranked(base, inner, [order], abs(position), f"{base.entity}_ranked")

    def _by_id(self) -> Sql:
        """The ids of items in the order of their bytes, as lists have them."""
        return self.statement.spelling.by_bytes(column("id", "i"))

    def _pick(self, node: s.Pick) -> RecordRow:
        """`latest` and `earliest`: the items that have a value, ranked by it, and of equals by their ids."""
        base = self.value(node.source)
        if not isinstance(base, Many) or base.of:
            raise NoSql(f"`{show(node.source)}` is not a relation", node)
        inner, item = self._inside(base)
        inner.items, inner.names["item"] = (item,), item
        by = inner.scalar(node.by)
        if by.kind not in ("number", "date", "date and time"):
            raise NoSql(f"the order of a {by.kind} depends on the warehouse", node)
        self._comparable(by.kind)
        order = [
            exp.Ordered(this=by.sql, desc=node.kind == "latest", nulls_first=False),
            exp.Ordered(this=self._by_id(), desc=False, nulls_first=False),
        ]
        known = exp.Not(this=exp.Is(this=by.sql.copy(), expression=exp.null()))
        return self._ranked(base, inner.query, order, 1, f"{base.entity}_{node.kind}", known)

    def _ranked(self, base: Many, inner: Query, order: list[Sql], position: int, name: str, where: Sql = None) -> RecordRow:
        """The item at a place among its owner's, counted from 1."""
        number = exp.Window(this=exp.RowNumber(), partition_by=[column(base.via, "i")], order=exp.Order(expressions=order))
        made = inner.select(exp.Column(this=exp.Star(), table=exp.to_identifier("i")), named(number, "position"))
        table = self.statement.add(name, made.where(where) if where is not None else made)

        def on(alias: str) -> Sql:
            at = exp.EQ(this=column("position", alias), expression=exp.Literal.number(position))
            return exp.and_(exp.EQ(this=column(base.via, alias), expression=base.owner_key), at)

        alias = self.query.join(table, on)
        return RecordRow(base.entity, alias, column("id", alias))


class _Outer(RecordRow):
    """The owner of related records, joined to them when one of its columns is read."""

    def __init__(self, entity: str, via: str, query: Query) -> None:
        self.entity, self._via, self._query = entity, via, query

    @property
    def alias(self) -> str:  # type: ignore[override]
        table = self._query.statement.table(self.entity)
        return self._query.join(table, lambda a: exp.EQ(this=column("id", a), expression=column(self._via, "i")))

    @property
    def key(self) -> Sql:
        return column(self._via, "i")


_ORDER: dict[str, type[Sql]] = {"<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE}
