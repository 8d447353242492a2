"""Raw tables to typed columns: the same coercion as the row evaluator's, once per distinct value.

`roe.data.coerce` says what a text means. Here its makers are asked for each distinct value of a column; plain texts,
numbers and dates, which mean themselves, are recognised by the million with Arrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import NO_DAY, Array, Coded, Column, Constant, Days, Dictionary, Instants, Numbers, from_values
from roe.columns.hosts import registrable
from roe.crm.ids import SHORT, fold_all
from roe.data import coerce
from roe.data.coerce import Reject, columns_of
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource, Field, Policy

FEW = 20_000  # distinct texts that are simply asked about, one by one
_PLAIN = r"^[!-~]([ -~]*[!-~])?$"


@dataclass(slots=True)
class TypedColumns:
    """The records of an entity in the order of their ids: typed columns by field, lines, and what coercion said."""

    n: int
    columns: dict[str, Column] = field(default_factory=dict)
    ids: pa.Array = None
    lines: Array = None
    rejects: list[Reject] = field(default_factory=list)
    repeated: int = 0  # how many of the rejects, the last ones, are repetitions
    corrected: dict[tuple[str, str, str], int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # field -> the data's column


def typed_columns(policy: Policy, entity: str, raw: Raw) -> TypedColumns:
    """Typed columns of a raw table."""
    fields = policy.model.entities[entity]
    source = policy.data.get(entity, DataSource())
    zone = zone_of(policy.timezone)
    n = raw.n
    out = TypedColumns(n, names=columns_of(entity, fields, raw.columns, policy.model.roles()))
    out.lines = raw.lines
    problems = _Problems(n)
    missing = coerce.MISSING | {m.lower() for m in source.missing}
    for name, column in out.names.items():
        f = fields[name.partition(".")[0]]
        out.columns[name] = _typed(name, f, raw.columns[column], coerce.maker(f, zone, source), missing, zone, out, problems)
    for name, f in fields.items():
        if f.default is not None:
            value = coerce.maker(f, zone, source)(f.default)
            out.columns[name] = _filled(out.columns.get(name, Constant(None, n)), value)
    for f in fields.values():
        if f.required and f.type.name != "owners":
            lacking = out.columns[f.name].nulls() if f.name in out.columns else np.ones(n, bool)
            problems.add(f.name, lacking, lambda i, name=f.name: ("", f"`{name}` is required and missing"))  # type: ignore[misc]
    written = _written(out, raw)
    _identify(entity, out)
    if written is not None:
        out.columns[coerce.WRITTEN] = coded(written)
    _reject(entity, out, problems, raw)
    return out


class _Problems:
    """The first problem of each row: fields are looked at in order."""

    def __init__(self, n: int) -> None:
        self.found: dict[int, tuple[str, Any, str]] = {}

    def add(self, name: str, rows: Array, say: Callable[[int], tuple[Any, str]]) -> None:
        for i in np.flatnonzero(rows).tolist():
            if i not in self.found:
                self.found[i] = (name, *say(i))


def _typed(
    name: str,
    f: Field,
    arr: pa.Array | list[Any],
    make: Callable[[Any], Any],
    missing: frozenset[str],
    zone: Any,
    out: TypedColumns,
    problems: _Problems,
) -> Column:
    if isinstance(arr, list):
        return _one_by_one(name, f, arr, make, missing, out, problems)
    fast = _already(f, arr, zone)
    if fast is not None:
        return fast
    if pa.types.is_dictionary(arr.type):
        arr = arr.dictionary_decode() if not pa.types.is_string(arr.type.value_type) else arr
    codes: Array
    if pa.types.is_string(arr.type) and _mostly_distinct(arr):
        meant = arr  # a dictionary of itself: nothing to gain from finding what repeats
        codes = np.arange(len(arr), dtype=np.int32)
        if arr.null_count:
            codes[arr.is_null().to_numpy(zero_copy_only=False)] = -1
        return _meant(name, f, codes, meant, make, missing, out, problems)
    if not pa.types.is_dictionary(arr.type):
        if pa.types.is_nested(arr.type) or pa.types.is_decimal(arr.type):
            return _one_by_one(name, f, arr.to_pylist(), make, missing, out, problems)
        if pa.types.is_null(arr.type):
            return Constant(None, len(arr))
        arr = arr.dictionary_encode()
    codes = arr.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return _meant(name, f, codes, arr.dictionary, make, missing, out, problems)


def _mostly_distinct(arr: pa.Array) -> bool:
    if len(arr) <= 5 * FEW:
        return False
    sample = arr.take(pa.array(np.arange(0, len(arr), len(arr) // 10_000)))
    return bool(len(pc.unique(sample)) > 0.9 * len(sample))


def _meant(
    name: str,
    f: Field,
    codes: Array,
    meant: pa.Array,
    make: Callable[[Any], Any],
    missing: frozenset[str],
    out: TypedColumns,
    problems: _Problems,
) -> Column:
    """Codes into raw texts as codes into what they mean."""
    plain = _plain(f, meant, missing)
    if plain is None:
        return _distinct(name, f, codes, meant.to_pylist(), make, missing, out, problems)
    result, todo = plain
    if not len(todo):
        return Coded(codes, Dictionary(result))
    items = meant.take(pa.array(todo)).to_pylist()
    again = np.full(len(meant) + 1, -1, np.int32)  # the others, one by one: they may be null, or a problem
    again[todo] = np.arange(len(todo))
    some = _distinct(name, f, again[codes], items, make, missing, out, problems)
    texts = some.values() if isinstance(some, Constant) else some.meaning.list  # type: ignore[attr-defined]
    odd = some.codes if isinstance(some, Coded) else np.full(len(codes), -1, np.int32)
    texts = [x for x in texts if x is not None] if isinstance(some, Constant) else texts
    is_odd = again[codes] >= 0
    merged = np.where(is_odd, np.where(odd < 0, -1, odd + len(meant)), codes).astype(np.int32)
    return Coded(merged, Dictionary(pa.concat_arrays([result, pa.array(texts, pa.string())])))


def _already(f: Field, arr: pa.Array, zone: Any) -> Column | None:
    """A column that Parquet holds in the field's own type."""
    kind = f.type.name
    if kind == "number" and (pa.types.is_integer(arr.type) or pa.types.is_floating(arr.type)):
        data = arr.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return None if np.isinf(data).any() else Numbers(data)
    if kind == "date" and pa.types.is_date32(arr.type):
        days = arr.cast(pa.int32()).cast(pa.int64()).fill_null(NO_DAY).to_numpy(zero_copy_only=False)
        return Days(days)
    if kind == "date and time" and pa.types.is_timestamp(arr.type) and arr.type.tz and arr.type.unit != "ns":
        return Instants(arr.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).fill_null(NO_DAY).to_numpy(zero_copy_only=False), zone)
    return None


