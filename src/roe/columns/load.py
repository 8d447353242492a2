"""Raw tables to typed columns: the same coercion as the row evaluator's, once per distinct value.

`roe.data.coerce` says what a text means. Here its makers are asked for each distinct value of a column; plain texts,
numbers and dates, which mean themselves, are recognised by the million with Arrow.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.cells import ColumnReader, Problems, lengths
from roe.columns.column import Coded, Column, Constant, Dictionary, occurring
from roe.columns.local import localize
from roe.columns.raw import Raw
from roe.columns.typed import TypedColumns
from roe.crm.ids import SHORT
from roe.data.cells import cells_of, shown
from roe.data.coerce import (
    GONE,
    INSTEAD,
    MODIFIED,
    NAMELESS,
    PERSON,
    REPEATED,
    UNKNOWN_RECORD,
    WRITTEN,
    finished,
    listed,
    modified_text,
    reason_gone,
    settle,
    stamp,
    started,
    telling,
)
from roe.data.headers import field_of
from roe.data.local import is_local
from roe.data.makers import maker
from roe.data.reading import FEW as FEW_VALUES
from roe.data.reading import Reject
from roe.dynamic import Array, Value
from roe.evaluator.gone import newest_of
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource, Policy
from roe.progress import phase


def typed_columns(policy: Policy, entity: str, raw: Raw) -> TypedColumns:
    """Typed columns of a raw table."""
    fields = policy.model.entities[entity]
    source = policy.data.get(entity, DataSource())
    zone = zone_of(policy.timezone)
    n = raw.n
    phase(f"understanding {n:,} {entity} records")
    decided = any(entity == e for e, _ in policy.plan.engagement)
    table = TypedColumns(n, started(entity, fields, raw.columns, policy.model.roles(), raw.origin, n, decided))
    table.lines = raw.lines
    table.rejects += [Reject(entity, "", line, "", text, reason) for line, text, reason in raw.origin.rejects]
    problems = Problems(n)
    for name, column in table.names.items():
        f = field_of(fields, name)
        habits = raw.habits_of(column, f)
        if habits is not None:
            settle(habits, column, table.reading)
        cells = cells_of(f, zone, source, habits, entity)
        table.columns[name] = ColumnReader(name, cells, zone, habits, table.reading, problems).read(raw.columns[column])
    for name, f in fields.items():
        if name in table.names and is_local(f):
            localize(name, f, table, problems)
    table.reading.filled.update({name: n - int(table.columns[name].nulls().sum()) for name in table.names})
    for name in listed(table.names, fields):
        made = table.columns[name]
        table.reading.list_values(name, _texts_of(made) if isinstance(made, Coded) else ())
    for name, f in fields.items():
        if f.default is not None:
            value = maker(f, zone, source)(f.default)
            table.columns[name] = _filled(table.columns.get(name, Constant(None, n)), value)
    for name in GONE:
        if name in table.names:
            _set_aside(name, table.columns[name], problems)
    for f in fields.values():
        if f.required and f.type.name != "owners":
            lacking = table.columns[f.name].nulls() if f.name in table.columns else np.ones(n, bool)
            problems.add(f.name, lacking, _required(f.name))
    written = _written(table, raw)
    _identify(entity, table, problems, decided)
    if written is not None:
        table.columns[WRITTEN] = coded(written)
    _reject(entity, table, problems, raw)
    finished(table.reading, table.rejects)
    if raw.guests is not None:
        _host(table, typed_columns(policy, entity, raw.guests))
    table.ranks, table.decided, table.alike, table.matched = raw.ranks, raw.decided, raw.alike, raw.matched
    return table


def _host(table: TypedColumns, guests: TypedColumns) -> None:
    """Put guests after a table's own records."""
    from roe.columns.join import join

    nothing, nobody = Constant(None, table.n), Constant(None, guests.n)
    names = dict.fromkeys((*table.columns, *guests.columns))
    for one, other in ((table, guests), (guests, table)):
        if WRITTEN in other.columns:
            one.columns.setdefault(WRITTEN, coded(one.ids))
    table.columns = {name: join(table.columns.get(name, nothing), guests.columns.get(name, nobody), None) for name in names}
    table.guest_ids = frozenset((*guests.ids.to_pylist(), *(r.record for r in guests.rejects)))
    table.ids = pa.concat_arrays([table.ids.cast(pa.string()), guests.ids.cast(pa.string())])
    table.lines = np.append(table.lines, guests.lines)
    table.guests, table.n = guests.n, table.n + guests.n


