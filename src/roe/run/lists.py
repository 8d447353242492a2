"""Columns as plain lists: what summaries and files do with them. Arrow columns go to `roe.run.arrow`, which does the same to those."""

from __future__ import annotations

from collections import Counter

from roe.dynamic import Json, Value
from roe.run.result import Lines


def counted(values: Value) -> Counter[Value]:
    """value -> how often it stands there; what is missing or empty is not counted."""
    if isinstance(values, list):
        return Counter(x for x in values if x is not None and x != "")
    from roe.run import arrow

    return arrow.counted(values)


def counted_where(lines: Lines, column: str, wanted: list[str], names: tuple[str, ...]) -> Counter[tuple[Value, ...]]:
    """(the values of some columns) -> how many lines have them, of the lines where `column` is one of the `wanted` texts."""
    if isinstance(lines, dict):
        among = set(wanted)
        rows = zip(lines[column], zip(*(lines[name] for name in names), strict=True), strict=True)
        return Counter(values for text, values in rows if text in among)
    from roe.run import arrow

    return arrow.counted_where(lines, column, wanted, names)


def interleaved(tables: list[Lines]) -> Lines:
    """Tables with a line for the same records, side by side record by record."""
    if len(tables) == 1:
        return tables[0]
    if isinstance(tables[0], dict):
        return {name: [x for row in zip(*(t[name] for t in tables), strict=True) for x in row] for name in tables[0]}
    from roe.run import arrow

    return arrow.interleaved(tables)


def stacked(tables: list[Lines], columns: tuple[str, ...]) -> Lines:
    """Tables one below the other; one of these columns without lines if there is none."""
    if not tables or isinstance(tables[0], dict):
        return {name: [x for t in tables for x in t[name]] for name in columns}
    from roe.run import arrow

    return arrow.stacked(tables, columns)


def same(text: str, lines: Lines) -> Value:
    """A column of one text, as long as these lines are, and of their kind."""
    if isinstance(lines, dict):
        return [text] * len(next(iter(lines.values())))
    from roe.run import arrow

    return arrow.same(text, lines.num_rows)


def where(lines: Lines, column: str) -> Lines:
    """The lines for which a column of yes or no says yes."""
    if isinstance(lines, dict):
        return {name: [x for x, yes in zip(values, lines[column], strict=True) if yes] for name, values in lines.items()}
    return lines.filter(lines[column])


def renamed(lines: Lines, names: Json) -> Lines:
    """A table with these columns: the name of one of `lines`, or values."""
    values = {name: lines[x] if isinstance(x, str) else x for name, x in names.items()}
    if isinstance(lines, dict):
        return values
    from roe.run import arrow

    return arrow.table(values)


def listed(values: Value) -> list[Value]:
    return values if isinstance(values, list) else list(values.to_pylist())


def plain(lines: Lines, names: tuple[str, ...]) -> Lines:
    """The same lines with some columns as plain texts, which lists are already."""
    if isinstance(lines, dict):
        return lines
    from roe.run import arrow

    return arrow.plain(lines, set(names))


def some(values: Value, numbers: list[int]) -> list[Value]:
    """The values at some places."""
    if isinstance(values, list):
        return [values[i] for i in numbers]
    from roe.run import arrow

    return arrow.some(values, numbers)
