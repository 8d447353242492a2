"""How a run is shared out: which records must be together, so that each task can decide its own as a local run would."""

from __future__ import annotations

from dataclasses import dataclass

from roe.columns.stream import leads_to, ranks
from roe.policy.model import Policy
from roe.policy.reads import reads, reads_through


@dataclass(frozen=True)
class Share:
    """An entity shared out by id, and the tables that go with it: entity -> the field that refers to it."""

    entity: str
    children: dict[str, str]


def share(policy: Policy) -> Share | str:
    """How to share a policy's records out; or, as a text, why they must stay together.

    A record needs its related records beside it. Those that refer to it go to its task; every other table goes to all
    tasks. Where a rule leads to another record of the same table, or a pool counts turns over all of them, there is
    nothing to share out.
    """
    decided = {entity for entity, _ in policy.plan.engagement}
    if len(decided) != 1:
        return f"{' and '.join(sorted(decided))} are decided one after the other" if decided else "there are no rules"
    entity = decided.pop()
    if policy.plan.takes_turns():
        return "pools take turns over all records"
    if policy.plan.claims is not None or policy.plan.credits:
        return "claims and credits look at all records"
    if ranks(policy):
        return "ranks and events look at all records"
    children: dict[str, str] = {}
    own = reads(policy)  # what the policy itself reads comes first: a reason names that
    found = [*sorted(own), *sorted(reads_through(policy) - own)]
    lists = [(of, name, f) for of, name in found if (f := policy.model.entities.get(of, {}).get(name)) is not None and f.via]
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
    for of, name in found:
        if leads_to(policy, entity, of, name) and children.get(of) != name:
            return f"{of}.{name} leads to another {entity}"
    return Share(entity, children)
