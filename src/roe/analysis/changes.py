"""Changes of one fact each: what somebody could do so that a record is decided otherwise.

A change says the record, the field, from what to what, in words and as data, and can be applied to the tables, the policy or the
day of a replay (`replay.py`). Values are those of the loader before references are resolved: a rep is the text of an id.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from dataclasses import field as slot
from datetime import date

from roe.dynamic import Json, Value
from roe.grammar import values as v


@dataclass(frozen=True, slots=True)
class Change:
    """What every change has. `cost` ranks changes: small, and in the asker's reach, comes first."""

    cost: float = slot(default=1.0, compare=False, kw_only=True)

    def says(self) -> str:
        raise NotImplementedError

    def as_json(self) -> Json:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class FieldChange(Change):
    """A field of a record; an owner's field is `owner.<role>`. `label` is the record's name."""

    entity: str
    record: str
    field: str
    before: Value
    after: Value
    label: str = slot(default="", compare=False)

    def says(self) -> str:
        name = f" ({self.label})" if self.label and self.label != self.record else ""
        return f"{self.entity} {self.record}{name}: `{self.field}` from {shown(self.before)} to {shown(self.after)}"

    def as_json(self) -> Json:
        return {
            "kind": "field", "entity": self.entity, "record": self.record, "field": self.field, "from": v.plain(self.before),
            "to": v.plain(self.after),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewRecord(Change):
    """A record that is missing, such as an activity or a claim: its fields in the order of their names."""

    entity: str
    values: tuple[tuple[str, Value], ...]

    def says(self) -> str:
        return f"a new {self.entity}: " + ", ".join(f"`{name}` {shown(value)}" for name, value in self.values)

    def as_json(self) -> Json:
        return {"kind": "record", "entity": self.entity, "values": {name: v.plain(value) for name, value in self.values}}


@dataclass(frozen=True, slots=True)
class ListChange(Change):
    """A value that is put on a list of the policy, or taken off it."""

    name: str
    value: Value
    adds: bool

    def says(self) -> str:
        return f"{'add' if self.adds else 'take'} {shown(self.value)} {'to' if self.adds else 'off'} the list `{self.name}`"

    def as_json(self) -> Json:
        return {"kind": "list", "list": self.name, "value": v.plain(self.value), "adds": self.adds}


@dataclass(frozen=True, slots=True)
class ExceptionEnds(Change):
    """An approved exception that ends today instead of later; `place` is its row."""

    entity: str
    record: str
    role: str
    owner: str
    until: date
    place: str

    def says(self) -> str:
        who = f"{self.entity} {self.record} as {self.role}"
        return f"end the exception that gives {who} to {self.owner}, today instead of on {v.readable(self.until)} ({self.place})"

    def as_json(self) -> Json:
        return {
            "kind": "exception", "entity": self.entity, "record": self.record, "role": self.role, "owner": self.owner,
            "until": str(self.until), "place": self.place,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class StaffingChange(Change):
    """Another rep in a row of the staffing, at `place`; or, without `before`, a row more. `step` is `territory`, or an overlay."""

    step: str
    territory: str
    role: str
    before: str | None
    after: str
    place: str = ""

    def says(self) -> str:
        if self.before is None:
            return f"a new row in the staffing of {self.step} `{self.territory}`: `role` {self.role}, `rep` {self.after}"
        return f"staffing of {self.step} `{self.territory}` as {self.role}: `rep` from {shown(self.before)} to {shown(self.after)} ({self.place})"

    def as_json(self) -> Json:
        return {
            "kind": "staffing", "of": self.step, "territory": self.territory, "role": self.role, "from": self.before, "to": self.after,
            "place": self.place or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class MemberChange(Change):
    """A rep who is put on the list of a pool's members."""

    pool: str
    rep: str

    def says(self) -> str:
        return f"add {shown(self.rep)} to the members of the pool `{self.pool}`"

    def as_json(self) -> Json:
        return {"kind": "member", "pool": self.pool, "rep": self.rep}


@dataclass(frozen=True, slots=True)
class Wait(Change):
    """A day or a moment to wait for, if nothing else happens."""

    until: date

    def says(self) -> str:
        return f"wait until {v.readable(self.until)}, if nothing else happens"

    def as_json(self) -> Json:
        return {"kind": "wait", "until": v.string(self.until)}


def shown(value: object) -> str:
    return "nothing" if value is None else v.readable(value) if isinstance(value, date) else v.literal(value)


Way = tuple[Change, ...]  # changes that belong together
NEW = "$new"  # the id of a record that is being made up
WAYS = 8  # that are followed for one thing that is wanted


def cost(way: Way) -> float:
    """Fewer changes first, then the ones that are easier to make."""
    return sum(10 + change.cost for change in way)


def best(ways: Iterable[Way], most: int = WAYS) -> list[Way]:
    """The cheapest of some ways, each once."""
    unique = {frozenset(way): way for way in ways}
    return sorted(unique.values(), key=cost)[:most]


def together(parts: list[list[Way]], most: int = WAYS) -> list[Way]:
    """Ways that go one way of each part; none where a part has none, or where two changes are of one field."""
    ways: list[Way] = [()]
    for part in parts:
        ways = best((merged for a in ways for b in part if (merged := merge(a, b)) is not None), most)
    return ways


def merge(a: Way, b: Way) -> Way | None:
    """Both ways as one; None where they contradict each other."""
    merged = {_about(change): change for change in a}
    for change in b:
        key = _about(change)
        if merged.setdefault(key, change) != change:
            other = merged[key]
            if not isinstance(change, Wait) or not isinstance(other, Wait):
                return None
            merged[key] = max(other, change, key=lambda w: (str(w.until)[:10], str(w.until)))
    return tuple(merged.values())


def _about(change: Change) -> Hashable:
    if isinstance(change, FieldChange):
        return change.entity, change.record, change.field
    return "wait" if isinstance(change, Wait) else change
