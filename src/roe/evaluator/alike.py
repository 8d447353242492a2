"""What tells records apart for a pool: those that are alike to it share members, weights and limits, which are worked out once."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from roe.dynamic import Values
from roe.evaluator.turns import Seat, Standing
from roe.grammar import syntax as s
from roe.grammar.functions import BY_NAME
from roe.plan.operators import Allocate, Expr

if TYPE_CHECKING:
    from roe.evaluator.row import Row
    from roe.policy.model import Policy


RECORDS = ("lead", "account", "opportunity", "contact")  # what a pool's expressions may name besides the rep
CLASSES = 256  # kinds of records that a pool tells apart; of more it forgets


NO_KEY: object = object()


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
    plan = policy.plan
    parts: dict[s.Node, None] = {}
    todo = _asked(step)
    while todo:
        node = todo.pop()
        if isinstance(node, (s.Path, s.Filter)):
            if _is_of_record(node):
                parts[node] = None
            elif not _is_stored_of_rep(node, policy):
                return None
        elif isinstance(node, s.Name):
            if node.id not in plan.lists or node.id in plan.dated_lists:
                return None
        elif isinstance(node, (s.For, s.Quantified)) or (isinstance(node, s.Call) and not _is_timeless(node)):
            return None
        else:
            todo.extend(s.children(node))
    return list(parts)


def _asked(step: Allocate) -> list[s.Node]:
    """The expressions about members."""
    return [e.tree for e in (step.members, step.weight, step.score, *step.caps.values()) if isinstance(e, Expr)]


def is_of_the_day(step: Allocate, computed: Container[tuple[str, str]]) -> bool:
    """Whether a pool reads what is worked out of reps, such as their leave: another day changes it, while nothing about the rep does."""
    paths = [n for tree in _asked(step) for n in s.walk(tree) if isinstance(n, s.Path)]
    return any(n.field == "local_day" or ("rep", n.field) in computed for n in paths)


def _root(node: s.Node) -> str:
    """The name that a walk starts from; empty where it starts from something else."""
    while isinstance(node, (s.Path, s.Filter)):
        node = node.base
    return node.id if isinstance(node, s.Name) else ""


def _is_of_record(node: s.Node) -> bool:
    """Whether a walk reads the record and nothing of a rep or of the day."""
    return _root(node) in RECORDS and s.names(node).isdisjoint(("rep", "today", "now"))


def _is_stored_of_rep(node: s.Path | s.Filter, policy: Policy) -> bool:
    """Whether a walk is a stored field of the rep."""
    if not isinstance(node, s.Path) or not isinstance(node.base, s.Name) or node.base.id != "rep":
        return False
    f = policy.model.entities["rep"].get(node.field)
    return f is not None and not f.via


def _is_timeless(call: s.Call) -> bool:
    return (row := BY_NAME.get(call.function)) is not None and not row.clock


def hashed(value: object) -> object:
    """A value as a part of a key; `NO_KEY` for one that cannot be."""
    if isinstance(value, dict):
        return (value.entity, value["id"]) if hasattr(value, "entity") else NO_KEY
    if isinstance(value, list):
        items = tuple(map(hashed, value))
        return NO_KEY if NO_KEY in items else items
    return type(value).__name__, value


def is_about_rep(expr: Expr) -> bool:
    return s.names(expr.tree).isdisjoint(RECORDS)
