"""One role's rules, asked about one record after another: the partition index with everything in its way removed.

A plain field's cell is one look-up in a dictionary that fills as values are met; every other subject goes the ordinary
way. Null is the usual reason that a rule is unknown, so what is not false is followed alone, and doubts beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.choose import Choice, Chooser
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar.scopes import Scope
from roe.plan.cells import MAX_KEPT_BITS, Subject
from roe.plan.operators import Rule

if TYPE_CHECKING:
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.trace import Trace
    from roe.grammar.clock import Clock

Masks = tuple[int, int]  # (not false, in doubt), over the rules' alternatives
_Step = tuple[str, int, dict[Value, Masks], Masks, Callable[[Value], Masks], bool]
MAX_MET = 4096  # values of a field whose cells are remembered
HEAD = 1024
FEW = 64  # rules up to which a subject that no standing rule tests is worth skipping


class RuleSet:
    """The rules of one role of an entity. Safe to share between threads: it holds no record, and only ever learns cells.

    A record maps the entity's fields to values of their declared types, such as a row of a run has them. Fields that it
    lacks are null; definitions, scores and territories are computed from it.
    """

    def __init__(self, evaluator: Evaluator, entity: str, role: str, clock: Clock) -> None:
        self.chooser: Chooser = evaluator.compiled.engagement[entity, role]
        self.rules = self.chooser.step.rules
        self.entity, self.role = entity, role
        self._world = World(evaluator.compiled, {}, clock)
        index = self.chooser.index
        self._everything, self._rule_of = index.everything, index.rule_of
        self._plain = {
            f.name for f in evaluator.policy.model.entities[entity].values() if not f.via and f.type.name not in ("record", "owners")
        }
        self._plain -= {name for of, name in evaluator.policy.plan.steps if of == entity}
        self._subjects = index.subjects
        self._later = [0] * len(index.subjects)
        for i in range(len(index.subjects) - 1, 0, -1):
            self._later[i - 1] = self._later[i] | index.subjects[i].uses
        names = [self._field(subject) for subject in index.subjects]
        self._rows = None in names
        pairs = [(name, subject) for name, subject in zip(names, index.subjects, strict=True) if name]
        pairs.sort(key=lambda pair: -pair[1].uses.bit_count())  # what most rules test rules out most
        self._steps = [self._step(name, subject, self._everything) for name, subject in pairs]
        self._few = len(self._rule_of) <= FEW
        # Of many rules the first ones decide most records: they are asked alone, with bitsets that are short.
        self._head = self._everything & ((1 << HEAD) - 1) if len(self._rule_of) > 2 * HEAD else 0
        self._head_steps = [self._step(name, subject, self._head) for name, subject in pairs] if self._head else []

    def _field(self, subject: Subject) -> str | None:
        """The plain field that a subject is, if it is one."""
        node = subject.node
        own = isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == self.entity
        return node.field if own and isinstance(node, s.Path) and node.field in self._plain else None

    def _step(self, name: str, subject: Subject, among: int) -> _Step:
        """A field's step over the alternatives in `among`."""
        known: dict[object, Masks] = {}
        room = min(MAX_MET, MAX_KEPT_BITS // max(1, among.bit_length()))

        def meet(value: object) -> Masks:
            masks = _doubt(subject.masks(value), among)
            if len(known) < room and type(value) in _KEPT.get(subject.kind, ()):
                known[value] = masks
            return masks

        return name, subject.uses, known, _doubt(subject.masks(None), among), meet, subject.kind != "string"

    def __call__(self, record: Mapping[str, object]) -> Rule | None:
        """The rule that decides the record; None if none holds."""
        low = self._decide(record)[0]
        return self.rules[self._rule_of[low.bit_length() - 1]] if low else None

    def explain(self, record: Mapping[str, object]) -> ExplainedRule:
        """The same decision, with what explains it kept; the tree is built when it is read."""
        low, possible, doubt = self._decide(record)
        return ExplainedRule(self, record, low, possible, doubt)

    def _decide(self, record: Mapping[str, object]) -> tuple[int, int, int]:
        """(the bit of the first alternative that holds, what may hold, what is in doubt)."""
        if self._rows:
            return self._slowly(record)
        if self._head:
            hits = self._walk(record, self._head_steps, self._head)
            if hits[0]:
                return hits
        return self._walk(record, self._steps, self._everything)

    def _walk(self, record: Mapping[str, object], steps: list[_Step], possible: int) -> tuple[int, int, int]:
        get = record.get
        doubt = 0
        few = self._few
        for name, uses, known, null, meet, numeric in steps:
            if few and not possible & uses:
                continue
            value = get(name)
            if value is None:
                bits = null
                doubt |= bits[1]
            else:
                try:
                    bits = known[value]
                    if numeric and value.__class__ is bool:  # which is a key equal to 0 or 1
                        bits = meet(value)
                except (KeyError, TypeError):
                    bits = meet(value)
                if bits[1]:
                    doubt |= bits[1]
            possible &= bits[0]
            if not possible:
                return 0, 0, 0
        true = possible & ~doubt if doubt else possible
        return true & -true, possible, doubt

    def _slowly(self, record: Mapping[str, object]) -> tuple[int, int, int]:
        """Rules that look beyond the record's own fields."""
        world = self._world
        scope: Scope = world.scope(record if isinstance(record, Row) else Row(self.entity, world, record))
        asked = self.chooser.index.first_bits(scope)
        if asked is not None:
            return asked[0], asked[0] | asked[1], asked[1]
        possible = self._everything
        doubt = 0
        for subject, later in zip(self._subjects, self._later, strict=True):
            if not possible & subject.uses:
                continue
            p, d = _doubt(subject.masks(subject.code(scope)), self._everything)
            possible &= p
            doubt |= d
            low = possible & -possible
            if not low & (later | doubt):
                return low, possible, 0
        true = possible & ~doubt
        return true & -true, possible, doubt

    def choice(self, low: int, possible: int, doubt: int) -> Choice:
        index = self.chooser.index
        before = possible & doubt & (low - 1 if low else -1)
        fired = (self._rule_of[low.bit_length() - 1],) if low else ()
        unknown = tuple(r for r in index.rules_of(before) if r not in fired)
        return Choice(self.rules[fired[0]].value if fired else None, fired, unknown)


_KEPT: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float)}  # what is kept of a subject of that kind


