"""The records of one run, related to each other, with every step of the plan as a field that is computed when asked for.

A `Row` is a dict of a record's stored fields. A field that is not there yet (a relation, a definition, a territory) is
computed by its step on first use and kept, so evaluation order needs no plan of its own and nothing is computed twice.
"""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import cached_property
from math import ceil
from typing import TYPE_CHECKING, Any

from roe.crm.ids import fold
from roe.data.coerce import WRITTEN, Typed, coerce_table
from roe.data.reading import Reading, Reject
from roe.evaluator.able import day_of, reason_left, receiver
from roe.evaluator.choose import Chooser
from roe.evaluator.past import Past
from roe.evaluator.relate import Matcher
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock, zone_of
from roe.grammar.closures import CLOCK, IMPLICIT, Code, Scope, compile_expression
from roe.grammar.functions.history import OWNERS, PER_ROLE, by_role, past_of
from roe.grammar.parser import parse
from roe.plan.operators import TEMPLATE, Choose, Derive, ExceptionRow, Expr, Fill, Relate, Settle, Walk
from roe.plan.outcome import RoleSteps, Sentence, conditions
from roe.plan.standard import standard_steps
from roe.policy.model import DataSource, Policy
from roe.source import Span, Text

if TYPE_CHECKING:
    from roe.evaluator.claims import Settled
    from roe.evaluator.memory import Facts, Memory

Make = Callable[["Row"], Any]


DATA_SINCE = "$owner_since"  # what the data says of a record, once `owner_since` says what is known of its first role
UNKNOWN_REP = {"able": True, "may_hold": True}  # of a rep whom the data does not list nothing is known that speaks against it
NOT_STORED: Any = object()  # in place of the value of a field that is computed


class Circle(Exception):
    """A field rests on itself, through the data: only the row evaluator follows that. `roe.policy.circles` tells it beforehand."""


