"""From what a rule asks for back to facts that somebody can change.

`holds` and `give` take an expression, the scope it is evaluated in and what is wanted of it, and yield *ways*: sets of changes after
which it may be so. They go down the expression: a condition to its parts, a test to the nearest values that pass (cells of the
partition index), a definition, table, score, window, territory or match to what it is computed from, until a stored field, a related
record or a list of the policy is reached. A way is a proposal, no more: `whynot.py` replays each before anybody reads it, so this
module may guess, and has no need to know how the rest of the world would take it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from datetime import date

from roe.analysis import missing
from roe.analysis.changes import NEW, WAYS, Change, FieldChange, ListChange, Wait, Way, best, together
from roe.analysis.chosen import ways_to_choice
from roe.analysis.nearby import (
    POOL,
    TRIED,
    Accept,
    above,
    apart,
    harmful,
    leaves,
    mails,
    moved,
    nearest,
    neighbours,
    price,
    waiting,
)
from roe.analysis.owned import as_owner, ways_to_owner
from roe.analysis.replay import Impossible, read_back
from roe.dynamic import Value
from roe.evaluator.bound import Bound
from roe.evaluator.row import OwnersOfRow, Row
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.closures import compile_expression
from roe.grammar.printer import show
from roe.grammar.scopes import IMPLICIT, Code, Scope
from roe.plan.operators import Choose, Derive, Rule
from roe.plan.subjects import Test, test_of

DEEP = 24  # steps down from a rule to a fact
STEPS = 800  # of a search through one world

WANTED: dict[str, Accept] = {
    "true": lambda x: x is True, "untrue": lambda x: x is not True, "false": lambda x: x is False, "unfalse": lambda x: x is not False,
}  # fmt: skip
OPPOSITE = {"true": "false", "untrue": "unfalse", "false": "true", "unfalse": "untrue"}


class Proposals:
    """Proposals for one asker in one world."""

    def __init__(self, bound: Bound, rep: Row) -> None:
        self.bound, self.world, self.rep = bound, bound.world, rep
        self.plan, self.compiled = bound.plan, bound.evaluator.compiled
        self._deep = self.steps = 0
        self._known: dict[tuple[Hashable, ...], tuple[s.Node, Scope, list[Way]]] = {}
        self._loads: dict[tuple[Hashable, ...], bool] = {}
        self._busy: set[tuple[int, str]] = set()
        self._codes: dict[int, tuple[s.Node, Code]] = {}
        self._pools: dict[tuple[str, str], list[object]] = {}

    # --- conditions -----------------------------------------------------------------------------------------------------

    def holds(self, tree: s.Node, scope: Scope, wanted: str = "true") -> list[Way]:
        """Ways to a condition that is true, not true, false or not false; the empty way where it is so already."""
        accept = WANTED[wanted]
        if accept(self.value(tree, scope)):
            return [()]
        key = (id(tree), wanted, *(id(x) for x in scope.values() if isinstance(x, Row)))
        if key not in self._known:
            if not self._step():
                return []
            try:
                self._known[key] = (tree, scope, best(self._holds(tree, scope, wanted, accept)))
            finally:
                self._deep -= 1
        return self._known[key][2]

    def _step(self) -> bool:
        """Whether there is still room for a step further down; whoever takes it steps back up."""
        self.steps += 1
        if self._deep >= DEEP or self.steps > STEPS:
            return False
        self._deep += 1
        return True

    def _holds(self, tree: s.Node, scope: Scope, wanted: str, accept: Accept) -> Iterator[Way]:
        if isinstance(tree, s.Not) and len(tree.operands) == 1:
            yield from self.holds(tree.operands[0], scope, OPPOSITE[wanted])
            return
        if isinstance(tree, (s.And, s.Or)):
            test = test_of(tree, self.world.lists)
            if test is not None:
                yield from self._tested(test, scope, accept)
            parts = (self.holds(item, scope, wanted) for item in tree.items)
            if isinstance(tree, s.And) == (wanted in ("true", "unfalse")):
                yield from together(list(parts))
            else:
                yield from itertools.chain.from_iterable(parts)
            return
        if isinstance(tree, s.If):
            yield from self._branches(tree, scope, accept, [wanted == "true"])
            return
        if isinstance(tree, s.In):
            yield from self._listed(tree, scope, accept)
        test = test_of(tree, self.world.lists)
        if test is not None:
            yield from self._tested(test, scope, accept)
            return
        if isinstance(tree, s.Compare):
            for side, other in ((tree.left, tree.right), (tree.right, tree.left)):
                aim = self.value(other, scope)
                code = compile_expression(s.Compare(tree.op, s.Name("$left"), s.Name("$right")))
                left = side is tree.left

                def passes(x: object, aim: object = aim, left: bool = left, code: Code = code) -> bool:
                    return accept(code({"$left": x if left else aim, "$right": aim if left else x}))

                yield from self.give(side, scope, passes, [aim])
            return
        yield from self.give(tree, scope, accept, [wanted in ("true", "unfalse")])

    def _tested(self, test: Test, scope: Scope, accept: Accept) -> Iterator[Way]:
        def passes(value: object) -> bool:
            return accept(test.condition(value))

        yield from self.give(test.subject, scope, passes, nearest(test, passes, self.value(test.subject, scope)))

    def _listed(self, tree: s.In, scope: Scope, accept: Accept) -> Iterator[Way]:
        """A list of the policy that the value is put on, or taken off."""
        value = self.value(tree.value, scope)
        for test in tree.tests:
            if isinstance(test, s.Name) and test.id in self.world.lists and isinstance(value, str):
                inside = any(v.equal(value, x) is True for x in self.world.lists[test.id])
                known = self.world.lists[test.id]
                items = [x for x in known if x != value] if inside else [*known, value]
                if accept(self.value(tree, {**scope, test.id: items})):
                    yield (ListChange(test.id, value, not inside, cost=2.0),)

    # --- values -----------------------------------------------------------------------------------------------------------

    def give(self, tree: s.Node, scope: Scope, accept: Accept, hints: Sequence[object] = ()) -> list[Way]:
        """Ways to a value that is accepted; `hints` are values that are."""
        if accept(self.value(tree, scope)):
            return [()]
        if not self._step():
            return []
        try:
            return best(self._give(tree, scope, accept, hints))
        finally:
            self._deep -= 1

    def _give(self, tree: s.Node, scope: Scope, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        if isinstance(tree, s.If):
            yield from self._branches(tree, scope, accept, hints)
        elif isinstance(tree, s.Name) and tree.id in ("today", "now"):
            yield from self._later(tree.id, accept, hints)
        elif isinstance(tree, (s.Name, s.Path)):
            yield from self._path(tree, scope, accept, hints)
        elif isinstance(tree, (s.And, s.Or, s.Not, s.Compare, s.In, s.Between)):
            for wanted, passes in WANTED.items():
                if wanted in ("true", "false") and accept(passes(True) if wanted == "true" else False):
                    yield from self.holds(tree, scope, wanted)
        else:
            yield from self._opaque(tree, scope, accept, hints)

    def _branches(self, tree: s.If, scope: Scope, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        for branch, wanted in ((tree.then, "true"), (tree.otherwise, "untrue")):
            yield from together([self.holds(tree.condition, scope, wanted), self.give(branch, scope, accept, hints)])

    def _later(self, name: str, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        """A day, or a moment, to wait for."""
        clock = self.world.clock
        now = clock.today if name == "today" else clock.now
        for value in itertools.chain.from_iterable(neighbours(h) for h in hints):
            if isinstance(value, date) and v.less(now, value) is True and accept(value):
                yield (Wait(value, cost=waiting(clock.now, value)),)

    def _path(self, tree: s.Name | s.Path, scope: Scope, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        at = self.field_at(tree, scope)
        if at is not None:
            yield from self.field(*at, accept, hints)
            return
        if not isinstance(tree, s.Path):
            return
        base = self.value(tree.base, scope)
        if isinstance(base, OwnersOfRow):
            of = self.field_at(tree.base, scope)
            if of is not None:
                yield from ways_to_owner(self, *of, tree.field, accept)
            return
        field = tree.field
        if base is None:
            entity = self._entity(tree.base, scope)
            rows = [row for row in self.world.rows.get(entity, ())[:TRIED] if accept(row[field])]
            yield from self.give(tree.base, scope, lambda x: isinstance(x, dict) and accept(x.get(field)), rows[:WAYS])
        elif isinstance(base, dict):
            yield from self.give(tree.base, scope, lambda x: isinstance(x, dict) and accept(x.get(field)), ())
        else:
            yield from self._opaque(tree, scope, accept, hints)

    def field_at(self, tree: s.Node, scope: Scope) -> tuple[Row, str] | None:
        """The record and the field that a name or a path reads; None where it is neither."""
        item = scope.get(IMPLICIT)
        if isinstance(tree, s.Name):
            if not isinstance(item, Row) or tree.id not in item:
                return None
            return (item, tree.id) if tree.id not in scope or scope[tree.id] is item[tree.id] else None
        if isinstance(tree, s.Path):
            base = self.value(tree.base, scope)
            return (base, tree.field) if isinstance(base, Row) else None
        return None

    def _entity(self, tree: s.Node, scope: Scope) -> str:
        """The entity that a reference refers to, where it refers to nothing now."""
        at = self.field_at(tree, scope)
        field = self.world.policy.model.entities[at[0].entity].get(at[1]) if at is not None else None
        return field.type.entity if field is not None and field.type.name == "record" else ""

    # --- fields -----------------------------------------------------------------------------------------------------------

    def field(self, row: Row, name: str, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        """A field of a record: a step is followed to what it is computed from, a stored one is changed."""
        key = (id(row), name)
        if key in self._busy:
            return
        self._busy.add(key)
        try:
            yield from list(self._field(row, name, accept, hints))
        finally:
            self._busy.discard(key)

    def _field(self, row: Row, name: str, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        step = self.plan.steps.get((row.entity, name))
        if isinstance(step, Derive):
            if step.among is not None:
                yield from self._ranked(row, name)
            elif step.expr is not None:
                yield from self.give(step.expr.tree, self.world.scope(row), accept, hints)
            return
        if isinstance(step, Choose):
            yield from ways_to_choice(self, row, self.compiled.choosers[row.entity, name], accept)
            return
        if name == "claim" and self.plan.claims is not None and row.entity == self.plan.claims.entity:
            yield from missing.claimed(self, row, accept)
            return
        if (row.entity, "matched_account") in self.plan.steps and name == "account":
            hints = [*hints, *self.world.rows["account"][:TRIED]]
        stored = self.world.policy.model.entities[row.entity].get(name)
        if stored is None or stored.via or name == "id" or "." in name:  # `owner_from.ae` is what roe remembers: nobody can change it
            return
        if stored.type.name == "owners":
            for role in self.world.policy.roles:
                yield from ways_to_owner(self, row, name, role, as_owner(row, role, accept))
            return
        for value in self._candidates(row, name, accept, hints):
            change = self.change(row, name, value)
            if change is not None:
                yield (change,)

    def _candidates(self, row: Row, name: str, accept: Accept, hints: Sequence[Value]) -> list[Value]:
        """The accepted values for a stored field, the nearest first."""
        stored, now = self.world.policy.model.entities[row.entity][name], row[name]
        if stored.type.name == "record":
            rows = [h for h in hints if isinstance(h, Row) and h.entity == stored.type.entity]
            if stored.type.entity == "rep":
                rows.append(self.rep)
            return [x for x in dict.fromkeys([*rows, None]) if x is not now and accept(x)][:WAYS]
        values = list(itertools.chain.from_iterable(neighbours(h) for h in hints if not isinstance(h, (Row, list, dict))))
        if stored.type.name == "string":
            values += [*(stored.type.values or ()), *self._values(row.entity, name)]
        elif stored.type.name == "boolean":
            values += [True, False]
        else:
            values += self._values(row.entity, name)
        unique = list({(type(x).__name__, x): x for x in [*values, None] if not isinstance(x, (list, dict))}.values())
        good = [x for x in unique if x != now and v.kind(x) in (stored.type.name, "null") and accept(x)]
        return sorted(good, key=lambda x: apart(now, x))[:WAYS]

    def _values(self, entity: str, name: str) -> list[Value]:
        """The values that the data has in a field, the most frequent first."""
        key = (entity, name)
        if key not in self._pools:
            rows = self.world.rows.get(entity, ())[: TRIED * 5]
            counts = Counter(x for row in rows if isinstance(x := dict.get(row, name), (str, int, float, date)))
            self._pools[key] = [x for x, _ in counts.most_common(POOL)]
        return self._pools[key]

    def change(self, row: Row, name: str, value: object) -> Change | None:
        """A field's change, unless it would do harm or could not be loaded."""
        after = value["id"] if isinstance(value, Row) else value
        if name.startswith("owner."):
            rep = row["owner"].get(name.partition(".")[2])
            before = rep["id"] if rep is not None else None
        else:
            before = row[name]["id"] if isinstance(row[name], Row) else row[name]
        if (row["id"] != NEW and not self._can_be_loaded(row.entity, name, after)) or harmful(row, name, before, after, self.rep):
            return None
        return FieldChange(row.entity, str(row["id"]), name, before, after, row.label, cost=price(row, name, before, after))

    def _can_be_loaded(self, entity: str, name: str, value: object) -> bool:
        key = (entity, name, type(value).__name__, value)
        if key not in self._loads:
            try:
                self._loads[key] = read_back(self.world.policy, entity, name, value) == value
            except Impossible:
                self._loads[key] = False
        return self._loads[key]

    # --- steps ------------------------------------------------------------------------------------------------------------

    def rule(self, rule: Rule, scope: Scope, wanted: bool = True) -> list[Way]:
        """Ways to a rule that holds; or, not wanted, to one that does not."""
        parts = [self.holds(expr.tree, scope, "true" if wanted else "untrue") for expr in rule.conditions]
        return together(parts) if wanted else best(way for ways in parts for way in ways)

    def is_met(self, rule: Rule, scope: Scope) -> bool:
        return all(self.value(expr.tree, scope) is True for expr in rule.conditions)

    def _ranked(self, row: Row, name: str) -> Iterator[Way]:
        """A place among all records: the measure of those that have another place."""
        measure = f"{name}_of"
        aims = sorted({x for x in self.world.values(row.entity, measure) if v.is_number(x)})
        for aim in aims[:: max(1, len(aims) // WAYS)]:
            yield from self.field(row, measure, above(aim), [aim])

    # --- anything else ------------------------------------------------------------------------------------------------------

    def _opaque(self, tree: s.Node, scope: Scope, accept: Accept, hints: Sequence[object]) -> Iterator[Way]:
        """An expression that is taken as it is: another value for one of the facts in it, tried on the expression itself."""
        now = self.value(tree, scope)
        literals = [n.value for n in s.walk(tree) if isinstance(n, s.Literal) and n.value is not None]
        for leaf in leaves(tree):
            if leaf == tree:  # a path that reads no record: nothing in it can be changed apart from the rest
                continue
            text = show(leaf)

            def put(node: s.Node, code: Code, text: str = text) -> Code:
                return (lambda inner: inner["$leaf"]) if isinstance(node, (s.Name, s.Path)) and show(node) == text else code

            code = compile_expression(tree, put)

            def passes(x: object, code: Code = code) -> bool:
                return accept(code({**scope, "$leaf": x}))

            value = self.value(leaf, scope)
            if isinstance(value, (list, dict)) and not isinstance(value, (Row, OwnersOfRow)):
                continue
            yield from self.give(leaf, scope, passes, [*moved(value, now, hints), *literals, *mails(value, hints)])
        yield from missing.related(self, tree, scope)

    def value(self, tree: s.Node, scope: Scope) -> Value:
        compiled = self._codes.get(id(tree))
        if compiled is None:
            compiled = self._codes[id(tree)] = (tree, compile_expression(tree))
        return compiled[1](scope)
