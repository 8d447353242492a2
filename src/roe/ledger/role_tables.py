"""Who holds what, as columns: the open holdings of a ledger by entity and role, however many records there are.

A `RoleTable` has the open holdings of one entity in one role. `Owners` has all of them, and is the mapping of `state["owners"]` besides: it
makes the value of a key when somebody asks for it. Both are made from a ledger's rows (`roe.ledger.columns`), or from such a mapping.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.dynamic import Array
from roe.ledger.decided import How
from roe.ledger.holders import NOBODY, OwnerState, owner_state
from roe.ledger.reconcile import CHANGED_IN_CRM, Holder, key_parts
from roe.node import node

T = TypeVar("T", bound=Hashable)
Decisions = tuple[Holder, ...]
RoleKey = tuple[str, str]  # (entity, role)
HOLDERS = ("holder", "base", "former")  # the columns of a table that number its holders
CODED = ("since", "seen", "by", "base_at", "decided", "how", "until")  # those that have codes of their own


@node(frozen=False)
class Codes(Generic[T]):
    """A column of few distinct values: for each row the place of its value in `meaning`, or -1 for none. `at` is int32[rows]."""

    at: Array
    meaning: Sequence[T]

    def __getitem__(self, row: int) -> T | None:
        code = int(self.at[row])
        return None if code < 0 else self.meaning[code]


@node(frozen=False)
class RoleTable:
    """The open holdings of an entity in a role, by record. `holders` are what `holder`, `base` and `former` number: reps' ids and queues."""

    entity: str
    role: str
    records: pa.Array
    holders: list[str]
    holder: Array
    base: Array
    former: Array
    since: Codes[str]
    seen: Codes[str]
    by: Codes[str]
    base_at: Codes[str]
    decided: Codes[Decisions]
    how: Codes[tuple[str, str]]  # (rule, action) of the newest decision
    until: Codes[str]  # of the newest decision, as text
    subjects: Array = field(
        default_factory=lambda: np.zeros(0, np.int32)
    )  # the ledger's numbers of the records, where it was read from one
    saved: list[OwnerState] | None = None  # the values that the table was made from, where it was made from a mapping
    is_owned: Array = field(
        init=False
    )  # where anything is known of an owner, or when the CRM showed none. Of others the ledger has only why
    _rows: dict[str, int] = field(default_factory=dict, init=False, repr=False)  # of records that somebody has asked for
    _states: dict[int, OwnerState] = field(default_factory=dict, init=False, repr=False)  # of the same

    def __post_init__(self) -> None:
        had_owner = (self.holder >= 0) | (self.base >= 0) | (self.decided.at >= 0) | (self.former >= 0) | self.is_changed_in_crm
        self.is_owned = had_owner | (self.base_at.at >= 0)
        if not had_owner.all():  # since when nobody has a record is not since when somebody has it
            self.since, self.seen, self.by = (Codes(np.where(had_owner, x.at, -1), x.meaning) for x in (self.since, self.seen, self.by))

    def __len__(self) -> int:
        return len(self.records)

    @property
    def is_changed_in_crm(self) -> Array:
        """Whether the CRM gave the record to its holder, or took it away."""
        return np.array([*(by in CHANGED_IN_CRM for by in self.by.meaning), False])[self.by.at]

    def state(self, row: int) -> OwnerState:
        """The value of `state["owners"]`."""
        if self.saved is not None:
            return self.saved[row]
        if row in self._states:
            return self._states[row]
        owner = self._states[row] = owner_state(
            self._holder(self.holder, row), self.since[row], seen=self.seen[row], former=self._holder(self.former, row), by=self.by[row],
            base=self._holder(self.base, row), base_at=self.base_at[row], decided=list(self.decided[row] or ()),
        )  # fmt: skip
        return owner

    def _holder(self, codes: Array, row: int) -> str | None:
        code = int(codes[row])
        return None if code < 0 else self.holders[code]

    def last(self, row: int) -> How:
        """How the record was decided the last time."""
        rule, action = self.how[row] or ("", "")
        return rule, action, self.until[row] or ""

    def find(self, record: str) -> int:
        """The row of a record; -1 for none."""
        row = self._rows.get(record)
        if row is None:
            row = self._rows[record] = self._search(record)
        return row

    def learn(self, records: Iterable[str], rows: Iterable[int]) -> None:
        """Where some records are, -1 for one that is not there: they are about to be asked for, and need not be searched."""
        self._rows.update(zip(records, rows, strict=True))

    def _search(self, record: str) -> int:
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].as_py() < record:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self.records) and self.records[low].as_py() == record else -1


