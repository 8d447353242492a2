"""The records that decisions look into, bound to a policy: changed one at a time, and asked as of any moment.

What was decided here stands, whether the CRM shows it yet or not. So where the service knows a record's owner, the owner
that the CRM shows is left out of what rules see, and the known one stands in its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from roe.data.headers import columns_of
from roe.data.reading import Reading, Reject
from roe.dynamic import Json, Record, Value, Values
from roe.evaluator.decision import Decision
from roe.evaluator.engine import Evaluator
from roe.evaluator.live import Live
from roe.evaluator.prepared import Found
from roe.evaluator.row import Row
from roe.ledger.holders import OwnerState
from roe.ledger.remembered import Remembered
from roe.serve.known import Owner
from roe.serve.problems import Refused
from roe.serve.state import State
from roe.serve.versions import Mirrored

MOST_SHOWN = 50  # names in an answer about what could not be read
LONGEST_ID = 255
RENEW = 20_000  # turns after which pools are made anew from the state: a pool keeps a log of its turns
START = datetime(2000, 1, 1, tzinfo=UTC)


class Records:
    """The mirror's records as a policy reads them, and its decisions about them."""

    def __init__(
        self, evaluator: Evaluator, state: State, records: Iterable[Mirrored] = (), found: Mapping[str, Found] | None = None
    ) -> None:
        """`found` are records that are read when somebody asks for them."""
        self.evaluator, self.policy, self.state = evaluator, evaluator.policy, state
        self.unreadable: dict[tuple[str, str], str] = {}  # records of the mirror that this policy cannot read, and why
        tables: dict[str, list[Json]] = {entity: [] for entity in self.policy.model.entities}
        for record in records:
            if record.entity in tables and not record.deleted:
                tables[record.entity].append(record.fields)
        remembered = {key: kept_owner(owner) for key, owner in state.all("owner").items() if owner["owner"]}
        kept: Remembered = {
            "owners": remembered,
            "assigned": dict(state.all("assigned")),
            "pools": dict(state.all("pool")),
            "days": dict(state.all("days")),
            "granted": dict(state.all("granted")),
        }
        self.last_read: Reading | None = None  # what was read of the last record that was typed
        self._ahead: dict[int, tuple[Record, Values, Reading]] = {}  # records that were typed before their turn, by what `id` says of them
        self._taken = 0  # turns since pools were made
        self._moved: dict[str, None] = {}  # pools that took turns which the state does not show yet
        self.live: Live = evaluator.live(tables, as_of=START, state=kept, alone=True, found=found, shown=self._shown)
        for reject in self.live.world.rejects:
            self.unreadable[reject.entity, reject.record] = reject.reason

    # --- records ------------------------------------------------------------------------------------------------------

    def typed(self, entity: str, fields: Record) -> Values:
        """The record's fields with their types, `id` among them. Raises Refused where the policy cannot read it."""
        ahead = self._ahead.get(id(fields))
        if ahead is not None and ahead[0] is fields:
            _, typed, self.last_read = ahead
            return typed
        rows, rejects = self.live.world.typed_records(entity, [fields])
        if rejects:
            raise rejected(rejects[0])
        self.last_read = self.live.world.last_read
        return rows[0]

    def expect(self, entity: str, records: Iterable[Record]) -> None:
        """Read records that are about to be routed, and find their matches. Nothing of that rests on what is decided before them."""
        roles = [role for of, role in self.policy.plan.engagement if of == entity]
        expected = []
        for fields in records:
            with contextlib.suppress(Refused):  # which is said when it comes
                typed = self.typed(entity, fields)
                assert self.last_read is not None
                self._ahead[id(fields)] = fields, typed, self.last_read
                if any(self.state.get("owner", f"{entity}|{typed['id']}|{role}") is None for role in roles):
                    expected.append(typed)
        self.live.world.matches.expect(entity, expected)

    def let_go(self) -> None:
        """Whatever was expected has come, or does not."""
        self._ahead.clear()
        self.live.world.matches.let_go()

    def not_read(self) -> Json:
        """What of the record that was read last says nothing to this policy: fields that it does not know, and texts that its fields do not."""
        reading = self.last_read
        if reading is None:
            return {}
        texts = {name: text for name, text in reading.unread if text}
        return {
            **({"not_understood": sorted(reading.unknown)[:MOST_SHOWN]} if reading.unknown else {}),
            **({"unread": dict(sorted(texts.items())[:MOST_SHOWN])} if texts else {}),
        }

    def learn(self, record: Mirrored, typed: Values | None = None) -> None:
        """Take over a record as the mirror has it; a deleted one goes. One that the policy cannot read is left out, and noted.

        `typed` is what `typed` gives for its fields, where that is known.
        """
        if record.entity not in self.policy.model.entities:
            return
        place = record.entity, record.id
        if not record.deleted:
            try:
                values = dict(self.typed(record.entity, record.fields) if typed is None else typed)
            except Refused as e:
                self.unreadable[place] = e.detail
            else:
                self.unreadable.pop(place, None)
                self.live.put_typed(record.entity, self._shown(record.entity, values))
                return
        if self.row(*place) is not None:
            self.live.remove(*place)

    def _shown(self, entity: str, values: Values) -> Values:
        """Typed values without the owners of those roles whose owner is known here."""
        for role in self.policy.roles:
            if f"owner.{role}" in values and self.state.get("owner", f"{entity}|{values['id']}|{role}") is not None:
                del values[f"owner.{role}"]
        return values

    def row(self, entity: str, id: str) -> Row | None:
        """A record by its id."""
        return self.live.world._keys[entity].get(id)

    # --- reps ---------------------------------------------------------------------------------------------------------

    def owners(self, record: Mirrored) -> dict[str, str | None]:
        """The owner that the CRM shows in each role whose column the record has: a rep's id, or None for nobody."""
        fields, roles = self.policy.model.entities[record.entity], self.policy.roles
        columns = columns_of(record.entity, fields, record.fields, roles)
        shown = [role for role in roles if f"owner.{role}" in columns]
        if not shown:
            return {}
        typed = self.typed(record.entity, record.fields)
        return {role: self._rep(typed.get(f"owner.{role}")) for role in shown}

    def rep_name(self, rep: str | None) -> str:
        """A rep's name, or the id where nothing else is known."""
        row = self.live.world.rep(rep)
        return "nobody" if row is None else row.label

    def known_rep(self, text: str) -> str | None:
        """The id of a rep of the mirror, by id or by name; None if there is none."""
        row = self.live.world.find("rep", text) if text else None
        return None if row is None else str(row["id"])

    def _rep(self, text: Value) -> str | None:
        row = self.live.world.rep(text)
        return None if row is None else str(row["id"])

    # --- decisions ----------------------------------------------------------------------------------------------------

    def at(self, at: datetime) -> Live:
        """The binding as of a moment."""
        self.live.at(at)
        return self.live

    def decide(self, row: Row, role: str, at: datetime, tried: Mapping[str, str] | None = None) -> Decision:
        """The decision on a record; a pool's turn is booked and stands in the state. `tried` are reps who must not have it.

        The caller shows the owner (`own`), where it is another one than before.
        """
        live = self.live
        key = f"{row.entity}|{row['id']}|{role}"
        live.tried = {key: tried} if tried else {}
        d = live.decide(row, role, as_of=at, shows=False)
        self.state.put("assigned", key, live.assigned.get(key))
        if d.turn is not None and d.turn.rep is not None and d.turn.history is not None:
            self._count_turn(d)
        return d

    def own(self, key: str, record: Callable[[], Mirrored]) -> None:
        """Show the owner that the state has of a record in a role. `record` gives the record as the mirror has it."""
        entity, id, role = key.split("|", 2)
        owner, row, owners = self.state.get("owner", key), self.row(entity, id), self.live.owners
        if owner is None or not owner["owner"]:
            owners.pop(key, None)
            self.learn(record())
        elif row is not None:
            self.live.know(row, role, kept_owner(owner))

    def remember(self, key: str) -> None:
        """Take over an owner that another server has decided; its record is to be learnt again."""
        owner = self.state.get("owner", key)
        if owner is not None and owner["owner"]:
            self.live.owners[key] = kept_owner(owner)
        else:
            self.live.owners.pop(key, None)

    def take_companies(self, keys: Iterable[str], policy: str) -> None:
        """Take over what another server, which decided by the same policy, knows of the companies of records that it has decided."""
        for key in keys:
            owner = self.state.get("owner", key)
            entity, id, _ = key.split("|", 2)
            row = self.row(entity, id)
            if row is not None and owner is not None and owner["policy"] == policy and "company" in owner:
                self.live.take_companies(row, owner["company"])

    def grant(self, key: str) -> None:
        """Heed the exception for a record in a role as the state has it now."""
        self.live.grant(key, self.state.get("granted", key))

    def recall(self, keys: Iterable[str]) -> None:
        """Take over pools, days and assignments of these keys from the state, where they were decided elsewhere or taken back."""
        self.keep_pools()
        self._taken = 0
        self.live.recall({key: self.state.get("assigned", key) for key in keys}, self.state.all("pool"), self.state.all("days"))

    def _count_turn(self, d: Decision) -> None:
        """Remember what caps count of the rep, and that the pool has moved on."""
        assert d.turn is not None and d.turn.rep is not None
        rep = d.turn.rep["id"]
        self._moved[d.turn.pool] = None
        oldest = str(self.live.world.clock.today - timedelta(days=14))
        self.state.put("days", rep, {day: n for day, n in sorted(self.live.pools.days.get(rep, {}).items()) if day >= oldest} or None)
        self._taken += 1
        if self._taken >= RENEW:
            self.recall(())

    def keep_pools(self) -> None:
        """Have the state show the pools as they are. A pool has a credit for each rep, so this is done once for a group of turns."""
        moved, self._moved = self._moved, {}
        for name in moved:
            self.state.put("pool", name, self.live.pools.pools[name].saved())

    def take_pools_back(self) -> None:
        """The turns that the state does not show are not taken: the pools are again as the state has them."""
        if self._moved:
            self._moved.clear()
            self.recall(())


def wrong_id(fields: Record, id: str) -> str:
    """Why an id cannot be one; empty if it can."""
    raw = next((x for name, x in fields.items() if name.lower() == "id"), None)
    if isinstance(raw, bool):
        return f"`{str(raw).lower()}` is not an id"
    if len(id) > LONGEST_ID:
        return f"the id has more than {LONGEST_ID} characters"
    if "|" in id or not id.isprintable():
        return "an id must not have `|` or characters that cannot be printed"
    return ""


def kept_owner(owner: Owner) -> OwnerState:
    """An owner as the engine remembers it: decided here, whatever the CRM shows."""
    state: OwnerState = {"rep": owner["owner"], "since": owner["since"][:10], "by": "rule"}
    if owner["former"]:
        state["former"] = owner["former"]
    return state


def rejected(reject: Reject) -> Refused:
    """A record that cannot be read: the field, what stands there, and why."""
    return Refused(
        422, "R602", f"the {reject.entity} cannot be read: {reject.reason}", f"correct `{reject.field}` and send it again",
        record=reject.record or None, field=reject.field, value=reject.value,
    )  # fmt: skip
