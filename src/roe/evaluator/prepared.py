"""What finds the records of an entity, found out before: their ids, what people call them, and the keys and names that matches look them up by.

It is texts and numbers, so that it can be kept. A start that has it reads a record when a decision asks for it (`unread.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from roe.dynamic import Json, Saved, Value
from roe.evaluator.allocation import LEAST_LOADED
from roe.evaluator.look_ups import NameLookUp, by_id, name_in
from roe.evaluator.pool import OPEN_CAPS
from roe.evaluator.row import Row
from roe.grammar import syntax as s
from roe.grammar.printer import show
from roe.plan.operators import Derive
from roe.policy.reads import reads_through, routed

if TYPE_CHECKING:
    from roe.evaluator.live_world import LiveWorld
    from roe.evaluator.relate import Matcher

Places = tuple[
    list[str], list[int | list[int]]
]  # keys in order, and for each the number of the record that has it, or the numbers of several
Names = tuple[list[str], list[int]]  # names, and the number of the record that has each, in order


@dataclass(slots=True)
class Prepared:
    """What finds the records of an entity. A record's number is its place among `ids`, which are in order."""

    reading: Saved
    ids: list[str]
    called: Places  # by what people call them
    keys: dict[str, Places] = field(default_factory=dict)  # by look-up (`label`)
    names: dict[str, Names] = field(default_factory=dict)

    def as_json(self) -> Json:
        return {"reading": self.reading, "ids": self.ids, "called": self.called, "keys": self.keys, "names": self.names}

    @classmethod
    def of(cls, saved: Saved) -> Prepared:
        """Raises ValueError, KeyError or TypeError for what it cannot be."""
        keys = {label: (keys, places) for label, (keys, places) in saved["keys"].items()}
        names = {label: (texts, numbers) for label, (texts, numbers) in saved["names"].items()}
        called, numbers = saved["called"]
        return cls(saved["reading"], saved["ids"], (called, numbers), keys, names)


@dataclass(slots=True)
class Found:
    """An entity's prepared records, each with its text, a JSON object; None for one that is gone or has changed since."""

    prepared: Prepared
    texts: list[str | None]


def label(matcher: Matcher, kind: str, theirs: s.Node) -> str:
    """What a look-up is called."""
    return f"{matcher.step.name} {kind} {show(theirs)}"


def prepared(world: LiveWorld, least: int) -> dict[str, Prepared]:
    """What finds the records now, of each entity that has so many, and of which a decision asks for some."""
    whole = asked_for_all(world)
    found = {entity: _prepared(world, entity) for entity, rows in world.rows.items() if len(rows) >= least and entity not in whole}
    return {entity: x for entity, x in found.items() if x is not None}


def asked_for_all(world: LiveWorld) -> set[str]:
    """The entities of which a decision may ask for all records, and those that these refer to."""
    policy = world.policy
    model, plan = policy.model.entities, policy.plan
    if plan.claims is not None:
        return set(model)
    entities = {"rep"} | {step.entity for step in plan.steps.values() if isinstance(step, Derive) and step.among is not None}
    for of, name in reads_through(policy):
        f = model.get(of, {}).get(name)
        if f is not None and f.via and f.type.item is not None:
            entities.add(f.type.item.entity)
    by_pool = routed(plan)
    for name, pool in plan.pools.items():
        if pool.strategy == LEAST_LOADED or not OPEN_CAPS.keys().isdisjoint(pool.caps):
            entities |= set(OPEN_CAPS.values())
        if pool.together is not None:
            entities |= by_pool.get(name, set())
    entities = {entity for entity in entities if world.rows.get(entity)}
    for entity in list(entities):
        entities |= {
            target for name, target in world.references(entity) if any(dict.get(row, name) is not None for row in world.rows[entity])
        }
    return entities


def _prepared(world: LiveWorld, entity: str) -> Prepared | None:
    """None where records are found by more than their own texts."""
    rows = world.rows[entity]
    numbers = {id(row): number for number, row in enumerate(rows)}
    called = _places(world.named(entity).items(), numbers)
    if called is None:
        return None
    found = Prepared(world.typed[entity].reading.kept(), [by_id(row) for row in rows], called)
    for matcher in world.matchers_to(entity):
        if any(method.theirs is None for method in matcher.methods):
            return None
        for theirs, look_up in matcher.look_ups():
            if not world.rests_on_itself(entity, theirs):
                return None
            if isinstance(look_up, NameLookUp):
                found.names[label(matcher, "", theirs)] = _named(look_up, rows)
                continue
            places = _places(look_up.groups(), numbers)
            if places is None:
                return None
            found.keys[label(matcher, look_up.kind, theirs)] = places
    return found


def _named(look_up: NameLookUp, rows: Sequence[Row]) -> Names:
    named = [(name, number) for number, value in enumerate(look_up.values(rows)) if (name := name_in(value))]
    return [name for name, _ in named], [number for _, number in named]


def _places(groups: Iterable[tuple[Value, Sequence[Row]]], numbers: dict[int, int]) -> Places | None:
    """The numbers of rows by their keys; None if some key is no text."""
    places: dict[str, int | list[int]] = {}
    for key, rows in groups:
        if type(key) is not str:
            return None
        if rows:
            places[key] = numbers[id(rows[0])] if len(rows) == 1 else sorted([numbers[id(row)] for row in rows])
    keys = sorted(places)
    return keys, [places[key] for key in keys]