def _doubt(masks: tuple[int, int], among: int) -> Masks:
    true, possible = masks[0] & among, masks[1] & among
    return possible, possible & ~true


class ExplainedRule:
    """A decision of a `RuleSet`, with what its explanation is made of."""

    __slots__ = ("_doubt", "_low", "_possible", "_set", "record")

    def __init__(self, rules: RuleSet, record: Mapping[str, object], low: int, possible: int, doubt: int) -> None:
        self._set, self.record = rules, record
        self._low, self._possible, self._doubt = low, possible, doubt

    @property
    def rule(self) -> Rule | None:
        """The rule that decided; None if none holds."""
        return self._set.rules[self._set._rule_of[self._low.bit_length() - 1]] if self._low else None

    @property
    def choice(self) -> Choice:
        return self._set.choice(self._low, self._possible, self._doubt)

    @property
    def trace(self) -> Trace:
        """The explanation of which rule holds: the rules considered, with every condition and its values."""
        from roe.evaluator.decision import Decision
        from roe.evaluator.trace import trace

        of = self._set
        row = self.record if isinstance(self.record, Row) else Row(of.entity, of._world, self.record)
        rule = self.rule
        name = str(row["name"] or row["id"] or "record")
        reason = f"rule `{rule.name}` holds" if rule else "no rule holds"
        decision = Decision(
            of.entity, str(row["id"] or ""), name, of.role, "unassigned", rule=str(rule.name) if rule else "", reason=reason, row=row
        )
        decision.choice = self.choice
        return trace(decision)
