"""A binding that lives on: records come, change and go, and one after another is decided, each at its own moment.

    live = evaluator.live(tables, as_of="2026-02-01")
    live.put("account", {"id": "A9", "name": "Acme"})
    decision = live.decide({"id": "L1", "company": "Acme Inc"}, as_of="2026-02-01T10:00")

A decision is the one that a new binding of the same records would give at that moment. What makes it quick: look-ups are kept up with
every change (`kept.py`), and only what the last decision computed is forgotten. Two things are left to whoever drives it. Owners
that the decision changes stand in the records when they are put there; only what a pool assigns is shown at once, since the
next turn must see it. And where the rules of an account route it to a pool, a lead sees the owner that the account has: a
lead takes no turn for its account.

Not safe for threads: one caller at a time.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.dynamic import Record, Saved, Value, Values
from roe.evaluator.allocation import FALLBACK
from roe.evaluator.assigned import empty_state, granted
from roe.evaluator.bound import Bound
from roe.evaluator.data_owner import let_own, owned_by
from roe.evaluator.decision import Decision
from roe.evaluator.early import asked_companies
from roe.evaluator.engine import Tables
from roe.evaluator.live_world import Change, LiveWorld, Shown
from roe.evaluator.prepared import Found
from roe.evaluator.row import OWNERSHIP, OwnersOfRow, Row
from roe.evaluator.together import given_before
from roe.grammar import values as v
from roe.ledger.holders import OwnerState
from roe.ledger.remembered import Remembered
from roe.plan.parts import ExceptionRow

if TYPE_CHECKING:
    from roe.evaluator.engine import Evaluator
    from roe.evaluator.pool import Pool

NO_RECORD = "there is no record of this id"


class Live(Bound):
    """A policy over records that change. `decide` takes the turns of pools; `current_state` is what must be kept of them."""

    world: LiveWorld

    def __init__(
        self, evaluator: Evaluator, tables: Tables, as_of: date | datetime | str, state: Remembered | None = None, alone: bool = False,
        found: Mapping[str, Found] | None = None, shown: Shown | None = None,
    ) -> None:  # fmt: skip
        world = LiveWorld(evaluator.compiled, tables, evaluator.clock(as_of), alone, found, shown)
        before = empty_state(str(as_of)) if state is None else state
        self.owners: dict[str, OwnerState] = dict(before.get("owners", {}))
        super().__init__(evaluator, world, {**before, "owners": self.owners})
        world.finish_by(self._finish)
        self._in_files = _by_name(self.plan.exceptions)
        self._granted = {key: next(granted({"granted": {key: x}})) for key, x in self.state.get("granted", {}).items()}
        order = {entity: n for n, entity in enumerate(self.entities())}
        world.earlier = lambda entity, other: entity in order and other in order and order[entity] < order[other]
        world.decided = self._decided_owners
        world.followed = self._follow
        world.keep_up()
        self._quiet = False  # whether a decision is asked for its owners alone: then no pool takes a turn
        self._asked = False  # whether a decision is only asked for: then no pool takes a turn either, and what one gave is shown
        self._renew = False  # whether who is able is to be found out again
        self._reps_changed = False
        lists = (f.type.item for f in self.policy.model.entities["rep"].values() if f.via)
        self._about_reps = {"rep", *(item.entity for item in lists if item is not None)}  # a leave, for one, is about its rep
        self._reps_rest_on_others = any(entity == "rep" for entity, _ in self.plan.steps)
        self._as_of: date | datetime | str | None = None
        self._owner_read: dict[tuple[str, str], bool] = {}  # by name of a company and entity, whether it rests on the owner
        self._last: tuple[Row | None, Values] = None, {}  # the record that was decided last, and its companies
        self._company_of: dict[str, tuple[str, Value]] = {}  # key of an assignment -> (pool, company)
        self._together: dict[tuple[str, Value], list[str]] = {}  # (pool, company) -> the keys of its assignments, in order
        for key in sorted(self.assigned):
            if self.assigned[key].get("company") is not None:
                self._accompany(key)
        for entity, company in asked_companies(self.plan):
            world.follows(entity, company)
        world.matches.expect_owned()

    def _give_back(self) -> None:
        """Turns are given back by runs, which note it: a binding that is made again and again would give each of them back again."""

    def _heed_changes(self) -> None:
        """Whoever takes records one by one has compared their owners with what was decided: the state has what came of it."""
        if not self.world.alone:
            super()._heed_changes()

    # --- changes ----------------------------------------------------------------------------------------------------

    def put(self, entity: str, record: Record) -> Row:
        """Insert a raw record, or replace the one with its id. Raises ValueError if it is rejected."""
        return self.put_all(entity, [record])[0]

    def put_all(self, entity: str, records: Iterable[Record]) -> list[Row]:
        """The same for several of one table. Raises ValueError, and changes nothing, if one is rejected."""
        typed, rejects = self.world.typed_records(entity, records)
        if rejects:
            raise ValueError(f"{rejects[0].field}: {rejects[0].reason}")
        return [self.put_typed(entity, values) for values in typed]

    def put_typed(self, entity: str, values: Values) -> Row:
        """Insert or replace a record whose values are typed already, as `world.typed_records` gives them."""
        before = self.world._keys[entity].get(values["id"])
        was_owned = before is not None and self._is_owned(before)
        row = self.world.put(entity, values)
        self._heed(entity, was_owned or self._is_owned(row))
        return row

    def remove(self, entity: str, key: str) -> None:
        """Delete a record by its id. Raises KeyError if there is none."""
        if not self.world.remove(entity, key):
            raise KeyError(f"{entity} {key}: {NO_RECORD}")
        self._heed(entity, True)

    def own(self, row: Row, role: str, rep: str) -> None:
        """Show that a rep owns a record from today on, as a run shows it to the next; it stays so where the data names no owner."""
        key = f"{row.entity}|{row['id']}|{role}"
        before = row["owner"].get(role)
        shown = None if before is None else str(before["id"])
        facts = self.memory.of(row.entity, str(row["id"]), role, shown, row[f"owner_since.{role}"])
        facts = self.memory.known[key] = facts.moved_to(rep, self.world.clock.today, "pool")
        self.owners[key] = facts.saved()
        self._own_now(row, owned_by(self.world, row, role, facts))

    def know(self, row: Row, role: str, saved: OwnerState) -> None:
        """Show the owner of a record as the state has it from now on, with since when and after whom."""
        key = f"{row.entity}|{row['id']}|{role}"
        self.owners[key] = saved
        facts = self.memory.take(key, saved)
        now = owned_by(self.world, row, role, facts)
        if any(dict.get(row, name) != value for name, value in now.items()):
            self._own_now(row, now)

    def _own_now(self, row: Row, owned: Values) -> None:
        """Show today's owner in a record's data. Of the one that was decided last, the companies that do not rest on it are known still."""
        last = self._last
        self.world.own_now(row, owned, last[1] if last[0] is row else {})
        self._heed(row.entity, True)
        if last[0] is row:
            self._last = last

    def _heed(self, entity: str, owned: bool) -> None:
        """A record has changed: who is able rests on reps and what is about them, and on how many records each has where a cap counts them."""
        self._last = None, {}
        self._reps_changed = self._reps_changed or entity == "rep"
        counted = owned and "pools" in self.__dict__ and self.pools.counts_are_asked
        self._renew = self._renew or entity in self._about_reps or counted or self._reps_rest_on_others

    def _is_owned(self, row: Row) -> bool:
        return any(dict.get(row, f"owner.{role}") is not None for role in self.policy.roles)

    def _finish(self, row: Row) -> None:
        """What the state knows of a record that its data does not say."""
        owners = self.owners
        for role in self.policy.roles:
            key = f"{row.entity}|{row['id']}|{role}"
            if key in owners:
                facts = self.memory.refresh(row, role, owners[key])
                let_own(self.world, row, role, facts)
                owners[key] = facts.saved()
        if row.entity == "account" and self.state.get("books"):
            self.recall_books({str(row["id"])})

    # --- decisions --------------------------------------------------------------------------------------------------

    def at(self, as_of: date | datetime | str) -> None:
        """Go to a moment, later or earlier."""
        if as_of == self._as_of:
            return
        clock, before = self.evaluator.clock(as_of), self.world.clock
        if clock != before:
            self.world.at(clock)
            if "pools" in self.__dict__:
                self.pools.together.at_another_time()
            # who is able changes with days and hours of work, which begin and end with a minute
            same_minute = clock.now.replace(second=0, microsecond=0) == before.now.replace(second=0, microsecond=0)
            self._renew = self._renew or not same_minute
        self._as_of = as_of

    def decide(
        self,
        record: Row | Record | str,
        role: str | None = None,
        *,
        entity: str = "lead",
        as_of: date | datetime | str | None = None,
        shows: bool = True,
    ) -> Decision:
        """The decision on a record, given as it is, by its id, or as a raw record that is put first.

        `as_of` is the moment, else that of the last decision. Read `trace` before the next change. Raises KeyError for an id that is
        not there, ValueError for a raw record that is rejected. Unless it `shows` whom a pool gives the record, the caller does (`know`).
        """
        if as_of is not None:
            self.at(as_of)
        self.world.conflicts.clear()
        row = self._row(record, entity)
        if not self._renew and "pools" in self.__dict__:
            self.pools.again()
        self.renew_pools()
        role = role if role is not None else next(iter(self.roles(row.entity)), "")
        with self.world.as_before(row.entity):
            decision = self._decide(row, role)
            self._last = row, self._companies(row)
        turn = decision.turn
        if turn is not None and turn.rep is not None and not turn.repeated:
            if turn.history is not None and turn.why != FALLBACK:  # who it was escalated to has taken nothing that counts
                self.pools.uncount()
            if shows:
                self.own(row, role, turn.rep["id"])
            self._accompany(self.key(decision))
        return decision

    def renew_pools(self) -> None:
        """Find out again who is able, where a rep, a leave or the minute has changed since."""
        if self._renew and "pools" in self.__dict__:
            self.pools.renew(self._reps_changed)
        self._renew = self._reps_changed = False

    def _companies(self, row: Row) -> Values:
        """What pools know of the company of a record that is being decided, where that does not rest on its owner."""
        if "pools" not in self.__dict__:
            return {}
        return {
            pool.company_name: self.pools.together.company(pool, row)
            for pool in self.pools.together.askers()
            if not self._rests_on_owner(pool, row.entity)
        }

    def companies_of(self, row: Row) -> Values:
        """The same of the record that was decided last, by how pools ask; nothing of another one."""
        return self._last[1] if self._last[0] is row else {}

    def take_companies(self, row: Row, companies: Values) -> None:
        """Take over what another binding of the same records knows of a record's company: it is looked up here when nobody waits."""
        if "pools" in self.__dict__:
            self.pools.together.trust(row, companies)

    @property
    def is_behind(self) -> bool:
        """Whether something can be worked out before a decision asks for it."""
        return self.world.is_behind or ("pools" in self.__dict__ and self.pools.together.has_trusted)

    def catch_up(self, most: int) -> None:
        """Work some of that out."""
        self.world.catch_up(most)
        self.look_up_trusted(most)

    def look_up_trusted(self, most: int | None = None) -> None:
        """Look up what is only taken over: so much, or all that another binding has told since the start."""
        if "pools" in self.__dict__:
            self.pools.together.look_up_trusted(most)

    def _rests_on_owner(self, pool: Pool, entity: str) -> bool:
        known = self._owner_read.get((pool.company_name, entity))
        if known is None:
            read = self.pools.together.rests_on(pool, entity)
            about_owners = read is None or any(of == entity and name.partition(".")[0] in OWNERSHIP for of, name in read)
            known = self._owner_read[pool.company_name, entity] = about_owners
        return known

    def _follow(self, change: Change) -> None:
        if "pools" in self.__dict__:
            self.pools.together.follow(change)

    def _accompany(self, key: str) -> None:
        """Of a company's records that a pool assigned, the next one follows the first by its key, wherever that has gone since."""
        assignment = self.assigned[key]
        now = (assignment["by"], assignment["company"]) if assignment.get("company") is not None else None
        before = self._company_of.pop(key, None)
        if before is not None:
            self._together[before].remove(key)
        if now is not None:
            self._company_of[key] = now
            insort(self._together.setdefault(now, []), key)
        for company in dict.fromkeys(x for x in (before, now) if x is not None):
            keys = self._together[company]
            self.pools.together.given.pop(company, None)
            if keys:
                self.pools.together.given[company] = given_before(keys[0], self.assigned[keys[0]])

    def ask(self, row: Row, role: str) -> Decision:
        """What is decided of a record as things are. No pool takes a turn, also where a decision would: of a rep who has left, for one."""
        self._asked = True
        try:
            with self.world.as_before(row.entity):
                return self._decide(row, role)
        finally:
            self._asked = False

    def kind_to_pools(self, row: Row, pool: str) -> Value:
        """What a pool, and those that it falls back on, read of a record that nobody has. If it finds nobody for one record, it finds nobody
        for another of the same kind at that moment. None where each must be asked for itself.
        """
        if any(rep is not None for rep in row["owner"].values()):
            return None
        with self.world.as_before(row.entity):
            return self.pools.kind(pool, row)

    def recall(self, assigned: Saved, pools: Saved, days: Saved) -> None:
        """Take over what was decided elsewhere: assignments by key (None where one is gone), and pools and days as they are then."""
        self.state |= {"pools": dict(pools), "days": dict(days)}
        self.pools.recall(pools, days)
        for key, given in assigned.items():
            if given is not None:
                self.assigned[key] = dict(given)
                self._accompany(key)
            elif self.assigned.get(key) is not None:
                self.assigned[key] = {**self.assigned[key], "company": None}
                self._accompany(key)
                del self.assigned[key]

    def _row(self, record: Row | Record | str, entity: str) -> Row:
        if isinstance(record, Row):
            return record
        if isinstance(record, Mapping):
            return self.put(entity, record)
        row = self.world.find(entity, record)
        if row is None:
            raise KeyError(f"{entity} {record}: {NO_RECORD}")
        return row

    def approved(self, row: Row, role: str) -> ExceptionRow | None:
        """The exception that holds for a record today: one that was granted by an entry, before those of the policy's files."""
        if self.world.is_untouched(row.entity, row["id"]):
            return None
        own = self._granted.get(f"{row.entity}|{row['id']}|{role}")
        if own is not None and self.excepts(own, row):
            return own
        if not self._in_files:
            return None
        texts = [dict.get(row, name) for name in ("id", "name", "email", "domain")]
        named = dict.fromkeys(key for text in texts if text for key in (str(text), str(text).lower()))
        holding = [
            x
            for key in named
            for x in self._in_files.get((row.entity, key), ())
            if str(x.role) == role and self.excepts(x, row) and self.world.find(x.entity, x.record) is row
        ]
        return min(holding, key=self.plan.exceptions.index, default=None)

    def grant(self, key: str, given: Saved | None) -> None:
        """Heed an exception for `entity|record|role` as `state["granted"]` has it, or no longer."""
        self._granted.pop(key, None)
        if given is not None:
            self._granted[key] = next(granted({"granted": {key: given}}))
        self._renew = True

    def _decided_owners(self, row: Row) -> OwnersOfRow:
        """The owners that a record's own rules give it now; what would be a turn of a pool leaves the owner that it has."""
        owners = dict(row["owner"])
        before, self._quiet = self._quiet, True
        try:
            for role in self.roles(row.entity):
                owners[role] = self.world.rep(self._decide(row, role).owner)
        finally:
            self._quiet = before
        return OwnersOfRow(owners)

    def _allocate(self, d: Decision, pool: str) -> Row | None:
        if not self._quiet and not self._asked:
            return super()._allocate(d, pool)
        earlier = self.assigned.get(self.key(d))
        if not self._quiet and earlier is not None and earlier["pool"] == pool:
            rep = self.world.rep(earlier["rep"])
            due = self.pools.due(self.pools.pools[pool], v.parse_temporal(earlier["at"]), rep)
            d.turn = self.pools.kept(pool, rep, earlier, due)
            d.pool = d.turn.pool
            return d.turn.rep
        return self.world.rep(earlier["rep"] if earlier else d.previous)

    def current_state(self) -> Remembered:
        """The state as decisions have left it: owners, turns, credits and days of the pools, and what they have assigned."""
        return {**self.state, **self.pools.saved(), "assigned": dict(sorted(self.assigned.items()))}


def _by_name(exceptions: Iterable[ExceptionRow]) -> dict[tuple[str, str], list[ExceptionRow]]:
    """Exceptions by their entity, and by what they call their record."""
    by_name: dict[tuple[str, str], list[ExceptionRow]] = {}
    for exception in exceptions:
        for text in dict.fromkeys((fold(exception.record), str(exception.record).lower())):
            by_name.setdefault((exception.entity, text), []).append(exception)
    return by_name