def without_records(entity: str, role: str) -> RoleTable:
    """The table of a role in which the ledger knows no holding."""
    at, text = np.zeros(0, np.int32), Codes[str](np.zeros(0, np.int32), [])
    return RoleTable(entity, role, pa.array([], pa.string()), [], at, at, at, text, text, text, text, Codes(at, []), Codes(at, []), text)


class Owners(Mapping[str, OwnerState]):
    """`state["owners"]` with columns behind it, by (entity, role). `number` is that of the last entry that it knows."""

    def __init__(self, roles: Mapping[tuple[str, str], RoleTable], number: int = 0) -> None:
        self.roles, self.number = roles, number
        self._places: dict[str, tuple[RoleTable, int] | None] = {}  # of keys that somebody has asked for

    @property
    def size(self) -> int:
        """How many records with roles the ledger knows, owned or not."""
        return sum(map(len, self.roles.values()))

    @property
    def last_how(self) -> LastHow:
        return LastHow(self)

    def place(self, key: str) -> tuple[RoleTable, int] | None:
        """The table of `entity|record|role`, and the row in it."""
        if key not in self._places:
            entity, record, role = key_parts(key)
            table = self.roles.get((entity, role))
            row = table.find(record) if table is not None else -1
            self._places[key] = (table, row) if table is not None and row >= 0 else None
        return self._places[key]

    @property
    def unowned(self) -> Unowned:
        """See `roe.ledger.owner_entries.unowned`."""
        return Unowned(self)

    def __getitem__(self, key: str) -> OwnerState:
        place = self.place(key)
        if place is None or not place[0].is_owned[place[1]]:
            raise KeyError(key)
        return place[0].state(place[1])

    def __iter__(self) -> Iterator[str]:
        for (entity, role), table in self.roles.items():
            for record, owned in zip(table.records.to_pylist(), table.is_owned.tolist(), strict=True):
                if owned:
                    yield f"{entity}|{record}|{role}"

    def __len__(self) -> int:
        return sum(int(table.is_owned.sum()) for table in self.roles.values())