class Row(dict[str, Any]):
    """One record. Reading a field that is not stored computes it; a field that does not exist is null."""

    __slots__ = ("derived", "entity", "world")
    entity: str
    world: World
    derived: set[str]

    def __init__(self, entity: str, world: World, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.entity, self.world, self.derived = entity, world, set()

    def __missing__(self, name: str) -> Any:
        make = self.world.fields[self.entity].get(name)
        if make is None:
            return None
        if not self.derived:
            self.world.touched.append(self)
        self.derived.add(name)
        self[name] = None  # a circle through data, such as an account that is its own parent, ends in null
        value = self[name] = make(self)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in self.world.fields[self.entity]

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def remember(self, name: str, value: Any) -> Any:
        """Keep what was computed of the record until something that it may rest on has changed."""
        if not self.derived:
            self.world.touched.append(self)
        self.derived.add(name)
        self[name] = value
        return value

    def forget(self) -> None:
        """Drop what was computed, since something it rests on has changed."""
        for name in self.derived:
            self.pop(name, None)
        self.derived.clear()

    @property
    def label(self) -> str:
        return str(dict.get(self, "name") or dict.get(self, "id"))

    @property
    def written(self) -> str:
        """The id as the data has it."""
        return str(dict.get(self, WRITTEN) or self["id"])

    def as_json(self) -> dict[str, Any]:
        """The record's own values; related records are left out, as are the marks of the loader and what the ledger knows."""
        remembered = {*UNKNOWN_REP, *(f"{name}.{role}" for name in PER_ROLE for role in self.world.policy.roles)}
        stored = {k: x for k, x in self.stored() if k[0] != "$" and k not in remembered and not isinstance(x, (dict, list))}
        return {"entity": self.entity, **{k: v.plain(x) for k, x in stored.items() if x is not None}}

    def is_filled(self, step: Fill) -> bool:
        """Whether a reference that the data does not have was asked for, and so taken from another step."""
        return step.source in self.derived

    def stored(self) -> Iterable[tuple[str, Any]]:
        """The fields that are not computed, with their values."""
        return ((k, x) for k, x in self.items() if k not in self.derived)


Known = list[tuple[Row, dict[str, Any]]]


class Owners(dict[str, Any]):
    """role -> rep of one record."""

    __slots__ = ()

    def as_json(self) -> dict[str, Any]:
        return {role: rep["id"] for role, rep in self.items() if rep is not None}


class Compiled:
    """A policy made ready once for any number of worlds: choosers, and closures for every expression."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        lists = policy.plan.lists
        self.steps = {**standard_steps(policy.plan), **policy.plan.steps}  # every field that is computed
        self.choosers = {key: Chooser(step, lists) for key, step in policy.plan.steps.items() if isinstance(step, Choose)}
        self.engagement = {key: Chooser(step, lists) for key, step in policy.plan.engagement.items()}
        self.kernels: dict[int, Any] = {}  # column indexes by their chooser, made by the batch evaluator
        self._codes: dict[int, tuple[Expr, Code]] = {}
        self.watched: dict[int, Any] = {}  # conditions compiled for watching, by their trees
        self._reads: dict[int, tuple[s.Node, list[tuple[str, Code]]]] = {}
        self._places: dict[int, tuple[Text, Span]] = {}
        self._pieces: dict[str, list[tuple[str, s.Node | None]]] = {}
        self._templates: dict[str, list[tuple[str, Code | None]]] = {}
        self._sentences: dict[int, tuple[Sentence, list[tuple[str, Code | None]]]] = {}
        self._roles: dict[tuple[str, str], RoleSteps] = {}
        self._excepted: dict[int, tuple[ExceptionRow, list[Code]]] = {}

    def apart(self) -> Compiled:
        """A copy whose rules can be replaced: closures are shared, and what rules lower to is made anew."""
        other = copy.copy(self)
        other._roles, other.kernels = {}, {}
        return other

    @cached_property
    def asks_for_history(self) -> bool:
        """Whether anything in the policy reads since when, after whom or by what somebody owns a record."""
        plan = self.policy.plan
        trees: list[s.Node] = [step.expr.tree for step in plan.steps.values() if isinstance(step, Derive) and step.expr is not None]
        for step in (*plan.steps.values(), *plan.engagement.values()):
            if isinstance(step, Choose):
                trees += [c.tree for rule in step.rules for c in rule.conditions]
        for rules in plan.engagement.values():
            for rule in rules.rules:
                action = rule.value
                trees += [x for part in TEMPLATE.split(rule.because or "")[1::2] if (x := parse(part)[0]) is not None]
                while action is not None:
                    trees += [e.tree for e in (action.assign, action.until) if e is not None]
                    action = action.otherwise
        return any(isinstance(n, s.Path) and n.field.partition(".")[0] in PER_ROLE for tree in trees for n in s.walk(tree))

    def role(self, entity: str, role: str) -> RoleSteps:
        """The steps that the rules of a role lower to. KeyError if it has none."""
        found = self._roles.get((entity, role))
        if found is None:
            found = self._roles[entity, role] = RoleSteps(
                self.policy.plan, entity, role, self.policy.roles, self.policy.model.field_names(entity)
            )
        return found

    def in_force(self, row: ExceptionRow, scope: Scope) -> bool:
        """Whether an approved exception decides the record of a scope, which is the one that it names."""
        found = self._excepted.get(id(row))
        if found is None:
            found = self._excepted[id(row)] = (row, [compile_expression(tree) for tree in conditions(row)])
        return all(code(scope) is True for code in found[1])

    def code(self, expr: Expr) -> Code:
        found = self._codes.get(id(expr))
        if found is None:
            found = self._codes[id(expr)] = (expr, compile_expression(expr.tree))
        return found[1]

    def reads(self, node: s.Node) -> list[tuple[str, Code]]:
        """The parts of an expression that may be steps of the plan: (name, the code of the record that has it)."""
        found = self._reads.get(id(node))
        if found is None:
            names = {name for _, name in self.steps}
            made: list[tuple[str, Code]] = []
            for part in s.walk(node):
                if isinstance(part, s.Path) and part.field in names:
                    made.append((part.field, compile_expression(part.base)))
                elif isinstance(part, s.Name) and part.id in names:
                    made.append((part.id, lambda scope: scope.get(IMPLICIT)))
            found = self._reads[id(node)] = (node, made)
        return found[1]

    def place(self, text: Text) -> Span:
        """Where a text of the policy stands; finding it means reading its file again, so it is kept."""
        found = self._places.get(id(text))
        if found is None:
            found = self._places[id(text)] = (text, text.span())
        return found[1]

    def pieces(self, text: str) -> list[tuple[str, s.Node | None]]:
        """A sentence with `{expressions}`, in pieces: plain text, or an expression and its tree."""
        found = self._pieces.get(text)
        if found is None:
            parts = TEMPLATE.split(text)
            trees = [parse(part)[0] if i % 2 else None for i, part in enumerate(parts)]
            roles = self.policy.roles
            found = self._pieces[text] = [(part, tree and by_role(tree, roles)) for part, tree in zip(parts, trees, strict=True)]
        return found

    def template(self, text: str) -> list[tuple[str, Code | None]]:
        """The same with the code of each expression."""
        found = self._templates.get(text)
        if found is None:
            pieces = self.pieces(text)
            found = self._templates[text] = [(part, compile_expression(tree) if tree is not None else None) for part, tree in pieces]
        return found

    def sentence(self, sentence: Sentence) -> list[tuple[str, Code | None]]:
        """The same for a sentence in pieces."""
        found = self._sentences.get(id(sentence))
        if found is None:
            pieces = [(part, compile_expression(tree) if tree is not None else None) for part, tree in sentence.pieces]
            found = self._sentences[id(sentence)] = (sentence, pieces)
        return found[1]


class World:
    """The records of a run at one moment. `tables` are raw records by entity; rejects and corrections are kept."""

    def __init__(self, compiled: Compiled, tables: Mapping[str, Iterable[Mapping[str, Any]]], clock: Clock) -> None:
        self.compiled, self.policy = compiled, compiled.policy
        self.rows: dict[str, list[Row]] = {}
        self.touched: list[Row] = []  # the rows with fields that were computed
        self.at(clock)
        self.rejects: list[Reject] = []
        self.typed: dict[str, Typed] = {}
        self.conflicts: dict[tuple[str, str, str], list[str]] = {}  # (entity, step, rules that all hold) -> records
        self.dangling: dict[tuple[str, str, str], int] = {}
        self.in_time: dict[tuple[str, str], Make] = {}  # fields that the ledger knows more of than today's value
        self.fields = {entity: self._makers(entity) for entity in self.policy.model.entities}
        self.rows = {entity: [] for entity in self.policy.model.entities}
        self._references = {
            entity: [(name, f.type.entity) for name, f in fields.items() if f.type.name == "record" and not f.via]
            for entity, fields in self.policy.model.entities.items()
        }
        self._keys: dict[str, dict[str, Row]] = {entity: {} for entity in self.rows}
        self._names: dict[str, dict[str, list[Row]]] = {entity: {} for entity in self.rows}
        self._back: dict[tuple[str, str], dict[int, list[Row]]] = {}
        self._keyed: dict[tuple[str, str], dict[Any, list[Row]]] = {}
        self._strangers: dict[str, Row] = {}
        self._matchers: dict[str, Matcher] = {}
        self._owned: list[
            tuple[str, list[tuple[Row, Owners]], Known, Known]
        ] = []  # by entity what was decided so far, and what was known before
        self._ranks: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self.frozen: Mapping[str, Any] = {}  # values that earlier runs froze
        self.memory: Memory | None = None
        self.past = Past(self, {})
        self.returned: Mapping[str, Any] = {}  # by `entity|record|role`: when a record was last given back, and by whom
        self.decided_claims: Mapping[str, Any] = {}  # of earlier runs, with the reasons of those that were refused
        for entity in self.rows:
            if entity in tables:
                self.add(entity, tables[entity])

    def at(self, clock: Clock) -> None:
        """The same records at a moment: everything that was computed is forgotten."""
        self.clock = clock
        dated = self.policy.plan.dated_lists.items()
        in_force = {name: [str(x.value) for x in rows if x.holds(clock.today)] for name, rows in dated}
        self.lists: dict[str, Any] = {**self.policy.plan.lists, **in_force}
        self.base: Scope = {"today": clock.today, "now": clock.now, CLOCK: clock, **self.lists}
        self.__dict__.pop("settled", None)
        self.forget_computed()

    def forget_computed(self) -> None:
        """Drop everything that was computed."""
        self._ranks, self._keyed = {}, {}
        touched, self.touched = self.touched, []
        for row in touched:
            row.forget()

    def remember(self, state: Mapping[str, Any]) -> Memory:
        """The memory of a run on these records: what the ledger and they say together of owners."""
        from roe.evaluator.memory import Memory

        return Memory(self, state)

    # --- loading ----------------------------------------------------------------------------------------------------

    def add(self, entity: str, raw: Iterable[Mapping[str, Any]]) -> list[Row]:
        """Load records of an entity; those that are rejected are in `rejects`."""
        model = self.policy.model
        zone = zone_of(self.policy.timezone)
        source = self.policy.data.get(entity, DataSource())
        decided = any(entity == e for e, _ in self.policy.plan.engagement)
        typed = coerce_table(entity, model.entities[entity], raw, model.roles(), zone, source, decided, self.typed.get(entity))
        self.rejects += typed.rejects
        self.typed.setdefault(entity, typed)
        return self.restore(entity, typed.rows)

    @property
    def readings(self) -> dict[str, Reading]:
        """entity -> what was read of its records, and what was not."""
        return {entity: typed.reading for entity, typed in self.typed.items()}

    def restore(self, entity: str, typed: Iterable[dict[str, Any]]) -> list[Row]:
        """Add records that are typed already; of two with one id the first stays."""
        added = []
        for values in typed:
            if values["id"] in self._keys[entity]:
                line = values.get("$line", 0)
                self.rejects.append(Reject(entity, values["id"], line, "id", values["id"], "a record with this id is loaded already"))
                continue
            row = Row(entity, self, values)
            added.append(row)
            self._keys[entity][values["id"]] = row
            for key in ("name", "email", "domain"):
                if values.get(key):
                    self._names[entity].setdefault(str(values[key]).lower(), []).append(row)
        self.rows[entity] = sorted([*self.rows[entity], *added], key=lambda row: str(row["id"]))
        self._back.clear()
        self._keyed.clear()
        return added

    def take(self, entity: str, typed: Sequence[dict[str, Any]]) -> None:
        """Add typed records that the data does not have. Those that are here already stay."""
        if entity in self.rows:
            self.restore(entity, (x for x in typed if x["id"] not in self._keys[entity]))

    def all(self, entity: str) -> Sequence[Row]:
        """The records of an entity, by id."""
        return self.rows[entity]

    def values(self, entity: str, name: str) -> list[Any]:
        """A field of every record of an entity, by id."""
        return [row[name] for row in self.rows[entity]]

    def evaluated(self, entity: str, expr: Expr) -> list[Any]:
        """An expression's value for every record of an entity, by id."""
        code = self.compiled.code(expr)
        return [code(self.scope(row)) for row in self.rows[entity]]

    def is_untouched(self, entity: str, record: str) -> bool:
        """Whether nothing moves a record today, since the policy says so."""
        ends = self._untouched.get((entity, record), ())
        return any(until is None or self.clock.today < until for until in ends)

    @cached_property
    def _untouched(self) -> Mapping[tuple[str, str], Sequence[date | None]]:
        """(entity, id) -> until when the policy says that nothing moves the record; None for ever."""
        ends: dict[tuple[str, str], list[date | None]] = {}
        for one in self.policy.plan.untouched:
            ends.setdefault((one.entity, one.record), []).append(one.until)
        return ends

    def owner_ids(self, entity: str, role: str) -> list[str | None]:
        """Who has each record of an entity in a role, by id."""
        return [None if (rep := row["owner"].get(role)) is None else str(rep["id"]) for row in self.rows[entity]]

    def recall(self, name: str, found: Mapping[str, Any]) -> None:
        """A field of accounts that the state knows, by id; what the data says comes first."""
        kind = self.policy.model.entities["account"][name].type
        for account, value in found.items():
            row = self._keys["account"].get(account)
            if row is not None and value is not None and dict.get(row, name) is None:
                row[name] = self.rep(value) if kind.name == "record" else v.parse_date(value) if kind.name == "date" else value

    def owner_column(self, entity: str, role: str) -> str:
        """The data's own column for the owner in a role, so that what is written loads back as it is."""
        return self._column_of(entity, f"owner.{role}") or ("owner" if role == self.policy.roles[0] else f"owner_{role}")

    def has_owner(self, entity: str, role: str) -> bool:
        """Whether the data has a column for the owner in a role."""
        return self._column_of(entity, f"owner.{role}") is not None

    def _column_of(self, entity: str, name: str) -> str | None:
        typed = self.typed.get(entity)
        return typed.columns.get(name) if typed else None

    def spelling(self) -> dict[str, str]:
        """The ids that the data has in another form than the one that they are folded to, with that form."""
        every = (*self.rows.values(), self._strangers.values())
        found = {str(row["id"]): row.written for rows in every for row in rows if dict.get(row, WRITTEN)}
        return {short: long for short, long in found.items() if short != long}

    def find(self, entity: str, key: str) -> Row | None:
        """A record by id, in the short or the long form, or by a name that only it has."""
        row = self._keys[entity].get(fold(key))
        if row is None:
            named = self._names[entity].get(key.lower(), ())
            row = named[0] if len(named) == 1 else None
        return row

    def search(self, entity: str, text: str, partly: bool = False) -> list[Row]:
        """Every record that answers to a text by id, name, e-mail or domain; `partly` looks for it inside of them."""
        exact = self.find(entity, text)
        if exact is not None:
            return [exact]
        wanted = text.lower()
        if not partly:
            return list(dict.fromkeys(self._names[entity].get(wanted, ())))
        return list(dict.fromkeys(r for name, rows in self._names[entity].items() if wanted in name for r in rows))

    def rep(self, key: Any) -> Row | None:
        """The rep that a text means. A rep whom the data does not list is a stranger: known by name alone, not active."""
        if key is None or key == "":
            return None
        if isinstance(key, Row):
            return key
        row = self.find("rep", str(key))
        if row is None:
            short = fold(str(key))
            row = self._strangers.get(short)
            if row is None:
                values = {"id": short, "name": str(key), "active": not self.rows["rep"], WRITTEN: str(key), **UNKNOWN_REP}
                row = self._strangers[short] = Row("rep", self, values)
        return row

    def assignee(self, value: Any, role: str) -> Row | None:
        """The rep whom the value of an `assign` means: of owners the one in the role, else a rep or the text of one."""
        if isinstance(value, Owners):
            found: Row | None = value.get(role)
            return found
        return self.rep(value) if isinstance(value, (Row, str)) else None

    def ranked(self, step: Derive) -> dict[str, dict[str, Any]]:
        """Of every record with a value its rank in its group (equals share the best one, or, if it is strict, follow each other by
        their ids), how many there are, its percentile
        (the share of the others that are below, as SQL's PERCENT_RANK has it) and the tier of its rank.
        """
        found = self._ranks.get((step.entity, step.name))
        if found is None:
            assert step.among is not None
            ids, values, groups = (self.values(step.entity, name) for name in ("id", f"{step.name}_of", f"{step.name}_within"))
            found = self._ranks[step.entity, step.name] = _ranks(ids, values, groups, step.among, step.strict)
        return found

    def frozen_value(self, step: Derive, record: str, now: Callable[[], Any]) -> Any:
        """The value that a record had when the period began, or has now if it is new in it."""
        kept = self.frozen.get(f"{step.entity}|{record}|{step.name}")
        return kept["value"] if kept is not None and kept["on"] == str(self.period(step)) else now()

    def period(self, step: Derive) -> date:
        """The first day of a frozen value's period."""
        assert step.frozen is not None
        first, months = step.frozen
        today = self.clock.today
        count = (today.year * 12 + today.month - first.year * 12 - first.month) // months
        start: date = v.add_months(first, count * months)
        return start if start <= today else v.add_months(first, (count - 1) * months)

    def freeze(self) -> dict[str, Any]:
        """The frozen values as they are to be kept, those of earlier periods gone."""
        found: dict[str, Any] = {}
        for (entity, name), step in self.policy.plan.steps.items():
            if isinstance(step, Derive) and step.frozen is not None:
                on = str(self.period(step))
                for row in self.all(entity):
                    found[f"{entity}|{row['id']}|{name}"] = {"on": on, "value": row[name]}
        return dict(sorted(found.items()))

    def staffed(self, step: Derive, role: str, key: Any, holder: Row | None = None) -> Row | None:
        """The rep of a staffing row, else the fallback; for one of them on leave who covers, if that is asked.

        Only reps who are able count; `holder` has the record, and keeps it on leave.
        """
        for rep in (self.rep(key), self.rep(step.vacant.get(role))):
            if rep is None or reason_left(rep):
                continue
            leave = rep["leave"] if step.cover else None
            cover = receiver(leave["cover"]) if leave is not None else None
            found = cover or receiver(rep, None if holder is None else holder["id"])
            if found is not None:
                return found
        return None

    def unlisted_rep(self, key: str) -> Row | None:
        """A rep whom the data names as an owner, and the policy as a member or a holder, but whom no record of a rep lists."""
        return self._strangers.get(fold(key))

    def is_stranger(self, rep: Row) -> bool:
        return rep["id"] not in self._keys["rep"]

    def owners(self, row: Row) -> Owners:
        """Today's owners, as the data says."""
        return Owners({role: self.rep(dict.get(row, f"owner.{role}")) for role in self.policy.roles})

    # --- fields -----------------------------------------------------------------------------------------------------

    def _makers(self, entity: str) -> dict[str, Make]:
        """For every field of an entity, how it is computed when it is not stored."""
        makers: dict[str, Make] = {}
        for name, f in self.policy.model.entities[entity].items():
            if f.via and f.type.item:
                makers[name] = _related(f.type.item.entity, f.via) if not f.key else _same_key(f.type.item.entity, f.via, f.key)
            elif f.type.name == "owners":
                makers[name] = lambda row: row.world.owners(row)
            elif "." in name and not f.via:
                makers[name] = _of_role(*name.split(".", 1))
            else:
                makers[name] = _nothing
        for (of, name), step in self.compiled.steps.items():
            if of == entity:
                makers[name] = self._step(step)
        if entity == "rep":
            makers["local_day"] = day_of
        remembered: dict[str, Make] = {
            past_of(name): (lambda row, name=name: row.world.past.of_field(row, name))  # type: ignore[misc]
            for of, name in self.policy.plan.past.tracked
            if of == entity
        }
        if "owner" in makers and OWNERS not in makers:
            remembered[OWNERS] = lambda row: row.world.past.owners(row)
        self.in_time |= {(entity, name): make for name, make in remembered.items()}
        return makers | remembered

    def _step(self, step: Any) -> Make:
        if isinstance(step, Derive):
            if step.group is not None:
                group = step.group
                return lambda row: Owners(
                    {role: row.world.staffed(step, role, row[name], row["owner"].get(role)) for role, name in group.items()}
                )
            assert step.expr is not None
            code = self.compiled.code(step.expr)
            if step.among is not None:
                return lambda row: row.world.ranked(step).get(str(row["id"]))
            if step.frozen is not None:
                return lambda row: row.world.frozen_value(step, str(row["id"]), lambda: code(row.world.scope(row)))
            return lambda row: code(row.world.scope(row))
        if isinstance(step, Choose):
            chooser = self.compiled.choosers[step.entity, step.name]
            decided = {entity for entity, _ in self.policy.plan.engagement}

            def choose(row: Row) -> Any:
                choice = chooser(row.world.scope(row))
                if choice.conflict and step.entity in decided:
                    names = ", ".join(str(chooser.step.rules[i].name) for i in choice.fired)
                    row.world.conflicts.setdefault((step.entity, step.name, names), []).append(str(row["id"]))
                return choice.value

            return choose
        if isinstance(step, Walk):
            along = step.along
            return (lambda row: [row, *walk(row, along)][-1]) if step.last else (lambda row: walk(row, along))
        if isinstance(step, Fill):
            source = step.source
            return lambda row: row[source]
        if isinstance(step, Settle):
            return lambda row: row.world.settled.given(row, step.gives)
        assert isinstance(step, Relate)
        return lambda row: row.world.matcher(step).best(row)

    def matcher(self, step: Relate) -> Matcher:
        found = self._matchers.get(step.name)
        if found is None:
            found = self._matchers[step.name] = Matcher(step, self)
        return found

    @cached_property
    def settled(self) -> Settled:
        """The claims of the policy, settled by what the records say at the start."""
        from roe.evaluator.claims import Settled

        assert self.policy.plan.claims is not None
        return Settled(self.policy.plan.claims, self, self.decided_claims)

    def fill(self, template: str | Sentence, scope: Scope) -> str:
        """A sentence with its `{expression}` parts replaced by their values."""

        def value(code: Code) -> str:
            found = code(scope)
            return "(unknown)" if found is None else found.label if isinstance(found, Row) else v.readable(found, self.clock.now.tzinfo)

        pieces = self.compiled.template(template) if isinstance(template, str) else self.compiled.sentence(template)
        return "".join(piece if code is None else value(code) for piece, code in pieces)

    def scope(self, row: Row) -> Scope:
        """What an expression about a record can name."""
        scope = dict(self.base)
        scope[row.entity] = row
        scope[IMPLICIT] = row
        return scope

    def resolve(self, row: Row) -> None:
        """Turn the texts of a record's references into records; a reference that finds none is counted and null."""
        for name, target in self._references[row.entity]:
            key = dict.get(row, name)
            if key is None or isinstance(key, Row):
                continue
            found = self.rep(key) if target == "rep" else self.find(target, key)
            if found is None:
                where = (row.entity, name, key)
                self.dangling[where] = self.dangling.get(where, 0) + 1
                del row[name]
            else:
                row[name] = found

    def resolve_all(self) -> None:
        for rows in self.rows.values():
            for row in rows:
                self.resolve(row)

    def shown(self, entity: str, role: str, records: Iterable[str]) -> dict[str, tuple[str | None, date | None, bool] | None]:
        """Of some records the owner in a role and the day that the data shows, and whether it has a column of that owner; None for those
        that are not in the data.
        """
        rows = {record: self._keys[entity].get(fold(record)) for record in records}
        return {record: None if row is None else self.shown_by(row, role) for record, row in rows.items()}

    def shown_by(self, row: Row, role: str) -> tuple[str | None, date | None, bool]:
        """The same of one record that is in the data."""
        rep = self.rep(dict.get(row, f"owner.{role}"))
        has = self._column_of(row.entity, f"owner.{role}") is not None
        return None if rep is None else rep["id"], row[f"owner_since.{role}"], has

    def know(self, entity: str, role: str, facts: Mapping[str, Facts]) -> None:
        """Let records have the owners of today, and what is known of them."""
        for record, found in facts.items():
            row = self._keys[entity].get(fold(record))
            if row is not None:
                self.know_one(row, role, found)

    def know_one(self, row: Row, role: str, found: Facts) -> None:
        row.forget()
        row[f"owner.{role}"] = found.holder
        row.update(self.known_of(row, role, found))

    def known_of(self, row: Row, role: str, found: Facts) -> dict[str, Any]:
        """The fields that say how a record came to its owner in a role."""
        former = self.rep(found.former)
        fields = {
            f"owner_since.{role}": found.owner_since, f"owner_from.{role}": found.start, f"former_owner.{role}": former,
            f"owner_by.{role}": found.by or None, f"returned_on.{role}": found.returned_on, f"referred_on.{role}": found.referred_on,
            f"holds.{role}": found.holds,
        }  # fmt: skip
        if role != self.first_role(row.entity):
            return fields
        data = dict.get(row, DATA_SINCE, NOT_STORED)
        data = dict.get(row, "owner_since") if data is NOT_STORED else data
        return fields | {"owner_since": found.owner_since, "former_owner": former, DATA_SINCE: data}

    def first_role(self, entity: str) -> str:
        """The role that is meant where none is named: the first that the entity has rules for."""
        return next((role for role in self.policy.roles if (entity, role) in self.policy.plan.engagement), self.policy.roles[0])

    def own(self, entity: str, owners: list[tuple[Row, Owners]], known: list[tuple[Row, dict[str, Any]]]) -> None:
        """Give the records of an entity the owners that were decided for them, and those that moved what is `known` of the new ones."""
        self.forget_computed()
        before = [(row, {name: dict.get(row, name, NOT_STORED) for name in values}) for row, values in known]
        self._owned.append((entity, owners, known, before))
        self._show(owners, known)

    def _show(self, owners: Iterable[tuple[Row, Owners | None]], known: Iterable[tuple[Row, dict[str, Any]]]) -> None:
        self.forget_computed()
        for row, own in owners:
            if own is None:
                dict.pop(row, "owner", None)
            else:
                row["owner"] = own
        for row, values in known:
            for name, value in values.items():
                if value is NOT_STORED:
                    dict.pop(row, name, None)
                else:
                    row[name] = value

    @contextmanager
    def as_before(self, entity: str) -> Iterator[None]:
        """The records as they were when an entity was being decided: its own owners, and later ones', are the data's."""
        since = next((i for i, (e, _, _, _) in enumerate(self._owned) if e == entity), None)
        if since is None:
            yield
            return
        later, self._owned = self._owned[since:], self._owned[:since]
        self._show([(row, None) for _, owners, _, _ in later for row, _ in owners], [x for _, _, _, before in later for x in before])
        try:
            yield
        finally:
            for decided, owners, known, _ in later:
                self.own(decided, owners, known)

    def open_records(self) -> dict[tuple[str, str], int]:
        """Open records per entity and rep, in any role; a converted or disqualified lead is not open."""
        found: dict[tuple[str, str], int] = {}
        for entity in ("lead", "account"):
            for row in self.rows[entity]:
                if entity == "lead" and row["is_open"] is False:
                    continue
                for rep_id in {rep["id"] for rep in row["owner"].values() if rep is not None}:
                    found[entity, rep_id] = found.get((entity, rep_id), 0) + 1
        return found

    def back(self, entity: str, via: str) -> dict[int, list[Row]]:
        """Records of an entity by the record that their field refers to."""
        key = (entity, via)
        found = self._back.get(key)
        if found is None:
            found = self._back[key] = {}
            for row in self.rows.get(entity, ()):
                target = row[via]
                if isinstance(target, Row):
                    found.setdefault(id(target), []).append(row)
        return found

    def keyed(self, entity: str, by: str) -> dict[Any, list[Row]]:
        """Records of an entity by the value of a field, those without one left out."""
        found = self._keyed.get((entity, by))
        if found is None:
            found = self._keyed[entity, by] = {}
            for row in self.all(entity):
                value = key_of(row[by])
                if value is not None:
                    found.setdefault(value, []).append(row)
        return found


def key_of(value: Any) -> Any:
    """What `=` finds a value equal by, as a key of a dict; None for what has no value, or none that can be looked up."""
    kind = v.kind(value)
    if value is None or kind in ("list", "range", "any") or (kind == "context" and not isinstance(value, Row)):
        return None
    return kind, v.moment(value) if kind == "date and time" else value


def _ranks(
    ids: list[Any], values: list[Any], groups: list[Any], tiers: Sequence[tuple[str, float]], strict: bool = False
) -> dict[str, dict[str, Any]]:
    by_group: dict[Any, list[tuple[float, str]]] = {}
    for record, value, group in zip(ids, values, groups, strict=True):
        if v.is_number(value):
            key = str(group["id"]) if isinstance(group, Row) else v.string(group)
            by_group.setdefault(key, []).append((value, str(record)))
    out = {}
    for members in by_group.values():
        n = len(members)
        ordered = sorted(value for value, _ in members)
        ties: dict[float, list[str]] = {}
        for value, record in sorted(members, key=lambda m: m[1]) if strict else ():
            ties.setdefault(value, []).append(record)
        for value, record in members:
            below, above = bisect_left(ordered, value), n - bisect_right(ordered, value)
            if strict:
                above += ties[value].index(record)
            rank, reach, tier = above + 1, 0.0, None
            for name, share in tiers:
                reach += share
                if rank <= ceil(reach * n / 100 - 1e-9):
                    tier = name
                    break
            out[record] = {"rank": rank, "of": n, "percentile": v.number(100 * below / (n - 1)) if n > 1 else 100, "tier": tier}
    return out


def _nothing(row: Row) -> None:
    return None


def _related(entity: str, via: str) -> Make:
    return lambda row: list(row.world.back(entity, via).get(id(row), ()))


def _same_key(entity: str, via: str, key: str) -> Make:
    def related(row: Row) -> list[Row]:
        value = key_of(row[key])
        return [] if value is None else list(row.world.keyed(entity, via).get(value, ()))

    return related


def _of_role(name: str, role: str) -> Make:
    """What the data says of an owner in a role, where it says it of the record alone."""
    if name == "owner_since":
        return lambda row: row["owner_since"] if (data := dict.get(row, DATA_SINCE, NOT_STORED)) is NOT_STORED else data
    if name == "owner_from":
        return lambda row: row[f"owner_since.{role}"]
    if name == "former_owner":
        return lambda row: row["former_owner"] if role == row.world.policy.roles[0] else None
    return _nothing


def walk(row: Row, along: str) -> list[Row]:
    """The rows that a reference leads to one after the other, the nearest first; a circle ends where it closes."""
    seen, found = {id(row)}, []
    while (after := row[along]) is not None and id(after) not in seen:
        seen.add(id(after))
        found.append(after)
        row = after
    return found
