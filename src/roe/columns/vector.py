"""Expressions over columns: the whole table's values of an expression at once.

Arithmetic, order and Kleene logic on numbers, dates and truths are NumPy operations; walks over related records are
gathers and segment reductions. Everything else is the row evaluator's own closure, asked once per distinct combination
of its operands, or, where an operand is a list of many kinds or a loop variable escapes, once per row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.arithmetic import ARITHMETIC, LAST_DAY, OPERATORS, both, either, floats, negated, ordered, truths_of
from roe.columns.column import (
    EPOCH,
    NO_DAY,
    ByRow,
    Column,
    Constant,
    Days,
    Instants,
    Lists,
    Numbers,
    OwnersColumn,
    Refs,
    Truths,
)
from roe.columns.functions import WHOLE_COLUMNS
from roe.columns.join import merge
from roe.columns.make import from_values, lookup
from roe.columns.reduce import nth
from roe.dynamic import Array, Value, Values
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.access import MAX_ITEMS, property_of
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show
from roe.grammar.scopes import CLOCK, IMPLICIT
from roe.progress import counted

if TYPE_CHECKING:
    from roe.columns.world import ColumnWorld


SLOW = 10_000  # rows from which a loop over them is shown as progress


class Frame:
    """What expressions see: `n` rows, the variables by name, and the records whose fields bare names mean, innermost last."""

    def __init__(
        self,
        world: ColumnWorld,
        n: int,
        names: Mapping[str, Column],
        items: tuple[Column, ...],
        outer: Frame | None = None,
        rows: Array = None,
    ) -> None:
        self.world, self.n, self.names, self.items = world, n, dict(names), items
        self.outer, self.rows = outer, rows
        self._known: dict[str, Column] = {}

    def inside(self, rows: Array, names: Mapping[str, Column], item: Column | None) -> Frame:
        """The frame of a loop's body: a row per item, with everything outside gathered to it when it is asked for."""
        items = tuple(i.take(rows) for i in self.items)
        return Frame(self.world, len(rows), names, (*items, item) if item is not None else items, self, rows)

    def name(self, name: str) -> Column:
        depth = len(self.items) - (1 if self.outer is not None and len(self.items) > len(self.outer.items) else 0)
        own = self.items[depth:]  # the item of a filter's own body goes before the variables
        column = self._first_field(own, name)
        column = self.variable(name) if column is None else column
        column = self._first_field(reversed(self.items[:depth] if own else self.items), name) if column is None else column
        return Constant(None, self.n) if column is None else column

    def _first_field(self, items: Iterable[Column], name: str) -> Column | None:
        """The field of the first record that has one of this name."""
        return next((column for item in items if (column := self._field_of(item, name)) is not None), None)

    def _field_of(self, item: Column, name: str) -> Column | None:
        if isinstance(item, Refs):
            return self.field(item, name) if name in self.world.fields[item.entity] else None
        raise ByRow

    def variable(self, name: str) -> Column | None:
        if name in self.names:
            return self.names[name]
        if self.outer is not None:
            column = self.outer.name(name) if self.outer.outer is not None else self.outer.variable(name)
            if column is not None:
                column = self.names[name] = column.take(self.rows)
            return column
        if name in self.world.base and name != CLOCK:
            return Constant(self.world.base[name], self.n)
        return None

    def field(self, of: Column, name: str) -> Column:
        """A field of records, of their owners, of a table row's outputs, or of each item of a list."""
        if isinstance(of, Refs):
            if name == "owner":
                return OwnersColumn(of)
            column: Column | None = self.world.tables[of.entity].column(name)
            if column is None:
                return Constant(None, of.n)
            return column if of.every else column.take(of.at)
        if isinstance(of, OwnersColumn):
            owner: Column | None = self.world.tables[of.records.entity].owner(name)
            if owner is None:
                return Constant(None, of.n)
            return owner if of.records.every else owner.take(of.records.at)
        if isinstance(of, Lists):
            inner = self.inside(of.rows, {}, None)
            return Lists(of.rows, inner.field(of.items, name), of.n)
        return lookup(lambda x: _field(x, name), [of], self.world)

    def eval(self, node: s.Node) -> Column:
        """The column of an expression."""
        key = show(node)
        column = self._known.get(key)
        if column is None:
            rule: Callable[[s.Node], Column] | None = getattr(self, "_" + type(node).__name__, None)
            try:
                if rule is None:
                    raise ByRow
                column = rule(node)
            except ByRow:
                column = self._by_fields(node) or self._by_row(node)
            self._known[key] = column
        return column

    # --- fallbacks --------------------------------------------------------------------------------------------------

    def _by_children(self, node: s.Node) -> Column:
        """The node as a function of its operands, asked once per distinct combination of them."""
        columns: list[Column] = []

        def hole(operand: s.Node) -> s.Node:
            if isinstance(operand, s.Literal):
                return operand
            columns.append(self.eval(operand))
            return s.Name(f"${len(columns)}")

        changed: Values = {}
        for name in s.FIELDS[type(node)]:
            operand = getattr(node, name)
            if type(operand) in s.FIELDS:
                changed[name] = hole(operand)
            elif type(operand) is tuple and operand and type(operand[0]) in s.FIELDS:
                changed[name] = tuple(map(hole, operand))
        return self._of(replace(node, **changed), columns)

    def _by_fields(self, node: s.Node) -> Column | None:
        """A loop that knows of a row only the fields that it walks over, asked once per distinct combination of them; None if it knows more."""
        if not isinstance(node, (s.For, s.Quantified)):
            return None
        columns: list[Column] = []
        bound = {binding.name for binding in node.bindings}

        def hole(part: s.Node) -> s.Node:
            if isinstance(part, s.BINDERS):
                return part
            if not isinstance(part, s.Path) or any(isinstance(inner, s.Name) and inner.id in bound for inner in s.walk(part)):
                return s.mapped(part, hole)
            columns.append(self.eval(part))
            return s.Name(f"${len(columns)}")

        loops = [replace(b, source=hole(b.source), until=b.until and hole(b.until)) for b in node.bindings]
        changed = replace(node, bindings=tuple(loops))
        known = bound | {f"${n + 1}" for n in range(len(columns))}
        if any(isinstance(part, s.Name) and part.id not in known for part in s.walk(changed)):
            return None
        return self._of(changed, columns)

    def _of(self, node: s.Node, columns: list[Column]) -> Column:
        """An expression of the variables `$1`, `$2`, …, one for each column."""
        code, scope = compile_expression(node), dict(self.world.base)
        names = [f"${i + 1}" for i in range(len(columns))]

        def asked(*values: Value) -> Value:
            scope.update(zip(names, values, strict=True))
            return code(scope)

        if all(isinstance(c, Constant) for c in columns):
            return Constant(asked(*[c.value for c in columns if isinstance(c, Constant)]), self.n)
        return lookup(asked, columns, self.world)

    def _by_row(self, node: s.Node) -> Column:
        """The row evaluator on each row, with the variables that the expression names."""
        code = compile_expression(node)
        used = s.names(node)
        variables = {name: self.variable(name) for name in sorted(used)}
        names = {name: c.values() for name, c in variables.items() if c is not None and not isinstance(c, Constant)}
        base = {**self.world.base, **{name: c.value for name, c in variables.items() if isinstance(c, Constant)}}
        items = self.items[-1].values() if self.items else [None] * self.n
        own = self.outer is not None and len(self.items) > len(self.outer.items)
        results = []
        rows = range(self.n)
        for i in counted(rows, self.n, "computing record by record") if self.n > SLOW else rows:
            scope = {**base, **{name: values[i] for name, values in names.items()}}
            item = items[i]
            scope[IMPLICIT] = item
            if own and isinstance(item, dict):
                scope |= {name: item[name] for name in used if name in item}
            results.append(code(scope))
        return from_values(results, self.world)

    # --- leaves -----------------------------------------------------------------------------------------------------

    def _Literal(self, node: s.Literal) -> Column:
        return Constant(node.value, self.n)

    def _Name(self, node: s.Name) -> Column:
        return self.name(node.id)

    def _Path(self, node: s.Path) -> Column:
        return self.field(self.eval(node.base), node.field)

    # --- logic ------------------------------------------------------------------------------------------------------

    def truths(self, node: s.Node) -> Array:
        """1, 0, -1 per row; what is not a boolean is unknown."""
        return truths_of(self.eval(node))

    def _And(self, node: s.And) -> Column:
        return Truths(reduce(both, map(self.truths, node.items), np.ones(self.n, np.int8)))

    def _Or(self, node: s.Or) -> Column:
        return Truths(reduce(either, map(self.truths, node.items), np.zeros(self.n, np.int8)))

    def _Not(self, node: s.Not) -> Column:
        return Truths(negated(self.truths(node.operands[0])))

    def _If(self, node: s.If) -> Column:
        yes = self.truths(node.condition) == 1
        then, otherwise = self.eval(node.then), self.eval(node.otherwise)
        if yes.all():
            return then
        if not yes.any():
            return otherwise
        return merge(yes, then, otherwise, self.world)

    # --- comparison -------------------------------------------------------------------------------------------------

    def _Compare(self, node: s.Compare) -> Column:
        return self._compare(node.op, self.eval(node.left), self.eval(node.right))

    def _compare(self, op: str, a: Column, b: Column) -> Column:
        if isinstance(a, Constant) and isinstance(b, Constant):
            return from_values([v.compare(op, a.value, b.value)]).take(np.zeros(self.n, np.int64))
        if isinstance(b, Constant) and b.value is None and op in ("=", "!="):
            return Truths((a.nulls() == (op == "=")).astype(np.int8))
        if isinstance(a, Constant) and a.value is None and op in ("=", "!="):
            return Truths((b.nulls() == (op == "=")).astype(np.int8))
        if isinstance(a, Refs) and isinstance(b, Refs) and a.entity == b.entity and op in ("=", "!="):
            return Truths(((a.at == b.at) == (op == "=")).astype(np.int8))  # a record is itself and nothing else
        pair = ordered(a, b)
        if pair is None:
            return lookup(lambda x, y: v.compare(op, x, y), [a, b], self.world)
        x, y, no_x, no_y = pair
        with np.errstate(invalid="ignore"):
            truths = OPERATORS[op](x, y).astype(np.int8)
        if op in ("=", "!="):
            same = np.asarray(no_x & no_y)
            either = np.asarray(no_x | no_y)
            truths = np.where(either, same if op == "=" else ~same, truths).astype(np.int8)
        else:
            truths = np.where(no_x | no_y, -1, truths).astype(np.int8)
        return Truths(np.broadcast_to(truths, (self.n,)) if truths.ndim == 0 else truths)

    def _Between(self, node: s.Between) -> Column:
        at = self.eval(node.value)
        low, high = self._compare("<=", self.eval(node.low), at), self._compare("<=", at, self.eval(node.high))
        return Truths(both(truths_of(low), truths_of(high)))

    def _In(self, node: s.In) -> Column:
        subject = self.eval(node.value)
        free = {n.id for t in node.tests for n in s.walk(t) if isinstance(n, s.Name)}
        constant = all(name in self.world.base for name in free) and all(self.variable(name) is not None for name in free)
        if constant and not isinstance(subject, (Numbers, Instants)):
            code = compile_expression(s.In(s.Name("$1"), node.tests, node.negated))
            base = self.world.base
            return lookup(lambda x: code({**base, "$1": x}), [subject], self.world)
        holds = reduce(either, (self._test(subject, test) for test in node.tests), np.zeros(self.n, np.int8))
        return Truths(negated(holds) if node.negated else holds)

    def _test(self, subject: Column, test: s.Node) -> Array:
        """One unary test of a value."""
        if isinstance(test, s.Unary):
            return truths_of(self._compare(test.op, subject, self.eval(test.operand)))
        if isinstance(test, s.RangeOf):
            low = self._compare("<=" if test.low_closed else "<", self.eval(test.low), subject) if test.low is not None else None
            high = self._compare("<=" if test.high_closed else "<", subject, self.eval(test.high)) if test.high is not None else None
            if test.low is not None and test.high is not None:
                order = truths_of(self._compare("<", self.eval(test.high), self.eval(test.low)))
                if (order != 0).any():  # a range the wrong way round is null
                    raise ByRow
            parts = [truths_of(c) for c in (low, high) if c is not None]
            return parts[0] if len(parts) == 1 else both(*parts)
        if isinstance(test, s.Literal):
            return truths_of(self._compare("=", subject, Constant(test.value, self.n)))
        raise ByRow

    # --- arithmetic -------------------------------------------------------------------------------------------------

    def _Binary(self, node: s.Binary) -> Column:
        a, b = self.eval(node.left), self.eval(node.right)
        x, y = floats(a), floats(b)
        if x is not None and y is not None and node.op in "+-*/" and (isinstance(a, Numbers) or isinstance(b, Numbers)):
            with np.errstate(all="ignore"):
                result = ARITHMETIC[node.op](x, y)
            result = np.where(np.isfinite(result), result, np.nan)
            return Numbers(np.broadcast_to(result, (self.n,)) if result.ndim == 0 else result)
        if isinstance(a, Days) and isinstance(b, Constant) and type(b.value) is timedelta and not b.value % timedelta(days=1):
            step = b.value // timedelta(days=1) * (1 if node.op == "+" else -1)
            moved = np.where(a.data == NO_DAY, NO_DAY, a.data + step)
            if node.op in "+-" and (moved[moved != NO_DAY] < LAST_DAY).all() and (moved[moved != NO_DAY] > -EPOCH).all():
                return Days(moved)
        return self._by_children(node)

    def _Negative(self, node: s.Negative) -> Column:
        operand = self.eval(node.operand)
        return Numbers(-operand.data) if isinstance(operand, Numbers) else self._by_children(node)

    # --- lists of related records -----------------------------------------------------------------------------------

    def _Filter(self, node: s.Filter) -> Column:
        base = self.eval(node.base)
        if not isinstance(base, Lists):
            raise ByRow
        if isinstance(node.condition, s.Literal) and v.is_number(node.condition.value):
            return nth(base, node.condition.value)
        if not isinstance(base.items, Refs):
            raise ByRow
        body = self.inside(base.rows, {"item": base.items}, base.items)
        condition = body.eval(node.condition)
        if not isinstance(condition, (Truths, Constant)) or (isinstance(condition, Constant) and v.is_number(condition.value)):
            raise ByRow
        true = np.flatnonzero(body.truths(node.condition) == 1)
        return Lists(base.rows[true], base.items.take(true), base.n)

    def _Pick(self, node: s.Pick) -> Column:
        base = self.eval(node.source)
        if not isinstance(base, Lists) or not isinstance(base.items, Refs):
            raise ByRow
        values = self.inside(base.rows, {"item": base.items}, base.items).eval(node.by)
        if not isinstance(values, (Numbers, Days, Instants)):
            raise ByRow
        known = np.flatnonzero(~values.nulls())
        amounts = values.data[known] if node.kind == "latest" else -values.data[known]
        order = np.lexsort((-known, amounts, base.rows[known]))  # of each row's items the best stands last, of equals the first
        rows = base.rows[known][order]
        ends = np.flatnonzero(np.append(rows[1:] != rows[:-1], True)) if len(rows) else rows
        best = np.full(base.n, -1, np.int64)
        best[rows[ends]] = known[order][ends]
        return base.items.take(best)

    def _Quantified(self, node: s.Quantified) -> Column:
        if len(node.bindings) != 1 or node.bindings[0].until is not None:
            raise ByRow
        binding = node.bindings[0]
        source = self.eval(binding.source)
        if not isinstance(source, Lists) or (len(source.rows) and np.bincount(source.rows).max() > MAX_ITEMS):
            raise ByRow
        body = self.inside(source.rows, {binding.name: source.items}, None)
        verdicts = body.truths(node.condition)
        decides = 1 if node.kind == "some" else 0
        decided = np.bincount(source.rows[verdicts == decides], minlength=self.n) > 0
        unknown = np.bincount(source.rows[verdicts == -1], minlength=self.n) > 0
        return Truths(np.where(decided, decides, np.where(unknown, -1, 1 - decides)).astype(np.int8))

    def _Call(self, node: s.Call) -> Column:
        count, whole = WHOLE_COLUMNS.get(node.function, (-1, None))
        if whole is not None and len(node.args) == count and (count == 1 or not any(node.names)):
            column = whole(self.world, [self.eval(a) for a in node.args])
            if column is not None:
                return column
        if any(isinstance(a, (s.RangeOf, s.Unary, s.For)) for a in node.args):
            raise ByRow
        return self._by_children(node)


def _field(value: Value, name: str) -> Value:
    if isinstance(value, dict):
        return value.get(name)
    if type(value) is list:
        return [_field(i, name) for i in value]
    return property_of(value, name)
