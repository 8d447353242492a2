"""What the run remembers of owners: who holds each record today by the ledger and the data together, and what the next run is to know.

`state["owners"]` has, by `entity|record|role`, the holder (`rep`, null for nobody), since when (`since`, null where nobody knows) or when
first seen (`seen`), the `former` holder, what gave it (`by`), the `base` with `base_at`, and the decisions since then (`decided`).
`state["returned"]` has when a record was given back, and by whom; `state["referred"]` since when a person is asked; `state["gone"]`, by
`entity|record`, which records the CRM has no longer (see `roe.evaluator.gone`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING

from roe.crm.ids import fold
from roe.data.coerce import GONE
from roe.dynamic import Json, Saved
from roe.evaluator.data_owner import InData, in_data, let_own, stamp_of
from roe.evaluator.gone import Gone, gone_by, is_from_before, is_later, newest
from roe.grammar import values as v
from roe.ledger.holders import OwnerState, owner_state
from roe.ledger.reconcile import (
    CASCADE,
    CHANGED_IN_CRM,
    NOTHING_DECLARED,
    Declared,
    Held,
    Kind,
    RowVerdict,
    Shown,
    decided,
    key_parts,
    reconcile,
)
from roe.ledger.remembered import Remembered
from roe.node import node

if TYPE_CHECKING:
    from roe.evaluator.decision import Decision
    from roe.evaluator.row import Row
    from roe.evaluator.world import World

NOTHING_HELD = Held(None)
NEW_IN_CRM = (Kind.FIRST_SIGHT, Kind.BY_HAND, Kind.BY_SYSTEM)  # the owner of the data is one that the ledger did not know of
DecisionValues = tuple[str, str, str, str | None, str | None, date | datetime | None, str, str, datetime | None]  # see `OwnerMemory.after`


@node
class Facts:
    """Who holds a record in a role today, and how that came about. `in_crm` is the holder that the data shows, where it shows any."""

    holder: str | None
    since: date | None = None
    seen: date | None = None
    former: str | None = None
    by: str = ""
    in_crm: str | None = None
    kind: Kind | None = None
    held: Held = NOTHING_HELD
    returned_on: date | None = None
    referred_on: date | None = None
    holds: str | None = None  # the rules that gave the record for a time, each with its end

    @property
    def start(self) -> date | None:
        """Since when the holder has it, as far as anybody knows. Of what nobody has that is the day on which the CRM took the owner away, else None."""
        return None if self.holder is None and self.by not in CHANGED_IN_CRM else self.since or self.seen

    @property
    def is_changed_in_crm(self) -> bool:
        return self.kind in (Kind.BY_HAND, Kind.BY_SYSTEM)

    @property
    def owner_since(self) -> date | None:
        return None if self.holder is None else self.since

    @property
    def is_known(self) -> bool:
        """Whether there is anything to remember: of an owner, or when the CRM showed that there is none."""
        return self.had_owner or self.held.base_at is not None

    @property
    def had_owner(self) -> bool:
        """Whether somebody has the record, had it, or was given it; or took it away."""
        held = self.held
        return bool(self.holder or held.base or held.decided or self.former) or self.by in CHANGED_IN_CRM

    def moved_to(self, holder: str | None, today: date, by: str) -> Facts:
        """The facts once a run has decided; the holder that it leaves as it is stays since when it was."""
        if holder == self.holder:
            return self
        return Facts(
            holder, today, None, self.holder, by, self.in_crm, self.kind, decided(self.held, holder),
            self.returned_on, self.referred_on, self.holds,
        )  # fmt: skip

    def saved(self) -> OwnerState:
        """The value of `state["owners"]`."""
        held = self.held
        since, seen, by = (self.since, self.seen, self.by) if self.had_owner else (None, None, "")
        return owner_state(
            self.holder, str(since) if since else None, seen=str(seen) if seen and not since else None, former=self.former, by=by,
            base=held.base, base_at=v.literal(held.base_at) if held.base_at else None, decided=list(held.decided),
        )  # fmt: skip


class OwnerMemory:
    """The memory of one run: facts by `entity|record|role`, for the records that the ledger knows."""

    def __init__(self, world: World, state: Remembered) -> None:
        self.world, self.today = world, world.clock.today
        self.known: dict[str, Facts] = {}
        self._by_role: dict[tuple[str, str], dict[str, Facts]] = {}
        self.returned: Saved = state.get("returned", {})
        self.referred: Saved = state.get("referred", {})
        self.ends: Mapping[str, str] = state.get("ends", {})  # see `Facts.holds`
        self.elsewhere: Json = {}  # owners of entities that the policy does not have, which stay as they are
        self.changed: list[tuple[str, Facts]] = []  # by hand or by a system, since the last run
        self.older: set[str] = set()  # records of whom the data shows an owner from before what the CRM has shown already
        self._begin_gone(state)
        by_role: dict[tuple[str, str], Json] = {}
        owners = state.get("owners", {})
        for entries in (owners, self.returned, self.referred, self.ends):
            for key in entries:
                entity, record, role = key_parts(key)
                if entity not in world.rows:
                    if key in owners:
                        self.elsewhere[key] = owners[key]
                elif not world.is_unread(entity, record):  # else when it is read
                    by_role.setdefault((entity, role), {})[record] = owners.get(key)
        for key in getattr(owners, "unowned", ()):  # of those only what has an owner by now is news
            entity, record, role = key_parts(key)
            if entity not in world.rows:
                continue
            row = world.with_id(entity, record)
            if row is None:
                self._note_gone(entity, record)
            elif in_data(world, row, role).holder is not None:
                by_role.setdefault((entity, role), {})[record] = {"rep": None, "since": None}
        world.returned = self.returned
        for (entity, role), saved in by_role.items():
            self._role(entity, role, saved)

    def _begin_gone(self, state: Remembered) -> None:
        """What is known of records that the CRM has no longer: from earlier runs (`was_gone`), and from the data."""
        self.crm_by: dict[str, str] = {}  # of what is new in the CRM: the integration that changed it, or `CASCADE`
        self.was_gone: Saved = state.get("gone", {})
        self.gone: Json = {}  # by `entity|record`, of the records that the ledger still knows an owner of: as `state["gone"]`
        self.older |= {r.record for r in self.world.rejects if is_from_before(r)}
        flagged = {(r.entity, fold(r.record)): r for r in self.world.rejects if r.field in GONE}
        self._owners_before = state.get("owners", {})
        self._newest = cache(lambda entity: newest(self.world, entity, state))
        self._older_flags = {key for key, r in flagged.items() if self._is_older(*key, r.modified_at)}
        self.older |= {record for _, record in self._older_flags}
        self._flagged = {key: gone_by(r) for key, r in flagged.items()}

    def _is_older(self, entity: str, record: str, read_at: str) -> bool:
        """Whether what was read is from before the CRM showed what the ledger knows of an owner of the record."""
        held = (self._owners_before.get(f"{entity}|{record}|{role}") for role in self.world.policy.roles)
        return any(owner is not None and is_later(owner.get("base_at", ""), read_at) for owner in held)

    def _note_gone(self, entity: str, record: str) -> None:
        """Note a record that is not among the data's, if that means that it is gone: a row from before says nothing of today."""
        if (entity, record) in self._older_flags:
            return
        gone = self._flagged.get((entity, record))
        if gone is None and self._is_complete(entity):
            if self._is_older(entity, record, self._newest(entity)):
                self.older.add(record)
            else:
                gone = Gone("missing", read_at=self._newest(entity))
        if gone is not None:
            self.gone[f"{entity}|{record}"] = gone._asdict()

    def _has(self, entity: str, record: str) -> bool:
        return entity in self.world.rows and self.world.with_id(entity, record) is not None

    def _is_complete(self, entity: str) -> bool:
        """Whether the data has all records of an entity that there are; a table without any record does not say so."""
        source = self.world.policy.data.get(entity)
        return source is not None and source.complete and len(self.world.all(entity)) > 0

    def is_gone(self, key: str) -> bool:
        """Whether the CRM has the record of `entity|record|role` no longer."""
        return bool(self.gone) and key.rpartition("|")[0] in self.gone

    def _still_gone(self) -> Json:
        """What the next run is to know of records that are gone: those that are back are not, and what the CRM said last counts."""
        still: Json = {key: x for key, x in self.was_gone.items() if not self._has(*key.split("|", 1))}
        for (entity, record), now in self._flagged.items():
            known = still.get(f"{entity}|{record}")
            if known is not None and now.read_at and (not known["read_at"] or is_later(now.read_at, known["read_at"])):
                still[f"{entity}|{record}"] = now._asdict()
        return still | self.gone

    def _role(self, entity: str, role: str, saved: Saved) -> None:
        rows = {record: self.world.with_id(entity, record) for record in saved}
        for record, row in rows.items():
            if row is None:
                self._note_gone(entity, record)
        shown = {record: None if row is None else in_data(self.world, row, role) for record, row in rows.items()}
        facts = {record: self._facts(f"{entity}|{record}|{role}", saved[record], about) for record, about in shown.items()}
        self._by_role[entity, role] = facts
        self.known |= {f"{entity}|{record}|{role}": of_record for record, of_record in facts.items()}
        for record, of_record in facts.items():
            if (row := rows[record]) is not None:
                let_own(self.world, row, role, of_record)

    def _facts(self, key: str, saved: Saved | None, row: InData | None) -> Facts:
        """`row` is what the data says of the record; None for one that it does not have."""
        shown = Shown(row.holder, row.read_at, fold(row.writer)) if row is not None and row.has_column else None
        since = row.since if row is not None else None
        verdict = reconcile(shown, None if saved is None else _held(saved), self._declared(key, row))
        if verdict.system or verdict.kind is Kind.OURS:
            self.crm_by[key] = verdict.system or CASCADE
        if saved is None and shown is None:
            verdict = replace(verdict, kind=Kind.FIRST_SIGHT)
        if verdict.kind is Kind.STALE and shown is not None and shown.holder not in (verdict.holder, verdict.base):
            self.older.add(key_parts(key)[1])
        returned, referred = self.returned.get(key), self.referred.get(key)
        facts = Facts(
            verdict.holder, *self._by_verdict(verdict, saved, since),
            verdict.holder if shown is None else verdict.base if verdict.kind is Kind.STALE else shown.holder, verdict.kind,
            Held(verdict.holder, verdict.base, verdict.base_at, verdict.decided),
            _day(returned) if returned else None, _day(referred) if referred else None, self.ends.get(key),
        )  # fmt: skip
        if verdict.is_changed_in_crm:
            self.changed.append((key, facts))
        return facts

    def _by_verdict(self, verdict: RowVerdict, saved: Saved | None, since: date | None) -> tuple[date | None, date | None, str | None, str]:
        """Since when the holder has a record (or when it was first seen), after whom and by what, once the ledger and the data are reconciled."""
        if verdict.is_changed_in_crm:
            former = None if saved is None else saved.get("rep")
            return _since_change(since, saved) or self.today, None, former, verdict.by
        if saved is None:
            return since, self.today, None, verdict.by if verdict.holder else ""
        began = v.parse_date(saved["since"]) if saved.get("since") else since
        seen = v.parse_date(saved["seen"]) if saved.get("seen") else None
        return began, seen, saved.get("former"), saved.get("by", "")

    def _declared(self, key: str, row: InData | None) -> Declared:
        """Who else writes to the CRM, as far as it may explain a row: integrations, and the CRM that passes owners on."""
        crm = self.world.policy.plan.crm
        if row is None or not (crm.systems or row.parent):
            return NOTHING_DECLARED
        parent = self.known.get(f"{row.parent}|{key.rpartition('|')[2]}") if row.parent else None
        passed_on = parent is not None and parent.kind is Kind.IN_FORCE and parent.by not in CHANGED_IN_CRM
        return Declared(systems=crm.systems, cascades=passed_on, cascaded=parent.holder if passed_on and parent is not None else None)

    def of_role(self, entity: str, role: str) -> Iterable[tuple[str, Facts]]:
        """The records that the ledger knows an owner of in a role, with the facts."""
        return self._by_role.get((entity, role), {}).items()

    def take(self, key: str, saved: Saved) -> Facts:
        """The facts of a record whose owner was decided elsewhere, whatever its data shows."""
        facts = self.known[key] = self._facts(key, saved, None)
        return facts

    def refresh(self, row: Row, role: str, saved: Saved) -> Facts:
        """The facts of a record whose data came anew."""
        key = f"{row.entity}|{row['id']}|{role}"
        facts = self.known[key] = self._facts(key, saved, in_data(self.world, row, role))
        return facts

    def facts_of(self, entity: str, record: str, role: str) -> Facts | None:
        """The facts of a record; None where the ledger knows nothing of it."""
        return self.known.get(f"{entity}|{record}|{role}")

    def of(
        self, entity: str, record: str, role: str, shown: str | None, since: date | datetime | None, read_at: datetime | None = None
    ) -> Facts:
        """The facts of a record; of one that the ledger does not know they are those of the data, as of the time at which it was read."""
        facts = self.facts_of(entity, record, role)
        if facts is not None:
            return facts
        by = "import" if shown else ""
        return Facts(shown, since, self.today, None, by, shown, Kind.FIRST_SIGHT, Held(shown, shown, read_at))

    def decided(self, d: Decision) -> Facts:
        """The facts of a record once it is decided."""
        return self.of(d.entity, d.id, d.role, d.previous, d.since, stamp_of(d.row)).moved_to(d.owner, self.today, given_by(d.action))

    def after(self, decisions: Iterable[DecisionValues]) -> Json:
        """What the next run is to know: `owners`, `returned` and `referred`; and, for the ledger alone, `crm_since`, since when the owner whom
        the CRM showed first had a record that the run has moved on at once, and `crm_by`, what has changed it there, other than people. From decisions as (entity, record, role, owner, today's owner
        in the data, since when there, action, what gave it, when the CRM last changed the row). Records that were not decided are as they were.
        """
        owners = {key: facts.saved() for key, facts in self.known.items() if self.is_kept(key, facts) and not self.is_gone(key)}
        changes, parts = self._decided(decisions)
        owners = self.elsewhere | {key: x for key, x in (owners | changes).items() if x is not None}
        return {"owners": dict(sorted(owners.items())), **parts}

    def without_column(self) -> list[tuple[str, str]]:
        """(entity, role) of owners whom the CRM has shown, and for whom the data has records and no column."""
        lost = []
        for (entity, role), facts in self._by_role.items():
            shown = any(of_record.held.base is not None for of_record in facts.values())
            if shown and self.world.rows[entity] and not self.world.has_owner(entity, role):
                lost.append((entity, role))
        return lost

    def pending(self) -> Iterable[tuple[str, date]]:
        """The records with decisions that the CRM has not loaded, and the days of these."""
        for key, facts in self.known.items():
            if facts.kind is Kind.PENDING and facts.since is not None:
                yield key.partition("|")[2].rpartition("|")[0], facts.since

    def is_kept(self, key: str, facts: Facts) -> bool:
        """Whether the next run is to know of an owner: a record that was given back, say, may have none."""
        return facts.is_known or not (key in self.returned or key in self.ends)

    def _decided(self, decisions: Iterable[DecisionValues]) -> tuple[Json, dict[str, Json]]:
        """What decisions leave of `owners` (None where nothing is left), and the whole of the other parts."""
        owners: Json = {}
        returned, referred = dict(self.returned), dict(self.referred)
        crm_since: dict[str, str] = {}
        for entity, record, role, owner, shown, since, action, by, read_at in decisions:
            key = f"{entity}|{record}|{role}"
            facts = self.of(entity, record, role, shown, since, read_at)
            after = facts.moved_to(owner, self.today, by)
            owners[key] = after.saved() if after.is_known else None
            if after.holder != facts.holder and facts.holder is not None and facts.since and facts.kind in NEW_IN_CRM:
                crm_since[key] = str(facts.since)
            if action == "return" and facts.holder is not None:
                returned[key] = {"on": v.literal(self.world.clock.now), "rep": facts.holder}
            if action == "refer":
                referred.setdefault(key, {"on": str(self.today)})
            else:
                referred.pop(key, None)
        for waiting in (returned, referred):
            for key in [key for key in waiting if self.is_gone(key)]:
                del waiting[key]
        parts = (
            ("returned", returned),
            ("referred", referred),
            ("crm_since", crm_since),
            ("crm_by", self.crm_by),
            ("gone", self._still_gone()),
        )
        return owners, {name: dict(sorted(x.items())) for name, x in parts if x}

    def counts(self) -> dict[str, int]:
        """How many records are what, for the summary."""
        return dict(sorted(Counter(facts.kind.value for facts in self.known.values() if facts.kind is not None).items()))


def given_by(action: str) -> str:
    """What gives a record to somebody by an action."""
    return {"exception": "exception", "route": "pool"}.get(action, "rule")


def _day(entry: Saved) -> date | None:
    return v.parse_date(str(entry["on"])[:10])


def _held(saved: Saved) -> Held:
    base = saved.get("base") if "base" in saved or saved.get("by") else saved.get("rep")  # an old state has none: the CRM had it
    at = v.parse_temporal(saved["base_at"]) if saved.get("base_at") else None
    return Held(saved.get("rep"), base, at, tuple(saved.get("decided", ())))


def _since_change(since: date | None, saved: Saved | None) -> date | None:
    """The day that the data gives for an owner who was changed in the CRM; None if it is still the earlier owner's day."""
    former_since = None if saved is None or not saved.get("since") else v.parse_date(saved["since"])
    return None if since is not None and former_since is not None and since <= former_since else since
