"""How a run is shared out: which records must be together, so that each task can decide its own as a local run would."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from roe.evaluator.alike import record_parts
from roe.evaluator.pool import OPEN, OPEN_CAPS
from roe.grammar import syntax as s
from roe.plan.operators import Allocate, Derive, Expr, Relate
from roe.plan.outcome import expression
from roe.policy.model import Policy
from roe.policy.reads import reads, reads_through, rests_on


@dataclass(frozen=True)
class Share:
    """An entity shared out by id, and the tables that go with it: entity -> the field that refers to it.

    `handed_out_by` are the entity's fields that pools rest on; None where no pool takes turns.
    """

    entity: str
    children: dict[str, str]
    handed_out_by: frozenset[str] | None = None


def share(policy: Policy) -> Share | str:
    """How to share a policy's records out; or, as a text, why they must stay together.

    A record needs its related records beside it. Those that refer to it go to its task; every other table goes to all
    tasks. Where a rule leads to another record of the same table there is nothing to share out.
    """
    decided = {entity for entity, _ in policy.plan.engagement}
    if len(decided) != 1:
        return f"{' and '.join(sorted(decided))} are decided one after the other" if decided else "there are no rules"
    entity = decided.pop()
    if policy.plan.claims is not None or policy.plan.credits:
        return "claims and credits look at all records"
    if ranks(policy):
        return "ranks and events look at all records"
    own = reads(policy)  # what the policy itself reads comes first: a reason names that
    fields = [*sorted(own), *sorted(reads_through(policy) - own)]
    children = _children(policy, entity, fields)
    if isinstance(children, str):
        return children
    for of, name in fields:
        if leads_to(policy, entity, of, name) and children.get(of) != name:
            return f"{of}.{name} leads to another {entity}"
    if not policy.plan.takes_turns():
        return Share(entity, children)
    handed_out_by = _handed_out_by(policy, entity, children)
    return handed_out_by if isinstance(handed_out_by, str) else Share(entity, children, handed_out_by)


def _children(policy: Policy, entity: str, fields: Collection[tuple[str, str]]) -> dict[str, str] | str:
    """The entities whose records refer to a record that is shared out, each with the field that does; or why they cannot go with it."""
    children: dict[str, str] = {}
    lists = [(of, name, f) for of, name in fields if (f := policy.model.entities.get(of, {}).get(name)) is not None and f.via]
    for of, name, f in lists:
        if f.key:
            return f"{of}.{name} finds records by a key, wherever they are"
        if of == entity and f.type.item is not None:
            child = f.type.item.entity
            if child == entity or children.setdefault(child, f.via) != f.via:
                return f"{of}.{name} leads to other records that are shared out"
    for of, name, f in lists:
        if of != entity and f.type.item is not None and f.type.item.entity in (entity, *children):
            return f"{of}.{name} leads to records of many {entity}s"
    return children


def _handed_out_by(policy: Policy, entity: str, children: Collection[str]) -> frozenset[str] | str:
    """The fields of the records that pools rest on; or why it takes whole records to hand them out."""
    fields = {(entity, "created")}
    wanted = [expression(s.Path(s.Name(entity), OPEN))]
    for name, pool in policy.plan.pools.items():
        parts = record_parts(pool, policy)
        if parts is None:
            return f"the pool `{name}` must decide each {entity} separately"
        if any(OPEN_CAPS.get(cap, "") in children for cap in pool.caps):
            return f"a cap of the pool `{name}` counts records that refer to the {entity}"
        wanted += [*map(expression, parts), *_of_one(pool)]
    for expr in wanted:
        more = rests_on(policy, entity, expr)
        if more is None or any(of in children for of, _ in more):
            return f"a pool reads more about each {entity} than its own fields (`{expr.text}`)"
        fields |= more
    return frozenset(name for of, name in fields if of == entity)


def _of_one(pool: Allocate) -> Iterable[Expr]:
    """What a pool asks of one record, whoever is a member."""
    return [expr for expr in (pool.sticky, pool.together) if expr is not None]


def ranks(policy: Policy) -> bool:
    """Whether a step or an event looks at all records."""
    return bool(policy.plan.events) or any(isinstance(step, Derive) and step.among is not None for step in policy.plan.steps.values())


def leads_to(policy: Policy, entity: str, of: str, name: str) -> bool:
    """Whether a field of some entity is a record of another, or a list of its records."""
    f = policy.model.entities.get(of, {}).get(name)
    if f is None:
        step = policy.plan.steps.get((of, name))
        return isinstance(step, Relate) and step.target == entity
    return (f.type.name == "record" and f.type.entity == entity) or bool(f.via and f.type.item and f.type.item.entity == entity)
