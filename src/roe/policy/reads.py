"""Which fields of which records a policy reads, found by the type checker as it walks every expression."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from roe.grammar import check
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.grammar.functions.history import LOOK_BACK
from roe.grammar.names import Names
from roe.grammar.parser import parse
from roe.grammar.registry import BY_NAME
from roe.grammar.types import Type
from roe.plan.operators import TEMPLATE, Action, Choose, Derive, Expr, Fill, Relate, Settle, Walk
from roe.plan.plan import Plan, Step, expressions_of
from roe.plan.standard import BuiltIn, standard_steps
from roe.policy.model import Policy
from roe.policy.worked_out import once
from roe.source import Text

_LAST: list[
    tuple[Policy, frozenset[tuple[str, str]]]
] = []  # of the policy that was asked about last, which several parts of a run ask about


Read = Collection[tuple[str, str]]  # fields, each with its entity


def by_entity(read: Read) -> dict[str, frozenset[str]]:
    """The names of the fields, by their entity."""
    return {entity: frozenset(name for of, name in read if of == entity) for entity in {of for of, _ in read}}


def reads(policy: Policy) -> set[tuple[str, str]]:
    """Every (entity, field) that some expression of the policy reads; fields of whole records by their names alone."""
    for known, fields in _LAST:
        if known is policy:
            return set(fields)
    fields = frozenset((entity, name) for entity, name in once(policy, "reads", lambda: sorted(_read(policy))))
    _LAST[:] = [(policy, fields)]
    return set(fields)


def _read(policy: Policy) -> set[tuple[str, str]]:
    fields: set[tuple[str, str]] = set()
    for entity, tree in expressions(policy):
        watcher = _Watcher("", fields)
        watcher.type_of(tree, names_of(policy, entity))
    if policy.plan.claims is not None:  # which are settled by all that stands there
        of = policy.plan.claims.entity
        fields |= {("claim", "account"), ("claim", of), ("claim", "rep"), (of, "activities"), ("activity", "rep"), (of, "claims")}
    if policy.plan.crm.territories:
        fields |= {("account", "territory"), ("association", "account")}
    for window in policy.plan.windows:
        fields |= {(window.entity, name) for name in (window.state, window.until, window.grace_until) if name}
    return fields


def reads_through(policy: Policy) -> set[tuple[str, str]]:
    """The same, with what the built-in fields among them read in their turn."""
    steps = standard_steps(policy.plan)
    fields = reads(policy)
    todo = list(fields)
    while todo:
        step = steps.get(todo.pop())
        more = _read_by(policy, step) - fields if step is not None else set()
        fields |= more
        todo += more
    return fields


def _read_by(policy: Policy, step: BuiltIn) -> set[tuple[str, str]]:
    """What a built-in field reads directly."""
    if isinstance(step, Walk):
        return {(step.entity, step.along)}
    if isinstance(step, Fill):
        return {(step.entity, step.source)}
    return reads_of(policy, step.entity, [step.expr]) if isinstance(step, Derive) else set()


def reads_of(policy: Policy, entity: str, expressions: Iterable[Expr | None]) -> set[tuple[str, str]]:
    """Every (entity, field) that expressions about an entity's records read."""
    read: set[tuple[str, str]] = set()
    names = names_of(policy, entity)
    for expr in expressions:
        if expr is not None:
            _Watcher("", read).type_of(expr.tree, names)
    return read


MOMENT = ("", "now")  # what stands for the clock among the fields that something rests on
PAST = ("", "past")  # and for what the ledger knows of earlier days


def rests_on(policy: Policy, entity: str, expr: Expr, known: Read = ()) -> frozenset[tuple[str, str]] | None:
    """Every (entity, field) that an expression about an entity's records rests on, however far, and MOMENT if it asks for the time; None
    where that cannot be told. Of fields that are `known` it is not asked what they rest on.
    """
    steps = {**standard_steps(policy.plan), **policy.plan.steps}
    fields = _read_and_asked(policy, entity, [expr])
    todo = list(fields)
    while todo and PAST not in fields:
        of, name = todo.pop()
        step = steps.get((of, name))
        if (of, name) in known:
            continue
        if step is None:
            more = _led_to(policy, of, name)
        elif isinstance(step, Relate):
            parts = [e for m in step.methods for e in (m.match, m.unless, *(m.similar or ()))] + [e for _, e in step.tie_break]
            more = _read_and_asked(policy, of, parts)
        elif isinstance(step, Derive) and step.expr is not None and step.group is None and step.among is None:
            more = _read_and_asked(policy, of, [step.expr]) | ({MOMENT} if step.frozen is not None else set())
        elif isinstance(step, Choose):
            more = _read_and_asked(policy, of, [condition for rule in step.rules for condition in rule.conditions])
        elif isinstance(step, (Walk, Fill)):
            more = _read_by(policy, step)
        else:
            return None
        todo += more - fields
        fields |= more
    return None if PAST in fields else frozenset(fields)