def newest_change(policy: Policy, entity: str, raw: Raw) -> str:
    """The last change in the data of an entity, as text, by the one column that says it; empty where there is none."""
    fields = policy.model.entities[entity]
    reading = started(entity, fields, raw.columns, policy.model.roles(), raw.origin, raw.n, False)
    column = reading.columns.get(MODIFIED)
    if column is None:
        return ""
    f, zone = field_of(fields, MODIFIED), zone_of(policy.timezone)
    habits = raw.habits_of(column, f)
    cells = cells_of(f, zone, policy.data.get(entity, DataSource()), habits, entity)
    return newest_of(stamps_in(ColumnReader(MODIFIED, cells, zone, habits, reading, Problems(raw.n)).read(raw.columns[column])))


def stamps_in(column: Column) -> list[datetime | None]:
    """The distinct moments of a column."""
    codes, meaning = column.encode()
    return [stamp(meaning[code]) for code in np.unique(codes).tolist() if code >= 0]


def _set_aside(name: str, column: Column, problems: Problems) -> None:
    """Take out the rows of records that the CRM has no longer."""
    codes, meaning = column.encode()
    reasons = {code: reason for code in np.unique(codes).tolist() if (reason := reason_gone(name, meaning[code]))}
    if reasons:
        problems.add(name, np.isin(codes, list(reasons)), lambda i: (meaning[int(codes[i])], reasons[int(codes[i])]))


def _texts_of(column: Coded) -> list[str]:
    """The texts of a column, as long as they are few."""
    codes = column.codes[column.codes >= 0] if column.nulls().any() else column.codes
    texts: set[str] = set()
    for code in occurring(codes, len(column.meaning)):
        text = column.meaning.items[int(code)] if not column.meaning.null_first else column.meaning.list[int(code)]
        texts.add(text.as_py() if isinstance(text, pa.Scalar) else text)
        if len(texts) > FEW_VALUES:
            break
    return [x for x in texts if x is not None]


def _filled(column: Column, value: Value) -> Column:
    """The column with a default where it is null."""
    nulls = column.nulls()
    if not nulls.any():
        return column
    from roe.columns.join import merge

    return merge(nulls, Constant(value, column.n), column, None)


# --- identity -------------------------------------------------------------------------------------------------------


def _texts(table: TypedColumns, name: str) -> pa.Array | None:
    column = table.columns.get(name)
    return None if column is None or isinstance(column, Constant) else texts_of(column)


def texts_of(column: Column) -> pa.Array:
    """The values of a column as texts; null for an empty one."""
    if isinstance(column, Coded) and all_text(column):
        texts = column.arrow()
        if pa.types.is_string(texts.type) and (lengths(texts) > 0).all():
            return texts
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    values = [None if x is None or x == "" else str(x) for x in column.values()]
    return pa.array(values, pa.string())


def all_text(column: Coded) -> bool:
    items = column.meaning.items
    return isinstance(items, pa.Array) or all(isinstance(x, str) for x in items)


def _identify(entity: str, table: TypedColumns, problems: Problems, decided: bool) -> None:
    """Every record's id and name, as `coerce_table` gives them."""
    own = _texts(table, "id")
    if "id" in table.names:
        own = pa.nulls(table.n, pa.string()) if own is None else own
        table.ids, lacking, reason = own, own.is_null(), NAMELESS
    else:
        parts = [t for name in telling(entity, decided) if (t := _texts(table, name)) is not None]
        if not decided:
            parts.append(pa.array([f"{entity}-{line}" for line in table.lines.tolist()], pa.string()))
        table.ids = pc.coalesce(*parts) if parts else pa.nulls(table.n, pa.string())
        lacking, reason = table.ids.is_null(), UNKNOWN_RECORD
    if isinstance(table.ids, pa.ChunkedArray):
        table.ids = table.ids.combine_chunks()
    if table.ids.null_count:
        problems.add("id", lacking.to_numpy(zero_copy_only=False), lambda i: ("", reason))
        table.ids = table.ids.fill_null("")
    table.columns["id"] = coded(table.ids)
    has_name = table.columns.get("name")
    lacking = has_name.nulls() if has_name is not None else np.ones(table.n, bool)
    if lacking.any():
        first, last = (_texts(table, name) for name in PERSON)
        blank = pa.nulls(table.n, pa.string())
        given = [t for t in (first, last) if t is not None]
        if first is not None and last is not None:
            both = pc.binary_join_element_wise(first, last, " ")
            given = [pc.coalesce(both, first, last)]
        given += [t for name in INSTEAD if (t := _texts(table, name)) is not None]
        old = has_name.arrow() if isinstance(has_name, Coded) else blank
        texts = pc.coalesce(old, *given)
        table.columns["name"] = coded(texts)


