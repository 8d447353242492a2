"""A record, and all that the policy reads around it: taken out of a place that has many, so that one decision needs no others.

What is found is closed: every record that is here has, of all that the policy may read of it, all that the whole data would give. A place
that cannot give it says so (`CannotLookUp`), and then all records are needed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from roe.data.lookup import CannotLookUp
from roe.dynamic import Values
from roe.evaluator.compiled import Compiled
from roe.evaluator.look_ups import blocking_keys, plan_of_method
from roe.evaluator.row import Row
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar.clock import Clock
from roe.grammar.closures import compile_expression
from roe.plan.operators import Derive, Method, Relate, Settle
from roe.plan.standard import STANDARD
from roe.policy.reads import reads_of, reads_through

if TYPE_CHECKING:
    from roe.policy.model import Field

MOST = 50_000  # records around one, beyond which taking out all of them is faster


class RecordPlace(Protocol):
    """Where typed records are taken from. What it gives may be more than what was asked for, never less."""

    def all(self, entity: str) -> Iterable[Values]:
        """Every record of an entity."""
        ...

    def named(self, entity: str, texts: Collection[str]) -> Iterable[Values]:
        """The records that some texts may name."""
        ...

    def referring(self, entity: str, field: str, records: Collection[Values]) -> Iterable[Values]:
        """The records whose field may name one of these records."""
        ...

    def equal(self, entity: str, tree: s.Node, texts: Collection[str]) -> Iterable[Values] | None:
        """The records for which an expression about them may give one of some texts; None where it cannot tell."""
        ...

    def near(self, entity: str, tree: s.Node, keys: Collection[str]) -> Iterable[Values] | None:
        """The same for an expression that gives a name with one of some keys (see `blocking_keys`)."""
        ...

    def world(self, rows: dict[str, dict[str, Values]]) -> World:
        """A world of some of its records, by entity and id."""
        ...


class _List(NamedTuple):
    """A list of related records that the policy reads: `entity.name`, of records of `item`."""

    entity: str
    name: str
    field: Field
    item: str


class Around:
    """The records around some. With more of one entity than `most` it raises CannotLookUp."""

    def __init__(self, place: RecordPlace, compiled: Compiled, clock: Clock, most: float = MOST) -> None:
        self.place, self.compiled, self.clock, self.most = place, compiled, clock, most
        model = compiled.policy.model.entities
        self.rows: dict[str, dict[str, Values]] = {entity: {} for entity in model}
        self._whole: set[str] = set()
        self._todo: list[tuple[str, str]] = []
        known = [(e, n, f) for e, n in sorted(reads_through(compiled.policy)) if (f := model.get(e, {}).get(n)) is not None]
        lists = [_List(e, n, f, f.type.item.entity) for e, n, f in known if f.via and f.type.item is not None]
        self._down = [(x.entity, x.item, x.field.via) for x in lists if not x.field.key and (x.entity, x.name) not in compiled.steps]
        up = [(e, n) for e, n, f in known if f.type.name == "record" and not f.via] + [(item, via) for _, item, via in self._down]
        self._up = [(e, n, model[e][n].type.entity) for e, n in dict.fromkeys(up)]
        self._relates = [step for step in compiled.policy.plan.steps.values() if isinstance(step, Relate)]
        self._whole.add("rep")
        self.rows["rep"] = {row["id"]: row for row in place.all("rep")}
        for entity in dict.fromkeys(self._needed_whole(lists)):
            if entity in self.rows:
                self.all(entity)

    def _needed_whole(self, lists: list[_List]) -> Iterator[str]:
        """The entities of which every record is needed, whatever is asked."""
        policy, steps = self.compiled.policy, self.compiled.steps
        yield from (x.item for x in lists if x.field.key)  # found by a key that may be computed
        yield from (item for e, item, via in self._down if e == "rep" or (item, via) in steps)  # whose lists nobody can look up
        # what became of one claim depends on all the others
        yield from (step.entity for step in steps.values() if isinstance(step, Settle) and step.gives)
        of_reps = [x.expr for x in steps.values() if isinstance(x, Derive) and (x.entity, x.stage) == ("rep", STANDARD)]
        read = [f for e, n in sorted(reads_of(policy, "rep", of_reps)) if (f := policy.model.entities.get(e, {}).get(n)) is not None]
        yield from (f.type.item.entity for f in read if f.via and f.type.item is not None)  # who may receive anything rests on these
        yield from (step.entity for step in policy.plan.steps.values() if isinstance(step, Derive) and step.among is not None)

    def all(self, entity: str) -> None:
        if entity not in self._whole:
            self._whole.add(entity)
            self.keep(entity, self.place.all(entity))

    def want(self, entity: str, texts: Iterable[str]) -> list[str]:
        """Keep the records that some texts name; the ids of those that are new."""
        missing = [x for x in dict.fromkeys(texts) if x not in self.rows[entity]]
        return self.keep(entity, self.place.named(entity, missing)) if missing and entity not in self._whole else []

    def keep(self, entity: str, rows: Iterable[Values]) -> list[str]:
        new = []
        for row in rows:
            if row["id"] not in self.rows[entity]:
                self.rows[entity][row["id"]] = row
                new.append(row["id"])
        self._todo += [(entity, i) for i in new]
        if entity not in self._whole and len(self.rows[entity]) > self.most:
            raise CannotLookUp(f"more than {self.most:,} {entity} records belong to it")
        return new

    def begin(self, rows: Mapping[str, Iterable[Values]]) -> None:
        """Put records in place of those that have their ids."""
        for entity, some in rows.items():
            own = {row["id"]: row for row in some}
            self.rows[entity] |= own
            self._todo += [(entity, i) for i in own]

    def complete(self) -> World:
        """Follow every reference and list that the policy reads until nothing new is met, and make a world of all of them."""
        self._follow()
        while True:
            world = self.place.world(self.rows)
            is_new = [self._match(step, world) for step in self._relates]
            if not any(is_new):
                return world
            self._follow()

    def _follow(self) -> None:
        seen: set[tuple[str, str]] = set()
        asked: dict[tuple[str, str], set[str]] = {}
        while self._todo:
            batch, self._todo = [x for x in self._todo if x not in seen], []
            seen.update(batch)
            for entity, name, target in self._up:
                named = {str(x) for e, i in batch if e == entity and (x := self.rows[e][i].get(name)) is not None}
                new = named - asked.setdefault((entity, target), set())
                asked[entity, target] |= new
                self.want(target, sorted(new))
            for entity, child, via in self._down:
                records = [self.rows[e][i] for e, i in batch if e == entity]
                if records and child not in self._whole:
                    self.keep(child, self.place.referring(child, via, records))

    # --- records that matching may choose among ------------------------------------------------------------------------

    def _match(self, step: Relate, world: World) -> bool:
        """Keep what the methods may find for each record, up to the one that finds something; whether anything is new."""
        before = len(self.rows[step.target])
        if step.target not in self._whole:
            matcher = world.matcher(step)
            for row in world.rows[step.entity]:
                for method, made in zip(step.methods, matcher.methods, strict=True):
                    new = self._candidates(step, method, row)
                    if new or made.candidates(row)[0]:
                        break  # what is new may be what it finds: then no other method is asked
        return len(self.rows[step.target]) > before

    def _candidates(self, step: Relate, method: Method, row: Row) -> list[str]:
        """Keep the rows that a method may choose among: by key or by block, as it looks for them itself."""
        kind, mine, theirs = plan_of_method(method, step)
        value = None if mine is None else compile_expression(mine)(row.world.scope(row))
        if mine is not None and (value is None or isinstance(value, (list, dict)) or (kind != "equal" and not isinstance(value, str))):
            if kind != "among" or value is None:
                return []
        rows: Iterable[Values] | None = None
        if theirs is not None and isinstance(value, str):
            if kind == "equal":
                rows = self.place.equal(step.target, theirs, [value])
            elif kind in ("block", "similar", "among"):
                keys = blocking_keys(value) if kind == "block" else []
                rows = self.place.near(step.target, theirs, keys)
        if rows is not None:
            return self.keep(step.target, rows)
        before = set(self.rows[step.target])
        self.all(step.target)
        return [x for x in self.rows[step.target] if x not in before]


def fields_in(tree: s.Node, entity: str) -> Iterator[str]:
    """The fields of an entity's record that an expression reads directly."""
    for node in s.walk(tree):
        if isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == entity:
            yield node.field
