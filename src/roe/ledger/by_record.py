"""A ledger's memory by record: what it knows of each record of an entity is rows of a table, so that some records' part can be read alone."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from roe.dynamic import Json, Saved
from roe.ledger.reconcile import key_parts
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.role_tables import Owners, as_arrow, of_arrow

RECORD, PART, NAME, VALUE = "$record", "$part", "$name", "$value"
OWNERS = "owners"
PARTS = (
    "assigned",
    "returned",
    "referred",
    "frozen",
    "seen",
    "ends",
    "granted",
    "held",
    "events",
    "past.owners",
    "past.seen",
)  # by `entity|record|name`


def rows_of(state: Remembered, entity: str, parts: Sequence[str] = PARTS) -> pa.Table:
    """What the memory knows of an entity's records, as rows, in the order of its parts."""
    tables = []
    owners = owners_in(state)
    for (of, role), table in owners.roles.items() if owners is not None else ():
        if of == entity and len(table):
            tables.append(_named(as_arrow(table), OWNERS, role))
    for part in parts:
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
    """The memory again, of rows and of all else that it has."""
    state: Json = {part: dict(values) if isinstance(values, dict) else values for part, values in rest.items()}
    if rows is None or not rows.num_rows:
        return as_remembered(state)
    held = owners_in(rest)
    roles = {} if held is None else dict(held.roles)
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


def rest_of(state: Remembered, entity: str, parts: Sequence[str] = PARTS) -> Remembered:
    """The memory without what it knows of an entity's records."""
    rest: Json = {part: others for part, others in state.items() if part != OWNERS}
    for part in parts:
        others = {key: value for key, value in _part(state, part).items() if not key.startswith(f"{entity}|")}
        if "." in part:
            if "past" in rest:
                rest["past"] = {**rest["past"], part.partition(".")[2]: others}
        elif part in rest:
            rest[part] = others
    return as_remembered(rest)


def entities_in(state: Remembered, parts: Sequence[str] = PARTS) -> list[str]:
    """The entities of whose records the memory knows anything."""
    owners = owners_in(state)
    own = {entity for entity, _ in owners.roles} if owners is not None else set()
    return sorted(own | {key_parts(key)[0] for part in parts for key in _part(state, part)})


def owners_in(state: Remembered) -> Owners | None:
    owners = state.get(OWNERS)
    return owners if isinstance(owners, Owners) and owners.roles else None


def _part(state: Remembered, part: str) -> Json:
    first, _, second = part.partition(".")
    sections: Saved = state
    value: Json = sections.get(first, {})
    return value.get(second, {}) if second else value
