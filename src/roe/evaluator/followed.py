"""What a company's expression rests on, taken apart far enough to tell which records another record's change may send elsewhere.

An expression such as `lead.account.id` rests on the record's own fields, on the record that another field means, and on how that one is matched.
Where it rests on no more, `Followed` follows every change record by record. Where it does, `followed` gives None: all is asked again then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from roe.dynamic import Value
from roe.evaluator.by_name import NAMED_BY
from roe.evaluator.kept_matches import NONE, KeptMatches
from roe.evaluator.row import OWNERSHIP, Row
from roe.grammar import syntax as s
from roe.plan.operators import Derive, Expr, Fill, Relate
from roe.policy.reads import MOMENT, Read, by_entity, rests_on

if TYPE_CHECKING:
    from roe.evaluator.live_world import Change, LiveWorld


@dataclass(slots=True)
class Parts:
    """The fields of a record that mean others, and what is read of those: (their entity, the field)."""

    links: set[str] = field(default_factory=set)
    beyond: set[tuple[str, str]] = field(default_factory=set)


class Followed:
    """Follows which records of an entity a change may give another value of one expression."""

    def __init__(self, entity: str, parts: Parts, rests_on: Read, matches: dict[str, KeptMatches]) -> None:
        """`matches` has the match of each link that is matched where the data does not say it."""
        self.entity, self.matches = entity, matches
        self._rests_on, self._beyond = by_entity(rests_on), by_entity(parts.beyond)
        self.stale: dict[Row, None] = {}
        self.trusted: dict[Row, Value] = {}  # records whose value another binding has told, and whose matches are not asked here yet
        self.early: set[Row] = set()  # those of them that were known before the start: they are many, and nobody waits until they are asked
        self.trusts = all(of != entity for of, _ in parts.beyond) and all(kept.step.target != entity for kept in matches.values())
        for kept in matches.values():
            kept.watching.add(self)

    def ask(self, row: Row) -> None:
        """A record's value is about to be worked out: its matches are, and are followed from now on."""
        for link, matches in self.matches.items():
            if dict.get(row, link) is None or link in row.derived:
                row.remember(matches.step.name, matches.match(row))

    def is_known(self, row: Row) -> bool:
        """Whether a record's value can be told without looking for a match."""
        return all((dict.get(row, link) is not None and link not in row.derived) or x.is_known(row) for link, x in self.matches.items())

    def trust_early(self, known: Mapping[Row, Value]) -> None:
        """Take over what was known of records before the start."""
        if self.trusts:
            self.trusted.update(known)
            self.early.update(known)

    def told_since(self) -> list[Row]:
        """The records that another binding has told of since the start."""
        return list(takewhile(lambda row: row not in self.early, reversed(self.trusted)))

    def may_rest_on(self, entity: str) -> bool:
        """Whether values may rest on records of an entity beside their own."""
        return entity != self.entity and entity in self._rests_on

    def forget(self, row: Row) -> None:
        """A record has changed itself, or is gone."""
        self.stale.pop(row, None)
        self.trusted.pop(row, None)
        self.early.discard(row)

    def follow(self, change: Change) -> None:
        """Some record has changed, and matches know it."""
        row, changed = change.row, change.fields
        if self._rests_on.get(row.entity, NONE).isdisjoint(changed):
            return
        if row.entity != self.entity:  # whether it is about a record that is only trusted is not known
            self.stale.update(dict.fromkeys(self.trusted))
            self.trusted.clear()
            self.early.clear()
        shown = "id" in changed or not self._beyond.get(row.entity, NONE).isdisjoint(changed)
        for matches in self.matches.values():
            if shown and row.entity == matches.step.target:
                self.stale.update(dict.fromkeys(matches.found_in(row)))
        if shown or not set(NAMED_BY).isdisjoint(changed):
            self.stale.update(dict.fromkeys(other for other in change.referring if other.entity == self.entity))

    def changed(self) -> list[Row]:
        """The records whose value may be another one since this was asked last."""
        for matches in self.matches.values():
            matches.renew()
        stale, self.stale = self.stale, {}
        return list(stale)


def followed(world: LiveWorld, entity: str, expr: Expr) -> Followed | None:
    """What follows an expression about an entity's records; None where it rests on more than can be followed."""
    read = rests_on(world.policy, entity, expr)
    if read is None or MOMENT in read or any(name.partition(".")[0] in OWNERSHIP for _, name in read):
        return None
    parts = Parts()
    if not _take_apart(world, entity, expr.tree, parts, frozenset()):
        return None
    matches = {}
    for link in parts.links:
        step = _matched(world, entity, link)
        if step is not None:
            kept = world.matches.of(step)
            if kept is None:
                return None
            matches[link] = kept
    return Followed(entity, parts, read, matches)


def _matched(world: LiveWorld, entity: str, link: str) -> Relate | None:
    """What matches a link of a record that the data does not say."""
    step = world.compiled.steps.get((entity, link))
    if isinstance(step, Fill):
        step = world.compiled.steps.get((entity, step.source))
    return step if isinstance(step, Relate) else None


