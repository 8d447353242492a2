"""The static check of one expression: names exist, fields exist, types fit, constants are among the declared values.

`check(tree, text, names)` returns the expression's type and every diagnostic; nothing stops at the first. A part that is
wrong has the type `any` afterwards, so that one mistake gives one message.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from roe.diagnostics import Diagnostic, suggest
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.calls import check_call
from roe.grammar.check_words import declared_where, some_of, what_to_compare, with_article
from roe.grammar.days import not_a_day
from roe.grammar.functions import BY_NAME
from roe.grammar.functions.strings import regex
from roe.grammar.names import Names
from roe.grammar.printer import show
from roe.grammar.registry import LONG
from roe.grammar.types import ARITHMETIC_TYPES, Type
from roe.source import Span, span_of


def check(tree: s.Node, text: str, names: Names) -> tuple[Type, list[Diagnostic]]:
    checker = Checker(text)
    kind = checker.type_of(tree, names)
    return kind, checker.diagnostics


def condition(tree: s.Node, text: str, names: Names) -> list[Diagnostic]:
    """Check an expression that must be a condition."""
    checker = Checker(text)
    checker.boolean(tree, names)
    return checker.diagnostics


NEAR = 0.75  # how alike two names are of which one is a slip: a field's name is longer than most words, and its parts are often the same
UNORDERED = frozenset({"boolean", "list", "range", "record", "owners"})


class Checker:
    """Finds the type of every part of an expression, and what is wrong with it; a subclass may watch what is looked up."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.diagnostics: list[Diagnostic] = []

    def say(self, code: str, node: s.Node, message: str, help: str, related: tuple[tuple[str, Span], ...] = ()) -> Type:
        self.diagnostics.append(Diagnostic(code, message, span_of(self.text, *node.at), help, related))
        return t.ANY

    def type_of(self, node: s.Node, names: Names) -> Type:
        rule: Callable[[s.Node, Names], Type] = getattr(self, type(node).__name__)
        return rule(node, names)

    # --- names ------------------------------------------------------------------------------------------------------

    def Literal(self, node: s.Literal, names: Names) -> Type:
        return Type(v.kind(node.value))

    def Name(self, node: s.Name, names: Names) -> Type:
        if node.id == "?":
            return names.tested
        for item in reversed(names.implicit):
            field = self._field(item, node.id, names)
            if field:
                return field
        if node.id in names.variables:
            return names.variables[node.id]
        if node.id in names.shorthands:
            return names.model.field_type(names.shorthands[node.id], node.id) or t.ANY
        fields = [f for item in names.implicit for f in self._fields(item, names)]
        if len(names.implicit) and not names.variables:
            return self.say("R204", node, f"unknown field `{node.id}`", suggest(node.id, fields, "see the fields of the policy"))
        known = list(dict.fromkeys([*names.variables, *names.shorthands, *fields]))
        help = f'for a text, write `"{node.id}"`; known names: {some_of(known)}'
        help = names.undeclared.get(node.id) or suggest(node.id, known, help)
        return self.say("R201", node, f"unknown name `{node.id}`", help)

    def Path(self, node: s.Path, names: Names) -> Type:
        base = self.type_of(node.base, names)
        many = base.name == "list" and base.item is not None
        inner = base.item if many and base.item else base
        if inner.name == "any":
            return t.ANY
        field = self._field(inner, node.field, names)
        if field is None:
            start = node.at[1] - len(node.field)
            known = self._fields(inner, names)
            if not known:
                help = "only records, dates, times, durations and ranges have parts"
                if many:
                    help = f"a list has no other columns; a table has them: `tables: {{NAME: {{table: FILE, outputs: [{node.field}]}}}}`"
            else:
                declared = f"declare it (`fields: {{{inner.entity}: {{{node.field}: string}}}}`); " if inner.entity else ""
                help = suggest(node.field, known, f"{declared}known fields: {some_of(known)}", NEAR)
            what = f"unknown field `{node.field}`" if known else f"a {inner} has no field `{node.field}`"
            self.diagnostics.append(Diagnostic("R204", what, span_of(self.text, start, node.at[1]), help))
            return t.ANY
        return t.list_of(field) if many else field

    def _field(self, of: Type, name: str, names: Names) -> Type | None:
        if of.name == "record":
            return of.fields.get(name) if of.fields is not None else names.model.field_type(of.entity, name)
        if of.name == "owners":
            return t.record("rep") if name in names.model.roles() else None
        return t.PROPERTIES.get(of.name, {}).get(name)

    def _fields(self, of: Type, names: Names) -> list[str]:
        if of.name == "record":
            return sorted(of.fields) if of.fields is not None else names.model.field_names(of.entity)
        return names.model.roles() if of.name == "owners" else sorted(t.PROPERTIES.get(of.name, {}))

    def Filter(self, node: s.Filter, names: Names) -> Type:
        base = self.type_of(node.base, names)
        item = base.item if base.name == "list" and base.item else t.ANY if base.name in ("list", "any") else base
        inside = self.type_of(node.condition, names.inside(item))
        if inside.name == "number":
            return item
        if inside.name not in ("boolean", "any", "null"):
            self.say("R205", node.condition, f"a filter is a condition or a position, not a {inside}", "write a condition")
        return t.list_of(item)

    def Pick(self, node: s.Pick, names: Names) -> Type:
        base = self.type_of(node.source, names)
        item = base.item if base.name == "list" and base.item else t.ANY if base.name in ("list", "any") else base
        by = self.type_of(node.by, names.inside(item))
        if by.name in UNORDERED:
            self.say("R205", node.by, f"a {by} has no order", "give a date, a number or a text of the items")
        return item

    # --- operators --------------------------------------------------------------------------------------------------

    def boolean(self, node: s.Node, names: Names) -> Type:
        kind = self.type_of(node, names)
        if kind.name not in ("boolean", "any", "null"):
            self.say("R205", node, f"a condition is expected here, and this is a {kind}", "compare it with something")
        return t.BOOLEAN

    def Negative(self, node: s.Negative, names: Names) -> Type:
        kind = self.type_of(node.operand, names)
        if kind.name not in ("number", "any", "null") and "duration" not in kind.name:
            self.say("R205", node, f"a {kind} has no negative", "negate a number or a duration")
        return kind

    def Binary(self, node: s.Binary, names: Names) -> Type:
        written_day = not_a_day(node, self.text)
        if written_day is not None:
            self.diagnostics.append(written_day)
            return t.ANY
        a, b = self.type_of(node.left, names), self.type_of(node.right, names)
        if "any" in (a.name, b.name) or "null" in (a.name, b.name):
            return t.ANY
        result = ARITHMETIC_TYPES.get((a.name, node.op, b.name))
        if result is None:
            help = "numbers add up with numbers, dates with durations, texts with texts"
            if {a.name, b.name} <= {"date", "date and time", "number"}:
                help = "write a number of days as `90 days`"
            return self.say("R205", node, f"`{a} {node.op} {b}` does not work", help)
        return Type(result)

    def Compare(self, node: s.Compare, names: Names) -> Type:
        a, b = self.type_of(node.left, names), self.type_of(node.right, names)
        if {a.name, b.name} == {"owners", "null"}:
            self._owners_as_a_whole(node.left if a.name == "owners" else node.right, names)
            return t.BOOLEAN
        self._comparable(node, node.op, a, b, node.left, node.right)
        if (
            node.op == "!="
            and isinstance(node.left, (s.Path, s.Name))
            and isinstance(node.right, s.Literal)
            and node.right.value is not None
        ):
            self._null_matches(node, show(node.left))
        return t.BOOLEAN

    def _owners_as_a_whole(self, node: s.Node, names: Names) -> None:
        what = show(node)
        message = f"`{what}` has an owner for each role, and is never missing itself"
        self.say("R207", node, message, f"name a role, such as `{what}.{names.model.roles()[0]}`")

    def _null_matches(self, node: s.Node, what: str) -> None:
        """By FEEL a missing value is not equal to anything, so it passes `!=` and `not(…)`; users are surprised."""
        self.say("R209", node, f"this is also true where `{what}` is missing", f"add `and {what} != null` if it should not be")

    def _comparable(self, node: s.Node, op: str, a: Type, b: Type, left: s.Node, right: s.Node) -> None:
        if not t.fits(a, b):
            self.say(
                "R205", node, f"{with_article(a)} and {with_article(b)} cannot be compared", what_to_compare(a, b), declared_where(a, b)
            )
            return
        if op not in ("=", "!=") and {a.name, b.name} & UNORDERED:
            self.say("R205", node, f"a {a} has no order", "use `=` or `!=`")
        elif "null" in (a.name, b.name) and op not in ("=", "!="):
            self.say("R207", node, "an order comparison with null is never true", "use `= null` or `!= null`")
        for typed, constant in ((a, right), (b, left)):
            if op in ("=", "!="):
                self._declared_value(typed, constant)

    def _declared_value(self, typed: Type, constant: s.Node) -> None:
        """Whether a constant is one of the values that its field may have."""
        for node in constant.items if isinstance(constant, s.ListOf) else (constant,):
            if typed.values and isinstance(node, s.Literal) and isinstance(node.value, str) and node.value not in typed.values:
                related = (("the field's values are declared here", typed.declared),) if typed.declared else ()
                help = suggest(node.value, typed.values, f"the values are {some_of(typed.values)}")
                self.say("R206", node, f"`{node.value}` is not a value of this field", help, related)
            elif typed.code and isinstance(node, s.Literal) and isinstance(node.value, str):
                self._code(typed.code, node)

    def _code(self, what: str, node: s.Literal) -> None:
        """Whether a constant is a name of a place that the data has as a code."""
        from roe.grammar.functions.sales import country
        from roe.places import state_named

        code = country(node.value) if what == "country" else state_named(node.value)
        if code is not None and code != node.value:
            self.say("R206", node, f"`{node.value}` is `{code}` in the data: a {what} is read as its ISO code", f"write `{code}`")

    def Between(self, node: s.Between, names: Names) -> Type:
        value = self.type_of(node.value, names)
        for end in (node.low, node.high):
            self._comparable(end, "<=", value, self.type_of(end, names), node.value, end)
        return t.BOOLEAN

    def And(self, node: s.And, names: Names) -> Type:
        for item in node.items:
            self.boolean(item, names)
        return t.BOOLEAN

    def Or(self, node: s.Or, names: Names) -> Type:
        for item in node.items:
            self.boolean(item, names)
        return t.BOOLEAN

    def Not(self, node: s.Not, names: Names) -> Type:
        return self.boolean(node.operands[0], names)

    def If(self, node: s.If, names: Names) -> Type:
        self.boolean(node.condition, names)
        a, b = self.type_of(node.then, names), self.type_of(node.otherwise, names)
        if not t.fits(a, b):
            self.say("R205", node.otherwise, f"`then` gives a {a}, `else` a {b}", "give both the same type")
        return t.join(a, b)

    # --- tests ------------------------------------------------------------------------------------------------------

    def In(self, node: s.In, names: Names) -> Type:
        value = self.type_of(node.value, names)
        for test in node.tests:
            self._test(test, value, names)
        return t.BOOLEAN

    def Tests(self, node: s.Tests, names: Names) -> Type:
        for test in node.tests:
            self._test(test, names.tested, names)
        if node.negated:
            self.say("R209", node, "this is also true where the value is missing", "if it should not be, add a column with `not(null)`")
        return t.BOOLEAN

    def Anything(self, node: s.Anything, names: Names) -> Type:
        return t.BOOLEAN

    def Unary(self, node: s.Unary, names: Names) -> Type:
        return Type("range", self.type_of(node.operand, names))

    def _test(self, test: s.Node, value: Type, names: Names) -> None:
        """One unary test of a value of this type."""
        if isinstance(test, s.Unary):
            operand = self.type_of(test.operand, names)
            self._comparable(test, test.op, value, operand, s.Name("?"), test.operand)
            return
        if isinstance(test, s.Not):
            for operand_test in test.operands:
                self._test(operand_test, value, names)
            return
        kind = self.type_of(test, replace(names, tested=value))
        if value.name == "owners" and kind.name == "null":
            self.say("R207", test, "owners are never missing as a whole", "test the owner in one role, such as `.owner.ae`")
            return
        if kind.name == "boolean" and not isinstance(test, s.Literal):
            return  # a condition on `?` or on other fields
        inner = kind.item if kind.name in ("list", "range") and kind.item and value.name != kind.name else kind
        if kind.name in ("list", "range") and kind.item is None:
            inner = t.ANY
        if inner.name == "range" and inner.item:
            inner = inner.item
        if not t.fits(inner, value):
            help = what_to_compare(value, inner)
            if {value.name, inner.name} == {"number", "string"} and kind.name == "list" and isinstance(test, s.Name):
                help = "lists of a policy hold texts: test `string(…)`, or write the numbers out, such as `in (1000, 2000)`"
            self.say(
                "R207", test, f"{with_article(value)} never passes this test for {with_article(inner)}", help, declared_where(value, inner)
            )
        self._declared_value(value, test)

    # --- lists, ranges, loops, calls --------------------------------------------------------------------------------

    def ListOf(self, node: s.ListOf, names: Names) -> Type:
        items = [self.type_of(i, names) for i in node.items]
        item = items[0] if items else t.ANY
        for other in items[1:]:
            item = t.join(item, other)
        return t.list_of(item)

    def RangeOf(self, node: s.RangeOf, names: Names) -> Type:
        ends = [self.type_of(e, names) for e in (node.low, node.high) if e is not None]
        if len(ends) == 2 and not t.fits(*ends):
            self.say("R205", node, f"a range from a {ends[0]} to a {ends[1]}", "give both ends the same type")
        if isinstance(node.low, s.Literal) and isinstance(node.high, s.Literal) and v.less(node.high.value, node.low.value):
            self.say("R207", node, "the range is empty: it ends before it begins", "swap the ends")
        return Type("range", ends[0])

    def _bind(self, bindings: tuple[s.Binding, ...], names: Names) -> Names:
        for b in bindings:
            source = self.type_of(b.source, names)
            if b.until is not None:
                self.type_of(b.until, names)
                item = source
            elif source.name in ("list", "range"):
                item = source.item or t.ANY
            else:
                item = source
            names = names.binding(**{b.name: item})
        return names

    def Quantified(self, node: s.Quantified, names: Names) -> Type:
        return self.boolean(node.condition, self._bind(node.bindings, names))

    def For(self, node: s.For, names: Names) -> Type:
        inner = self._bind(node.bindings, names).binding(partial=Type("list"))
        return t.list_of(self.type_of(node.body, inner))

    def Call(self, node: s.Call, names: Names) -> Type:
        args = [self.type_of(a, names) for a in node.args]
        problems = check_call(node, self.text)
        if problems:
            self.diagnostics += problems
            return t.ANY
        row = BY_NAME[node.function]
        if not row.variadic and row.name != "append":
            for i, (arg, kind) in enumerate(zip(node.args, args, strict=True)):
                p = row.parameters[i] if not node.names[i] else next(p for p in row.parameters if node.names[i] in (p.name, p.other))
                if kind.name not in ("any", "null") and p.type != "any" and kind.name not in p.kinds and "list" not in p.kinds:
                    self.say("R205", arg, f"`{row.name}` takes a {p.type} as `{p.name}`, and this is a {kind}", f"write `{row.signature}`")
        if row.name in ("matches", "replace", "split"):
            pattern = node.args[1] if len(node.args) > 1 else None
            if isinstance(pattern, s.Literal) and isinstance(pattern.value, str) and regex(pattern.value) is None:
                help = "look-arounds and back-references are left out, see docs/language.md"
                self.say("R210", pattern, f"`{pattern.value}` is not a regular expression of RE2", help)
        if row.name in ("owner_at", "value_at") and not any(node.names):
            return self._in_the_past(node, args, names)
        if row.name in ("min", "max", "sum", "mean", "median", "sort", "distinct_values", "reverse", "sublist", "append"):
            return _of_items(row.name, args)
        return Type(LONG.get(row.result, row.result))

    def _in_the_past(self, node: s.Call, args: list[Type], names: Names) -> Type:
        """The type of an owner or a value of an earlier day: of which role and of which field is known beforehand."""
        of, what = args[0], node.args[1]
        if of.name not in ("record", "any", "null") or (of.name == "record" and not of.entity):
            return self.say(
                "R205", node.args[0], f"`{node.function}` asks about a record, and this is a {of}", "name a record, such as `account`"
            )
        if not isinstance(what, s.Literal) or not isinstance(what.value, str) or not of.entity:
            return t.record("rep") if node.function == "owner_at" else t.ANY
        if node.function == "owner_at":
            if what.value not in names.model.roles():
                roles = names.model.roles()
                self.say("R502", what, f"there is no role `{what.value}`", suggest(what.value, roles, f"the roles are {some_of(roles)}"))
            return t.record("rep")
        kind = self._field(of, what.value, names)
        if kind is None:
            known = self._fields(of, names)
            return self.say("R204", what, f"unknown field `{what.value}`", suggest(what.value, known, f"known fields: {some_of(known)}"))
        if (of.entity, what.value) not in names.model.tracked:
            name = f"{of.entity}.{what.value}"
            return self.say(
                "R211", what, f"`{name}` is not tracked, so its earlier values are not known", f"add `track: [{name}]` to the policy"
            )
        return kind


def _of_items(name: str, args: list[Type]) -> Type:
    """The result of a function that gives back its list's items, or the list."""
    first = args[0] if args else t.ANY
    item = first.item or t.ANY if first.name == "list" else first
    return item if name in ("min", "max", "sum", "mean", "median") else t.list_of(item)
