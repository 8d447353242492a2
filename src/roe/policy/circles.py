"""Fields that rest on themselves: on one record, which is a mistake, or through the data, such as a score that reads the parent's score.

Record by record the second kind can be followed, since a chain of parents ends; as one column it cannot be computed. So an engine
that computes columns asks here, of the policy alone, before it begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from roe.grammar import syntax as s
from roe.plan.operators import Derive, Relate
from roe.plan.plan import Step, expressions_of
from roe.policy.model import Policy
from roe.policy.reads import reads_of
from roe.policy.worked_out import once

Field = tuple[str, str]  # (entity, field)


def own_circles(steps: Mapping[Field, Step]) -> Iterator[tuple[Field, ...]]:
    """Fields that need their own value on the same record, each circle once and in the order in which its fields need each other."""
    settled: set[Field] = set()
    for start in steps:
        path: dict[Field, Iterator[Field]] = {} if start in settled else {start: _own_reads(steps, start)}
        while path:
            last = next(reversed(path))
            other = next(path[last], None)
            if other is None:
                settled.add(last)
                del path[last]
            elif other in path:
                way = list(path)
                yield tuple(way[way.index(other) :])
            elif other not in settled:
                path[other] = _own_reads(steps, other)


def _own_reads(steps: Mapping[Field, Step], field: Field) -> Iterator[Field]:
    """The computed fields of the same record that a field reads. A frozen field reads those of another day."""
    step = steps[field]
    if isinstance(step, Derive) and step.frozen is not None:
        return
    seen = {field for expr in expressions_of(step) for field in own_fields(expr.tree, step.entity)}
    if isinstance(step, Derive):
        seen |= {(step.entity, other) for other in (step.group or {}).values()}
    yield from (field for field in sorted(seen) if field in steps)


def own_fields(tree: s.Node, entity: str) -> Iterator[Field]:
    """What an expression reads of the record that it is about; not inside of filters and loops."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == entity:
            yield entity, node.field
        elif isinstance(node, s.Name):
            yield entity, node.id
        elif isinstance(node, (s.Filter, s.Pick)):
            waiting.append(next(s.children(node)))
        elif not isinstance(node, s.BINDERS):
            waiting += s.children(node)


def circles(policy: Policy) -> list[Field]:
    """Every field that may read itself on another record, in the order of the policy."""
    return [(entity, name) for entity, name in once(policy, "circles", lambda: _circles(policy))]


def _circles(policy: Policy) -> list[Field]:
    edges = {field: set(_reads(policy, field)) for field in _fields(policy)}
    return [field for field in edges if _leads_back(field, edges)]


def _leads_back(field: Field, edges: dict[Field, set[Field]]) -> bool:
    seen: set[Field] = set()
    waiting = list(edges[field])
    while waiting:
        other = waiting.pop()
        if other == field:
            return True
        if other not in seen:
            seen.add(other)
            waiting += edges.get(other, ())
    return False


def _fields(policy: Policy) -> Iterator[Field]:
    """Every field that is computed."""
    yield from policy.plan.steps
    for entity, fields in policy.model.entities.items():
        for name, f in fields.items():
            if (f.via or name == "account") and (entity, name) not in policy.plan.steps:
                yield entity, name
    if policy.plan.claims is not None:
        yield from ((policy.plan.claims.entity, "claim"), ("claim", "status"), ("claim", "reason"), ("claim", "until"))


def _reads(policy: Policy, field: Field) -> Iterator[Field]:
    """What a field reads directly."""
    entity, name = field
    step = policy.plan.steps.get(field)
    if step is not None:
        read = reads_of(policy, entity, expressions_of(step))
        if isinstance(step, Relate) and not _names(step):  # there the name of the target means a candidate
            read -= {(entity, step.target)}
        yield from read
        if isinstance(step, Derive):
            yield from ((entity, other) for other in (step.group or {}).values())
            if step.among is not None:
                yield from ((entity, f"{name}_of"), (entity, f"{name}_within"))
        return
    f = policy.model.entities.get(entity, {}).get(name)
    if f is not None and f.via and f.type.item is not None:
        yield f.type.item.entity, f.via
        if f.key:
            yield entity, f.key
    if name == "account" and (entity, "matched_account") in policy.plan.steps:
        yield entity, "matched_account"
    claims = policy.plan.claims
    if claims is not None and (field == (claims.entity, "claim") or entity == "claim"):
        yield from reads_of(policy, "claim", claims.caps.values())
        yield from reads_of(policy, claims.entity, (c for rule in claims.blocked_by for c in rule.conditions))
        yield from reads_of(policy, "activity", (claims.worked_by,))


def _names(step: Relate) -> bool:
    """Whether a step that looks for a record reads the reference that the data may have, such as `lead.account`."""
    parts = (node for expr in expressions_of(step) for node in s.walk(expr.tree))
    return any(isinstance(p, s.Path) and p.field == step.target and isinstance(p.base, s.Name) and p.base.id == step.entity for p in parts)
