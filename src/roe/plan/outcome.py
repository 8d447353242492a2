"""What a rule makes of a record: an action lowers to steps of its role, and back ends compute those.

A role `ae` has the steps `ae.rule` (the `Choose` of its rules, with an approved exception as the first), `ae.owner`, `ae.until` and
`ae.reason`; their trees are ordinary expressions about the record, and they may read the steps before them by name. Today's owner is
`account.owner.ae`. Only a pool is not an expression: an `Allocate` gives `ae.owner`, and beside it `ae.pool`, `ae.why` and `ae.due`.

To add an outcome, add it here: an action to `_ACTIONS`, how it lowers to `_Lowering`. No back end knows one by name.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from datetime import timedelta

from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.functions.history import by_role
from roe.grammar.parser import parse
from roe.grammar.printer import show
from roe.grammar.values import Duration
from roe.node import names_of, node
from roe.plan.operators import TEMPLATE, Action, Choose, Expr, Rule
from roe.plan.parts import ExceptionRow, Window
from roe.plan.plan import Plan
from roe.source import Inline, Text

ACTIONS = ("unassigned", "keep", "assign", "route", "open", "hold", "return", "refer", "exception")  # what `action` may be in a decision
LIVE = ("protected", "grace")  # the states of a window in which it protects an owner
LEFT = ", who has left,"  # said of a rep who must decide


class Sentence:
    """A sentence in pieces: plain text, or a text in braces with the tree of the expression whose value stands there.

    Two sentences are the same one only if they are one object, so that records with the same sentence can be worded together.
    """

    __slots__ = ("instead", "pieces")

    def __init__(self, *pieces: str | s.Node, instead: Sentence | None = None) -> None:
        self.instead = instead  # the sentence where a pool gave the owner without a turn, for a reason: `ae.why`
        joined: list[tuple[str, s.Node | None]] = []
        for piece in pieces:
            if not isinstance(piece, str):
                joined.append((show(piece), piece))
            elif joined and joined[-1][1] is None:
                joined[-1] = (joined[-1][0] + piece, None)
            elif piece:
                joined.append((piece, None))
        self.pieces = tuple(joined)


def _pieces(template: str, roles: Sequence[str]) -> list[str | s.Node]:
    parts = TEMPLATE.split(template)
    trees = [parse(piece)[0] if i % 2 else None for i, piece in enumerate(parts)]
    return [piece if tree is None else by_role(tree, roles) for piece, tree in zip(parts, trees, strict=True)]


@node(eq=False)
class Outcome:
    """One way to decide a record: `action` names it, `owner` is the rep (None: nobody), `until` the first day on which it is over.

    With a `pool`, that pool gives the owner instead. Where nobody is found, `otherwise` decides; without one this stands.
    """

    action: str
    owner: Expr | None
    until: Expr | None
    reason: Sentence
    pool: str = ""
    otherwise: Outcome | None = None
    names_pool: bool = True  # whether a pool that was asked before is still worth naming
    asks_if_able: bool = False  # whether the owner must be able to receive the record, or have it and be one who may hold it

    def asks(self) -> Iterator[Outcome]:
        """The pools that are asked from here on, each if the one before, with its fallback, found nobody: this outcome and those behind it. A rule
        has one `else`, so no pool comes after a rep who is named behind a pool.
        """
        outcome: Outcome | None = self
        while outcome is not None and outcome.pool:
            yield outcome
            outcome = outcome.otherwise


@node
class OutcomeFields:
    """The steps of a role, by the names under which the trees of later steps read them."""

    rule: str
    owner: str
    pool: str
    why: str
    due: str

    @classmethod
    def of(cls, role: str) -> OutcomeFields:
        return cls(*(f"{role}.{name}" for name in names_of(cls)))


class RoleSteps:
    """The steps that the rules of one role lower to. A rule's are made when it first decides a record."""

    def __init__(self, plan: Plan, entity: str, role: str, roles: Sequence[str], fields: Container[str]) -> None:
        self.entity, self.role, self.roles = entity, role, roles
        self.can_be_closed = "is_open" in fields
        self.rules: Choose = plan.engagement[entity, role]
        self.names = OutcomeFields.of(role)
        windows = [w for w in plan.windows if w.entity == entity and w.role == role]
        self.exceptions = tuple(row for row in plan.exceptions if row.entity == entity and str(row.role) == role)
        self.previous = s.Path(s.Path(s.Name(entity), "owner"), role)
        self.window = _window_text(entity, self.previous, windows)
        self.territory = _territory(plan, entity)
        # the fields that explain every decision, whatever its rule reads
        self.explained = (*(w.state for w in windows), *(["territory"] if self.territory is not None else []))
        self._lowering = _Lowering(self, plan, _protected_until(entity, self.previous, windows))
        self.no_rule = self._lowering.no_rule()
        self._of_rules: dict[int, Outcome] = {}
        self._same: dict[Hashable, Outcome] = {}
        self._of_exceptions: dict[int, tuple[ExceptionRow, Outcome]] = {}

    def of(self, number: int) -> Outcome:
        """What the rule of this number makes of a record; rules that say the same share one outcome."""
        outcome = self._of_rules.get(number)
        if outcome is None:
            rule = self.rules.rules[number]
            key = _key(rule.value, rule.because)
            outcome = self._same.get(key)
            if outcome is None:
                outcome = self._same[key] = self._lowering.of(rule)
            self._of_rules[number] = outcome
        return outcome

    def approved(self, row: ExceptionRow) -> Outcome:
        """What an approved exception makes of its record."""
        known = self._of_exceptions.get(id(row))
        if known is None:
            known = self._of_exceptions[id(row)] = (row, self._approved(row))
        return known[1]

    def _approved(self, row: ExceptionRow) -> Outcome:
        owner, until = _literal(str(row.owner)), _literal(row.until)
        reason = Sentence(f"exception approved by {row.approved_by}: {row.reason}")
        nobody = Outcome("unassigned", None, expression(until), reason)
        return Outcome("exception", expression(owner), expression(until), reason, otherwise=nobody)


