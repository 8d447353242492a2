"""The memory of a run whose records are shared out: what the ledger knows of the records that are shared out goes to their tasks, all else to every task.

A task sends back what it leaves otherwise than it found it, and the decisions that say something new. The driver puts these together, and
commits them through the one writer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.load import newest_change
from roe.columns.raw import Raw
from roe.dynamic import Json, Saved
from roe.grammar import values as v
from roe.ledger.changed import Changed
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.role_tables import Owners, RoleTable, as_arrow, of_arrow
from roe.policy.model import DataSource, Policy

MEMORY = "$memory"  # in place of an entity: rows that the ledger has of a record
RECORD, PART, NAME, VALUE = "$record", "$part", "$name", "$value"
PARTS = (
    "assigned",
    "returned",
    "referred",
    "frozen",
    "seen",
    "ends",
    "granted",
    "held",
    "past.owners",
    "past.seen",
)  # by `entity|record|name`
OWNERS = "owners"
CENTRAL = ("assigned", "pools", "days")  # what the task that gives out turns leaves, for all others
EMPTIED = ("returned", "referred", "gone")  # parts that a memory leaves out where nothing is left of them
Change = tuple[str, str, str | None]  # part, key, value as JSON, or None where it is gone


# --- what goes to tasks -------------------------------------------------------------------------------------------------


def rows_of(state: Remembered, entity: str) -> pa.Table:
    """What the memory knows of an entity's records, as rows that can be shared out by record."""
    tables = []
    owners = _owners(state)
    for (of, role), table in owners.roles.items() if owners is not None else ():
        if of == entity and len(table):
            tables.append(_named(as_arrow(table), OWNERS, role))
    for part in PARTS:
        rows = [(*key_parts(key), json.dumps(value)) for key, value in _part(state, part).items() if key.startswith(f"{entity}|")]
        if rows:
            _, records, names, values = (pa.array(column, pa.string()) for column in zip(*rows, strict=True))
            own = {RECORD: records, PART: pa.repeat(pa.scalar(part), len(rows)), NAME: names, VALUE: values}
            tables.append(pa.table(own))
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({RECORD: pa.array([], pa.string())})


def _named(table: pa.Table, part: str, name: str) -> pa.Table:
    columns = {column if column != "record" else RECORD: table[column] for column in table.column_names}
    return pa.table({**columns, PART: pa.repeat(pa.scalar(part), len(table)), NAME: pa.repeat(pa.scalar(name), len(table))})


def state_of(entity: str, rows: pa.Table | None, rest: Remembered) -> Remembered:
    """The memory of a task: its rows, and what every task has."""
    state: Json = {part: dict(values) if isinstance(values, dict) else values for part, values in rest.items()}
    if rows is None or not rows.num_rows:
        return as_remembered(state)
    roles = {}
    for part in pc.unique(rows[PART]).to_pylist():
        some = rows.filter(pc.equal(rows[PART], part))
        if part == OWNERS:
            for role in sorted(pc.unique(some[NAME]).to_pylist()):
                own = some.filter(pc.equal(some[NAME], role))
                roles[entity, role] = of_arrow(entity, role, own.rename_columns(["record" if c == RECORD else c for c in own.column_names]))
            continue
        named = zip(*(some[name].to_pylist() for name in (RECORD, NAME, VALUE)), strict=True)
        values = {f"{entity}|{record}|{name}": json.loads(value) for record, name, value in named}
        into: Json = state.setdefault("past", {}) if "." in part else state
        name = part.rpartition(".")[2]
        into[name] = dict(sorted({**into.get(name, {}), **values}.items()))
    if roles:
        state[OWNERS] = Owners(roles)
    return as_remembered(state)


def rest_of(state: Remembered, entity: str) -> Remembered:
    """The memory without what it knows of an entity's records."""
    rest: Json = {part: others for part, others in state.items() if part != OWNERS}
    for part in PARTS:
        others = {key: value for key, value in _part(state, part).items() if not key.startswith(f"{entity}|")}
        if "." in part:
            if "past" in rest:
                rest["past"] = {**rest["past"], part.partition(".")[2]: others}
        elif part in rest:
            rest[part] = others
    return as_remembered(rest)


