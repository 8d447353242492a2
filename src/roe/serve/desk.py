"""The service without HTTP and without a database: records and events in, decisions out, one after the other.

A desk has one policy, the mirror's records and what the service knows. Each request is handled as of a moment that it is given,
and leaves behind what is to be written: records, values, entries and letters. The server, `roe route` and the tests share it, so a
stream of requests has one meaning whoever handles it. What is left behind becomes true only once the caller has written it.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime

from roe.dynamic import Json, Record, Saved
from roe.evaluator.decision import Decision
from roe.evaluator.prepared import Found
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.grammar.clock import zone_of
from roe.ledger.beside import RELOAD
from roe.ledger.entries import Activated, Owned
from roe.ledger.entry import Entry
from roe.ledger.moment import At
from roe.ledger.people import Declined, Excepted, Requested
from roe.ledger.reconcile import Held, decided
from roe.policy.standard import FILES
from roe.serve import digests, held, intake, timers, turns
from roe.serve.known import Assignment, Marks, Owner, Timer, held_of, with_base
from roe.serve.letters import Receiver, letter
from roe.serve.policies import Ready
from roe.serve.problems import Refused, unknown
from roe.serve.records import Records
from roe.serve.state import Change, State
from roe.serve.store import Writes
from roe.serve.times import MOST_AHEAD, first_moment, moment
from roe.serve.versions import Mirrored

Fetch = Callable[[str, str], Mirrored | None]
WasAsked = Callable[[str, str, str], bool]  # of a record in a role
log = logging.getLogger("roe.serve")
LAST = ("source", "moment")  # under which the moment of the last commit is kept
SHOWN = ("decision", "owner", "owner_name", "former", "by", "action", "rule", "sentence", "until", "pool", "since", "policy")
TOLD_AGAIN = ("owner", "action", "rule", "until", "pool")  # a decision in which one of these differs is an entry


class Desk:
    def __init__(
        self, policy: Ready, state: State, records: Iterable[Mirrored], receivers: Iterable[Receiver] = (),
        found: Mapping[str, Found] | None = None,
    ) -> None:  # fmt: skip
        self.state, self.receivers = state, tuple(receivers)
        self.not_read: Json = {}  # what of the last record that came says nothing to the policy
        self.able_changed = False  # whether somebody may be able to take a record who was not
        self.outdated = False  # whether something was forgotten that the desk still has
        self.seq = 0  # the last commit that the desk has seen
        self.take_policy(policy, records, found)
        self._timers = timers.TimerQueue()
        for key, timer in state.all("timer").items():
            self._timers.add(key, timer["due"])
        self.begin(lambda entity, id: None)

    def take_policy(self, policy: Ready, records: Iterable[Mirrored], found: Mapping[str, Found] | None = None) -> None:
        """Decide by this policy from now on. `found` are records that are read when somebody asks for them."""
        self.policy = policy
        self.records = Records(policy.evaluator, self.state, records, found)
        self.plan, self.zone = policy.evaluator.policy.plan, policy.evaluator.policy.timezone
        self._roles = {entity: [role for e, role in self.plan.engagement if e == entity] for entity, _ in self.plan.engagement}
        known = policy.evaluator.policy.model.entities
        self._entities = {FILES.get(e, (e + "s",))[0]: e for e in reversed(known)} | {e: e for e in known}
        self.tz = zone_of(self.zone)
        self._moment: tuple[datetime, At] | None = None

    # --- groups of requests -------------------------------------------------------------------------------------------

    def begin(self, fetch: Fetch, was_asked: WasAsked = lambda *about: False) -> None:
        """Start a group: nothing is left behind yet. `fetch` looks records up in the mirror as it was committed, and `was_asked` whether
        somebody waits for an exception.
        """
        self.fetch, self.was_asked = fetch, was_asked
        self.writes = Writes()
        self.entries: list[Entry] = []
        self._numbered: dict[str, int] = {}  # of owners that are to carry the number of an entry, its place in `entries`
        self._letters: list[tuple[int, Receiver, str, datetime, Json, Json, int | None]] = []  # letters whose decision has no number yet
        self.decided: list[tuple[str, str, str, str]] = []  # entity, record, role, action
        self.missed = self.proofs = 0  # deadlines, and of those that were missed before the ones that a late proof shows as kept

    def expect(self, records: Iterable[tuple[str, Record]]) -> None:
        """Records are about to be routed, by the address's name of their entity. What can be found out of them before they may be decided is."""
        by_name: dict[str, list[Record]] = {}
        for name, values in records:
            by_name.setdefault(name, []).append(values)
        for name, several in by_name.items():
            with contextlib.suppress(Refused):  # as each will be, when it comes
                self.records.expect(self.entity(name), several)

    def number(self, numbers: list[int]) -> None:
        """Tell owners and letters the numbers that the entries have got."""
        for key, place in self._numbered.items():
            if (owner := self.state.get("owner", key)) is not None:
                owner["decision"] = numbers[place]
        for count, receiver, kind, at, about, more, written in self._letters:
            if written is not None:
                about["decision"] = numbers[written]
            self.writes.letters.append(letter(count, receiver, kind, at, about, more))
        self._letters.clear()

    def as_of(self, now: datetime) -> datetime:
        """The moment of the next group: now, but not before the last commit of any server, so that the order of entries stands if a clock goes back."""
        noted = self.state.get(*LAST)
        last = now if noted is None else datetime.fromisoformat(noted)
        if last - now > MOST_AHEAD:
            log.error("the last commit was made at %s, and the clock says %s: one of them is wrong; going by the clock", last, now)
            return now
        return max(now, last)

    def note_changes(self, at: datetime) -> None:
        """Add what is known now to what the group leaves behind, and when that was if it leaves anything."""
        if self.writes or self.state.has_changed:
            self.state.put(*LAST, at.isoformat())
        self.writes.known = self.state.changes()

    def written(self) -> None:
        """What the group left behind is committed."""
        if self.writes:
            self.seq += 1
        self.state.written()
        self.records.let_go()

    def take_back(self) -> set[tuple[str, str]]:
        """The group was not committed: what is known is as it was before. Returns the records that the caller must read again."""
        undone = self.state.take_back()
        self.records.let_go()
        self.records.take_pools_back()
        return self._renew(undone) | set(self.writes.records)

    def learn(self, known: Iterable[Change], records: Iterable[Mirrored]) -> set[tuple[str, str]]:
        """Take over what another server has committed; returns further records that the caller must read again."""
        changed = self.state.learn(known)
        stale = self._renew(changed)
        entities = set()
        for record in records:
            self.records.learn(record)
            stale.discard((record.entity, record.id))
            entities.add(record.entity)
        if len(entities) == 1:  # nothing has changed since that a record's company may rest on
            self.records.take_companies(
                [key for kind, key in changed if kind == "owner" and key.split("|", 1)[0] in entities], self.policy.digest
            )
        return stale

    def follow(self, changed: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Follow values that were changed in the state itself; returns the records that the caller must read again."""
        return self._renew(changed)

    def _renew(self, changed: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Follow values that changed elsewhere; returns the records whose owners did."""
        stale: set[tuple[str, str]] = set()
        pools, assigned = False, []
        for kind, key in changed:
            if kind == "timer" and (timer := self.state.get("timer", key)) is not None:
                self._timers.add(key, timer["due"])
            elif kind == "owner":
                self.records.remember(key)
                entity, id, _ = key.split("|", 2)
                stale.add((entity, id))
            elif kind == "assigned":
                assigned.append(key)
            elif kind == "granted":
                self.records.grant(key)
            self.outdated |= (kind, key) == RELOAD
            pools |= kind in ("pool", "days")
        if pools or assigned:
            self.records.recall(assigned)
        return stale

    def activate(self, by: str, at: datetime) -> None:
        """The desk's policy is in force from now on, for all servers."""
        self.state.put("policy", "active", {"digest": self.policy.digest, "name": self.policy.name, "by": by, "at": at.isoformat()})
        self.entries.append(Activated(at=self.moment(at), policy=self.policy.name, digest=self.policy.digest, by=by))

    @property
    def in_force(self) -> str | None:
        """The digest of the policy in force; None if none was ever activated."""
        active = self.state.get("policy", "active")
        return None if active is None else str(active["digest"])

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """When the next timer is due; None if there is none, or while the service is paused."""
        first = None if self.is_paused else self._timers.first(self.state.all("timer"))
        return None if first is None else moment(first[0])

    def fire_due(self, at: datetime, most: int) -> int:
        """Fire the timers that are due; returns how many."""
        fired = 0
        if not self.is_paused:
            for key in self._timers.due(self.state.all("timer"), int(at.timestamp() * 1000), most):
                timers.fire(self, key, at)
                fired += 1
        if fired:
            self.settled(at)  # here and now: the next request may go to another server
        return fired

    def settled(self, at: datetime) -> None:
        """A request is done, or timers are. If somebody may be able now, records that wait are tried before the next request."""
        if self.able_changed and not self.is_paused:
            held.retry(self, at)

    @property
    def is_paused(self) -> bool:
        return self.state.get("pause", "all") is not None

    def schedule(self, key: str, timer: Timer | None) -> None:
        """Set the one timer of a record and role, or end it."""
        self.state.put("timer", key, timer)
        if timer is not None:
            self._timers.add(key, timer["due"])

    def moment(self, at: datetime) -> At:
        """A moment as entries have it; a group of requests has one."""
        if self._moment is None or self._moment[0] is not at:
            self._moment = at, At.of(at, self.zone)
        return self._moment[1]

    # --- records ------------------------------------------------------------------------------------------------------

    def entity(self, name: str) -> str:
        """The entity that an address means: `leads` and `lead` are one."""
        entity = self._entities.get(name)
        if entity is None:
            known = self.policy.evaluator.policy.model.entities
            raise unknown(f"the policy has no entity `{name}`", f"the entities are {', '.join(known)}")
        return entity

    def record(self, entity: str, id: str) -> Mirrored:
        """A record as the mirror has it now; an empty one if it has none."""
        pending = self.writes.records.get((entity, id))
        return pending or self.fetch(entity, id) or Mirrored(entity, id)

    def is_asked(self, entity: str, id: str, role: str) -> bool:
        """Whether somebody waits for an exception for a record in a role."""
        about = (entity, id, role)
        kinds = (Requested, Excepted, Declined)
        newest = next((e for e in reversed(self.entries) if isinstance(e, kinds) and (e.entity, e.record, e.role) == about), None)
        return self.was_asked(*about) if newest is None else isinstance(newest, Requested)

    def held_by(self, rep: str) -> list[str]:
        """The keys of all that a rep has, which is in the mirror."""
        keys = sorted(key for key, owner in self.state.all("owner").items() if owner["owner"] == rep)  # on every server in one order
        return [key for key in keys if self.records.row(*key.split("|", 2)[:2]) is not None]

    def owner_keys(self, entity: str, id: str) -> Iterable[str]:
        keys = (f"{entity}|{id}|{role}" for role in self.policy.evaluator.policy.roles)
        return (key for key in keys if self.state.get("owner", key) is not None)

    # --- decisions ----------------------------------------------------------------------------------------------------

    def route(self, entity: str, values: Record, version: str, at: datetime) -> tuple[str, bool, bool]:
        """Take a record over and find its owners; returns its id, whether it was known, and whether it was too old to count.

        A record that has owners already keeps them, without a turn. Records that wait in a pool go before a new one.
        """
        self.decides(entity)
        id, stale = intake.put(self, entity, values, version, at)
        roles = self.roles(entity)
        missing = [role for role in roles if self.state.get("owner", f"{entity}|{id}|{role}") is None]
        if missing:
            self.settled(at)
            self.decide(entity, id, at, only=missing)
        return id, len(missing) < len(roles), stale

    def decide(
        self,
        entity: str,
        id: str,
        at: datetime,
        only: Iterable[str] = (),
        tried: Mapping[str, str] | None = None,
        marks: Marks | None = None,
    ) -> list[Decision]:
        """Decide a record of the mirror in all its roles, or in some. `tried` are reps who must not have it, with reasons.

        `marks` stand in the owner that comes of it, such as how many seconds late a timer was.
        """
        row = self.records.row(entity, id)
        if row is None:
            raise unknown(f"there is no {entity} `{id}`")
        return [self._settle(row, role, at, tried, marks or {}) for role in (only or self.roles(entity))]

    def _settle(self, row: Row, role: str, at: datetime, tried: Mapping[str, str] | None, marks: Marks) -> Decision:
        key = f"{row.entity}|{row['id']}|{role}"
        d = self.records.decide(row, role, at, tried)
        self.decided.append((d.entity, d.id, role, d.action))
        before = self.state.get("owner", key)
        until = None if d.until is None else first_moment(d.until, self.tz)
        now: Saved = {"owner": d.owner, "action": d.action, "rule": d.rule or None, "until": v.plain(d.until), "pool": d.pool or None}
        earlier: Saved = before or {}
        if before is None or any(earlier[name] != now[name] for name in TOLD_AGAIN):
            base = d.previous if before is None else before["base"]  # of a record that is new here, what the CRM shows
            former = before["owner"] if before is not None else d.previous
            more: Marks = {"base": base, "owner_name": d.owner_name or None, "rule": d.rule or None, "pool": d.pool or None, **marks}
            if company := self.records.live.companies_of(row):
                more["company"] = company
            self.own(key, d.owner, at, d.until, sentence=d.reason, action=d.action, was=former, more=more)
        if d.turn is not None and not timers.is_repeated(d):
            turns.take(self, d, at)
        timers.set_for(self, key, d, until, at)
        held.keep(self, key, d, at)
        self._tell(key, d, before, at)
        return d

    def own(
        self, key: str, rep: str | None, at: datetime, until: date | datetime | None = None, *, sentence: str, action: str, by: str = "rule",
        was: str | None = None, more: Marks | None = None,
    ) -> None:  # fmt: skip
        """Remember an owner, and make it an entry; the owner carries the entry's number once it has one."""
        entity, id, role = key.split("|", 2)
        before = self.state.get("owner", key)
        was_held = Held(was) if before is None else held_of(before)
        stays = before is not None and rep == before["owner"]
        owner: Owner = {
            "decision": 0, "owner": rep, "owner_name": self.records.rep_name(rep) if rep else None,
            "former": before["former"] if before is not None and stays else None if rep == was_held.holder else was_held.holder, "by": by,
            "action": action, "rule": None, "sentence": sentence, "until": v.plain(until), "pool": None if before is None else before["pool"],
            "since": before["since"] if before is not None and stays else at.astimezone(self.tz).isoformat(), "at": at.isoformat(), "policy": self.policy.digest,
            "base": was_held.base,
        }  # fmt: skip
        owner = {**owner, **(more or {})}
        owner = with_base(owner, owner["base"], decided(was_held, rep).decided if owner["base"] == was_held.base else ())
        entry = Owned(
            at=self.moment(at), entity=entity, record=id, role=role, rep=rep, former=owner["former"], by=by, rule=owner["rule"] or "",
            action=action, pool=owner["pool"] or "", until=None if until is None else At.of(until, self.zone), sentence=sentence,
        )  # fmt: skip
        self._numbered[key] = len(self.entries)
        self.entries.append(entry)
        self.state.put("owner", key, owner)
        digests.moved(self, key, was_held.holder, rep, at)
        self.records.own(key, lambda: self.record(entity, id))

    def assign(self, key: str, given: Assignment | None) -> None:
        """Change what pools remember of a record; None where a pool is to give it anew."""
        self.state.put("assigned", key, given)
        self.records.recall([key])

    def _tell(self, key: str, d: Decision, before: Owner | None, at: datetime) -> None:
        if before is not None and before["owner"] == d.owner and before["action"] == d.action:
            return
        is_held = self.state.get("held", key) is not None
        kind = "referred" if d.action == "refer" else "assigned" if d.owner is not None else "held" if is_held else "unassigned"
        self.send(kind, key, at)

    def send(self, kind: str, key: str, at: datetime, **more: object) -> None:
        """Put a letter about a record into the outbox of every receiver who wants letters of this kind."""
        entity, id, role = key.split("|", 2)
        for receiver in self.receivers:
            if receiver.wants(kind):
                about = self.shown(entity, id, role)
                said_at = at.astimezone(self.tz)
                self._letters.append((self.state.count("letter"), receiver, kind, said_at, about, more, self._numbered.get(key)))

    # --- answers ------------------------------------------------------------------------------------------------------

    def shown(self, entity: str, id: str, role: str) -> Json:
        """An owner as an answer shows it."""
        owner: Saved = self.state.owner(f"{entity}|{id}|{role}")
        more = {name: owner[name] for name in ("late", "gone", "missed", "overdue") if name in owner}
        waiting = self.state.get("held", f"{entity}|{id}|{role}")
        if waiting is not None and "unable" in waiting:
            more["unable"] = held.reasons(self, waiting)
        return {"entity": entity, "id": id, "role": role, **{name: owner[name] for name in SHOWN}, **more}

    def answer(self, entity: str, id: str) -> Json:
        """All owners of a record. The first role's stand at the top, since most records have one."""
        self._has_owners(entity)
        known = self.state.all("owner")
        roles = {role: self.shown(entity, id, role) for role in self.policy.evaluator.policy.roles if f"{entity}|{id}|{role}" in known}
        if not roles:
            raise unknown(f"nothing was decided about the {entity} `{id}`", "route it with POST first")
        return {**next(iter(roles.values())), "roles": roles, "held": any(self.state.get("held", f"{entity}|{id}|{r}") for r in roles)}

    def _has_owners(self, entity: str) -> None:
        if not self.roles(entity) and not any(key.startswith(f"{entity}|") for key in self.state.all("owner")):
            decided = ", ".join(dict.fromkeys(e for e, _ in self.plan.engagement))
            raise unknown(f"the policy has no rules for the owners of {entity} records", f"it decides owners of {decided} records")

    def roles(self, entity: str) -> list[str]:
        return self._roles.get(entity, [])

    def decides(self, entity: str) -> None:
        """Refuse an entity that the policy has no rules for."""
        if not self.roles(entity):
            decided = ", ".join(dict.fromkeys(e for e, _ in self.plan.engagement))
            raise Refused(422, "R504", f"the policy has no rules for {entity} records", f"it decides {decided}; keep others with PUT")