def _means(world: LiveWorld, entity: str, name: str) -> str:
    """The entity of the record that a field means: one that the data refers to, or that is matched; empty for other fields."""
    step = _matched(world, entity, name)
    if step is not None:
        return step.target
    f = world.policy.model.entities[entity].get(name)
    is_stored = f is not None and f.type.name == "record" and not f.via and (entity, name) not in world.compiled.steps
    return (f.type.entity or "") if f is not None and is_stored else ""


def _take_apart(world: LiveWorld, entity: str, tree: s.Node, parts: Parts, seen: frozenset[str]) -> bool:
    """Note what a tree reads through links; whether it reads nothing but that and the record's own fields."""
    if isinstance(tree, s.BINDERS):
        return False
    if isinstance(tree, s.Name):
        return tree.id != entity and not _is_field(world, entity, tree.id)
    if not isinstance(tree, s.Path):
        return all(_take_apart(world, entity, part, parts, seen) for part in s.children(tree))
    if isinstance(tree.base, s.Name) and tree.base.id == entity:
        return _is_followed(world, entity, tree.field, parts, seen)
    base = tree.base
    if isinstance(base, s.Path) and isinstance(base.base, s.Name) and base.base.id == entity:
        target = _means(world, entity, base.field)
        if not target or not world.is_own(target, tree.field):
            return False
        parts.links.add(base.field)
        parts.beyond.add((target, tree.field))
        return True
    while isinstance(base, s.Path):
        base = base.base
    return isinstance(base, s.Name) and base.id != entity and not _is_field(world, entity, base.id)  # of another kind of record: null here


def _is_followed(world: LiveWorld, entity: str, name: str, parts: Parts, seen: frozenset[str]) -> bool:
    if _means(world, entity, name):
        parts.links.add(name)
        return True
    if world.is_own(entity, name):
        return True
    step = world.compiled.steps.get((entity, name))
    plain = isinstance(step, Derive) and step.group is None and step.among is None and step.frozen is None and name not in seen
    if not plain or not isinstance(step, Derive) or step.expr is None:
        return False
    return _take_apart(world, entity, step.expr.tree, parts, seen | {name})


def _is_field(world: LiveWorld, entity: str, name: str) -> bool:
    """Whether a bare name means a field of the record."""
    return name in world.fields[entity]


# --- matches ----------------------------------------------------------------------------------------------------------


def kept_matches(world: LiveWorld, step: Relate) -> KeptMatches | None:
    """The matches of a step, kept; None where its methods read more than the record's own fields and those of the one it is matched to."""
    if step.entity == step.target:
        return None
    parts: list[list[s.Node]] = []
    reads: list[Read] = []
    for method in step.methods:
        exprs = [e for e in (method.match, method.unless, *(method.similar or ())) if e is not None]
        if not all(_reads_own(world, step.target, e.tree) for e in exprs):
            return None
        read = [rests_on(world.policy, step.entity, e) for e in exprs]
        reads.append([field for some in read if some is not None for field in some])
        parts.append([])
        if None in read or not all(_own_parts(world, step, e.tree, parts[-1]) for e in exprs):
            return None
    parts.append([])
    if not all(_own_parts(world, step, e.tree, parts[-1]) for _, e in step.tie_break):
        return None
    ties = _read_beside(world, step, parts[-1])
    return KeptMatches(step, world, [list(dict.fromkeys(trees)) for trees in parts], reads, ties) if ties is not None else None


def _read_beside(world: LiveWorld, step: Relate, own: list[s.Node]) -> set[tuple[str, str]] | None:
    """What the tiebreakers rest on beside the record's `own` parts; None where that cannot be told."""

    def without_own(tree: s.Node) -> s.Node:
        return s.NULL if any(tree is part for part in own) else s.mapped(tree, without_own)

    read = [rests_on(world.policy, step.target, replace(e, tree=without_own(e.tree))) for _, e in step.tie_break]
    return None if None in read else {key for some in read if some is not None for key in some}


def _reads_own(world: LiveWorld, target: str, tree: s.Node) -> bool:
    """Whether a tree reads nothing of a candidate but what is stored in it."""
    paths = [n for n in s.walk(tree) if isinstance(n, s.Path) and isinstance(n.base, s.Name) and n.base.id == target]
    named = sum(isinstance(n, s.Name) and n.id == target for n in s.walk(tree))
    return named == len(paths) and all(world.is_own(target, path.field) for path in paths)


def _own_parts(world: LiveWorld, step: Relate, tree: s.Node, parts: list[s.Node]) -> bool:
    """Note the largest parts that rest on the record alone; False where others read it too, or where one rests on more than its own fields."""
    names = {n.id for n in s.walk(tree) if isinstance(n, s.Name)}
    reads_record = any(name != step.target and (name == step.entity or _is_field(world, step.entity, name)) for name in names)
    if step.target not in names:
        if reads_record:
            parts.append(tree)
        return not reads_record or world.rests_on_itself(step.entity, tree)
    if isinstance(tree, s.BINDERS):
        return not reads_record
    return all(_own_parts(world, step, part, parts) for part in s.children(tree))
