"""A policy's stateless part as one SELECT per entity, a readable table expression for every step of it.

The sources are staged tables: one row per record, a column per field under its own name and of its type, references as
ids, owners as `owner_ROLE`. Rules that need a pool, matching, state or a function without a portable form are named in
diagnostics; a record that only they could decide says so, and is never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from roe.crm.ids import SHORT
from roe.diagnostics import Diagnostic
from roe.evaluator.compiled import Compiled
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock
from roe.grammar.functions.history import PER_ROLE
from roe.plan.operators import Choose, Derive, Expr, Fill, Rule, Walk
from roe.policy.standard import FILES
from roe.source import Inline, Span, Text
from roe.sql.choose import chosen
from roe.sql.dialects import DIALECTS
from roe.sql.forms import NoSql, Sql, column, comment, grouped, named, plain
from roe.sql.outcome import UNDECIDED, RoleSql
from roe.sql.query import Many, OwnersByRole, Query, RecordRow, Ref, SqlScalar, Translated
from roe.sql.translate import Translator

if TYPE_CHECKING:
    from roe.plan.plan import Step
    from roe.plan.standard import BuiltIn


Reader = Callable[[Translator, RecordRow], Translated]


@dataclass
class Warehouse:
    """The text, what could not be put into it, and how many rules there were and are in it."""

    sql: str
    diagnostics: list[Diagnostic]
    rules: int
    translated: int


@dataclass
class _Table:
    name: str
    query: exp.Expression
    text: str
    comment: str


@dataclass
class Statement:
    """One entity's statement while it is being written."""

    compiled: Compiled
    entity: str
    dialect: str
    clock: Clock | None
    sources: dict[str, str]
    tables: list[_Table] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    rules: int = 0
    translated: int = 0

    def __post_init__(self) -> None:
        self.policy = self.compiled.policy
        self.spelling = DIALECTS[self.dialect]
        plan = self.policy.plan
        dated = {
            name: [str(x.value) for x in rows if self.clock is None or x.holds(self.clock.today)] for name, rows in plan.dated_lists.items()
        }
        self.lists: Mapping[str, Sequence[object]] = {**plan.lists, **dated}
        self._current: dict[str, str] = {}
        self._ready: dict[tuple[str, str], Reader | None] = {}
        self._roles = [RoleSql(self, self.compiled.role(e, role)) for e, role in plan.engagement if e == self.entity]
        of_steps = [tree for step in plan.steps.values() for tree in _trees(step)]
        of_roles = [tree for e, role in plan.engagement for tree in RoleSql(self, self.compiled.role(e, role)).trees()]
        self._names = {name for tree in (*of_steps, *of_roles) for name in s.names_and_fields(tree)}
        built_in = [step for key, step in self.compiled.steps.items() if key not in plan.steps and key[1] in self._names]
        self._names |= {name for step in built_in for tree in _trees(step) for name in s.names_and_fields(tree)}

    # --- tables -----------------------------------------------------------------------------------------------------

    def add(self, name: str, query: exp.Expression, comment: str = "") -> str:
        """A table expression, under a name of its own; the same query is the same table."""
        text = query.sql()
        for table in self.tables:
            if table.text == text:
                return table.name
        taken = {t.name for t in self.tables}
        number, free = 2, name
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        self.tables.append(_Table(free, query, text, comment))
        return free

    def table(self, entity: str) -> str:
        """The latest table of an entity's records, with every step so far."""
        current = self._current.get(entity)
        if current is None:
            fields = self.policy.model.entities[entity]
            wanted = {"id"} | ({"name"} & fields.keys()) | (fields.keys() & self._names)
            wanted |= {
                f.via
                for other in self.policy.model.entities.values()
                for f in other.values()
                if f.via and f.type.item and f.type.item.entity == entity
            } & fields.keys()
            wanted |= {f.key for f in fields.values() if f.key} & fields.keys()
            columns = [
                self._stored(n)
                for n, f in fields.items()
                if n in wanted
                and n != "local_day"
                and not f.via
                and f.type.name != "owners"
                and not isinstance(self.compiled.steps.get((entity, n)), (Walk, Derive))
            ]
            if any(f.type.name == "owners" for f in fields.values()):
                columns += [column(f"owner_{role}", "r") for role in self.policy.roles]
            source = self.sources.get(entity, FILES.get(entity, (entity + "s",))[0])
            made = exp.select(*columns).from_(exp.to_table(source).as_("r"))
            current = self._current[entity] = self.add(entity, made, "the staged records: one row each, references as ids")
        return current

    def _stored(self, name: str) -> Sql:
        """A column of a staged table. Of owners it has what the data says of the record alone; the ledger's memory is not in SQL."""
        base, _, role = name.partition(".")
        if not role:
            return column(name, "r")
        source = {"owner_since": "owner_since", "owner_from": "owner_since"}.get(base, base if role == self.policy.roles[0] else "")
        if source in ("owner_since", "former_owner"):
            return named(column(source, "r"), name)
        return named(exp.cast(exp.null(), "DATE" if PER_ROLE[base] == "date" else "TEXT"), name)

    def layer(self, entity: str, columns: dict[str, Sql], query: Query, comment: str) -> None:
        """One more table of the entity's records, with more columns."""
        every = exp.Column(this=exp.Star(), table=exp.to_identifier(query.alias))
        made = query.select(every, *(named(sql, name) for name, sql in columns.items()))
        self._current[entity] = self.add(plain(f"{entity}_{next(iter(columns)).split('__')[0]}"), made, comment)

    def start(self, entity: str) -> tuple[Query, Translator]:
        query = Query(self, self.table(entity), "r")
        return query, Translator(query, {entity: RecordRow(entity, "r", column("id", "r"))})

    # --- steps ------------------------------------------------------------------------------------------------------

    def step(self, entity: str, name: str) -> Reader | None:
        """How a step is read; None for a stored field. Raises NoSql for a step that could not be put into SQL."""
        key = (entity, name)
        if key not in self.compiled.steps:
            return None
        reader = self._ready.get(key)
        if reader is None:
            raise NoSql(f"`{entity}.{name}` {self._why_not(self.compiled.steps[key])}")
        return reader

    def _why_not(self, step: Step | BuiltIn) -> str:
        if isinstance(step, Walk):
            return "needs a recursive walk"
        if isinstance(step, Fill):
            return f"is found by {self.compiled.steps[step.entity, step.source].stage} where the data has none"
        return "is not available in SQL"

    def ensure(self, tree: s.Node) -> None:
        """Put the steps that an expression may read into tables first."""
        names = s.names_and_fields(tree)
        relations = [f for fields in self.policy.model.entities.values() for f in fields.values() if f.key and f.name in names]
        names |= {name for f in relations for name in (f.via, f.key)}
        for key in list(self.compiled.steps):
            if key[1] in names:
                self.make(key)

    def make(self, key: tuple[str, str]) -> None:
        if key in self._ready:
            return
        self._ready[key] = None
        step = self.compiled.steps[key]
        if isinstance(step, Derive):
            if step.group is not None:
                for name in step.group.values():
                    self.make((step.entity, name))
                group = dict(step.group)
                if step.cover or step.vacant:
                    rules = [r for n in group.values() for r in self._rules_of(step.entity, n)]
                    why = NoSql("cover for reps on leave and for vacant territories is not supported in SQL")
                    if rules:
                        self.say(why, rules[0].name, f"{step.entity}.{step.name}")
                    return
                if all(self._ready.get((step.entity, name)) for name in group.values()):
                    self._ready[key] = lambda t, row: OwnersByRole(row, group)
                return
            assert step.expr is not None
            if step.among is not None:
                self.say(NoSql("ranking across records is not supported in SQL"), step.expr.text, f"{step.entity}.{step.name}")
                return
            if step.frozen is not None:
                self.say(NoSql("the value at the start of the period is kept in the ledger"), step.expr.text, f"{step.entity}.{step.name}")
                return
            self.ensure(step.expr.tree)
            try:
                self._ready[key] = self._derive(step, step.expr)
            except NoSql as e:
                if key in self.policy.plan.steps:  # what a policy has not written is named where it is used
                    self.say(e, step.expr.text, f"{step.entity}.{step.name}")
        elif isinstance(step, Choose):
            for rule in step.rules:
                for condition in rule.conditions:
                    self.ensure(condition.tree)
            self._ready[key] = chosen(self, step)

    def _rules_of(self, entity: str, name: str) -> Sequence[Rule]:
        step = self.compiled.steps.get((entity, name))
        return step.rules if isinstance(step, Choose) else ()

    def _derive(self, step: Derive, expr: Expr) -> Reader:
        query, t = self.start(step.entity)
        value = t.value(expr.tree)
        if isinstance(value, SqlScalar):
            kind = value.kind
            self.layer(step.entity, {step.name: value.sql}, query, f"{step.entity}.{step.name}: {expr.text}")
            return lambda t, row: SqlScalar(column(step.name, row.alias), kind)
        if isinstance(value, Ref) or (isinstance(value, RecordRow) and value.alias != "r"):
            entity = value.entity
            self.layer(step.entity, {step.name: value.key}, query, f"{step.entity}.{step.name}: {expr.text}")
            return lambda t, row: Ref(entity, column(step.name, row.alias))
        if isinstance(value, Many) and not value.of:
            many = value
            return lambda t, row: Many(row, many.entity, many.table, many.via)
        raise NoSql(f"`{expr.text}` cannot be written in SQL", expr.tree)

    def struct_kind(self, prefix: str, entity: str, name: str) -> str:
        step = self.compiled.steps[entity, prefix]
        assert isinstance(step, Choose)
        return next(
            (v.kind(x) for rule in step.rules if isinstance(rule.value, dict) and (x := rule.value.get(name)) is not None), "string"
        )

    def condition(self, t: Translator, rule: Rule, where: str) -> Sql | None:
        """A rule's conditions; None after a diagnostic."""
        self.rules += 1
        try:
            parts = [t.true(c.tree) for c in rule.conditions]
        except NoSql as e:
            at = next((c.text for c in rule.conditions if e.node is not None and any(n is e.node for n in s.walk(c.tree))), rule.name)
            self.say(e, at, f"{where}: {rule.name}")
            return None
        self.translated += 1
        return exp.and_(*parts) if parts else exp.true()

    def say(self, e: NoSql, at: Text, where: str) -> None:
        text = at if isinstance(at, Text) else Text(str(at), Inline())
        span: Span = text.span()
        self.diagnostics.append(
            Diagnostic(
                "R408", f"{where} cannot be compiled: {e}", span, "run it with `roe run`, or prepare the value as a column of the source"
            )
        )

    # --- the whole --------------------------------------------------------------------------------------------------

    def write(self) -> Warehouse:
        for key in list(self.policy.plan.steps):
            if key[0] == self.entity:
                self.make(key)
        for role in self._roles:
            role.write()
        query, t = self.start(self.entity)
        has_name = "name" in self.policy.model.entities[self.entity]
        columns: list[Sql] = [column("id", "r"), *([column("name", "r")] if has_name else [])]
        if self._ready.get((self.entity, "territory")):
            columns.append(named(column("territory__name", "r"), "territory"))
        for role in self._roles:
            columns += [named(sql, name) for name, sql in role.columns(t).items()]
        final = query.select(*columns)
        return Warehouse(self._text(final), self.diagnostics, self.rules, self.translated)

    def _text(self, final: exp.Expression) -> str:
        when = f"as of {v.literal(self.clock.today)}" if self.clock else "as of the day it runs"
        head = [f"{self.policy.name}: who owns each {self.entity}, {when}. Written by `roe compile --dialect {self.dialect}`; do not edit."]
        head += [
            f"{self.translated} of {self.rules} rules are here; `{UNDECIDED}` marks records that the others decide."
            if self.translated < self.rules
            else f"All {self.rules} rules are here."
        ]
        if self.policy.profile == "salesforce":
            head.append(f"Ids of Salesforce are compared in their short form: the staged tables have it everywhere, as left(id, {SHORT}).")
        for table in self.tables:
            final = final.with_(table.name, as_=table.query, copy=False)
            if table.comment:
                final.ctes[-1].add_comments([comment(table.comment)])
        return "\n".join([*(f"-- {line.strip()}" for line in map(comment, head)), printed(final, self.dialect)]) + "\n"


def printed(query: exp.Expression, dialect: str, every: bool = False) -> str:
    """The text of a query; with `every` operand in parentheses."""
    return str(grouped(DIALECTS[dialect].ready(query), every).sql(dialect=dialect, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE))


def _trees(step: Step | BuiltIn) -> Iterator[s.Node]:
    """Every expression of a step."""
    if isinstance(step, Derive) and step.expr is not None:
        yield step.expr.tree
    elif isinstance(step, Choose):
        yield from (c.tree for rule in step.rules for c in rule.conditions)


def compile_sql(
    compiled: Compiled, entity: str, dialect: str, clock: Clock | None = None, sources: dict[str, str] | None = None
) -> Warehouse:
    """The statement that decides every record of an entity. `sources` names the staged table of an entity; `clock` fixes today.

    Raises KeyError if the policy has no rules for the entity.
    """
    if entity not in {e for e, _ in compiled.policy.plan.engagement}:
        raise KeyError(entity)
    return Statement(compiled, entity, dialect, clock, dict(sources or {})).write()
