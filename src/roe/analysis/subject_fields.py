"""Which field of which record a subject of a condition is."""

from __future__ import annotations

from roe.analysis import scales
from roe.grammar import syntax as s
from roe.grammar import types as t
from roe.policy.model import Field, Policy

WHOLE = frozenset({"employees", "workspace_users"})  # counts: nobody has half an employee, or fewer than none


def type_of(policy: Policy, entity: str, node: s.Node) -> t.Type | None:
    """The type of a path of fields from a record; None for anything else."""
    if isinstance(node, s.Name):
        return t.record(node.id) if node.id in policy.model.entities else None
    if not isinstance(node, s.Path):
        return None
    base = type_of(policy, entity, node.base)
    if base is None:
        return None
    if base.name == "owners":
        return t.record("rep")
    if base.name != "record":
        return None
    return base.fields.get(node.field) if base.fields is not None else policy.model.field_type(base.entity, node.field)


def field_of(policy: Policy, entity: str, node: s.Node) -> Field | None:
    """The stored field that a subject is, of the record or of a related one."""
    if not isinstance(node, s.Path):
        return None
    base = type_of(policy, entity, node.base)
    return policy.model.entities.get(base.entity, {}).get(node.field) if base is not None and base.name == "record" else None


def whole(node: s.Node) -> bool:
    """Whether a subject counts something."""
    if isinstance(node, s.Call):
        return node.function in scales.COUNTS
    return isinstance(node, s.Path) and node.field in WHOLE
