"""Syntax trees compiled to closures: `compile_expression(tree)` gives a function of a scope, and that is all of it.

A *scope* is a dict from names to values; `CLOCK` in it holds the run's clock. Each node becomes one small closure over
its parts, so the cost of an evaluation is the calls and nothing else: no dispatch, no tree walk. To *observe* an
evaluation (for the trace, `roe eval`, failing tests) the same compiler is given a `watch`: it wraps the closure of every
node, sees its value, and cannot change it. So an explanation is the evaluation, never a second one beside it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.access import MAX_ITEMS, as_list, count_between, nth, property_of, unary_range
from roe.grammar.calls import argument_order
from roe.grammar.functions import BY_NAME
from roe.grammar.registry import Function
from roe.grammar.scopes import CLOCK, Code, Scope, Watch, item_scopes, look_up


def compile_expression(node: s.Node, watch: Watch | None = None) -> Code:
    """A closure that gives the node's value in a scope. It is total: it has a value, null at worst, and never raises."""
    return _Compiler(watch).code(node)


# Most operands are numbers. Python's own operators give what those of the language give, and asking for no kind makes them several times as fast.
_OF_NUMBERS: dict[str, tuple[Callable[[Value, Value], Value], Callable[[Scope, Value, Value], Value]]] = {
    "+": (operator.add, lambda scope, a, b: scope[CLOCK].add(a, b)),
    "-": (operator.sub, lambda scope, a, b: scope[CLOCK].subtract(a, b)),
    "*": (operator.mul, lambda scope, a, b: v.multiply(a, b)),
}
_ORDER_OF_NUMBERS: dict[str, Callable[[Value, Value], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class _Compiler:
    def __init__(self, watch: Watch | None) -> None:
        self.watch = watch

    def code(self, node: s.Node) -> Code:
        made: Code = getattr(self, type(node).__name__)(node)
        return self.watch(node, made) if self.watch else made

    # --- leaves and paths -------------------------------------------------------------------------------------------

    def Literal(self, node: s.Literal) -> Code:
        value = node.value
        return lambda scope: value

    def Name(self, node: s.Name) -> Code:
        return look_up(node.id)

    def Path(self, node: s.Path) -> Code:
        base, field = self.code(node.base), node.field

        def path(scope: Scope) -> Value:
            at = base(scope)
            if isinstance(at, dict):
                return at.get(field)
            if type(at) is list:
                return [i.get(field) if isinstance(i, dict) else property_of(i, field) for i in at]
            return property_of(at, field)

        return path

    def Filter(self, node: s.Filter) -> Code:
        base, condition = self.code(node.base), self.code(node.condition)
        if isinstance(node.condition, s.Literal) and v.is_number(node.condition.value):
            position = node.condition.value
            return lambda scope: nth(base(scope), position)

        scopes = item_scopes(node.condition)

        def keep(scope: Scope) -> Value:
            items = as_list(base(scope))
            passing = []
            for item, inner in scopes(items, scope):
                verdict = condition(inner)
                if v.is_number(verdict):
                    return nth(items, verdict)
                if verdict is True:
                    passing.append(item)
            return passing

        return keep

    def Pick(self, node: s.Pick) -> Code:
        source, by = self.code(node.source), self.code(node.by)
        scopes = item_scopes(node.by)
        better = v.COMPARE[">" if node.kind == "latest" else "<"]

        def pick(scope: Scope) -> object:
            best = best_value = None
            for item, inner in scopes(as_list(source(scope)), scope):
                value = by(inner)
                if value is None:
                    continue
                wins = True if best_value is None else better(value, best_value)
                if wins is None or v.less(value, value) is None:  # values of two kinds, or of one without an order
                    return None
                if wins:
                    best, best_value = item, value
            return best

        return pick

    # --- operators --------------------------------------------------------------------------------------------------

    def Negative(self, node: s.Negative) -> Code:
        operand = self.code(node.operand)
        return lambda scope: v.negate(operand(scope))

    def Binary(self, node: s.Binary) -> Code:
        left, right = self.code(node.left), self.code(node.right)
        if node.op not in _OF_NUMBERS:
            act = v.ARITHMETIC[node.op]
            return lambda scope: act(left(scope), right(scope))
        of_numbers, of_any = _OF_NUMBERS[node.op]

        def arithmetic(scope: Scope) -> object:
            a, b = left(scope), right(scope)
            if type(a) in v.NUMBERS and type(b) in v.NUMBERS:
                return v.number(of_numbers(a, b))
            return of_any(scope, a, b)

        return arithmetic

    def Compare(self, node: s.Compare) -> Code:
        left, right, test = self.code(node.left), self.code(node.right), v.COMPARE[node.op]
        if node.op not in _ORDER_OF_NUMBERS:
            return lambda scope: test(left(scope), right(scope))
        of_numbers = _ORDER_OF_NUMBERS[node.op]

        def order(scope: Scope) -> Value:
            a, b = left(scope), right(scope)
            if type(a) in v.NUMBERS and type(b) in v.NUMBERS:
                return of_numbers(a, b)
            return test(a, b)

        return order

    def Between(self, node: s.Between) -> Code:
        value, low, high = self.code(node.value), self.code(node.low), self.code(node.high)

        def between(scope: Scope) -> Value:
            at = value(scope)
            return v.both(v.less_equal(low(scope), at), v.less_equal(at, high(scope)))

        return between

    def And(self, node: s.And) -> Code:
        items = [self.code(i) for i in node.items]

        def conjunction(scope: Scope) -> object:
            result: bool | None = True
            for item in items:
                value = item(scope)
                if value is False:
                    return False
                if value is not True:
                    result = None
            return result

        return conjunction

    def Or(self, node: s.Or) -> Code:
        items = [self.code(i) for i in node.items]

        def disjunction(scope: Scope) -> object:
            result: bool | None = False
            for item in items:
                value = item(scope)
                if value is True:
                    return True
                if value is not False:
                    result = None
            return result

        return disjunction

    def Not(self, node: s.Not) -> Code:
        operand = self.code(node.operands[0])
        return lambda scope: negation(operand(scope))

    def If(self, node: s.If) -> Code:
        condition, then, otherwise = self.code(node.condition), self.code(node.then), self.code(node.otherwise)
        return lambda scope: then(scope) if condition(scope) is True else otherwise(scope)

    # --- tests ------------------------------------------------------------------------------------------------------

    def In(self, node: s.In) -> Code:
        value, check = self.code(node.value), self._checks(node.tests)
        if node.negated:
            return lambda scope: negation(check(value(scope), scope))
        return lambda scope: check(value(scope), scope)

    def Unary(self, node: s.Unary) -> Code:
        """As a value of its own (in a list, say) a unary test is the range it describes."""
        operand, op = self.code(node.operand), node.op
        return lambda scope: unary_range(op, operand(scope))

    def Tests(self, node: s.Tests) -> Code:
        check = self._checks(node.tests)
        if node.negated:
            return lambda scope: negation(check(scope.get("?"), scope))
        return lambda scope: check(scope.get("?"), scope)

    def Anything(self, node: s.Anything) -> Code:
        return lambda scope: True

    def _checks(self, tests: tuple[s.Node, ...]) -> Callable[[object, Scope], object]:
        """A disjunction of unary tests of one value."""
        checks = [self._check(t) for t in tests]
        if len(checks) == 1:
            return checks[0]

        def any_of(value: object, scope: Scope) -> object:
            result: bool | None = False
            for check in checks:
                verdict = check(value, scope)
                if verdict is True:
                    return True
                if verdict is not False:
                    result = None
            return result

        return any_of

    def _check(self, test: s.Node) -> Callable[[object, Scope], object]:
        if isinstance(test, s.Unary):
            operand, compare = self.code(test.operand), v.COMPARE[test.op]
            return lambda value, scope: compare(value, operand(scope))
        if isinstance(test, s.Not) and len(test.operands) == 1 and not _is_boolean(test.operands[0]):
            inner = self._checks(test.operands)
            return lambda value, scope: negation(inner(value, scope))
        code = self.code(test)
        if isinstance(test, s.Literal):
            constant = test.value
            return lambda value, scope: v.passes(value, constant)
        if "?" in s.names(test):

            def own(value: object, scope: Scope) -> Value:
                verdict = code({**scope, "?": value})
                return verdict if isinstance(verdict, bool) else _unless_missing(value, verdict)

            return own
        return lambda value, scope: _unless_missing(value, code(scope))

    # --- lists, ranges, loops ---------------------------------------------------------------------------------------

    def ListOf(self, node: s.ListOf) -> Code:
        items = [self.code(i) for i in node.items]
        return lambda scope: [i(scope) for i in items]

    def RangeOf(self, node: s.RangeOf) -> Code:
        low = self.code(node.low) if node.low is not None else None
        high = self.code(node.high) if node.high is not None else None
        closed = node.low_closed, node.high_closed

        def make(scope: Scope) -> Value:
            start = low(scope) if low else None
            end = high(scope) if high else None
            if low and high and start is not None and end is not None and v.less(end, start) is not False:
                return None
            return v.Range(start, end, *closed, low is None, high is None)

        return make

    def Quantified(self, node: s.Quantified) -> Code:
        loops, condition = self._loops(node.bindings), self.code(node.condition)
        decides = node.kind == "some"

        def quantified(scope: Scope) -> object:
            result: bool | None = not decides
            for inner in loops(scope):
                if inner is None:
                    return None
                verdict = condition(inner)
                if verdict is decides:
                    return decides
                if verdict is not (not decides):
                    result = None
            return result

        return quantified

    def For(self, node: s.For) -> Code:
        loops, body = self._loops(node.bindings), self.code(node.body)

        def iterate(scope: Scope) -> object:
            results: list[object] = []
            for inner in loops(scope):
                if inner is None:
                    return None
                inner["partial"] = results
                results.append(body({**inner, "partial": list(results)} if uses_partial else inner))
            return results

        uses_partial = "partial" in s.names(node.body)
        return iterate

    def _loops(self, bindings: tuple[s.Binding, ...]) -> Callable[[Scope], Iterator[Scope | None]]:
        """Every combination of the bindings' items, later ones fastest; a None where there is nothing to iterate."""
        sources = [self._source(b) for b in bindings]

        def nest(scope: Scope, depth: int, budget: list[int]) -> Iterator[Scope | None]:
            if depth == len(sources):
                budget[0] -= 1
                yield scope if budget[0] >= 0 else None
                return
            items = sources[depth](scope)
            if items is None:
                yield None
                return
            inner = dict(scope)
            for item in items:
                inner[bindings[depth].name] = item
                yield from nest(inner, depth + 1, budget)
                if budget[0] < 0:
                    return

        return lambda scope: nest(scope, 0, [MAX_ITEMS])

    def _source(self, b: s.Binding) -> Callable[[Scope], Value]:
        source = self.code(b.source)
        until = self.code(b.until) if b.until is not None else None

        def items(scope: Scope) -> Value:
            start = source(scope)
            if until is not None:
                return count_between(start, until(scope))
            if isinstance(start, v.Range):
                return count_between(start.low, start.high, start.low_closed, start.high_closed)
            if type(start) is list:
                return start
            return None if start is None else [start]

        return items

    # --- calls ------------------------------------------------------------------------------------------------------

    def Call(self, node: s.Call) -> Code:
        row = BY_NAME.get(node.function)
        order = argument_order(node) if row else None
        if row is None or order is None:
            return lambda scope: None
        args = [None if i is None else self.code(node.args[i]) for i in order]
        if row.name == "append":
            return _appending(row, args)
        if row.clock:
            return lambda scope: row.clocked(scope[CLOCK], [... if a is None else a(scope) for a in args])
        invoke = row.invoke
        if len(args) == 1 and args[0] is not None and row.takes_a_text:
            return _of_text(row, args[0])
        return lambda scope: invoke([... if a is None else a(scope) for a in args])


def _appending(row: Function, args: list[Code | None]) -> Code:
    def append(scope: Scope) -> Value:
        if not args:
            return None
        first, *rest = [a(scope) if a else None for a in args]
        items = first if type(first) is list else None if first is None else [first]
        return None if items is None or not rest else row.run(items, *rest)

    return append


def _of_text(row: Function, argument: Code) -> Code:
    """The call of a function of one text, most of which are called for millions of records; `invoke` knows what to do with anything else."""
    run, invoke = row.run, row.invoke

    def call(scope: Scope) -> Value:
        value = argument(scope)
        if type(value) is not str:
            return invoke([value])
        try:
            return run(value)
        except (OverflowError, ZeroDivisionError, ValueError):
            return None

    return call


def _is_boolean(node: s.Node) -> bool:
    return isinstance(node, (s.Compare, s.And, s.Or, s.In, s.Between, s.Not, s.Quantified))


def _unless_missing(value: object, test: object) -> bool | None:
    """`value in test`; unknown if the test itself has no value: a range the wrong way round, a list or a bound that is missing."""
    return None if test is None else v.passes(value, test)


def negation(value: object) -> bool | None:
    return (value is False) if isinstance(value, bool) else None