def _plain(f: Field, meant: pa.Array, missing: frozenset[str]) -> tuple[pa.Array, Array] | None:
    """(what each distinct text means, which of them must be asked about); None where all must."""
    text = f.type.name == "string" and not f.type.values and f.normalize in ("", "lower", "domain")
    reference = f.type.name in ("record", "owners") and f.keys is None
    if len(meant) <= FEW or not pa.types.is_string(meant.type) or f.aliases or not (text or reference):
        return None
    mask = pc.match_substring_regex(meant, _PLAIN)
    mask = pc.and_(mask, pc.invert(pc.is_in(pc.ascii_lower(meant), pa.array(sorted(missing)))))
    folds = f.normalize == "" and f.type.name != "owners" and f.type.entity != "rep"
    result = pc.ascii_lower(meant) if f.normalize == "lower" else fold_all(meant) if folds else meant
    mask = mask.to_numpy(zero_copy_only=False)
    if f.normalize == "domain":
        mask &= registrable(meant)
    return result, np.flatnonzero(~mask)


def _distinct(
    name: str,
    f: Field,
    codes: Array,
    items: list[Any],
    make: Callable[[Any], Any],
    missing: frozenset[str],
    out: TypedColumns,
    problems: _Problems,
) -> Column:
    meant: list[Any] = []
    wrong: dict[int, str] = {}
    counts: Array | None = None
    for i, value in enumerate(items):
        found, problem, text = _one(f, value, make, missing)
        meant.append(found)
        if problem:
            wrong[i] = problem
        if text is not None:
            counts = np.bincount(codes[codes >= 0], minlength=len(items)) if counts is None else counts
            if counts[i]:
                key = (name, text, coerce.corrected(f, text))
                out.corrected[key] = out.corrected.get(key, 0) + int(counts[i])
    if wrong:
        bad = np.append(np.array([i in wrong for i in range(len(items))], bool), False)
        problems.add(name, bad[codes], lambda i: (items[codes[i]], wrong[int(codes[i])]))
    return _shaped(f, meant).take(codes)


def _one_by_one(
    name: str, f: Field, values: list[Any], make: Callable[[Any], Any], missing: frozenset[str], out: TypedColumns, problems: _Problems
) -> Column:
    meant = []
    wrong: dict[int, str] = {}
    for i, value in enumerate(values):
        found, problem, _ = _one(f, value, make, missing)
        meant.append(found)
        if problem:
            wrong[i] = problem
    bad = np.zeros(len(values), bool)
    bad[list(wrong)] = True
    problems.add(name, bad, lambda i: (values[i], wrong[i]))
    return _shaped(f, meant)