def with_newest(state: Remembered, policy: Policy, entity: str, parts: Iterable[Raw]) -> Remembered:
    """The memory with the last change in the data of an entity, which comes in parts, if what is missing in that data is gone: a task has only
    some of it, and cannot tell whether it is older than what an earlier run has read.
    """
    if not state or not policy.data.get(entity, DataSource()).complete:
        return state
    changes = filter(None, (newest_change(policy, entity, part) for part in parts))
    return {**state, "newest": {entity: max(changes, key=v.parse_temporal, default="")}}


def others_owned(state: Remembered, entity: str) -> str:
    """Another entity of whose records the ledger knows owners; empty if there is none."""
    owners = _owners(state)
    return next((of for of, _ in owners.roles if of != entity), "") if owners is not None else ""


def sent_state(state: Remembered) -> bytes:
    """A memory as bytes that any process can read."""
    owners = _owners(state)
    held = []
    for (entity, role), table in owners.roles.items() if owners is not None else ():
        sink = pa.BufferOutputStream()
        rows = as_arrow(table)
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        held.append([entity, role, sink.getvalue().to_pybytes().hex()])
    return json.dumps([{part: value for part, value in state.items() if part != OWNERS}, held]).encode()


def received_state(text: bytes) -> Remembered:
    rest, held = json.loads(text)
    state: Json = rest
    roles = {(entity, role): of_arrow(entity, role, pa.ipc.open_stream(bytes.fromhex(rows)).read_all()) for entity, role, rows in held}
    if roles:
        state[OWNERS] = Owners(roles)
    return as_remembered(state)


def _owners(state: Remembered) -> Owners | None:
    owners = state.get(OWNERS)
    return owners if isinstance(owners, Owners) and owners.roles else None


def _part(state: Remembered, part: str) -> Json:
    first, _, second = part.partition(".")
    sections: Saved = state
    value: Json = sections.get(first, {})
    return value.get(second, {}) if second else value


# --- what comes back ----------------------------------------------------------------------------------------------------


def with_emptied(after: Remembered) -> Remembered:
    """A whole memory, with those of its parts of which nothing is left."""
    return as_remembered({**{part: {} for part in EMPTIED}, **after})


def changes_between(before: Remembered, after: Remembered, without: Iterable[str] = ()) -> Iterator[Change]:
    """What a task leaves otherwise than it found it, in the parts that it leaves."""
    older: Saved = before
    newer: Saved = after
    for part, entries in newer.items():
        if part in without or not hasattr(entries, "items"):
            continue
        if isinstance(entries, Changed):
            for key, value in entries.changes.items():
                if value != entries.before.get(key):
                    yield part, key, None if value is None else json.dumps(value)
            continue
        old = older.get(part, {})
        yield from ((part, key, json.dumps(value)) for key, value in entries.items() if key not in old or old[key] != value)
        yield from ((part, key, None) for key in old if key not in entries)


def record_of(change: Change) -> tuple[str, str]:
    """The entity and the id of the record that a change is about, where it is about one."""
    part, key, _ = change
    entity, _, record = key.partition("|")
    return (entity, record) if part == "gone" else key_parts(key)[:2]


def changed_state(before: Remembered, changes: Iterable[Change]) -> Remembered:
    """The memory with what tasks have changed."""
    new: dict[str, Json] = {OWNERS: {}}
    gone: dict[str, set[str]] = {}
    for part, key, text in changes:
        new.setdefault(part, {})[key] = None if text is None else json.loads(text)
        if text is None:
            gone.setdefault(part, set()).add(key)
    after: Json = {**before}
    for part, entries in new.items():
        left, old = gone.get(part, set()), after.get(part, {})
        after[part] = Changed(old, entries) if part == OWNERS else {key: x for key, x in {**old, **entries}.items() if key not in left}
    return as_remembered(after)


def lost_columns(state: Remembered, has: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """(entity, role) of owners whom the CRM has shown, and for which the data `has` no column."""
    owners = _owners(state)
    tables: Iterable[tuple[tuple[str, str], RoleTable]] = owners.roles.items() if owners is not None else ()
    return [(entity, role) for (entity, role), table in tables if (table.base >= 0).any() and not has(entity, role)]
