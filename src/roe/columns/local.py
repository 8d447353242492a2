"""Columns whose texts are read by the country of their records: each pair of a text and a country once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.cells import Problems
from roe.columns.column import Coded, Constant, Dictionary
from roe.columns.typed import TypedColumns
from roe.data.local import POSTAL, ZEROS, localized
from roe.dynamic import Array, Value
from roe.policy.model import Field


def localize(name: str, f: Field, table: TypedColumns, problems: Problems) -> None:
    """Read a column's texts by the country of their records: each pair of a text and a country once."""
    column, where = table.columns[name], table.columns.get("country")
    if not isinstance(column, Coded) or not len(column.meaning):
        return
    places, countries = (
        where.encode() if where is not None and not isinstance(where, Constant) else (np.zeros(table.n, np.int64), Dictionary([None]))
    )
    known = np.append(np.asarray(places, np.int64), 0)[:-1] % (len(countries) + 1)  # -1 is the last: no country
    named = [*countries.list, None]
    rows = column.codes >= 0
    if f.normalize != "state":
        rows &= _mendable(column, known, named)
    at = np.flatnonzero(rows)
    if not len(at):
        return
    pairs, back = np.unique(column.codes[at].astype(np.int64) * len(named) + known[at], return_inverse=True)
    times = np.bincount(back).tolist()
    texts, again = column.meaning.list, column.codes.copy()
    more: list[str] = []
    lost = np.zeros(len(pairs), bool)
    fresh = np.empty(len(pairs), np.int32)
    for i, pair in enumerate(pairs.tolist()):
        code, country = divmod(pair, len(named))
        text = texts[code]
        meant, mended, understood = localized(f, text, named[country])
        fresh[i] = code
        if meant != text:
            fresh[i] = len(texts) + len(more)
            more.append(meant)
        if mended:
            table.reading.corrected[name, text, meant] += times[i]
        if not understood:
            lost[i] = True
            if f.standard:
                table.reading.unread[name, text] += times[i]
    if lost.any() and not f.standard:
        bad = np.zeros(table.n, bool)
        bad[at[lost[back]]] = True
        problems.add(name, bad, lambda i: (texts[column.codes[i]], f"`{texts[column.codes[i]]}` is not a state"))
    again[at] = fresh[back]
    items = column.meaning.items
    whole = (
        pa.concat_arrays([items, pa.array(more, pa.string())])
        if isinstance(items, pa.Array) and not column.meaning.null_first
        else [*texts, *more]
    )
    table.columns[name] = Coded(again, Dictionary(whole))


def _mendable(column: Coded, known: Array, named: list[Value]) -> Array:
    """The rows whose postal code may have lost a zero."""
    digits, pointed = np.zeros(len(column.meaning) + 1, np.int64), np.zeros(len(column.meaning) + 1, bool)
    items = column.meaning.items
    if isinstance(items, pa.Array) and not column.meaning.null_first:
        some = np.flatnonzero(pc.fill_null(pc.match_substring_regex(items, f"^{POSTAL.pattern}$"), False).to_numpy(zero_copy_only=False))
        listed: Iterable[tuple[int, Value]] = zip(some.tolist(), items.take(pa.array(some)).to_pylist())
    else:
        listed = enumerate(column.meaning.list)
    for code, text in listed:
        m = POSTAL.fullmatch(text) if text else None
        if m is not None:
            digits[code], pointed[code] = len(m[1]), m[3] is not None
    widths = np.array([ZEROS.get(c or "", 0) for c in named], np.int64)[known]
    length = digits[column.codes]
    return (widths > 0) & (length > 0) & ((length < widths) | pointed[column.codes])