def _one(f: Field, value: Any, make: Callable[[Any], Any], missing: frozenset[str]) -> tuple[Any, str | None, str | None]:
    """(what a raw value means, or why it means nothing, the text that was corrected)."""
    if value is None or value != value or (isinstance(value, str) and value.strip().lower() in missing):
        return None, None, None
    if not isinstance(value, coerce.SCALARS) or value in coerce.INFINITE:
        return None, f"a {type(value).__name__} is no {f.type}", None
    text = value.strip() if isinstance(value, str) else value
    meant = coerce.corrected(f, text)
    written = str(text) if meant != text else None
    try:
        return make(meant), None, written
    except ValueError as e:
        return None, str(e), written


def _shaped(f: Field, values: list[Any]) -> Column:
    """A column in the shape of the field's type, whatever values happen to be there."""
    if f.type.name in ("string", "record", "owners"):
        column = from_values(values)
        return Coded(np.full(len(values), -1, np.int32), Dictionary([])) if isinstance(column, Constant) else column
    if f.type.name == "date and time":
        zones = {x.tzinfo for x in values if isinstance(x, datetime)}
        if len(zones) == 1 and None not in zones:
            from roe.columns.column import microseconds

            return Instants(np.array([NO_DAY if x is None else microseconds(x) for x in values], np.int64), zones.pop())
    return from_values(values)


def _filled(column: Column, value: Any) -> Column:
    """The column with a default where it is null."""
    nulls = column.nulls()
    if not nulls.any():
        return column
    from roe.columns.vector import merge

    return merge(nulls, Constant(value, column.n), column, None)


# --- identity -------------------------------------------------------------------------------------------------------


def _texts(out: TypedColumns, name: str) -> pa.Array | None:
    column = out.columns.get(name)
    if column is None or isinstance(column, Constant):
        return None
    if isinstance(column, Coded) and all_text(column):
        texts = column.arrow()
        return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    values = [None if x is None or x == "" else str(x) for x in column.values()]
    return pa.array(values, pa.string())


def all_text(column: Coded) -> bool:
    items = column.meaning.items
    return isinstance(items, pa.Array) or all(isinstance(x, str) for x in items)


def _identify(entity: str, out: TypedColumns) -> None:
    """Every record's id and name, as `coerce_table` gives them."""
    parts = [t for name in ("id", "email", "name", "domain") if (t := _texts(out, name)) is not None]
    made = pa.array([f"{entity}-{line}" for line in out.lines.tolist()]) if not parts or _some_null(parts[0]) else None
    out.ids = pc.coalesce(*parts, *([made] if made is not None else [])) if parts or made is not None else pa.array([], pa.string())
    if isinstance(out.ids, pa.ChunkedArray):
        out.ids = out.ids.combine_chunks()
    out.columns["id"] = coded(out.ids)
    has_name = out.columns.get("name")
    lacking = has_name.nulls() if has_name is not None else np.ones(out.n, bool)
    if lacking.any():
        first, last = _texts(out, "first_name"), _texts(out, "last_name")
        blank = pa.nulls(out.n, pa.string())
        given = [t for t in (first, last) if t is not None]
        if first is not None and last is not None:
            both = pc.binary_join_element_wise(first, last, " ")
            given = [pc.coalesce(both, first, last)]
        given += [t for name in ("company", "email", "domain") if (t := _texts(out, name)) is not None]
        old = has_name.arrow() if isinstance(has_name, Coded) else blank
        texts = pc.coalesce(old, *given)
        out.columns["name"] = coded(texts)


def _written(out: TypedColumns, raw: Raw) -> pa.Array | None:
    """The ids as the data has them; None if they are the ids that they are folded to."""
    folded = _texts(out, "id")
    if folded is None or pa.types.is_null(folded.type):
        return None
    column = raw.columns[out.names["id"]]
    if isinstance(column, pa.Array) and pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not isinstance(column, pa.Array) or not pa.types.is_string(column.type):
        return None
    long = pc.and_(pc.equal(pc.utf8_length(folded), SHORT), pc.greater(pc.utf8_length(column), SHORT))
    return pc.if_else(pc.fill_null(long, False), pc.utf8_trim_whitespace(column), folded) if pc.any(long).as_py() else None


def _some_null(texts: pa.Array) -> bool:
    return bool(texts.null_count)


