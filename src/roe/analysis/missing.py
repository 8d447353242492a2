"""Records that are missing: an activity, an opportunity or a claim that would make a rule hold, found by making one up.

A made-up record gets what it must have (the record that it belongs to, today, the asker), and then what its condition asks for, by
the same search that changes the fields of real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from roe.analysis.changes import NEW, FieldChange, NewRecord, Way
from roe.analysis.nearby import RECORDS, Accept, bound_to, filtered
from roe.dynamic import Values
from roe.evaluator.row import Row
from roe.grammar import syntax as s
from roe.grammar.scopes import Scope

if TYPE_CHECKING:
    from roe.analysis.facts import Proposals


def claimed(facts: Proposals, record: Row, accept: Accept) -> Iterator[Way]:
    """A claim of the asker's own; or one that is released."""
    now = facts.world.clock.now
    live = record["claim"]
    made = made_up(facts, "claim", {record.entity: record, "rep": facts.rep, "at": now})
    if accept(made):
        new = added(facts, made)
        release = () if live is None else released(facts, live)
        if release is not None:
            yield (*release, new)
    if live is not None and accept(None):
        release = released(facts, live)
        if release:
            yield release


def released(facts: Proposals, claim: Row) -> Way | None:
    change = facts.change(claim, "released", facts.world.clock.now)
    return None if change is None or claim["released"] is not None else (change,)


def made_up(facts: Proposals, entity: str, values: Values) -> Row:
    """A record that does not exist yet."""
    return Row(entity, facts.world, {"id": NEW, "name": NEW, **values})


def added(facts: Proposals, row: Row, more: Iterable[FieldChange] = (), price: float = 2.0) -> NewRecord:
    """The change that adds a virtual record, with further values."""
    stored = {k: x["id"] if isinstance(x, Row) else x for k, x in row.items() if k not in row.derived and k not in ("id", "name")}
    stored |= {change.field: change.after for change in more}
    return NewRecord(row.entity, tuple(sorted((k, x) for k, x in stored.items() if x is not None)), cost=price)


def related(facts: Proposals, tree: s.Node, scope: Scope) -> Iterator[Way]:
    """A related record more, or one that counts otherwise, for each list of records in an expression."""
    for node in s.walk(tree):
        if isinstance(node, s.Filter):
            yield from elements(facts, node.base, node.condition, scope, partial(filtered, scope, condition=node.condition))
        elif isinstance(node, s.Quantified) and len(node.bindings) == 1:
            binding = node.bindings[0]
            yield from elements(facts, binding.source, node.condition, scope, partial(bound_to, scope, binding.name))
        elif isinstance(node, s.Path) and relation_of(facts, node, scope) is not None:
            yield from elements(facts, node, s.TRUE, scope, lambda item: scope)


def relation_of(facts: Proposals, tree: s.Node, scope: Scope) -> tuple[Row, str, str] | None:
    """(the record, the entity of the records that refer to it, the field by which they do)."""
    at = facts.field_at(tree, scope)
    field = facts.world.policy.model.entities[at[0].entity].get(at[1]) if at is not None else None
    if at is None or field is None or not field.via or field.type.item is None:
        return None
    return at[0], field.type.item.entity, field.via


def elements(facts: Proposals, base: s.Node, condition: s.Node, scope: Scope, inner: Callable[[Row], Scope]) -> Iterator[Way]:
    relation = relation_of(facts, base, scope)
    items = facts.value(base, scope)
    for item in [x for x in items if isinstance(x, Row)][:RECORDS] if isinstance(items, list) else ():
        held = facts.value(condition, inner(item)) is True
        yield from facts.holds(condition, inner(item), "untrue" if held else "true")
    if relation is None or relation[1] in ("rep", "account", "lead", "leave"):
        return
    row, entity, via = relation
    clock, fields = facts.world.clock, facts.world.policy.model.entities[entity]
    usual = {"date": clock.today, "at": clock.now, "created": clock.today, "rep": facts.rep}
    values = {k: x for k, x in usual.items() if k in fields and not (k == "at" and "date" in fields)}
    for rep in dict.fromkeys([facts.rep, *(r for r in row["owner"].values() if r is not None)]) if "owner" in row else [facts.rep]:
        virtual = made_up(facts, entity, {**values, **({"rep": rep} if "rep" in values else {}), via: row})
        for way in facts.holds(condition, inner(virtual)):
            own = [c for c in way if isinstance(c, FieldChange) and c.record == NEW]
            yield (*(c for c in way if c not in own), added(facts, virtual, own))
