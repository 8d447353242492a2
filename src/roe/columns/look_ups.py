"""Look-ups of records by key and by name, made of whole columns: a record becomes a row only when it is a candidate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from roe.columns.column import ByRow, Column, Constant
from roe.dynamic import Value
from roe.evaluator.look_ups import KeyLookUp, NameLookUp, keys_of_value, name_in
from roe.evaluator.row import Row
from roe.grammar import syntax as s

if TYPE_CHECKING:
    from roe.columns.table import RecordTable
    from roe.evaluator.relate import Matcher
    from roe.evaluator.world import World


class ColumnKeys(KeyLookUp):
    """The records of a table by their keys."""

    def __init__(self, kind: str, theirs: s.Node, matcher: Matcher, table: RecordTable) -> None:
        self._table = table
        self._at: dict[Value, int | Sequence[int]] = {}  # key -> the record, or the records, that have it
        super().__init__(kind, theirs, matcher)

    def fill(self, world: World) -> None:
        column = _column(self._table, self.theirs)
        if column is None:
            super().fill(world)
        elif isinstance(column, Constant):
            self._at = dict.fromkeys(keys_of_value(self.kind, column.value), range(self._table.listed))
        else:
            several: dict[Value, list[int]] = {}
            at = self._at
            for i, value in enumerate(column.values()[: self._table.listed]):
                for key in keys_of_value(self.kind, value):
                    first = at.setdefault(key, i)
                    if first != i:
                        several.setdefault(key, [first]).append(i)  # type: ignore[list-item]
            at |= several

    def rows(self, key: Value) -> Sequence[Row]:
        at = self._at.get(key, ())
        return [self._table.row(i) for i in ((at,) if isinstance(at, int) else at)] or super().rows(key)


class ColumnNames(NameLookUp):
    """The names of a table's records."""

    def __init__(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None, table: RecordTable) -> None:
        self._table = table
        self._at: list[int] | None = None  # the record of each name
        super().__init__(theirs, matcher, meanwhile)

    def fill(self) -> list[str]:
        column = _column(self._table, self.theirs)
        if column is None:
            return super().fill()
        named = [(i, name) for i, value in enumerate(column.values()[: self._table.listed]) if (name := name_in(value))]
        self._at = [i for i, _ in named]
        return [name for _, name in named]

    def row(self, place: int) -> Row | None:
        return super().row(place) if self._at is None else self._table.row(self._at[place])


def _column(table: RecordTable, theirs: s.Node) -> Column | None:
    """The values of an expression about each record; None where only the row evaluator can tell."""
    try:
        return table.frame.eval(theirs)
    except ByRow:
        return None
