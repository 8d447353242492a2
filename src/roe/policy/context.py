"""What the stages build with: it parses and checks expressions, reads tables, and collects every diagnostic."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

from roe.crm.ids import fold
from roe.diagnostics import Diagnostic, suggest
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar import values as v
from roe.grammar.functions.history import by_role, looks_back
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.grammar.types import Type
from roe.grammar.values import Duration
from roe.plan.operators import TEMPLATE, Allocate, DatedValue, Expr
from roe.plan.parts import Report, Window
from roe.plan.plan import Step
from roe.policy.model import Model
from roe.policy.tables import Row, Table, inline_table, read_table
from roe.source import Inline, SameOrigin, Span, Text, part_of, span_of

_BY_DAYS = re.compile(r"(?:days?|weeks?)\s*$|^@\"-?P[^T]*\"$")


def written(tree: s.Node, text: Text, origin: type[SameOrigin] = SameOrigin) -> Expr:
    """An expression that a stage wrote: its text is the printed tree, its place the setting it comes from."""
    from roe.grammar.printer import show

    return Expr(tree, Text(show(tree), origin(text)))


@dataclass(slots=True)
class Context:
    """One build of one policy."""

    root: Path
    model: Model
    profile: str = "generic"
    diagnostics: list[Diagnostic] = field(default_factory=list)
    steps: dict[tuple[str, str], Step] = field(default_factory=dict)
    lists: dict[str, list[Value]] = field(default_factory=dict)
    dated: dict[str, list[DatedValue]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    pools: dict[str, Allocate] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    variables: dict[str, dict[str, Type]] = field(default_factory=dict)
    looks_back: bool = False  # whether any expression asks for former owners or values
    checked: list[tuple[Expr, Names]] = field(default_factory=list)  # every expression that was, with what its names mean

    def say(self, code: str, at: object, message: str, help: str, related: tuple[tuple[str, Span], ...] = ()) -> None:
        span = at if isinstance(at, Span) else span_of(at)
        self.diagnostics.append(Diagnostic(code, message, span, help, related))

    @contextmanager
    def apart(self) -> Iterator[list[Diagnostic]]:
        """What is said inside goes to a list of its own, which the caller adds to the others or leaves."""
        known, self.diagnostics = self.diagnostics, []
        try:
            yield self.diagnostics
        finally:
            self.diagnostics = known

    def new_field(self, key: str, example: str) -> tuple[str, str] | None:
        """The entity and the name of a field that the policy adds under `entity.name`; None after a diagnostic."""
        entity, _, name = str(key).partition(".")
        if entity not in self.model.entities or not name.isidentifier():
            self.say("R504", key, f"`{key}` is not a field of an entity", suggest(entity, self.model.entities, example))
        elif name in self.model.entities[entity] or (entity, name) in self.model.steps:
            self.say("R306", key, f"the field `{key}` already exists", "choose another name")
        else:
            return entity, name
        return None

    def is_free(self, entity: str, name: str, at: Text) -> bool:
        """Whether an entity has no field of this name yet; says so where it has one."""
        if name in self.model.entities[entity] or (entity, name) in self.model.steps:
            self.say("R306", at, f"`{entity}.{name}` exists already", "choose another name")
            return False
        return True

    def has_entity(self, name: Text, help: str = "correct it") -> bool:
        """Whether the policy has an entity of this name; says so where it has not."""
        if name not in self.model.entities:
            self.say("R504", name, f"there is no entity `{name}`", suggest(name, self.model.entities, help))
        return name in self.model.entities

    def has_role(self, name: Text) -> bool:
        """Whether the policy has a role of this name; says so where it has not."""
        if name not in self.model.roles():
            self.say("R502", name, f"there is no role `{name}`", suggest(name, self.model.roles(), "add it under `roles:`"))
        return name in self.model.roles()

    def role(self, given: Text | None) -> str:
        """The role that a section names, or the policy's first; says so where the policy has no such role."""
        if given:
            self.has_role(given)
        return str(given or self.model.roles()[0])

    # --- names ------------------------------------------------------------------------------------------------------

    def names(self, entity: str, implicit: bool = False) -> Names:
        """What an expression about an entity's record can name."""
        variables: dict[str, Type] = {"today": t.DATE, "now": t.DATETIME}
        variables |= {name: t.list_of(t.STRING) for name in (*self.lists, *self.dated)}
        variables[entity] = t.record(entity)
        if entity in ("lead", "contact", "opportunity", "activity"):
            variables["account"] = t.record("account")
        shorthands = {name: entity for name in SHORTHANDS if (entity, name) in self.model.steps}
        undeclared = {name: help for name, help in SHORTHANDS.items() if name not in shorthands}
        return Names(self.model, variables, (t.record(entity),) if implicit else (), shorthands=shorthands, undeclared=undeclared)

    # --- expressions ------------------------------------------------------------------------------------------------

    def parse(self, text: str, kind: str = "expr") -> Expr | None:
        tree, problems = parse(text, kind)
        self.diagnostics += problems
        if tree is None:
            return None
        self.looks_back = self.looks_back or looks_back(tree)
        return Expr(by_role(tree, self.model.roles()), text if isinstance(text, Text) else Text(text, Inline()))

    def of_role(self, name: str, role: str) -> str:
        """The field that says something of the owner in a role; see `roe.grammar.functions.history`."""
        return name if role == self.model.roles()[0] else f"{name}.{role}"

    def condition(self, text: str | None, names: Names) -> Expr | None:
        """A checked expression that must be true or false; None where there is none, or after a diagnostic."""
        expr = None if text is None else self.parse(text)
        if expr:
            from roe.grammar import check as checker

            self.diagnostics += checker.condition(expr.tree, expr.text, names)
            self.checked.append((expr, names))
        return expr

    def value(self, text: str | None, names: Names, *wanted: str) -> Expr | None:
        """A checked expression of one of the wanted types, or of any if none is given; None where there is none, or after a diagnostic."""
        if text is None:
            return None
        expr, kind = self.typed(text, names)
        if wanted and kind.name not in ("any", "null", *wanted):
            self.say("R205", text, f"a {' or '.join(wanted)} is expected here, and this is a {kind}", "change the expression")
        return expr

    def typed(self, text: str, names: Names) -> tuple[Expr | None, Type]:
        """A checked expression and what it gives; None and any where it cannot be read."""
        expr = self.parse(text)
        if expr is None:
            return None, t.ANY
        from roe.grammar import check as checker

        kind, problems = checker.check(expr.tree, expr.text, names)
        self.diagnostics += problems
        self.checked.append((expr, names))
        return expr, kind

    def type_of(self, expr: Expr, names: Names) -> Type:
        """What an expression gives; a plain field is looked up, without loading the checker."""
        tree = expr.tree
        if isinstance(tree, s.Path) and isinstance(tree.base, s.Name):
            base = names.variables.get(tree.base.id)
            if base is not None and base.name == "record" and base.entity:
                return names.model.field_type(base.entity, tree.field) or t.ANY
        if isinstance(tree, s.Name) and names.implicit and tree.id not in names.variables:
            return names.model.field_type(names.implicit[-1].entity, tree.id) or t.ANY
        from roe.grammar import check as checker

        return checker.check(tree, expr.text, names)[0]

    def duration(self, text: Text | None) -> Duration | None:
        """The value of `90 days`; None after a diagnostic."""
        if text is None:
            return None
        expr = self.parse(text)
        if expr is None:
            return None
        value: Duration | None = expr.tree.value if isinstance(expr.tree, s.Literal) else None
        if "duration" not in v.kind(value):
            self.say("R311", text, f"`{text}` is not a duration", "write `90 days`, `48 hours`, `5 working days`, `6 months`")
            return None
        return value

    def days(self, text: Text | None) -> Duration | None:
        """A duration that is counted from a day to a day; None after a diagnostic."""
        value = self.duration(text)
        if isinstance(value, v.WorkingHours) or (isinstance(value, timedelta) and value % timedelta(days=1)):
            self.say("R311", text, f"`{text}` is not a period of whole days", "write `2 days`, `2 working days` or `6 months`")
            return None
        return value

    def day_count(self, text: Text | None) -> int | None:
        """How many days a duration is, where nothing else will do; None after a diagnostic."""
        value = self.duration(text)
        if value is not None and (not isinstance(value, timedelta) or value % timedelta(days=1)):
            self.say("R311", text, f"`{text}` is not a number of days", "write it in days, such as 3 days")
            return None
        return None if value is None else value.days

    def lasting(self, text: Text | None) -> Duration | None:
        """A duration that is counted from a moment: whole days and weeks are calendar days, hours are exact; None after a diagnostic."""
        value = self.duration(text)
        if isinstance(value, timedelta) and not value % timedelta(days=1) and _BY_DAYS.search(str(text)):
            return v.CalendarDays(days=value.days)
        return value

    def sentence(self, text: Text | None, names: Names) -> None:
        """Check the `{expressions}` inside of a sentence; a finding's place is within it."""
        if text is None:
            return
        for m in TEMPLATE.finditer(text):
            with self.apart() as problems:
                self.value(part_of(text, m.start(1), m.end(1)), names)
            self.diagnostics += [replace(d, span=text.span(m.start(1), m.end(1))) for d in problems]

    def day(self, text: Text | None) -> date | None:
        if text is None or not text.strip("- "):
            return None
        day = v.parse_date(str(text))
        if day is None:
            self.say("R311", text, f"`{text}` is not a date", "write the year first, such as 2026-01-31")
        return day

    # --- rules and tables -------------------------------------------------------------------------------------------

    def conditions(self, when: Text | None, names: Names, start: Text | None, until: Text | None) -> tuple[Expr, ...]:
        """The conditions of a rule: what it asks of the record, and the days on which it is in force."""
        asked = self.condition(when, names)
        return ((asked,) if asked else ()) + self.period(start, until)

    def period(self, start: Text | None, until: Text | None) -> tuple[Expr, ...]:
        """The effective dates of a rule as conditions: from the first day on, up to and not on the last."""
        first, last = self.day(start), self.day(until)
        if first and last and last <= first:
            self.say("R507", until, f"the period ends ({until}) before it begins ({start})", "swap the dates, or remove the rule")
        return tuple(
            Expr(s.Compare(op, s.Name("today"), s.Literal(day, f'@"{day}"')), text)
            for op, text, day in ((">=", start, first), ("<", until, last))
            if day and text
        )

    def dated_value(self, value: Text, start: Text | None, until: Text | None) -> DatedValue:
        self.period(start, until)  # says what is wrong with the dates
        return DatedValue(Text(fold(value), value.origin), *(v.parse_date(str(day)) if day else None for day in (start, until)))

    def overrides(self, given: Text | tuple[Text, ...] | None, name: Text, names: list[Text]) -> tuple[Text, ...]:
        """The rules that one must come before: those it names, or for `all` every rule above it."""
        if given is None:
            return ()
        if isinstance(given, Text) and given == "all" and "all" not in names:
            return tuple(Text(other, given.origin) for other in names[: names.index(name)])
        for other in (asked := (given,) if isinstance(given, Text) else given):
            if other == name:
                self.say("R508", other, f"`{name}` overrides itself", "name another rule, or remove it")
            elif other not in names:
                self.say("R508", other, f"there is no rule `{other}` in this list", suggest(other, names, "name a rule of the same list"))
        return asked

    def unique_names(self, names: Iterable[Text | None], what: str) -> None:
        seen: dict[str, Text] = {}
        for name in names:
            if name is None:
                continue
            if name in seen:
                related = (("first here", span_of(seen[name])),)
                self.say("R306", name, f"two {what} have the name `{name}`", "rename one of the two", related)
            seen.setdefault(str(name), name)

    def file_table(self, name: str) -> Table | None:
        self.files.append(str(name).partition("#")[0])
        table, problems = read_table(self.root, name)
        self.diagnostics += problems
        return table

    def inline_table(self, rows: Sequence[Row], place: Span) -> Table | None:
        table, problems = inline_table(rows, place)
        self.diagnostics += problems
        return table

    def has_columns(self, table: Table, what: str, columns: Iterable[str]) -> bool:
        """Whether a table has these columns; says which it lacks. `what` is what has none, such as `the exceptions have`."""
        missing = [c for c in columns if table.column(c) is None]
        for column in missing:
            self.say("R403", table.place, f"{what} no column `{column}`", suggest(column, table.header, "add the column"))
        return not missing

    def has_column(self, table: Table, name: Text) -> bool:
        """Whether a table has a column that the policy names; says so where it has not."""
        if table.column(name) is None:
            self.say("R403", name, f"`{table.name}` has no column `{name}`", suggest(name, table.header, "add the column"))
            return False
        return True


# Fields that stand without their entity, and what a policy declares to have them
SHORTHANDS = {
    "territory": "declare `territories:`",
    "territory_owner": "say who works each territory: `territories: {staffing: …}`",
    "source": "declare `sources:`",
    "window": "declare `windows:`",
}