def _written(table: TypedColumns, raw: Raw) -> pa.Array | None:
    """The ids as the data has them; None if they are the ids that they are folded to."""
    column = raw.columns.get(table.names.get("id", ""))
    if isinstance(column, pa.Array) and pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not isinstance(column, pa.Array) or not pa.types.is_string(column.type) or not (lengths(column) > SHORT).any():
        return None
    folded = _texts(table, "id")
    if folded is None or pa.types.is_null(folded.type):
        return None
    long = pc.and_(pc.equal(pc.utf8_length(folded), SHORT), pc.greater(pc.utf8_length(column), SHORT))
    return pc.if_else(pc.fill_null(long, False), pc.utf8_trim_whitespace(column), folded) if pc.any(long).as_py() else None


def coded(texts: pa.Array) -> Coded:
    """Texts that are mostly different from each other, as a column: each row is its own code."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    codes = np.arange(len(texts), dtype=np.int32)
    if texts.null_count:
        codes[texts.is_null().to_numpy(zero_copy_only=False)] = -1
    return Coded(codes, Dictionary(texts))


def _reject(entity: str, table: TypedColumns, problems: Problems, raw: Raw) -> None:
    """Drop rejected rows, put the rest in the order of their ids, and settle ids that occur twice."""
    keep = np.ones(table.n, bool)
    rejected = sorted(problems.found)
    stamps = table.columns[MODIFIED].take(np.array(rejected)).values() if rejected and MODIFIED in table.columns else [None] * len(rejected)
    for i, at in zip(rejected, stamps, strict=True):
        name, value, reason = problems.found[i]
        keep[i] = False
        table.rejects.append(Reject(entity, table.ids[i].as_py(), int(table.lines[i]), name, shown(value), reason, modified_text(at)))
    table.rejects.sort(key=lambda r: r.line)
    ordered = _in_order(table.ids)  # which says as well that none is there twice
    if ordered and keep.all():
        return
    if not ordered:
        _only_one_each(entity, table, keep, raw)
    rows = np.flatnonzero(keep)
    ids = table.ids if keep.all() else table.ids.take(pa.array(rows))
    if not ordered and not _in_order(ids):
        rows = rows[pc.sort_indices(ids.cast(pa.binary())).to_numpy()]
    table.ids = table.ids.take(pa.array(rows))
    table.columns = {name: c.take(rows) for name, c in table.columns.items()}
    table.columns["id"] = coded(table.ids)
    table.lines, table.n = table.lines[rows], len(rows)


def _in_order(ids: pa.Array) -> bool:
    """Whether each id comes after the one before it."""
    whole = ids.cast(pa.binary())
    return len(ids) < 2 or bool(pc.all(pc.less(whole[:-1], whole[1:])).as_py())


def _only_one_each(entity: str, table: TypedColumns, keep: Array, raw: Raw) -> None:
    ids = table.ids
    encoded = ids.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(codes[keep], minlength=len(encoded.dictionary))
    if not (counts > 1).any():
        return
    again = np.flatnonzero((counts[codes] > 1) & keep)
    groups: dict[int, list[int]] = {}
    for i in again.tolist():
        groups.setdefault(int(codes[i]), []).append(i)
    typed = {name: c.take(again).values() for name, c in table.columns.items() if name != WRITTEN}
    place = {i: k for k, i in enumerate(again.tolist())}
    known = set(table.names.values())
    extra = {c: raw.some(c, again) for c in raw.columns if c not in known}
    repeated: list[Reject] = []
    for rows in groups.values():

        def whole(i: int) -> tuple[Value, ...]:
            k = place[i]
            return (*(x[k] for x in typed.values()), *(None if x[k] == "" else x[k] for x in extra.values()))

        identity = ids[rows[0]].as_py()
        listed = [int(table.lines[i]) for i in rows]
        same = all(whole(i) == whole(rows[0]) for i in rows)
        reason = (
            f"a repetition of the record in line {listed[0]}" if same else f"lines {', '.join(map(str, listed))} have this id and differ"
        )
        for k, i in enumerate(rows):
            if k >= same:
                keep[i] = False
                stamp = typed[MODIFIED][place[i]] if MODIFIED in typed else None
                repeated.append(Reject(entity, identity, listed[k], REPEATED, identity, reason, modified_text(stamp)))
    table.rejects += sorted(repeated, key=lambda r: r.line)
    table.repeated = len(repeated)


def _required(name: str) -> Callable[[int], tuple[str, str]]:
    return lambda i: ("", f"`{name}` is required and missing")
