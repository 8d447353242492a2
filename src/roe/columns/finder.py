"""Records by id, in the short or the long form, or by a name that only one has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Dictionary
from roe.crm.ids import fold
from roe.dynamic import Array

if TYPE_CHECKING:
    from roe.columns.table import RecordTable


class RecordFinder:
    """Records by id, in the short or the long form, or by a name that only one has."""

    def __init__(self, table: RecordTable) -> None:
        self.table = table
        self.strangers: dict[str, int] = {}
        self._ids: dict[str, int] | None = None
        self._names: dict[str, list[int]] | None = None
        self._known: dict[str, int] = {}

    def find(self, meaning: Dictionary) -> Array:
        """The row of every text of a dictionary; -1 where there is none."""
        items = meaning.items
        texts = items if isinstance(items, pa.Array) else pa.array([None if x is None else str(x) for x in meaning.list], pa.string())
        ids = self.table.ids.cast(pa.string())  # of a table without records they have no type
        at = pc.index_in(texts.cast(pa.string()), ids).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        lost = np.flatnonzero(at < 0)
        if len(lost):
            some = texts.take(pa.array(lost)).to_pylist()
            at[lost] = [-1 if x is None else self.otherwise(x) for x in some]
        return at

    def one(self, text: str) -> int:
        known = self._known.get(text)
        if known is None:
            if self._ids is None:
                self._ids = {x: i for i, x in enumerate(self.table.ids.to_pylist())}
            known = self._known[text] = self._ids.get(fold(text), -1)
            if known < 0:
                known = self._known[text] = self.otherwise(text)
        return known

    def exactly(self, record: str) -> int:
        """The row of a record by its id alone; -1 for none."""
        if self._ids is None:
            self._ids = {x: i for i, x in enumerate(self.table.ids.to_pylist())}
        return self._ids.get(fold(record), -1)

    def otherwise(self, text: str) -> int:
        if self._names is None:
            self._names = {}
            n = self.table.typed.n
            for name in ("name", "email", "domain"):
                column = self.table.stored.get(name)
                if column is not None:
                    for i, x in enumerate(column.values()[:n]):
                        if x:
                            self._names.setdefault(str(x).lower(), []).append(i)
        rows = self._names.get(text.lower(), ())
        return rows[0] if len(rows) == 1 else -1

    def rep(self, text: object) -> int:
        """The row of a rep; one whom nobody lists becomes a stranger."""
        text = str(text)
        at = self.one(text)
        if at < 0:
            at = self.strangers.get(fold(text), -1)
            if at < 0:
                at = self.strangers[fold(text)] = self.table.world.stranger(text)
        return at
