"""What a live binding keeps up as records change: references, look-ups of names and keys, back references, counts.

A look-up that rests on nothing but a record's own stored fields is kept up record by record. One that reads more (a parent's domain, today's
date) is dropped where that may have changed, and made again when it is asked for: slower, and never wrong.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.dynamic import Value, Values
from roe.evaluator.by_name import NAMED_BY
from roe.evaluator.fields import key_of
from roe.evaluator.look_ups import by_id
from roe.evaluator.row import Row, rows_with
from roe.grammar import syntax as s
from roe.grammar.functions import BY_NAME
from roe.plan.operators import Derive

if TYPE_CHECKING:
    from roe.evaluator.live_world import LiveWorld
    from roe.evaluator.look_ups import LookUp
    from roe.evaluator.relate import Matcher

AS_WRITTEN = "$text."  # of a reference, beside the record that it means


class KeptUp:
    """The look-ups of one world."""

    def __init__(self, world: LiveWorld) -> None:
        self.world = world
        self._referring: dict[tuple[str, str], dict[Row, None]] = {}  # (entity, what a text means) -> records with such a reference
        self._alone: dict[int, tuple[s.Node, bool]] = {}
        self._certain_fields: dict[tuple[str, str], bool] = {}
        self._all_certain: set[str] = set()  # the matchers whose look-ups all rest on nothing but stored fields
        self._open: dict[tuple[str, str], int] | None = None
        self._was_called: list[str] = []  # what the record that was taken out last was called
        self.referring: dict[
            Row, None
        ] = {}  # the records with references to the one that was put in or has gone last, or to what it was called
        self._plain_open = self.is_own("lead", "is_open") or not self._exists("lead", "is_open")
        for entity in world.rows:
            world.named(entity)  # a request does not wait for it
            for row in rows_with([AS_WRITTEN + name for name, _ in world._references[entity]], world.read_rows(entity)):
                self.register(row)

    # --- records ----------------------------------------------------------------------------------------------------

    def take_out(self, row: Row) -> None:
        """Forget a record as it is now, which is about to change or to go."""
        self.take_out_of_look_ups(row)
        self._was_called = self._called(row)
        for key in NAMED_BY:
            if dict.get(row, key):
                named = self.world.named(row.entity)[str(dict.get(row, key)).lower()]
                named[:] = [other for other in named if other is not row]
        self._unregister(row)

    def take_out_of_look_ups(self, row: Row) -> None:
        """Forget what look-ups hold of a record, of which only the owner is about to change: it keeps its names and references."""
        world = self.world
        for matcher in world._matchers.values():
            if matcher.step.target == row.entity:
                for tree, look_up in matcher.look_ups():
                    if self.rests_on_itself(row.entity, tree):
                        look_up.remove(row)
        for (entity, via), back in world._back.items():
            if entity == row.entity and isinstance(target := row[via], Row):
                _take(back, id(target), row)
        for (entity, by), keyed in world._keyed.items():
            if entity == row.entity and (value := key_of(row[by])) is not None:
                _take(keyed, value, row)
        self._drop_ranks(row.entity)
        self._count(row, -1)

    def put_in(self, row: Row) -> None:
        """Take up a record as it is now."""
        world, entity = self.world, row.entity
        if row["id"] not in world._keys[entity]:
            world._keys[entity][row["id"]] = row
            insort(world.rows[entity], row, key=by_id)
            self._reps_changed(row, len(world.rows["rep"]) == 1)
        for key in NAMED_BY:
            if dict.get(row, key):
                world.named(entity).setdefault(str(dict.get(row, key)).lower(), []).append(row)
        self.put_in_look_ups(row)
        self.register(row)
        self._refer_again(row, self._called(row))

    def put_in_look_ups(self, row: Row) -> None:
        """Have the look-ups hold a record as it is now."""
        world, entity = self.world, row.entity
        for matcher in world._matchers.values():
            if matcher.step.target == entity:
                for tree, look_up in matcher.look_ups():
                    if self.rests_on_itself(entity, tree):
                        look_up.add(row)
        for (of, via), back in world._back.items():
            if of == entity and isinstance(target := row[via], Row):
                insort(back.setdefault(id(target), []), row, key=by_id)
        for (of, by), keyed in world._keyed.items():
            if of == entity and (value := key_of(row[by])) is not None:
                insort(keyed.setdefault(value, []), row, key=by_id)
        self._drop_ranks(entity)
        self._count(row, 1)

    def _drop_ranks(self, entity: str) -> None:
        """One record more, less or other may move every other one's place."""
        for step in [step for step in self.world._ranks if step[0] == entity]:
            del self.world._ranks[step]

    def gone(self, row: Row) -> None:
        """A record that was taken out does not come back."""
        world = self.world
        del world._keys[row.entity][row["id"]]
        del world.rows[row.entity][_place(world.rows[row.entity], row)]
        self._reps_changed(row, not world.rows["rep"])
        self._refer_again(row, [])
        for entity, via in list(world._back):
            world._back[entity, via].pop(id(row), None)

    def drop_uncertain(self, ranks: dict[tuple[str, str], dict[str, Values]], keyed: dict[tuple[str, str], dict[Value, list[Row]]]) -> None:
        """Drop the look-ups that may rest on what was computed; give back those that do not."""
        world = self.world
        if keyed:
            world._keyed = {key: look_up for key, look_up in keyed.items() if self._certain(*key)}
        if ranks:
            world._ranks = {
                (entity, name): look_up
                for (entity, name), look_up in ranks.items()
                if self._certain(entity, f"{name}_of") and self._certain(entity, f"{name}_within")
            }
        for key in world._back.keys() & world.compiled.steps.keys():
            del world._back[key]
        for name, matcher in world._matchers.items():
            matcher.forget(() if name in self._all_certain else self._uncertain(matcher))
        if not self._plain_open:
            self._open = None

    def _uncertain(self, matcher: Matcher) -> list[LookUp]:
        """The look-ups of a matcher that may rest on what was computed; those that do not stay so."""
        look_ups = list(matcher.look_ups())
        uncertain = [look_up for tree, look_up in look_ups if not self.rests_on_itself(matcher.step.target, tree)]
        trees = [tree for tree, _ in look_ups if self.rests_on_itself(matcher.step.target, tree)]
        if not uncertain and len(trees) >= matcher.most_look_ups:
            self._all_certain.add(matcher.step.name)
        return uncertain

    # --- references -------------------------------------------------------------------------------------------------

    def register(self, row: Row) -> None:
        """Note what the references of a record may mean."""
        for key in self._meant(row):
            self._referring.setdefault(key, {})[row] = None

    def _unregister(self, row: Row) -> None:
        for key in self._meant(row):
            referring = self._referring.get(key)
            if referring is not None:
                referring.pop(row, None)
                if not referring:
                    del self._referring[key]

    def _meant(self, row: Row) -> list[tuple[str, str]]:
        """What the references of a record may mean: ids, and names in small letters."""
        meant = []
        for name, target in self.world._references[row.entity]:
            text = dict.get(row, AS_WRITTEN + name)
            if text is not None:
                meant += [(target, fold(text)), (target, text.lower())]
        return meant

    def _refer_again(self, row: Row, called: list[str]) -> None:
        """Records whose references may mean this record now, as it is `called`, or no longer, are resolved anew."""
        before, self._was_called = self._was_called, []
        if row.entity == "rep" and set(called) != set(before):
            self._open = None  # what the data names as an owner may mean another rep now
        names = dict.fromkeys([*called, *before])
        self.referring = {other: None for key in names for other in self._referring.get((row.entity, key), ())}
        for other in self.referring:
            self._resolve_again(other, row.entity)

    def _called(self, row: Row) -> list[str]:
        return [str(row["id"]), *(str(dict.get(row, key)).lower() for key in NAMED_BY if dict.get(row, key))]

    def _resolve_again(self, row: Row, target: str) -> None:
        world = self.world
        for name, entity in world._references[row.entity]:
            text = dict.get(row, AS_WRITTEN + name)
            if text is None or entity != target:
                continue
            before = dict.get(row, name) if name not in row.derived else None
            now = world.rep(text) if entity == "rep" else world.find(entity, text)
            if before is now:
                continue
            row.forget()
            back = world._back.get((row.entity, name))
            if back is not None and before is not None:
                _take(back, id(before), row)
            if now is None:
                dict.pop(row, name, None)
            else:
                row[name] = now
                if back is not None:
                    insort(back.setdefault(id(now), []), row, key=by_id)

    def _reps_changed(self, row: Row, listed: bool) -> None:
        """Whether any rep is listed says whether a rep who is not is active."""
        if row.entity == "rep" and listed:
            self.world._strangers.clear()
            for other in {other for (entity, _), others in self._referring.items() if entity == "rep" for other in others}:
                self._resolve_again(other, "rep")

    # --- counts -----------------------------------------------------------------------------------------------------

    def open_records(self) -> dict[tuple[str, str], int]:
        if self._open is None:
            with self.world.as_before(""):
                self._open = self.world.count_open()
        return self._open

    def _count(self, row: Row, n: int) -> None:
        if self._open is None or row.entity not in ("lead", "account") or (row.entity == "lead" and row["is_open"] is False):
            return
        for rep in {rep["id"] for rep in row["owner"].values() if rep is not None}:
            self._open[row.entity, rep] = self._open.get((row.entity, rep), 0) + n

    # --- what a look-up rests on ----------------------------------------------------------------------------------------

    def rests_on_itself(self, entity: str, tree: s.Node) -> bool:
        """Whether an expression about a record reads nothing but that record's stored fields, whatever the moment."""
        known = self._alone.get(id(tree))
        if known is None:
            known = self._alone[id(tree)] = (tree, self._is_alone(entity, tree, frozenset()))
        return known[1]

    def _is_alone(self, entity: str, tree: s.Node, seen: frozenset[str]) -> bool:
        plan = self.world.policy.plan
        bound = {b.name for n in s.walk(tree) if isinstance(n, (s.For, s.Quantified)) for b in n.bindings}
        for node in s.walk(tree):
            if isinstance(node, s.Name) and node.id not in bound and node.id != entity:
                if node.id not in plan.lists or node.id in plan.dated_lists:
                    return False
            elif isinstance(node, s.Call) and ((row := BY_NAME.get(node.function)) is None or row.clock):
                return False
            elif isinstance(node, s.Path) and isinstance(node.base, s.Name) and node.base.id == entity:
                if not self.is_own(entity, node.field, seen):
                    return False
        return True

    def is_own(self, entity: str, name: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether a field is stored in the record, or is computed from such fields alone."""
        step = self.world.compiled.steps.get((entity, name))
        if step is not None:
            plain = isinstance(step, Derive) and step.expr is not None and step.among is None and step.frozen is None and name not in seen
            return plain and self._is_alone(entity, step.expr.tree, seen | {name})  # type: ignore[union-attr]
        field = self.world.policy.model.entities[entity].get(name)
        return field is not None and not field.via and field.type.name not in ("record", "owners") and not self._computed(entity, name)

    def _exists(self, entity: str, name: str) -> bool:
        policy = self.world.policy
        return (entity, name) in policy.plan.steps or name in policy.model.entities[entity]

    def _certain(self, entity: str, name: str) -> bool:
        known = self._certain_fields.get((entity, name))
        if known is None:
            known = self._certain_fields[entity, name] = self.is_own(entity, name)
        return known

    def _computed(self, entity: str, name: str) -> bool:
        """Whether a field is worked out where a record does not have it."""
        return (entity, name) in self.world.compiled.steps


def _place(rows: Sequence[Row], row: Row) -> int:
    """Where a row stands among rows in the order of their ids."""
    place = bisect_left(rows, by_id(row), key=by_id)
    while rows[place] is not row:
        place += 1
    return place


def _take(groups: dict[Value, list[Row]], key: Value, row: Row) -> None:
    rows = groups[key]
    del rows[_place(rows, row)]
    if not rows:
        del groups[key]
