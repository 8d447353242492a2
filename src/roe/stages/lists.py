"""`lists:` named lists of values, written out or from a table; members with dates count while their dates hold."""

from __future__ import annotations

from collections.abc import Mapping

from roe.crm.ids import fold
from roe.policy.context import Context
from roe.policy.section import FilePath, Heading, Identifier, Section, section
from roe.source import Text


@section
class ListFileSection(Section):
    """a list from a column of a table"""

    file: FilePath
    key_: Text | None = None
    description: Text | None = None


@section
class ListValuesSection(Section):
    """a list that is written out"""

    values: tuple[Text, ...]
    description: Text | None = None


Lists = Mapping[Identifier, ListFileSection | ListValuesSection | tuple[Text, ...]]
LISTS = Heading("lists", Lists, "named lists of values")


def declare(lists: Lists, cx: Context) -> None:
    for name, given in lists.items():
        if isinstance(given, ListFileSection):
            _from_table(str(name), given, cx)
        else:
            values = given.values if isinstance(given, ListValuesSection) else given
            cx.lists[str(name)] = [fold(str(x)) for x in values]


def _from_table(name: str, given: ListFileSection, cx: Context) -> None:
    table = cx.file_table(given.file)
    cx.lists[name] = []
    if table is None:
        return
    column_name = given.key_ or table.header[0]
    column = table.column(column_name)
    if column is None:
        cx.has_column(table, column_name)
        return
    starts, ends = table.column("from"), table.column("until")
    rows = [row for row in table.rows if row[column]]
    if starts is None and ends is None:
        cx.lists[name] = [fold(str(row[column])) for row in rows]
        return
    del cx.lists[name]  # its members depend on the day: no constant of the index
    cx.dated[name] = [
        cx.dated_value(row[column], row[starts] if starts is not None else None, row[ends] if ends is not None else None) for row in rows
    ]
