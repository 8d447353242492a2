"""The memory of a run whose records are shared out: what the ledger knows of the records that are shared out goes to their tasks, all else to every task.

A task sends back what it leaves otherwise than it found it, and the decisions that say something new. The driver puts these together, and
commits them through the one writer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator

import pyarrow as pa

from roe.columns.load import newest_change
from roe.columns.raw import Raw
from roe.dynamic import Json, Saved
from roe.grammar import values as v
from roe.ledger.by_record import OWNERS, owners_in
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.role_tables import Owners, RoleTable, as_arrow, of_arrow
from roe.policy.model import DataSource, Policy

MEMORY = "$memory"  # in place of an entity: rows that the ledger has of a record
POOLS = ("pools", "days")  # what the task that gives out turns leaves for the tasks of all records
CENTRAL = ("assigned", *POOLS)  # and for those of the records that it gives out
OF_ALL = (*CENTRAL, "claims", "books")  # parts of which one task cannot say everything
EMPTIED = ("returned", "referred", "gone")  # parts that a memory leaves out where nothing is left of them
Change = tuple[str, str, str | None]  # part, key, value as JSON, or None where it is gone


# --- what goes to tasks -------------------------------------------------------------------------------------------------


def with_newest(state: Remembered, policy: Policy, entity: str, parts: Iterable[Raw]) -> Remembered:
    """The memory with the last change in the data of an entity, which comes in parts, if what is missing in that data is gone: a task has only
    some of it, and cannot tell whether it is older than what an earlier run has read.
    """
    if not state or not policy.data.get(entity, DataSource()).complete:
        return state
    changes = filter(None, (newest_change(policy, entity, part) for part in parts))
    return {**state, "newest": {**state.get("newest", {}), entity: max(changes, key=v.parse_temporal, default="")}}


def others_owned(state: Remembered, entities: Collection[str]) -> str:
    """Another entity of whose records the ledger knows owners; empty if there is none."""
    owners = owners_in(state)
    return next((of for of, _ in owners.roles if of not in entities), "") if owners is not None else ""


def sent_state(state: Remembered) -> bytes:
    """A memory as bytes that any process can read."""
    owners = owners_in(state)
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


# --- what comes back ----------------------------------------------------------------------------------------------------


def with_emptied(before: Remembered, after: Remembered) -> Remembered:
    """A whole memory, with those of its parts of which nothing is left, and those that it does not say."""
    return as_remembered({**before, **{part: {} for part in EMPTIED}, **after})


def changes_between(before: Remembered, after: Remembered) -> Iterator[Change]:
    """What a task leaves otherwise than it found it, in the parts that it leaves."""
    older: Saved = before
    newer: Saved = after
    for part, entries in newer.items():
        if not hasattr(entries, "items"):
            continue
        old = older.get(part, {})
        yield from ((part, key, json.dumps(value)) for key, value in entries.items() if key not in old or old[key] != value)
        yield from ((part, key, None) for key in old if key not in entries)


def changes_for_all(before: Remembered, after: Remembered, without: Iterable[str]) -> Iterator[Change]:
    """What a task leaves otherwise in the parts of which one task cannot say everything; and which records are gone that pools had assigned."""
    taken = {key.rpartition("|")[0] for key in before.get("assigned", {})}
    newer: Saved = after
    gone = {key: x for key, x in newer.get("gone", {}).items() if key in taken}
    parts = {part: newer[part] for part in OF_ALL if part in newer and part not in without}
    return changes_between(before, as_remembered({**parts, "gone": {**before.get("gone", {}), **gone}}))


def record_of(change: Change) -> tuple[str, str]:
    """The entity and the id of the record that a change is about, where it is about one."""
    part, key, _ = change
    entity, _, record = key.partition("|")
    return (entity, record) if part == "gone" else key_parts(key)[:2]


def changed_state(before: Remembered, changes: Iterable[Change]) -> Remembered:
    """The memory with what tasks have changed of all records together."""
    new: dict[str, Json] = {}
    gone: dict[str, set[str]] = {}
    for part, key, text in changes:
        new.setdefault(part, {})[key] = None if text is None else json.loads(text)
        if text is None:
            gone.setdefault(part, set()).add(key)
    after: Json = {**before}
    for part, entries in new.items():
        left, old = gone.get(part, set()), after.get(part, {})
        after[part] = {key: x for key, x in {**old, **entries}.items() if key not in left}
    return as_remembered(after)


def lost_columns(state: Remembered, has: Callable[[str, str], bool]) -> list[tuple[str, str]]:
    """(entity, role) of owners whom the CRM has shown, and for which the data `has` no column."""
    owners = owners_in(state)
    tables: Iterable[tuple[tuple[str, str], RoleTable]] = owners.roles.items() if owners is not None else ()
    return [(entity, role) for (entity, role), table in tables if (table.base >= 0).any() and not has(entity, role)]