class Unowned(Collection[str]):
    """The records of which the ledger knows only that nobody has them."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners

    def __contains__(self, key: object) -> bool:
        place = self.owners.place(str(key))
        return place is not None and not bool(place[0].is_owned[place[1]])

    def __iter__(self) -> Iterator[str]:
        for (entity, role), table in self.owners.roles.items():
            for row in np.flatnonzero(~table.is_owned).tolist():
                yield f"{entity}|{table.records[row].as_py()}|{role}"

    def __len__(self) -> int:
        return sum(int((~table.is_owned).sum()) for table in self.owners.roles.values())


class LastHow(Mapping[str, How]):
    """How each record was decided the last time (see `roe.ledger.decided.how_decided`), from the same columns."""

    def __init__(self, owners: Owners) -> None:
        self.owners = owners

    def __getitem__(self, key: str) -> How:
        place = self.owners.place(key)
        if place is None:
            raise KeyError(key)
        return place[0].last(place[1])

    def __iter__(self) -> Iterator[str]:
        for (entity, role), table in self.owners.roles.items():
            yield from (f"{entity}|{record}|{role}" for record in table.records.to_pylist())

    def __len__(self) -> int:
        return sum(map(len, self.owners.roles.values()))


# --- for another process ----------------------------------------------------------------------------------------------


def as_arrow(table: RoleTable) -> pa.Table:
    """A table as plain columns of texts, by `record`."""
    holders = pa.array(table.holders, pa.string())
    who = {
        name: holders.take(pa.array(at, mask=at < 0))
        for name, at in (("holder", table.holder), ("base", table.base), ("former", table.former))
    }
    texts = {
        "since": table.since, "seen": table.seen, "by": table.by, "base_at": table.base_at,
        "decided": Codes(table.decided.at, [json.dumps(x) for x in table.decided.meaning]),
        "rule": Codes(table.how.at, [rule for rule, _ in table.how.meaning]),
        "action": Codes(table.how.at, [action for _, action in table.how.meaning]),
        "until": table.until,
    }  # fmt: skip
    columns = {name: pa.array(x.meaning, pa.string()).take(pa.array(x.at, mask=x.at < 0)) for name, x in texts.items()}
    return pa.table({"record": table.records, **who, **columns})


def of_arrow(entity: str, role: str, rows: pa.Table) -> RoleTable:
    """The table of such columns, in any order."""
    rows = rows.sort_by("record").combine_chunks()
    every = pa.chunked_array([rows[name].combine_chunks() for name in ("holder", "base", "former")]).combine_chunks().dictionary_encode()
    codes = pc.fill_null(every.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    holder, base, former = np.split(codes, 3)
    decided = _codes(rows["decided"])
    pairs = _Growing[tuple[str, str]]()
    for pair in zip(rows["rule"].to_pylist(), rows["action"].to_pylist(), strict=True):
        pairs.add(None if pair[1] is None else pair)
    return RoleTable(
        entity, role, rows["record"].combine_chunks().cast(pa.string()), every.dictionary.to_pylist(), holder, base, former,
        since=_codes(rows["since"]), seen=_codes(rows["seen"]), by=_codes(rows["by"]), base_at=_codes(rows["base_at"]),
        decided=Codes(decided.at, [tuple(json.loads(x)) for x in decided.meaning]), how=pairs.done(), until=_codes(rows["until"]),
    )  # fmt: skip


def _codes(texts: pa.ChunkedArray) -> Codes[str]:
    coded = texts.combine_chunks().dictionary_encode()
    return Codes(pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32), coded.dictionary.to_pylist())


# --- from a mapping ---------------------------------------------------------------------------------------------------


@node(frozen=False)
class _Growing(Generic[T]):
    """Codes while they are being numbered."""

    meaning: dict[T, int] = field(default_factory=dict)
    at: list[int] = field(default_factory=list)

    def add(self, value: T | None) -> None:
        self.at.append(self.code(value))

    def code(self, value: T | None) -> int:
        return -1 if value is None else self.meaning.setdefault(value, len(self.meaning))

    def done(self) -> Codes[T]:
        return Codes(np.array(self.at, np.int32), list(self.meaning))


def of_mapping(state: Mapping[str, OwnerState]) -> Owners:
    """The same from the values by `entity|record|role`, as evaluators by rows have them."""
    if isinstance(state, Owners):
        return state
    keys: dict[tuple[str, str], list[tuple[str, OwnerState]]] = {}
    nobodys = dict.fromkeys(getattr(state, "unowned", ()), NOBODY)
    for key, saved in {**nobodys, **state}.items():
        entity, record, role = key_parts(key)
        keys.setdefault((entity, role), []).append((record, saved))
    return Owners({key: _of_values(*key, sorted(rows, key=lambda x: x[0])) for key, rows in keys.items()})


def _of_values(entity: str, role: str, rows: list[tuple[str, OwnerState]]) -> RoleTable:
    holders, decided = _Growing[str](), _Growing[Decisions]()
    since, seen, by, base_at = (_Growing[str]() for _ in range(4))
    now, base, former = list[int](), list[int](), list[int]()
    for _, saved in rows:
        is_told = "base" in saved or saved.get("by")  # an old state does not tell the base: the CRM had the holder
        now.append(holders.code(saved.get("rep")))
        base.append(holders.code(saved.get("base") if is_told else saved.get("rep")))
        former.append(holders.code(saved.get("former")))
        since.add(saved.get("since") or None)
        seen.add(saved.get("seen") or None)
        by.add(saved.get("by") or None)
        base_at.add(saved.get("base_at") or None)
        decided.add(tuple(saved.get("decided", ())) or None)
    never = np.full(len(rows), -1, np.int32)
    return RoleTable(
        entity, role, pa.array([record for record, _ in rows], pa.string()), list(holders.meaning),
        np.array(now, np.int32), np.array(base, np.int32), np.array(former, np.int32), since.done(), seen.done(), by.done(), base_at.done(), decided.done(), Codes(never, []), Codes(never, []), [saved for _, saved in rows],
    )  # fmt: skip


def places_of(records: pa.Array, ids: pa.Array) -> Array:
    """For each of the `ids` the row in `records` that has it, -1 for none. Both are distinct."""
    if len(records) == len(ids) and records.equals(ids):
        return np.arange(len(ids))
    rows = pc.index_in(ids, value_set=records)
    return pc.fill_null(rows, -1).to_numpy(zero_copy_only=False).astype(np.int64)
