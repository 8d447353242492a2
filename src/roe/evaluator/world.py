"""The records of one run, related to each other, with every step of the plan as a field that is computed when asked for.

A `Row` is a dict of a record's stored fields. A field that is not there yet (a relation, a definition, a territory) is
computed by its step on first use and kept, so evaluation order needs no plan of its own and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableSequence, Sequence
from datetime import date, datetime
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar

from roe.data.coerce import WRITTEN, Typed, coerce_table, is_repetition
from roe.data.reading import Reading, Reject
from roe.dynamic import Record, Saved, Value, Values
from roe.evaluator.by_name import RecordsByName
from roe.evaluator.compiled import Compiled
from roe.evaluator.data_owner import stamp_of
from roe.evaluator.fields import Make, key_of, makers_of, ranks_of
from roe.evaluator.in_time import RecordsInTime
from roe.evaluator.look_ups import KeyLookUp, NameLookUp
from roe.evaluator.past import RecordPast
from roe.evaluator.relate import Matcher
from roe.evaluator.row import OwnersOfRow, Row, nothing, rows_with
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.grammar.clock import Clock, zone_of
from roe.grammar.scopes import CLOCK, IMPLICIT, Code, Scope
from roe.ledger.remembered import Remembered
from roe.plan.operators import Derive, Expr, Relate
from roe.plan.outcome import Sentence
from roe.policy.model import DataSource

if TYPE_CHECKING:
    from roe.evaluator.claims import Settled
    from roe.evaluator.followed import Followed
    from roe.evaluator.memory import OwnerMemory


class World(RecordsByName, RecordsInTime):
    """The records of a run at one moment. `tables` are raw records by entity; rejects and corrections are kept."""

    grows: ClassVar[bool] = False  # whether records come one by one later

    def __init__(self, compiled: Compiled, tables: Mapping[str, Iterable[Record]], clock: Clock) -> None:
        self.compiled, self.policy = compiled, compiled.policy
        self.rows: dict[str, MutableSequence[Row]] = {}
        self.touched: list[Row] = []  # the rows with fields that were computed
        self.at(clock)
        self.rejects: list[Reject] = []
        self.typed: dict[str, Typed] = {}
        self.conflicts: dict[tuple[str, str, str], list[str]] = {}  # (entity, step, rules that all hold) -> records
        self.dangling: dict[tuple[str, str, str], int] = {}
        self.in_time: dict[tuple[str, str], Make] = {}  # fields that the ledger knows more of than today's value
        self.fields = {entity: makers_of(entity, self) for entity in self.policy.model.entities}
        self.rows = {entity: [] for entity in self.policy.model.entities}
        self._references = {
            entity: [(name, f.type.entity) for name, f in fields.items() if f.type.name == "record" and not f.via]
            for entity, fields in self.policy.model.entities.items()
        }
        self._keys: dict[str, dict[str, Row]] = {entity: {} for entity in self.rows}
        self._names: dict[str, dict[str, list[Row]]] = {}  # of the entities whose records have been looked for by name
        self._back: dict[tuple[str, str], dict[int, list[Row]]] = {}
        self._keyed: dict[tuple[str, str], dict[object, list[Row]]] = {}
        self._strangers: dict[str, Row] = {}
        self._matchers: dict[str, Matcher] = {}
        self._owned = []
        self._ranks: dict[tuple[str, str], dict[str, Values]] = {}
        self.frozen: Saved = {}  # values that earlier runs froze
        self.memory: OwnerMemory | None = None
        self.past = RecordPast(self, {})
        self.returned: Saved = {}  # by `entity|record|role`: when a record was last given back, and by whom
        self.decided_claims: Saved = {}  # of earlier runs, with the reasons of those that were refused
        for entity in self.rows:
            if entity in tables:
                self.add(entity, tables[entity])

    def at(self, clock: Clock) -> None:
        """The same records at a moment: everything that was computed is forgotten."""
        self.clock = clock
        dated = self.policy.plan.dated_lists.items()
        in_force = {name: [str(x.value) for x in rows if x.holds(clock.today)] for name, rows in dated}
        self.lists: Values = {**self.policy.plan.lists, **in_force}
        self.base: Scope = {"today": clock.today, "now": clock.now, CLOCK: clock, **self.lists}
        self.__dict__.pop("settled", None)
        self.forget_computed()

    def forget_computed(self) -> None:
        """Drop everything that was computed."""
        self._ranks, self._keyed = {}, {}
        touched, self.touched = self.touched, []
        for row in touched:
            row.forget()

    def remember(self, state: Remembered) -> OwnerMemory:
        """The memory of a run on these records: what the ledger and they say together of owners."""
        from roe.evaluator.memory import OwnerMemory

        return OwnerMemory(self, state)

    # --- loading ----------------------------------------------------------------------------------------------------

    def add(self, entity: str, raw: Iterable[Record]) -> list[Row]:
        """Load records of an entity; those that are rejected are in `rejects`."""
        model = self.policy.model
        zone = zone_of(self.policy.timezone)
        source = self.policy.data.get(entity, DataSource())
        decided = any(entity == e for e, _ in self.policy.plan.engagement)
        typed = coerce_table(entity, model.entities[entity], raw, model.roles(), zone, source, decided, self.typed.get(entity))
        self.rejects += typed.rejects
        self.typed.setdefault(entity, typed)
        return self.restore(entity, typed.rows)

    @property
    def readings(self) -> dict[str, Reading]:
        """entity -> what was read of its records, and what was not."""
        return {entity: typed.reading for entity, typed in self.typed.items()}

    def restore(self, entity: str, typed: Iterable[Values]) -> list[Row]:
        """Add records that are typed already; of two with one id the first stays."""
        added, keys = [], self._keys[entity]
        for values in typed:
            key = values["id"]
            if key in keys:
                self.rejects.append(Reject(entity, key, values.get("$line", 0), "id", key, "a record with this id is loaded already"))
                continue
            row = keys[key] = Row(entity, self, values)
            added.append(row)
        if entity in self._names:
            self._name(entity, added)
        self.rows[entity] = sorted([*self.rows[entity], *added], key=itemgetter("id"))
        self._back.clear()
        self._keyed.clear()
        return added

    def set_aside(self, rejects: Sequence[Reject]) -> None:
        """Take records out of the data again, before anything is computed of them."""
        for entity in {r.entity for r in rejects}:
            some = [r for r in rejects if r.entity == entity]
            self._take_out(entity, some)
            self.readings[entity].count([r for r in some if not self.is_guest(entity, r.record)])
        self.rejects = sorted([*self.rejects, *rejects], key=lambda r: (is_repetition(r), r.line))

    def _take_out(self, entity: str, rejects: Sequence[Reject]) -> None:
        for r in rejects:
            del self._keys[entity][r.record]
        self.rows[entity] = [row for row in self.rows[entity] if row["id"] in self._keys[entity]]
        self._names.pop(entity, None)
        self._back.clear()
        self._keyed.clear()

    def is_guest(self, entity: str, record: str) -> bool:
        """Whether a record is only here to be read: somebody else decides it, and counts what is said of it."""
        return False

    def stamps_of(self, entity: str) -> list[datetime | None]:
        """When the CRM last changed the rows of an entity, those that are set aside among them."""
        aside = [v.parse_temporal(r.modified_at) for r in self.rejects if r.entity == entity and r.modified_at]
        return [*self._stamps(entity), *(at for at in aside if isinstance(at, datetime))]

    def _stamps(self, entity: str) -> Iterable[datetime | None]:
        return map(stamp_of, self.rows[entity])

    def line_of(self, row: Row) -> int:
        """The line of its file that a record was read from; 0 for none."""
        line = dict.get(row, "$line")
        return line if isinstance(line, int) else 0

    def take(self, entity: str, typed: Sequence[Values]) -> None:
        """Add typed records that the data does not have. Those that are here already stay."""
        if entity in self.rows:
            self.restore(entity, (x for x in typed if x["id"] not in self._keys[entity]))

    def all(self, entity: str) -> Sequence[Row]:
        """The records of an entity, by id."""
        return self.rows[entity]

    def present(self, entity: str) -> Sequence[Row]:
        """The same, and those that are only here to be read (`is_guest`)."""
        return self.rows[entity]

    def first(self, entity: str) -> Row | None:
        """The record with the lowest id; None if there are no records."""
        rows = self.rows[entity]
        return rows[0] if rows else None

    def is_unread(self, entity: str, record: str) -> bool:
        """Whether a record is there that is read when somebody asks for it."""
        return False

    def values(self, entity: str, name: str) -> list[Value]:
        """A field of every record of an entity, by id."""
        if self.fields[entity].get(name) in (None, nothing):
            get = dict.get
            return [get(row, name) for row in self.rows[entity]]
        return [row[name] for row in self.rows[entity]]

    def evaluated(self, entity: str, expr: Expr) -> list[Value]:
        """An expression's value for every record of an entity, by id."""
        code = self.compiled.code(expr)
        return [code(self.scope(row)) for row in self.rows[entity]]

    def follows(self, entity: str, expr: Expr) -> Followed | None:
        """What tells of which records a change may give an expression another value; None where nothing changes, or that cannot be told."""
        return None

    def is_untouched(self, entity: str, record: str) -> bool:
        """Whether nothing moves a record today, since the policy says so."""
        ends = self._untouched.get((entity, record), ())
        return any(until is None or self.clock.today < until for until in ends)

    @cached_property
    def _untouched(self) -> Mapping[tuple[str, str], Sequence[date | None]]:
        """(entity, id) -> until when the policy says that nothing moves the record; None for ever."""
        ends: dict[tuple[str, str], list[date | None]] = {}
        for one in self.policy.plan.untouched:
            ends.setdefault((one.entity, one.record), []).append(one.until)
        return ends

    def owner_ids(self, entity: str, role: str) -> list[str | None]:
        """Who has each record of an entity in a role, by id."""
        return [None if (rep := row["owner"].get(role)) is None else str(rep["id"]) for row in self.rows[entity]]

    def recall(self, name: str, values: Mapping[str, object]) -> None:
        """A field of accounts that the state knows, by id; what the data says comes first."""
        kind = self.policy.model.entities["account"][name].type
        for account, value in values.items():
            row = self._keys["account"].get(account)
            if row is not None and value is not None and dict.get(row, name) is None:
                row[name] = self.rep(value) if kind.name == "record" else v.parse_date(value) if kind.name == "date" else value

    def owner_column(self, entity: str, role: str) -> str:
        """The data's own column for the owner in a role, so that what is written loads back as it is."""
        return self._column_of(entity, f"owner.{role}") or ("owner" if role == self.policy.roles[0] else f"owner_{role}")

    def has_owner(self, entity: str, role: str) -> bool:
        """Whether the data has a column for the owner in a role."""
        return self._column_of(entity, f"owner.{role}") is not None

    def _column_of(self, entity: str, name: str) -> str | None:
        typed = self.typed.get(entity)
        return typed.columns.get(name) if typed else None

    def spelling(self) -> dict[str, str]:
        """The ids that the data has in another form than the one that they are folded to, with that form."""
        every = (*self.rows.values(), self._strangers.values())
        spelling = {str(row["id"]): row.written for rows in every for row in rows if dict.get(row, WRITTEN)}
        return {short: long for short, long in spelling.items() if short != long}

    def ranked(self, step: Derive) -> dict[str, Values]:
        """Of every record with a value its rank in its group (equals share the best one, or, if it is strict, follow each other by
        their ids), how many there are, its percentile
        (the share of the others that are below, as SQL's PERCENT_RANK has it) and the tier of its rank.
        """
        ranks = self._ranks.get((step.entity, step.name))
        if ranks is None:
            assert step.among is not None
            ids, values, groups = (self.values(step.entity, name) for name in ("id", f"{step.name}_of", f"{step.name}_within"))
            ranks = self._ranks[step.entity, step.name] = ranks_of(ids, values, groups, step.among, step.strict)
        return ranks

    def owners(self, row: Row) -> OwnersOfRow:
        """Today's owners, as the data says."""
        return OwnersOfRow({role: self.rep(dict.get(row, f"owner.{role}")) for role in self.policy.roles})

    # --- what steps ask of all records ------------------------------------------------------------------------------------

    def matcher(self, step: Relate) -> Matcher:
        matcher = self._matchers.get(step.name)
        if matcher is None:
            matcher = self._matchers[step.name] = Matcher(step, self)
        return matcher

    def key_look_up(self, kind: str, theirs: s.Node, matcher: Matcher) -> KeyLookUp:
        return KeyLookUp(kind, theirs, matcher)

    def name_look_up(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None) -> NameLookUp:
        return NameLookUp(theirs, matcher, meanwhile)

    def line_numbers(self, entity: str) -> list[int]:
        """Where the records of an entity stand in their file, by id."""
        return [row["$line"] for row in self.rows[entity]]

    def release(self, entity: str) -> None:
        """Whoever reads many records of an entity one by one has no more need of those that were read so far."""

    def related(self, step: Relate, row: Row) -> Row | None:
        """The record that a step finds for another one."""
        return self.matcher(step).best(row)

    @cached_property
    def settled(self) -> Settled:
        """The claims of the policy, settled by what the records say at the start."""
        from roe.evaluator.claims import Settled

        assert self.policy.plan.claims is not None
        return Settled(self.policy.plan.claims, self, self.decided_claims)

    def fill(self, template: str | Sentence, scope: Scope) -> str:
        """A sentence with its `{expression}` parts replaced by their values."""

        def shown(code: Code) -> str:
            value = code(scope)
            return "(unknown)" if value is None else value.label if isinstance(value, Row) else v.readable(value, self.clock.now.tzinfo)

        pieces = self.compiled.template(template) if isinstance(template, str) else self.compiled.sentence(template)
        return "".join(piece if code is None else shown(code) for piece, code in pieces)

    def scope(self, row: Row) -> Scope:
        """What an expression about a record can name."""
        scope = dict(self.base)
        scope[row.entity] = row
        scope[IMPLICIT] = row
        return scope

    def resolve(self, row: Row) -> None:
        """Turn the texts of a record's references into records; a reference that finds none is counted and null."""
        for name, target in self._references[row.entity]:
            key = dict.get(row, name)
            if key is None or isinstance(key, Row):
                continue
            record = self.rep(key) if target == "rep" else self.find(target, key)
            if record is None:
                where = (row.entity, name, key)
                self.dangling[where] = self.dangling.get(where, 0) + 1
                del row[name]
            else:
                row[name] = record

    def resolve_all(self) -> None:
        for entity, rows in self.rows.items():
            names = [name for name, _ in self._references[entity]]
            for row in rows_with(names, rows):
                self.resolve(row)

    def first_role(self, entity: str) -> str:
        """The role that is meant where none is named: the first that the entity has rules for."""
        return next((role for role in self.policy.roles if (entity, role) in self.policy.plan.engagement), self.policy.roles[0])

    def open_records(self) -> dict[tuple[str, str], int]:
        """Open records per entity and rep, in any role; a converted or disqualified lead is not open."""
        counts: dict[tuple[str, str], int] = {}
        for entity in ("lead", "account"):
            holders = self._holders(entity)
            for row in self.rows[entity]:
                if entity == "lead" and row["is_open"] is False:
                    continue
                for rep_id in holders(row):
                    counts[entity, rep_id] = counts.get((entity, rep_id), 0) + 1
        return counts

    def _holders(self, entity: str) -> Callable[[Row], set[str]]:
        """The reps who have a record in any role, by their ids. Where its data says so, nothing is computed: a table has many records and few reps."""
        texts = [f"owner.{role}" for role in self.policy.roles]
        is_stored, ids = (entity, "owner") not in self.compiled.steps, dict[Value, str]()

        def holders(row: Row) -> set[str]:
            if not is_stored or dict.__contains__(row, "owner"):
                return {rep["id"] for rep in row["owner"].values() if rep is not None}
            found = set()
            for text in texts:
                if (owner := dict.get(row, text)) not in ids:
                    rep = self.rep(owner)
                    ids[owner] = "" if rep is None else rep["id"]
                if ids[owner]:
                    found.add(ids[owner])
            return found

        return holders

    def back(self, entity: str, via: str) -> dict[int, list[Row]]:
        """Records of an entity by the record that their field refers to."""
        key = (entity, via)
        referring = self._back.get(key)
        if referring is None:
            referring = self._back[key] = {}
            for row in self.rows.get(entity, ()):
                target = row[via]
                if isinstance(target, Row):
                    referring.setdefault(id(target), []).append(row)
        return referring

    def keyed(self, entity: str, by: str) -> dict[object, list[Row]]:
        """Records of an entity by the value of a field, those without one left out."""
        records = self._keyed.get((entity, by))
        if records is None:
            records = self._keyed[entity, by] = {}
            for row in self.all(entity):
                value = key_of(row[by])
                if value is not None:
                    records.setdefault(value, []).append(row)
        return records