def expression(tree: s.Node) -> Expr:
    """An expression that stands in no file."""
    return Expr(tree, Text(show(tree), Inline()))


def conditions(row: ExceptionRow, fields: Container[str] | None = None) -> tuple[s.Node, ...]:
    """When an approved exception decides the record that it names: on its days, while the record is open.

    With `fields`, the names that the record has, what tests any other is left out: it has no value, and so is not false.
    """
    today, is_open = s.Name("today"), s.Path(s.Name(row.entity), "is_open")
    tests: list[s.Node] = [s.Compare("<", today, _literal(row.until))]
    if row.start is not None:
        tests.append(s.Compare(">=", today, _literal(row.start)))
    if fields is None or is_open.field in fields:
        tests.append(s.Compare("!=", is_open, s.FALSE))
    return tuple(tests)


def claimable(plan: Plan, entity: str, role: str) -> bool:
    """Whether reps can claim records of this entity in this role."""
    return plan.claims is not None and entity == plan.claims.entity and role == plan.claims.role


# --- windows ----------------------------------------------------------------------------------------------------------


def _protected_until(entity: str, previous: s.Node, windows: list[Window]) -> s.Node | None:
    """When the first window that protects today's owner ends; None if the role has no windows."""
    record = s.Name(entity)
    until: s.Node = s.NULL
    for window in reversed(windows):
        for state in reversed(LIVE):
            if window.end(state):
                until = s.If(_is(s.Path(record, window.state), state), s.Path(record, window.end(state)), until)
    return s.If(s.is_missing(previous), s.NULL, until) if windows else None


def _window_text(entity: str, previous: s.Node, windows: list[Window]) -> Expr | None:
    """The first window that protects today's owner, and its state; else the state of the first."""
    if not windows:
        return None
    states = [s.Path(s.Name(entity), window.state) for window in windows]
    texts = [s.Binary("+", _literal(f"{w.name}: "), state) for w, state in zip(windows, states, strict=True)]
    shown: s.Node = texts[0]
    for state, text in reversed(list(zip(states, texts, strict=True))[1:]):
        shown = s.If(s.In(state, tuple(map(_literal, LIVE))), text, shown)
    if len(windows) > 1:
        shown = s.If(s.In(states[0], tuple(map(_literal, LIVE))), texts[0], shown)
    return expression(s.If(s.is_missing(previous), s.NULL, shown))


