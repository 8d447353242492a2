"""Where a path from a record leads by a policy's model: to a stored field, to another record, or through what is computed."""

from __future__ import annotations

from roe.analysis.axis import Axis
from roe.analysis.witness import Path, path_of, paths_of
from roe.dynamic import Value
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression
from roe.grammar.scopes import Code
from roe.node import node
from roe.policy.model import Policy


@node
class Asked:
    """What an axis asks, made ready once: its code, the fields that it reads, its constants, and of how many parts it consists."""

    axis: Axis
    code: Code
    paths: frozenset[Path]
    constants: tuple[Value, ...]
    size: int


def asked_by(policy: Policy, axis: Axis, entity: str) -> Asked:
    nodes = list(s.walk(axis.node))
    constants = tuple(n.value for n in nodes if isinstance(n, s.Literal))
    return Asked(axis, compile_expression(axis.node), frozenset(paths_at(policy, axis.node, entity)), constants, len(nodes))


def path_at(policy: Policy, node: s.Node, entity: str) -> Path | None:
    """The path of a subject that a record can be given; None where it asks for a part of a value, such as a date's year."""
    path = path_of(node, entity)
    return path if path is not None and stored_path(policy, entity, path) == path else None


def paths_at(policy: Policy, node: s.Node, entity: str) -> list[Path]:
    """The fields that a subject rests on, whole."""
    return [stored_path(policy, entity, path) for path in paths_of(node, entity)]


def stored_path(policy: Policy, entity: str, path: Path) -> Path:
    """The beginning of a path that leads from record to record, and the field it ends in."""
    kind = "record"
    for i, name in enumerate(path):
        if kind not in ("record", "owners", "any", ""):
            return path[:i]
        known = policy.model.field_type(entity, name) if kind == "record" else None
        if kind == "owners":
            kind, entity = "record", "rep"
        elif known is not None:
            kind, entity = known.name, "rep" if known.name == "owners" else known.entity
            if known.name == "record" and known.fields is not None:
                return path[: i + 2]  # a table's row, and a column of it
        else:
            kind = ""
    return path


def is_computed(policy: Policy, entity: str, path: Path) -> bool:
    """Whether a path passes through a step of the plan, or through what no record can be given."""
    for i, name in enumerate(path):
        if (entity, name) in policy.plan.steps:
            return True
        known = policy.model.entities.get(entity, {}).get(name)
        if known is None:
            return not (i > 0 and path[i - 1] == "owner") and name != "today"
        if known.via or name in ("ultimate_parent", "leave", "open_opportunities"):
            return True
        if known.type.name == "owners":
            entity = "rep"
            continue
        entity = known.type.entity or entity
    return False


def is_reference(policy: Policy, entity: str, path: Path) -> bool:
    """Whether a path ends in a record."""
    if len(path) > 1 and path[-2] == "owner":
        return True
    for name in path:
        known = policy.model.entities.get(entity, {}).get(name)
        if known is None:
            return False
        entity = "rep" if known.type.name == "owners" else known.type.entity
    return bool(entity)


def kind_at(policy: Policy, entity: str, path: Path) -> str:
    """The type of the values that a path ends in; empty where that is not known."""
    kind = ""
    for name in path:
        known = policy.model.field_type(entity, name)
        if known is None:
            return "record" if kind == "owners" else ""
        kind, entity = known.name, "rep" if known.name == "owners" else known.entity
    return kind


def as_expression(entity: str, path: Path) -> s.Node:
    """The expression that a path is."""
    tree: s.Node = s.Name(entity)
    for name in path:
        tree = s.Path(tree, name)
    return tree


def is_along(a: Path, b: Path) -> bool:
    """Whether one path is the other, or leads to it."""
    return a[: len(b)] == b[: len(a)]
