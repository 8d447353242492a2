"""The companies of waiting records, as numbers, with those of their records that somebody has already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from roe.columns.column import Column, Dictionary, Refs
from roe.columns.owned import Owned
from roe.dynamic import Array

if TYPE_CHECKING:
    from roe.columns.role import RoleRows
    from roe.columns.table import RecordTable
    from roe.evaluator.pool import Pool

Recent = Callable[[date | datetime | None], bool]


class Companies:
    """By one way of telling companies: of each waiting record the number, -1 for none; what numbers mean, and which of these are companies; and by
    role the records of these companies that somebody has already, None where nobody has any.
    """

    def __init__(self, company: Column, waiting: int) -> None:
        """Of the waiting records, and of others behind them."""
        codes, self.names = company.encode()
        codes = _first_alike(self.names)[codes] if len(self.names) else codes
        self.known = can_be_companies(self.names)
        codes = np.where(self.known[codes], codes, -1).astype(np.int32) if len(self.known) else np.full(len(codes), -1, np.int32)
        self.codes, self.others = codes[:waiting], codes[waiting:]
        self.owned: list[Owned | None] = []

    def awaited(self) -> Array:
        """Which of the other records are of a company that waits."""
        waits = np.zeros(len(self.names) + 1, bool)
        waits[self.codes] = True
        waits[-1] = False
        return waits[self.others]


class Owners:
    """The records of an entity that reps have in the roles that are decided, in the order of their queue. All pools of a run ask about these."""

    def __init__(self, table: RecordTable, parts: Sequence[RoleRows], created: Callable[[RecordTable, Array], Array]) -> None:
        self.table, self.parts = table, parts
        self.of_role = [part.previous if isinstance(table.owner(part.role), Refs) else None for part in parts]
        is_owned = np.zeros(table.listed, bool)
        for owner in self.of_role:
            is_owned |= False if owner is None else owner >= 0
        rows = np.flatnonzero(is_owned)
        self.rows = rows[np.lexsort((rows, created(table, rows)))] if len(rows) else rows
        self._asked: dict[tuple[object, ...], Companies] = {}

    def companies(self, pool: Pool, waiting: Array, is_recent: Recent) -> Companies | None:
        """The companies that a pool keeps together; pools that ask alike share the answer."""
        step = pool.step
        if step.together is None:
            return None
        key = step.together.text, step.together_within
        if key not in self._asked:
            frame = self.parts[0].frame(np.concatenate([waiting, self.rows]) if len(self.rows) else waiting)
            companies = self._asked[key] = Companies(frame.eval(step.together.tree), len(waiting))
            some = np.flatnonzero(companies.awaited())
            if step.together_within is not None and len(some):
                some = some[self._are_recent(self.rows[some], is_recent)]
            for owner in self.of_role:
                mine = some[owner[self.rows[some]] >= 0] if owner is not None else some[:0]
                rows = self.rows[mine]
                companies.owned.append(
                    Owned(companies.others[mine], rows, owner[rows], len(companies.names)) if owner is not None and len(mine) else None
                )
        return self._asked[key]

    def _are_recent(self, rows: Array, is_recent: Recent) -> Array:
        """Which records came, or were given, lately enough to be followed: asked once for each day or moment."""
        found = np.zeros(len(rows), bool)
        for name in ("owner_since", "created"):  # the second counts where there is one
            column = self.table.column(name)
            if column is not None:
                codes, meaning = column.take(rows).encode()
                values = [*meaning.list, None]
                counts = np.array([x is not None for x in values])[codes]
                found[counts] = np.array([x is not None and is_recent(x) for x in values])[codes][counts]
        return found

    def move(self, role: int, row: int, rep: int) -> None:
        """The run has given a record to somebody else."""
        for owned in self._of_role(role):
            owned.move(row, rep)

    def _of_role(self, role: int) -> Iterator[Owned]:
        return (owned for companies in self._asked.values() if (owned := companies.owned[role]) is not None)


def can_be_companies(meaning: Dictionary) -> Array:
    """Which values tell a company: texts and numbers."""
    if isinstance(meaning.items, pa.Array) and pa.types.is_string(meaning.items.type):
        known = meaning.items.is_valid().to_numpy(zero_copy_only=False)
        return np.append(False, known) if meaning.null_first else np.asarray(known)
    return np.array([isinstance(x, (str, int, float)) for x in meaning.list], bool)


def _first_alike(meaning: Dictionary) -> Array:
    """For each code the first one that means the same: in some columns every row has a code of its own."""
    if not (isinstance(meaning.items, pa.Array) and pa.types.is_string(meaning.items.type)):
        first: dict[object, int] = {}
        return np.array([first.setdefault(x, i) if isinstance(x, (str, int, float)) else i for i, x in enumerate(meaning.list)], np.int64)
    encoded = meaning.items.dictionary_encode(null_encoding="encode")
    same = encoded.indices.to_numpy(zero_copy_only=False)
    places = np.empty(len(encoded.dictionary), np.int64)
    places[same[::-1]] = np.arange(len(same))[::-1]  # of several codes the one that is written last stays
    return np.append(np.zeros(int(meaning.null_first), np.int64), places[same] + meaning.null_first)