def _territory(plan: Plan, entity: str) -> Expr | None:
    """The name of the record's territory, where the policy has territories."""
    return expression(s.Path(s.Path(s.Name(entity), "territory"), "name")) if (entity, "territory") in plan.steps else None


# --- actions ----------------------------------------------------------------------------------------------------------


@node
class _Left:
    """Until when a record is held by what was tried before; `unowned` says that by then it is known that nobody owns it."""

    until: s.Node | None
    unowned: bool = False


class _Lowering:
    """The actions of one role. Each method gives the outcome of an action, with that of its `else` behind it."""

    def __init__(self, steps: RoleSteps, plan: Plan, protected_until: s.Node | None) -> None:
        self.plan = plan
        self.previous, self.names = steps.previous, steps.names
        self.entity, self.role, self.roles = steps.entity, steps.role, steps.roles
        self.can_be_closed = steps.can_be_closed
        self.start = _Left(protected_until)
        self.owner = s.Name(self.names.owner)
        self.says = self._sentences()
        self._because: dict[str, Sentence] = {}
        self._exprs: dict[str, Expr] = {}

    def of(self, rule: Rule) -> Outcome:
        return self._action(rule.value, rule.because, self.start)

    def no_rule(self) -> Outcome:
        reason = Sentence(f"no {self.role} rule holds for this {self.entity}")
        return Outcome("unassigned", None, self._expr(self.start.until), reason)

    def _sentences(self) -> dict[str, Sentence]:
        """What is said of a decision whose rule has no sentence of its own."""
        owner, name, pool = self.owner, s.Path(self.owner, "name"), s.Name(self.names.pool)
        who = s.If(s.is_missing(owner), _literal("nobody"), s.If(s.is_missing(name), s.Path(owner, "id"), name))
        rule = s.Name(self.names.rule)
        by_rule: tuple[str | s.Node, ...] = (", by rule `", rule, "`")
        without_turn = Sentence(who, " has it from the pool `", pool, "`", *by_rule, ": ", s.Name(self.names.why))
        claims = " for claims" if claimable(self.plan, self.entity, self.role) else ""
        return {
            "keep": Sentence(who, " keeps it by rule `", rule, "`"),
            "assign": Sentence(who, " is assigned by rule `", rule, "`"),
            "route": Sentence(who, " is next in the pool `", pool, "`", *by_rule, instead=without_turn),
            "open": Sentence(f"open{claims}", *by_rule),
            "hold": Sentence("on hold", *by_rule),
            "return": Sentence("returned to the pool", *by_rule),
            "unassigned": Sentence("rule `", rule, "` holds, and finds nobody"),
        }

    def _action(self, action: Action, because: str | None, left: _Left) -> Outcome:
        return _ACTIONS[action.kind](self, action, because, left)

    def _otherwise(self, action: Action, because: str | None, left: _Left) -> Outcome:
        if action.otherwise is not None:
            return self._action(action.otherwise, because, left)
        return self._outcome("unassigned", None, left.until if left.unowned else None, None)  # `because` is about whom it would have found

    def _outcome(self, kind: str, owner: s.Node | None, until: s.Node | None, because: str | None, **more: Value) -> Outcome:
        return Outcome(kind, self._expr(owner), self._expr(until), self._of_rule(because) if because else self.says[kind], **more)

    def _of_rule(self, because: str) -> Sentence:
        sentence = self._because.get(because)
        if sentence is None:
            sentence = self._because[because] = Sentence(*_pieces(because, self.roles))
        return sentence

    def _expr(self, tree: s.Node | None) -> Expr | None:
        """The one expression of a tree, so that what is the same for many rules is computed for all their records at once."""
        if tree is None:
            return None
        text = show(tree)
        if text not in self._exprs:
            self._exprs[text] = expression(tree)
        return self._exprs[text]

    def _if_same(self, left: _Left) -> s.Node | None:
        """What was protected for one rep is not for another."""
        if left.until is None or left.unowned:
            return None
        return s.If(s.Compare("=", self.owner, self.previous), left.until, s.NULL)

    def keep(self, action: Action, because: str | None, left: _Left) -> Outcome:
        until = left.until
        if action.within is not None:
            since = s.Path(s.Name(self.entity), f"owner_from.{self.role}")
            start = s.If(s.is_missing(since), s.Name("today"), since)
            until = s.Binary("+", start, _span(action.within))
        failed = _Left(until if action.within is not None or left.unowned else None, unowned=True)
        # of an owner whom the data does not list nothing is known: in SQL `may_hold` is null then, and the owner stays
        owner: s.Node = s.If(s.Compare("=", s.Path(self.previous, "may_hold"), s.FALSE), s.NULL, self.previous)
        if self.can_be_closed:  # what is closed stays as it is, whoever has it
            owner = s.If(s.Compare("=", s.Path(s.Name(self.entity), "is_open"), s.FALSE), self.previous, owner)
        return self._outcome("keep", owner, until, because, otherwise=self._otherwise(action, because, failed))

    def assign(self, action: Action, because: str | None, left: _Left) -> Outcome:
        until = self._if_same(left)
        if action.until is not None:
            until = action.until.tree if until is None else s.If(s.is_missing(action.until.tree), until, action.until.tree)
        without_owner = self._outcome("assign", None, until, because, otherwise=self._otherwise(action, because, left))
        return Outcome(
            "assign", action.assign, without_owner.until, without_owner.reason, otherwise=without_owner.otherwise, asks_if_able=True
        )

    def route(self, action: Action, because: str | None, left: _Left) -> Outcome:
        until, due, pool = self._if_same(left), s.Name(self.names.due), self.plan.pools[action.pool]
        if pool.sla is not None:
            until = due if until is None else s.If(s.is_missing(due), until, due)
        return self._outcome("route", None, until, because, pool=str(action.pool), otherwise=self._otherwise(action, because, left))

    def refer(self, action: Action, because: str | None, left: _Left) -> Outcome:
        asked = s.Path(s.Name(self.entity), f"referred_on.{self.role}")  # asking again does not move the day
        start = s.If(s.is_missing(asked), s.Name("today"), asked)
        until = None if action.within is None else s.Binary("+", start, _span(action.within))
        late = () if until is None else (s.If(s.Compare("<=", until, s.Name("today")), _literal(", which is overdue"), _literal("")),)
        gone = () if action.asks is None else (has_left(action.asks.tree, _literal(LEFT), _literal("")),)
        decides: tuple[str | s.Node, ...] = (*_pieces(action.to, self.roles), *gone, " must decide", *late)
        reason = (
            (*_pieces(because.rstrip("."), self.roles), "; ", *decides)
            if because
            else (*decides, ", by rule `", s.Name(self.names.rule), "`")
        )
        return Outcome("refer", self._expr(self.previous), self._expr(until), Sentence(*reason), names_pool=False)

    def hold(self, action: Action, because: str | None, left: _Left) -> Outcome:
        return self._outcome("hold", self.previous, left.until, because)

    def nobody(self, action: Action, because: str | None, left: _Left) -> Outcome:
        return self._outcome(action.kind, None, left.until if left.unowned else None, because)


