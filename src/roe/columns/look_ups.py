"""Look-ups of records by key and by name, made of whole columns: a record becomes a row only when it is a candidate.

Guests are looked up like the records that a world decides itself: who is found by another record may be decided anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from roe.columns.column import ByRow, Column, Constant, opaque
from roe.dynamic import Value
from roe.evaluator.look_ups import KeyLookUp, NameLookUp, keys_of_value, look_up_number, name_in
from roe.evaluator.row import Row
from roe.grammar import syntax as s
from roe.grammar.closures import compile_expression

if TYPE_CHECKING:
    from roe.columns.table import RecordTable
    from roe.companies.index import NameIndex
    from roe.evaluator.relate import Matcher
    from roe.evaluator.world import World


class ColumnKeys(KeyLookUp):
    """The records of a table by their keys."""

    def __init__(self, kind: str, theirs: s.Node, matcher: Matcher, table: RecordTable) -> None:
        self._table = table
        self._at: dict[Value, int | Sequence[int]] = {}  # key -> the record, or the records, that have it
        super().__init__(kind, theirs, matcher)

    def fill(self, world: World) -> None:
        column = said_of_each(self._table, self.theirs)
        if isinstance(column, Constant):
            self._at = dict.fromkeys(keys_of_value(self.kind, column.value), range(self._table.typed.n))
        else:
            several: dict[Value, list[int]] = {}
            at = self._at
            for i, value in enumerate(column.values()[: self._table.typed.n]):
                for key in keys_of_value(self.kind, value):
                    first = at.setdefault(key, i)
                    if first != i:
                        several.setdefault(key, [first]).append(i)  # type: ignore[list-item]
            at |= several

    def rows(self, key: Value) -> Sequence[Row]:
        at = self._at.get(key, ())
        return [self._table.row(i) for i in ((at,) if isinstance(at, int) else at)]


class ColumnNames(NameLookUp):
    """The names of a table's records."""

    def __init__(self, theirs: s.Node, matcher: Matcher, meanwhile: Callable[[], object] | None, table: RecordTable) -> None:
        self._table, self._number = table, look_up_number(matcher.step, "similar", theirs)
        self._at: list[int] = []  # the record of each name
        super().__init__(theirs, matcher, meanwhile)

    def fill(self) -> list[str]:
        values = said_of_each(self._table, self.theirs).values()[: self._table.typed.n]
        named = [(i, name) for i, value in enumerate(values) if (name := name_in(value))]
        self._at = [i for i, _ in named]
        return [name for _, name in named]

    def index(self, names: list[str], meanwhile: Callable[[], object] | None) -> NameIndex:
        alike = self._table.typed.alike
        if alike is None:
            return super().index(names, meanwhile)
        from roe.columns.searched_names import SearchedNames  # the index of names takes long to load

        return SearchedNames(names, alike.filter(pc.equal(alike["number"], self._number)))

    def row(self, place: int) -> Row | None:
        return self._table.row(self._at[place])


def said_of_each(table: RecordTable, tree: s.Node) -> Column:
    """The values of an expression about each record of a table."""
    try:
        return table.frame.eval(tree)
    except ByRow:
        code, world = compile_expression(tree), table.world
        return opaque([code(world.scope(table.row(i))) for i in range(table.n)])