def coded(texts: pa.Array) -> Coded:
    """Texts that are mostly different from each other, as a column: each row is its own code."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    codes = np.arange(len(texts), dtype=np.int32)
    if texts.null_count:
        codes[texts.is_null().to_numpy(zero_copy_only=False)] = -1
    return Coded(codes, Dictionary(texts))


def _reject(entity: str, out: TypedColumns, problems: _Problems, raw: Raw) -> None:
    """Drop rejected rows, put the rest in the order of their ids, and settle ids that occur twice."""
    keep = np.ones(out.n, bool)
    for i in sorted(problems.found):
        name, value, reason = problems.found[i]
        keep[i] = False
        shown = "" if value is None else str(value)[:200]
        out.rejects.append(Reject(entity, out.ids[i].as_py(), int(out.lines[i]), name, shown, reason))
    _only_one_each(entity, out, keep, raw)
    rows = np.flatnonzero(keep)
    ids = out.ids if keep.all() else out.ids.take(pa.array(rows))
    ordered = len(ids) < 2 or pc.all(pc.less(ids[:-1].cast(pa.binary()), ids[1:].cast(pa.binary()))).as_py()
    if not ordered:
        rows = rows[pc.sort_indices(ids.cast(pa.binary())).to_numpy()]
    if ordered and keep.all():
        return
    out.ids = out.ids.take(pa.array(rows))
    out.columns = {name: c.take(rows) for name, c in out.columns.items()}
    out.columns["id"] = coded(out.ids)
    out.lines, out.n = out.lines[rows], len(rows)


def _only_one_each(entity: str, out: TypedColumns, keep: Array, raw: Raw) -> None:
    ids = out.ids
    if len(ids) > 1 and pc.all(pc.less(ids[:-1].cast(pa.binary()), ids[1:].cast(pa.binary()))).as_py():
        return
    encoded = ids.dictionary_encode()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    counts = np.bincount(codes[keep], minlength=len(encoded.dictionary))
    if not (counts > 1).any():
        return
    again = np.flatnonzero((counts[codes] > 1) & keep)
    groups: dict[int, list[int]] = {}
    for i in again.tolist():
        groups.setdefault(int(codes[i]), []).append(i)
    typed = {name: c.take(again).values() for name, c in out.columns.items() if name != coerce.WRITTEN}
    place = {i: k for k, i in enumerate(again.tolist())}
    known = set(out.names.values())
    extra = {c: raw.some(c, again) for c in raw.columns if c not in known}
    found: list[Reject] = []
    for rows in groups.values():

        def whole(i: int) -> tuple[Any, ...]:
            k = place[i]
            return (*(x[k] for x in typed.values()), *(None if x[k] == "" else x[k] for x in extra.values()))

        identity = ids[rows[0]].as_py()
        listed = [int(out.lines[i]) for i in rows]
        same = all(whole(i) == whole(rows[0]) for i in rows)
        reason = (
            f"a repetition of the record in line {listed[0]}" if same else f"lines {', '.join(map(str, listed))} have this id and differ"
        )
        for k, i in enumerate(rows):
            if k >= same:
                keep[i] = False
                found.append(Reject(entity, identity, listed[k], coerce.REPEATED, identity, reason))
    out.rejects += sorted(found, key=lambda r: r.line)
    out.repeated = len(found)


class Raw:
    """A table as it was read: Arrow arrays by column, or plain lists where no Arrow type holds a column's values."""

    def __init__(self, columns: Mapping[str, pa.Array | list[Any]], n: int, lines: Array | None = None) -> None:
        self.columns, self.n = columns, n
        self.lines = np.arange(1, n + 1) if lines is None else lines

    @classmethod
    def of_table(cls, table: pa.Table, lines: Array | None = None) -> Raw:
        return cls({name: _flat(table.column(name)) for name in table.column_names}, table.num_rows, lines)

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Raw:
        """Records as the row evaluator reads them, with `$line` for where they stand."""
        rows = list(rows)
        keys = dict.fromkeys(k for row in rows for k in row if k != "$line")
        columns = {key: _column([row.get(key) for row in rows]) for key in keys}
        lines = [line if type(line := row.get("$line")) is int and line > 0 else i for i, row in enumerate(rows, 1)]
        return cls(columns, len(rows), np.array(lines, np.int64))

    def some(self, name: str, rows: Array) -> list[Any]:
        column = self.columns[name]
        return [column[i] for i in rows.tolist()] if isinstance(column, list) else column.take(pa.array(rows)).to_pylist()


def _column(values: list[Any]) -> pa.Array | list[Any]:
    kinds = {type(x) for x in values if x is not None}
    if kinds == {str}:
        try:
            return pa.array(values, pa.string())
        except (ValueError, pa.ArrowException):  # a lone surrogate is no UTF-8
            return values
    return values


def _flat(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole.cast(pa.string()) if pa.types.is_large_string(whole.type) or pa.types.is_string_view(whole.type) else whole