_ACTIONS: Mapping[str, Callable[[_Lowering, Action, str | None, _Left], Outcome]] = {
    "keep": _Lowering.keep, "assign": _Lowering.assign, "route": _Lowering.route, "refer": _Lowering.refer, "hold": _Lowering.hold,
    "open": _Lowering.nobody, "return": _Lowering.nobody,
}  # fmt: skip


def _key(action: Action | None, because: str | None) -> Hashable:
    """Equal for rules that say the same but for their names."""
    if action is None:
        return because
    tree = None if action.assign is None else action.assign.tree
    who = ("literal", tree.value) if isinstance(tree, s.Literal) else ("tree", id(tree))
    within = (type(action.within), str(action.within))
    return (action.kind, who, id(action.until), action.pool, action.to, within, _key(action.otherwise, because))


def _literal(value: object) -> s.Literal:
    return s.Literal(value, v.literal(value))


def _span(within: Duration) -> s.Literal:
    """A duration that is added to a day, to which calendar days and days are the same."""
    return _literal(timedelta(days=within.days) if isinstance(within, v.CalendarDays) else within)


def has_left(rep: s.Node, then: s.Node, otherwise: s.Node) -> s.If:
    """One value for a rep who may no longer hold records, and another for every other one."""
    return s.If(s.Compare("=", s.Path(rep, "may_hold"), s.FALSE), then, otherwise)


def _is(tree: s.Node, value: object) -> s.Compare:
    return s.Compare("=", tree, _literal(value))