def may_rest_on(policy: Policy, entity: str, expr: Expr) -> set[tuple[str, str]]:
    """Every (entity, field) that an expression about an entity's records may rest on, of any records, and PAST if it looks back. Unlike `rests_on`
    this always tells; what is found by a key or a name may rest on more.
    """
    steps = {**standard_steps(policy.plan), **policy.plan.steps}
    fields = _read_and_asked(policy, entity, [expr])
    todo = list(fields)
    while todo:
        of, name = todo.pop()
        step = steps.get((of, name))
        more = _read_by(policy, step) if isinstance(step, (Walk, Fill, Settle)) else set[tuple[str, str]]()
        if isinstance(step, (Derive, Choose, Relate)):
            more = _read_and_asked(policy, of, expressions_of(step))
        if isinstance(step, Derive):
            more |= {(of, other) for other in (step.group or {}).values()}
            more |= {(of, f"{name}_of"), (of, f"{name}_within")} if step.among is not None else set()
        todo += more - fields
        fields |= more
    return fields


def referred_to(policy: Policy, read: Read) -> set[str]:
    """The entities whose records fields refer to, one or a list."""
    types = [f.type.item or f.type for of, name in read if (f := policy.model.entities.get(of, {}).get(name)) is not None]
    return {of.entity for of in types if of.entity}


def _read_and_asked(policy: Policy, entity: str, expressions: Iterable[Expr | None]) -> set[tuple[str, str]]:
    """What expressions read, with MOMENT if one of them asks for the time, and PAST if one looks back."""
    given = [expr for expr in expressions if expr is not None]
    timed = {"today", "now", *policy.plan.dated_lists}
    nodes = [n for expr in given for n in s.walk(expr.tree)]
    asks = any(n.id in timed if isinstance(n, s.Name) else isinstance(n, s.Call) and _is_clocked(n.function) for n in nodes)
    looks_back = any(isinstance(n, s.Call) and n.function in LOOK_BACK for n in nodes)
    return reads_of(policy, entity, given) | ({MOMENT} if asks else set()) | ({PAST} if looks_back else set())


def _is_clocked(function: str) -> bool:
    return function in BY_NAME and BY_NAME[function].clock


def _led_to(policy: Policy, of: str, name: str) -> set[tuple[str, str]]:
    """What a stored field rests on beside itself: a reference on how its record is found, a list on the references to its record."""
    if (of, name) == ("rep", "local_day"):
        return {MOMENT}
    f = policy.model.entities.get(of, {}).get(name)
    if f is None:
        return set()
    if f.via and f.type.item is not None:
        return {(f.type.item.entity, f.via), *([(of, f.key)] if f.key else [])}
    return {(f.type.entity, key) for key in ("id", "name", "email", "domain")} if f.type.name == "record" else set()


def followed(policy: Policy) -> set[tuple[str, str]]:
    """The references that the policy follows: those that it reads, and those behind the lists that it reads."""
    fields = reads(policy)
    fields |= {(step.entity, step.along) for key, step in standard_steps(policy.plan).items() if isinstance(step, Walk) and key in fields}
    lists = [f for of, name in fields if (f := policy.model.entities.get(of, {}).get(name)) is not None and f.via]
    with_ends = fields | {(f.type.item.entity, f.via) for f in lists if f.type.item is not None}
    with_ends |= {(of, f.key) for of, name in fields if (f := policy.model.entities.get(of, {}).get(name)) is not None and f.key}
    return with_ends


def names_of(policy: Policy, entity: str) -> Names:
    plan = policy.plan
    variables: dict[str, Type] = {"today": t.DATE, "now": t.DATETIME, "rep": t.record("rep")}
    variables |= {name: t.list_of(t.STRING) for name in (*plan.lists, *plan.dated_lists)}
    if entity in policy.model.entities:
        variables[entity] = t.record(entity)
        if entity in ("lead", "contact", "opportunity", "activity"):
            variables["account"] = t.record("account")
    implicit = (t.record(entity),) if entity in policy.model.entities else ()
    return Names(policy.model, variables, implicit, shorthands={})


