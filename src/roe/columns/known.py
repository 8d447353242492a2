"""Fields that say what is known of owners, as columns: by the ledger where it knows a record, else by the data."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import Coded, Column, Constant, Dictionary, Later, Refs
from roe.columns.make import from_values
from roe.dynamic import Array, Value
from roe.evaluator.memory import Facts
from roe.evaluator.row import Row
from roe.grammar import values as v
from roe.ledger.role_tables import Codes

if TYPE_CHECKING:
    from roe.columns.memory import Aligned, ColumnMemory
    from roe.columns.table import RecordTable

KNOWN: dict[str, Callable[[Facts], Value]] = {
    "owner_since": lambda facts: facts.owner_since, "owner_from": lambda facts: facts.start, "former_owner": lambda facts: facts.former,
    "owner_by": lambda facts: facts.by or None, "returned_on": lambda facts: facts.returned_on, "referred_on": lambda facts: facts.referred_on,
    "holds": lambda facts: facts.holds,
}  # fmt: skip


def show_known(memory: ColumnMemory, table: RecordTable, role: str, x: Aligned) -> None:
    """Let fields say what is known: columns that are made when somebody asks for them."""
    if not x.known.any():
        return
    world, first = memory.world, role == memory.world.first_role(table.entity)
    if (x.holder != x.shown).any():
        table.stored[f"owner.{role}"] = Coded(x.holder.astype(np.int32), Dictionary(memory._reps()))
        table.set_owner(role, Refs("rep", x.holder.astype(np.int32), world))
    if first and table.data_since is None:
        table.data_since = table.given("owner_since")
    for name in KNOWN:
        for full in (name, f"{name}.{role}") if first and name in ("owner_since", "former_owner") else (f"{name}.{role}",):
            base, _, of = full.partition(".")
            stored = table.given(full) if full in table.stored else None
            old = partial(table._of_role, base, of) if stored is None and of else lambda stored=stored: stored
            table.stored[full] = Later(table.n, partial(_column, table, x, name, old))
            world.references.pop((table.entity, full), None)
    world.forget()


def _column(table: RecordTable, x: Aligned, name: str, old: Callable[[], Column | None]) -> Column:
    """One of `KNOWN` for every record: by the ledger where it knows the record, else by the data."""
    since, seen, nothing = x.held.since, x.held.seen, Codes[str](np.full(len(x.held), -1, np.int32), [])
    ledger = {
        "owner_since": [since], "owner_from": [since, seen], "former_owner": [Codes(x.held.former, x.held.holders)],
        "owner_by": [x.held.by],
    }.get(name, [nothing])  # fmt: skip
    parts = [_at(codes, x.at, _read(name)) for codes in ledger]
    if name in ("owner_since", "owner_from"):
        parts.insert(1, _old(x.since, table.n))  # whoever holds it: the data says since when, where the ledger does not
    by_data = _old(old(), table.n)
    values = [x for _, meaning in (*parts, by_data) for x in meaning]
    code, shift = np.full(table.n, -1, np.int64), 0
    for at, meaning in parts:
        code = np.where((code < 0) & (at >= 0), at + shift, code)
        shift += len(meaning)
    if name in ("owner_since", "owner_from"):
        is_left = np.append(x.held.is_changed_in_crm, False)[x.at] if name == "owner_from" else False  # see `Facts.start`
        code[(x.holder < 0) & ~np.asarray(is_left)] = -1
    code = np.where(x.known, code, np.where(by_data[0] < 0, -1, by_data[0] + shift))
    for row, facts in x.singly.items():
        values.append(KNOWN[name](facts))
        code[row] = len(values) - 1
    return from_values([*values, None]).take(np.where(code < 0, len(values), code))


def _read(name: str) -> Callable[[str], Value]:
    return v.parse_date if name in ("owner_since", "owner_from") else lambda text: text or None


def _at(codes: Codes[str], at: Array, read: Callable[[str], Value]) -> tuple[Array, list[Value]]:
    """A column of the ledger by row of the data: codes, and what they mean."""
    meaning = [read(x) for x in codes.meaning]
    known = np.array([*(i if x is not None else -1 for i, x in enumerate(meaning)), -1], np.int64)
    return known[np.append(codes.at, -1)[at]], meaning


def _old(column: Column | None, n: int) -> tuple[Array, list[Value]]:
    """A column of the data as codes, -1 for null; reps as their ids."""
    if column is None or (isinstance(column, Constant) and column.value is None):
        return np.full(n, -1, np.int64), []
    codes, meaning = column.encode()
    items = [x["id"] if isinstance(x, Row) else x for x in meaning.list]
    nulls = np.array([*(x is None for x in items), True], bool)
    return np.where(nulls[codes], -1, codes), items
