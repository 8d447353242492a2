"""The records of a live binding: they come, change and go, and owners of what is decided earlier are worked out when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from roe.data.coerce import NAMELESS, OneByOne, Typed, coerce_table
from roe.data.reading import Reading, Reject
from roe.dynamic import Record, Value, Values
from roe.evaluator.compiled import Compiled
from roe.evaluator.early import Early
from roe.evaluator.engine import Tables
from roe.evaluator.followed import Followed, followed
from roe.evaluator.kept import AS_WRITTEN, KeptUp
from roe.evaluator.live_matches import LiveMatches
from roe.evaluator.look_ups import KeyLookUp, NameLookUp
from roe.evaluator.prepared import Found
from roe.evaluator.row import OWNERSHIP, OwnersOfRow, Row, rows_with
from roe.evaluator.unread import Rows, Unread
from roe.evaluator.world import World
from roe.grammar import syntax as s
from roe.grammar.clock import Clock, zone_of
from roe.plan.operators import Expr, Relate
from roe.policy.model import DataSource

if TYPE_CHECKING:
    from roe.evaluator.claims import Settled
    from roe.evaluator.relate import Matcher

PORTION = 100  # unread records that are read together while nothing waits: a request that comes meanwhile waits for them
Shown = Callable[[str, Values], Values]


class Change(NamedTuple):
    """A record has changed in some fields, came (`id` is among the fields then), or is gone."""

    row: Row
    fields: Collection[str]
    referring: Collection[Row] = ()  # records with a reference that means it, or did before
    is_gone: bool = False


class LiveWorld(World):
    """Records that come and go. Owners of what is decided earlier are worked out when a decision asks for them."""

    grows = True
    decided: Callable[[Row], OwnersOfRow]  # the owners of a record, as its own rules give them now
    earlier: Callable[[str, str], bool]  # whether an entity is decided before another
    followed: Callable[[Change], None]  # what a change of a record means to the pools

    def __init__(
        self, compiled: Compiled, tables: Tables, clock: Clock, alone: bool = False, found: Mapping[str, Found] | None = None,
        shown: Shown | None = None,
    ) -> None:  # fmt: skip
        """`found` are records that are read when somebody asks for them. Of the values of each record that is read, `shown` are left."""
        self.alone = alone  # whether each record is read by its own columns and texts
        self._shown = shown
        self._unread: dict[str, Unread] = {}
        self._finish: Callable[[Row], None] | None = None
        self._unfinished: list[Row] = []  # read before `finish_by`
        self.deciding = ""  # the entity of the record that is being decided; '' for the data as it is
        self._kept_up: KeptUp | None = None
        self.last_read: Reading | None = None  # of the records that were typed last
        self._decided: dict[int, OwnersOfRow] = {}
        self.matches = LiveMatches(self)
        self.early = Early(self)
        self._one_by_one = {entity: OneByOne() for entity in compiled.policy.model.entities}
        super().__init__(compiled, tables, clock)
        for entity, one in (found or {}).items():
            self._unread[entity] = Unread(self, entity, one)
            reading = Reading.of(one.prepared.reading)
            if (typed := self.typed.setdefault(entity, Typed(reading))).reading is not reading:
                typed.reading.merge(reading)

    # --- records ----------------------------------------------------------------------------------------------------

    def keep_up(self) -> None:
        """From here on every change is followed."""
        self._kept_up = KeptUp(self)
        for step in self.policy.plan.steps.values():
            if isinstance(step, Relate):
                self.matcher(step).prepare()
        for unread in self._unread.values():
            unread.begun()

    def add(self, entity: str, raw: Iterable[Record]) -> list[Row]:
        """Records that came one by one are no table: each is read by its own columns, so that it means the same whichever others there are."""
        return self.restore(entity, self.read_alone(entity, raw, self.typed)) if self.alone else super().add(entity, raw)

    def read_alone(self, entity: str, raw: Iterable[Record], noted: dict[str, Typed] | None = None) -> list[Values]:
        """The values of records, each of which is read by its own columns. What was read of them is `noted`, and `rejects` has those that are rejected."""
        by_columns: dict[tuple[str, ...], list[Record]] = {}
        for record in raw:
            by_columns.setdefault(tuple(record), []).append(record)
        rows: list[Values] = []
        for records in by_columns.values():
            typed, (some, rejects) = self._typed(entity, records)
            rows += some
            self.rejects += rejects
            if noted is not None and noted.setdefault(entity, typed) is not typed:
                noted[entity].reading.merge(typed.reading)
        return rows if self._shown is None else [self._shown(entity, values) for values in rows]

    def typed_records(self, entity: str, raw: Iterable[Record]) -> tuple[list[Values], list[Reject]]:
        """Raw records of an entity, typed as the table was that the binding began with, or alone; and those that are rejected."""
        typed, read = self._typed(entity, raw)
        self.last_read = typed.reading
        if self.alone:  # their columns are columns of the data from now on, as they are for a binding that begins with them
            self.typed.setdefault(entity, Typed(Reading(entity))).reading.columns |= typed.columns
        return read

    def _typed(self, entity: str, raw: Iterable[Record]) -> tuple[Typed, tuple[list[Values], list[Reject]]]:
        model = self.policy.model
        decided = any(entity == e for e, _ in self.policy.plan.engagement)
        source, earlier = self.policy.data.get(entity, DataSource()), None if self.alone else self.typed.get(entity)
        typed = coerce_table(
            entity, model.entities[entity], raw, model.roles(), zone_of(self.policy.timezone), source, decided, earlier,
            self._one_by_one[entity], self.alone,
        )  # fmt: skip
        nameless = [x for x in typed.rows if "id" not in typed.columns and x["id"] == f"{entity}-{x['$line']}"]
        return typed, (typed.rows, [*typed.rejects, *(Reject(entity, "", x["$line"], "id", "", NAMELESS) for x in nameless)])

    def put(self, entity: str, values: Values) -> Row:
        """Add a typed record, or replace the one that has its id."""
        assert self._kept_up is not None and self._finish is not None
        self.changed()
        row = self._keys[entity].get(values["id"])
        before: Values = {}
        if row is None:
            row = Row(entity, self, values)
        else:
            self._kept_up.take_out(row)
            before = self.stored(row)
            row.forget()
            row.clear()
            row.update(values)
        self.resolve(row)
        self._finish(row)
        self._kept_up.put_in(row)
        self.forget_computed()
        changed = [name.partition(".")[0] for name in {**before, **values} if before.get(name) != values.get(name)]
        self._follow(Change(row, changed, self._kept_up.referring))
        return row

    def stored(self, row: Row) -> Values:
        """The values that a record was put with."""
        values = {name: x for name, x in row.items() if name not in row.derived and not name.startswith(AS_WRITTEN)}
        return values | {name.removeprefix(AS_WRITTEN): x for name, x in row.items() if name.startswith(AS_WRITTEN)}

    def remove(self, entity: str, key: str) -> bool:
        assert self._kept_up is not None
        row = self.with_id(entity, key)
        if row is None:
            return False
        self.changed()
        self._kept_up.take_out(row)
        self._kept_up.gone(row)
        self.forget_computed()
        self._follow(Change(row, ["id", *row], self._kept_up.referring, is_gone=True))
        return True

    def own_now(self, row: Row, owned: Values, unchanged: Mapping[str, Value]) -> None:
        """Show today's owner in the data of a record (see `owned_by`). `unchanged` is what was computed of it and does not rest on the owner."""
        assert self._kept_up is not None
        self.changed()
        self._kept_up.take_out_of_look_ups(row)
        row.forget()
        row.update(owned)
        self._kept_up.put_in_look_ups(row)
        self.forget_computed()
        for name, value in unchanged.items():
            row.remember(name, value)
        self._follow(Change(row, OWNERSHIP))

    def changed(self) -> None:
        self.__dict__.pop("settled", None)
        self.forget_computed()

    def forget_computed(self) -> None:
        ranks, keyed = self.__dict__.get("_ranks", {}), self.__dict__.get("_keyed", {})
        if self.touched or ranks or keyed or self._kept_up is None:
            super().forget_computed()
        self._decided.clear()
        if self._kept_up is not None:
            self._kept_up.drop_uncertain(ranks, keyed)

    def resolve(self, row: Row) -> None:
        """The text of a reference stays beside the record that it means, since it may come to mean another."""
        for name, _ in self._references[row.entity]:
            text = dict.get(row, name)
            if isinstance(text, str):
                row[AS_WRITTEN + name] = text
        super().resolve(row)

    def resolve_all(self) -> None:
        for entity, references in self._references.items():
            for row in rows_with([name for name, _ in references], self.read_rows(entity)):
                self.resolve(row)

    # --- records that nobody has looked at ------------------------------------------------------------------------------

    def read_rows(self, entity: str) -> Sequence[Row]:
        """The rows of an entity that have been read."""
        unread = self._unread.get(entity)
        return self.rows[entity] if unread is None else unread.read_so_far()

    def is_unread(self, entity: str, record: str) -> bool:
        unread = self._unread.get(entity)
        return unread is not None and unread.is_unread(record)

    @property
    def is_whole(self) -> bool:
        """Whether all records have been read."""
        return not self._unread

    def finish_by(self, finish: Callable[[Row], None]) -> None:
        """`finish` adds what is known of a record from elsewhere, whenever one is read or put."""
        self._finish = finish
        for row in self._unfinished:
            finish(row)
        self._unfinished.clear()

    def take_up(self, rows: Sequence[Row]) -> None:
        """Records have been read that were unread."""
        for row in rows:
            self.resolve(row)
        if self._finish is None:
            self._unfinished += rows
            return
        for row in rows:
            self._finish(row)
            if self._kept_up is not None:
                self._kept_up.register(row)
        self.matches.have_read(rows)

    def read_on(self) -> None:
        """Read some more records, while nobody waits."""
        for entity, unread in list(self._unread.items()):
            if unread.read_some(PORTION):
                return
            del self._unread[entity]
            rows, keys = self.rows[entity], self._keys[entity]
            assert isinstance(rows, Rows)
            self.rows[entity], self._keys[entity] = rows.all_read(), dict(keys.items())

    def references(self, entity: str) -> list[tuple[str, str]]:
        """The fields of an entity's records that mean another record, with its entity."""
        return self._references[entity]

    def matchers_to(self, entity: str) -> list[Matcher]:
        """The matchers that find records of an entity."""
        return [matcher for matcher in self._matchers.values() if matcher.step.target == entity]

    def key_look_up(self, kind: str, theirs: s.Node, matcher: Matcher) -> KeyLookUp:
        unread = self._unread.get(matcher.step.target)
        known = unread.key_look_up(kind, theirs, matcher) if unread is not None else None
        return known or super().key_look_up(kind, theirs, matcher)

    def name_look_up(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None) -> NameLookUp:
        unread = self._unread.get(matcher.step.target)
        known = unread.name_look_up(theirs, matcher) if unread is not None else None
        return known or super().name_look_up(theirs, matcher, meanwhile)

    def restore(self, entity: str, typed: Iterable[Values]) -> list[Row]:
        assert self._kept_up is None, "records are put one by one once a binding lives"
        return super().restore(entity, typed)

    # --- what a decision sees -----------------------------------------------------------------------------------------

    def owners(self, row: Row) -> OwnersOfRow:
        """Owners as the data has them; of what is decided before the record in question, as its rules give them."""
        if not self.deciding or not self.earlier(row.entity, self.deciding):
            return super().owners(row)
        known = self._decided.get(id(row))
        if known is None:
            deciding = self.deciding
            with self.as_before(row.entity):
                known = self.decided(row)
            if self.deciding == deciding:
                self._decided[id(row)] = known
        return known

    @contextmanager
    def as_before(self, entity: str) -> Iterator[None]:
        """Everything as it is while records of an entity are decided; what was computed until then comes back."""
        if entity == self.deciding:
            yield
            return
        computed = [(row, {name: dict.get(row, name) for name in row.derived}) for row in self.touched]
        known = dict(self._decided)
        before = self.deciding
        self.forget_computed()
        self.deciding = entity
        try:
            yield
        finally:
            self.forget_computed()
            self.deciding, self.touched = before, [row for row, _ in computed]
            self._decided.update(known)
            for row, values in computed:
                row.update(values)
                row.derived.update(values)

    @cached_property
    def settled(self) -> Settled:
        """The claims of the policy, settled by what the records say, whatever is being decided."""
        from roe.evaluator.claims import Settled

        assert self.policy.plan.claims is not None
        with self.as_before(""):
            return Settled(self.policy.plan.claims, self, self.decided_claims)

    def open_records(self) -> dict[tuple[str, str], int]:
        """Open records per entity and rep; the dict is kept up, and counted anew only where that is not certain."""
        assert self._kept_up is not None
        return self._kept_up.open_records()

    def _follow(self, change: Change) -> None:
        self.matches.follow(change)
        self.early.follow(change)
        self.followed(change)

    @property
    def is_behind(self) -> bool:
        """Whether records can be read, or matches asked for, ahead: since a record has changed, or since this binding is new."""
        return bool(self._unread) or self.matches.is_behind

    def catch_up(self, most: int) -> None:
        """Read on, or ask for so many matches, while nobody waits."""
        if self._unread:
            self.read_on()
            return
        self.matches.ask_ahead(most)
        if not self.is_behind:
            self.early.let_go()

    def is_owned(self, row: Row) -> bool:
        return any(dict.get(row, f"owner.{role}") for role in self.policy.roles)

    def related(self, step: Relate, row: Row) -> Row | None:
        matches = self.matches.if_kept(step)
        return super().related(step, row) if matches is None else matches.match(row)

    def follows(self, entity: str, expr: Expr) -> Followed | None:
        assert self._kept_up is not None
        known = followed(self, entity, expr)
        if known is not None:
            known.trust_early(self.early.told(entity, expr))
        return known

    def is_own(self, entity: str, name: str) -> bool:
        """Whether a field is stored in the record, or is computed from such fields alone."""
        assert self._kept_up is not None
        return self._kept_up.is_own(entity, name)

    def rests_on_itself(self, entity: str, tree: s.Node) -> bool:
        """Whether an expression about a record reads nothing but that record's stored fields, whatever the moment."""
        assert self._kept_up is not None
        return self._kept_up.rests_on_itself(entity, tree)

    def count_open(self) -> dict[tuple[str, str], int]:
        return super().open_records()