def expressions(policy: Policy) -> Iterator[tuple[str, s.Node]]:
    """(the entity it is about, the tree) of every expression of the plan, sentences included."""
    for entity, expr in _all(policy):
        if isinstance(expr, Expr):
            yield entity, expr.tree
        elif expr is not None:
            yield from ((entity, tree) for tree in sentence(expr))


def sentence(text: Text | None) -> list[s.Node]:
    """The trees of what a sentence fills in."""
    trees = [parse(m[1])[0] for m in TEMPLATE.finditer(text or "")]
    return [tree for tree in trees if tree is not None]


def _all(policy: Policy) -> Iterator[tuple[str, Expr | Text | None]]:
    """Every expression of the plan, and every sentence, with the entity it is about."""
    for step in (*policy.plan.steps.values(), *policy.plan.engagement.values()):
        yield from ((step.entity, expr) for expr in _of_step(step))
    yield from _of_parts(policy.plan)
    by_pool = routed(policy.plan)
    for name, pool in policy.plan.pools.items():
        members = pool.members if isinstance(pool.members, Expr) else None
        back = [condition for reason in pool.credit_back for condition in reason.conditions]
        of_record = (members, pool.weight, pool.score, pool.sticky, pool.together, *pool.caps.values(), *back)
        about = by_pool.get(name) or {"lead"}  # a pool that no rule asks is one for leads
        yield from ((entity, expr) for entity in sorted(about) for expr in of_record)
        if pool.sla is not None:
            yield "activity", pool.sla.worked_by
    for book in policy.plan.books.values():
        pairs = (book.eligible, *(when for _, when, _ in book.affinity), book.worth, book.places)
        yield from (("rep", expr) for expr in (book.reps, book.capacity, book.fixed, book.total))
        yield from (("account", expr) for expr in pairs)


def routed(plan: Plan) -> dict[str, set[str]]:
    """The entities whose rules route records to each pool, by its name; those to which another pool falls back are among them."""
    routed: dict[str, set[str]] = {}
    for (entity, _), rules in plan.engagement.items():
        for rule in rules.rules:
            for action in rule.value.with_otherwise() if isinstance(rule.value, Action) else ():
                name, passed = action.pool, set[str]()
                while name in plan.pools and name not in passed:
                    routed.setdefault(str(name), set()).add(entity)
                    passed.add(name)
                    name = str(plan.pools[name].fallback or "")
    return routed


def _of_step(step: Step) -> Iterator[Expr | Text | None]:
    yield from _rules(step) if isinstance(step, Choose) else expressions_of(step)


def _of_parts(plan: Plan) -> Iterator[tuple[str, Expr | Text | None]]:
    """What stages say besides steps."""
    if plan.claims is not None:
        yield from (("claim", expr) for expr in plan.claims.caps.values())
        yield from ((plan.claims.entity, condition) for rule in plan.claims.blocked_by for condition in rule.conditions)
        yield "activity", plan.claims.worked_by
    if plan.kpis is not None:
        yield from (("activity", expr) for expr in (plan.kpis.counts, plan.kpis.meeting))
    yield from (("rep", i.holds) for i in plan.invariants if i.entity == "rep")
    yield from ((event.entity, event.rearm) for event in plan.events)
    for credit in plan.credits:
        yield from ((credit.entity, expr) for shares in credit.shares.values() for expr, _ in shares)
    for report in plan.reports.values():
        yield from ((report.entity, expr) for expr in (report.where, report.by, *report.measures.values()))


def _rules(step: Choose) -> Iterator[Expr | Text | None]:
    for rule in step.rules:
        yield from rule.conditions
        yield rule.because
        for action in rule.value.with_otherwise() if isinstance(rule.value, Action) else ():
            yield from (action.assign, action.until)
            yield action.to if isinstance(action.to, Text) else None


class _Watcher(check.Checker):
    """The checker, which notes every field that it looks up and keeps its findings to itself."""

    def __init__(self, text: str, names: set[tuple[str, str]]) -> None:
        super().__init__(text)
        self.read = names

    def say(self, code: str, node: s.Node, message: str, help: str, related: object = ()) -> Type:
        return t.ANY

    def _field(self, of: Type, name: str, names: Names) -> Type | None:
        known = super()._field(of, name, names)
        if known is not None and of.name == "record" and of.entity:
            self.read.add((of.entity, name))
        return known
