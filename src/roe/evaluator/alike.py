"""What tells records apart for a pool: those that are alike to it share members, weights and limits, which are worked out once."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from roe.dynamic import Value, Values
from roe.evaluator.turns import Seat, Standing
from roe.grammar import syntax as s
from roe.grammar.functions import BY_NAME
from roe.plan.operators import Allocate, Expr

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.policy.model import Policy


RECORDS = ("lead", "account", "opportunity", "contact")  # what a pool's expressions may name besides the rep


CLASSES = 256  # kinds of records that a pool tells apart; of more it forgets


NO_KEY: Value = object()


@dataclass(slots=True)
class Class:
    """Records that are alike to a pool, such as leads in one language: who may take part, with weights and limits, and who does now."""

    row: Row  # one of them
    reps: list[Row]
    terms: dict[str, tuple[Fraction, Values]] = field(default_factory=dict)
    is_seated: bool = False
    seats: list[Seat] = field(default_factory=list)
    place: dict[str, int] = field(default_factory=dict)
    standing: Standing | None = None
    interned: Standing | None = None


def record_parts(step: Allocate, policy: Policy) -> list[s.Node] | None:
    """What tells records apart for a pool: all that it reads of them, beside stored fields of reps; None where it reads more.

    Of records that are alike, members, weights and limits are the same, and only turns change who is able.
    """
    fields, plan = policy.model.entities["rep"], policy.plan
    parts: dict[s.Node, None] = {}
    todo = [e.tree for e in (step.members, step.weight, step.score, *step.caps.values()) if isinstance(e, Expr)]
    while todo:
        node = todo.pop()
        if isinstance(node, (s.Path, s.Filter)):
            root: s.Node = node
            while isinstance(root, (s.Path, s.Filter)):
                root = root.base
            if not isinstance(root, s.Name):
                return None
            if root.id == "rep":
                plain = isinstance(node, s.Path) and node.base is root and (f := fields.get(node.field)) is not None and not f.via
                if not plain:
                    return None
            elif root.id in RECORDS and not any(isinstance(n, s.Name) and n.id in ("rep", "today", "now") for n in s.walk(node)):
                parts[node] = None
            else:
                return None
        elif isinstance(node, s.Name):
            if node.id not in plan.lists or node.id in plan.dated_lists:
                return None
        elif isinstance(node, (s.For, s.Quantified)) or (isinstance(node, s.Call) and not _is_timeless(node)):
            return None
        else:
            todo.extend(s.children(node))
    return list(parts)


def _is_timeless(call: s.Call) -> bool:
    return (row := BY_NAME.get(call.function)) is not None and not row.clock


def hashed(value: Value) -> Value:
    """A value as a part of a key; `NO_KEY` for one that cannot be."""
    if isinstance(value, dict):
        return (value.entity, value["id"]) if hasattr(value, "entity") else NO_KEY
    if isinstance(value, list):
        items = tuple(map(hashed, value))
        return NO_KEY if NO_KEY in items else items
    return type(value).__name__, value


def _about_rep(expr: Expr) -> bool:
    return not any(isinstance(n, s.Name) and n.id in RECORDS for n in s.walk(expr.tree))
