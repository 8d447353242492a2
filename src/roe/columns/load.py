"""Raw tables to typed columns: the same coercion as the row evaluator's, once per distinct value.

`roe.data.coerce` says what a text means. Here its makers are asked for each distinct value of a column; plain texts,
numbers and dates, which mean themselves, are recognised by the million with Arrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import NO_DAY, Coded, Column, Constant, Days, Dictionary, Instants, Numbers, from_values
from roe.columns.hosts import registrable
from roe.crm.ids import SHORT, fold_all
from roe.data.coerce import (
    NAMELESS,
    POSTAL,
    REPEATED,
    UNKNOWN_RECORD,
    WRITTEN,
    ZEROS,
    Cells,
    Records,
    cells_of,
    clean,
    corrected,
    field_of,
    finished,
    is_local,
    listed,
    localized,
    maker,
    settle,
    shown,
    started,
    telling,
)
from roe.data.habits import Habits, is_open
from roe.data.reading import FEW as FEW_VALUES
from roe.data.reading import Reading, Reject
from roe.data.scan import Origin, Sheet
from roe.dynamic import Array
from roe.grammar.clock import zone_of
from roe.policy.model import DataSource, Field, Policy
from roe.progress import phase

FEW = 20_000  # distinct texts that are simply asked about, one by one
_PLAIN = r"^[!-~]([ -~]*[!-~])?$"


@dataclass(slots=True)
class TypedColumns:
    """The records of an entity in the order of their ids: typed columns by field, lines, and what coercion said."""

    n: int
    reading: Reading
    columns: dict[str, Column] = field(default_factory=dict)
    ids: pa.Array = None
    lines: Array = None
    rejects: list[Reject] = field(default_factory=list)
    repeated: int = 0  # how many of the rejects, the last ones, are repetitions

    @property
    def names(self) -> dict[str, str]:
        """field -> the data's column."""
        return self.reading.columns

    @property
    def corrected(self) -> Counter[tuple[str, str, str]]:
        """(field, written, meant) -> records."""
        return self.reading.corrected


def typed_columns(policy: Policy, entity: str, raw: Raw) -> TypedColumns:
    """Typed columns of a raw table."""
    fields = policy.model.entities[entity]
    source = policy.data.get(entity, DataSource())
    zone = zone_of(policy.timezone)
    n = raw.n
    phase(f"understanding {n:,} {entity} records")
    decided = any(entity == e for e, _ in policy.plan.engagement)
    out = TypedColumns(n, started(entity, fields, raw.columns, policy.model.roles(), raw.origin, n, decided))
    out.lines = raw.lines
    out.rejects += [Reject(entity, "", line, "", text, reason) for line, text, reason in raw.origin.rejects]
    problems = _Problems(n)
    for name, column in out.names.items():
        f = field_of(fields, name)
        habits = raw.habits_of(column, f)
        if habits is not None:
            settle(habits, column, out.reading)
        cells = cells_of(f, zone, source, habits, entity)
        out.columns[name] = _Reader(name, cells, zone, habits, out.reading, problems).read(raw.columns[column])
    for name, f in fields.items():
        if name in out.names and is_local(f):
            _localize(name, f, out, problems)
    out.reading.filled.update({name: n - int(out.columns[name].nulls().sum()) for name in out.names})
    for name in listed(out.names, fields):
        made = out.columns[name]
        out.reading.list_values(name, _texts_of(made) if isinstance(made, Coded) else ())
    for name, f in fields.items():
        if f.default is not None:
            value = maker(f, zone, source)(f.default)
            out.columns[name] = _filled(out.columns.get(name, Constant(None, n)), value)
    for f in fields.values():
        if f.required and f.type.name != "owners":
            lacking = out.columns[f.name].nulls() if f.name in out.columns else np.ones(n, bool)
            problems.add(f.name, lacking, lambda i, name=f.name: ("", f"`{name}` is required and missing"))  # type: ignore[misc]
    written = _written(out, raw)
    _identify(entity, out, problems, decided)
    if written is not None:
        out.columns[WRITTEN] = coded(written)
    _reject(entity, out, problems, raw)
    finished(out.reading, out.rejects)
    return out


class _Problems:
    """The first problem of each row: fields are looked at in order."""

    def __init__(self, n: int) -> None:
        self.found: dict[int, tuple[str, Any, str]] = {}

    def add(self, name: str, rows: Array, say: Callable[[int], tuple[Any, str]]) -> None:
        for i in np.flatnonzero(rows).tolist():
            if i not in self.found:
                self.found[i] = (name, *say(i))


class _Reader:
    """One raw column on its way to a typed one: each distinct value is read once, and counted by how often it stands there."""

    def __init__(self, name: str, cells: Cells, zone: Any, habits: Habits | None, reading: Reading, problems: _Problems) -> None:
        self.name, self.cells, self.zone, self.habits = name, cells, zone, habits
        self.reading, self.problems = reading, problems

    def read(self, arr: pa.Array | list[Any]) -> Column:
        if isinstance(arr, list):
            return self._distinct(np.arange(len(arr), dtype=np.int32), arr)
        fast = _already(self.cells.field, arr, self.zone)
        if fast is not None:
            return fast
        if pa.types.is_dictionary(arr.type):
            arr = arr.dictionary_decode() if not pa.types.is_string(arr.type.value_type) else arr
        codes: Array
        if pa.types.is_string(arr.type) and _mostly_distinct(arr):
            codes = np.arange(len(arr), dtype=np.int32)  # a dictionary of itself: nothing to gain from finding what repeats
            if arr.null_count:
                codes[arr.is_null().to_numpy(zero_copy_only=False)] = -1
            return self._meant(codes, arr)
        if not pa.types.is_dictionary(arr.type):
            if pa.types.is_nested(arr.type) or pa.types.is_decimal(arr.type):
                return self.read(arr.to_pylist())
            if pa.types.is_null(arr.type):
                return Constant(None, len(arr))
            arr = arr.dictionary_encode()
        codes = arr.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
        return self._meant(codes, arr.dictionary)

    def _meant(self, codes: Array, meant: pa.Array) -> Column:
        """Codes into raw texts as codes into what they mean."""
        plain = _plain(self.cells, meant)
        if plain is None:
            figures = _plain_numbers(self.cells, self.habits, meant)
            return self._distinct(codes, meant.to_pylist()) if figures is None else self._numbers(codes, meant, *figures)
        result, todo = plain
        if not len(todo):
            return Coded(codes, Dictionary(result))
        items = meant.take(pa.array(todo)).to_pylist()
        again = np.full(len(meant) + 1, -1, np.int32)  # the others, one by one: they may be null, or a problem
        again[todo] = np.arange(len(todo))
        some = self._distinct(again[codes], items)
        texts = some.values() if isinstance(some, Constant) else some.meaning.list  # type: ignore[attr-defined]
        odd = some.codes if isinstance(some, Coded) else np.full(len(codes), -1, np.int32)
        texts = [x for x in texts if x is not None] if isinstance(some, Constant) else texts
        is_odd = again[codes] >= 0
        merged = np.where(is_odd, np.where(odd < 0, -1, odd + len(meant)), codes).astype(np.int32)
        return Coded(merged, Dictionary(pa.concat_arrays([result, pa.array(texts, pa.string())])))

    def _numbers(self, codes: Array, meant: pa.Array, values: Array, todo: Array) -> Column:
        """Codes into texts most of which are plain numbers: `values`, but for those `todo`."""
        if len(todo):
            again = np.full(len(meant) + 1, -1, np.int32)
            again[todo] = np.arange(len(todo))
            rest = self._distinct(again[codes], meant.take(pa.array(todo)).to_pylist())
            if not isinstance(rest, (Numbers, Constant)):  # whole numbers beyond the exact ones
                return self._distinct(codes, meant.to_pylist())
            odd = rest.data if isinstance(rest, Numbers) else np.full(len(codes), np.nan)
            return Numbers(np.where(again[codes] >= 0, odd, np.append(values, np.nan)[codes]))
        return Numbers(np.append(values, np.nan)[codes])

    def _distinct(self, codes: Array, items: list[Any]) -> Column:
        cells, name, reading = self.cells, self.name, self.reading
        meant: list[Any] = []
        wrong: dict[int, str] = {}
        unread: dict[int, str] = {}
        aliased: dict[int, str] = {}
        for i, value in enumerate(items):
            found = None
            if value is None or value != value:
                pass
            elif isinstance(value, str) and cells.is_missing(text := clean(value)):
                if text:
                    unread[i] = text
            else:
                found, problem, alias = cells.read(value)
                if alias is not None:
                    aliased[i] = alias
                if problem:
                    wrong[i] = problem
                elif found is None and cells.is_unread(shown(value)):
                    unread[i] = shown(value)
            meant.append(found)
        if unread or aliased:
            counts = np.bincount(codes[codes >= 0], minlength=len(items)).tolist()
            for i, text in unread.items():
                if counts[i]:
                    reading.unread[name, text] += counts[i]
            for i, text in aliased.items():
                if counts[i]:
                    reading.corrected[name, text, corrected(cells.field, text)] += counts[i]
        if wrong:
            bad = np.append(np.array([i in wrong for i in range(len(items))], bool), False)
            self.problems.add(name, bad[codes], lambda i: (items[codes[i]], wrong[int(codes[i])]))
        return _shaped(cells.field, meant).take(codes)


def _mostly_distinct(arr: pa.Array) -> bool:
    if len(arr) <= 5 * FEW:
        return False
    sample = arr.take(pa.array(np.arange(0, len(arr), len(arr) // 10_000)))
    return bool(len(pc.unique(sample)) > 0.9 * len(sample))


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


def _plain(cells: Cells, meant: pa.Array) -> tuple[pa.Array, Array] | None:
    """(what each distinct text means, which of them must be asked about); None where all must."""
    f = cells.field
    text = f.type.name == "string" and not f.type.values and f.normalize in ("", "lower", "domain", "postal_code")
    reference = f.type.name in ("record", "owners") and f.keys is None
    if len(meant) <= FEW or not pa.types.is_string(meant.type) or f.aliases or not (text or reference):
        return None
    mask = pc.match_substring_regex(meant, _PLAIN)
    mask = pc.and_(mask, pc.invert(pc.is_in(pc.ascii_lower(meant), pa.array(sorted(cells.words), pa.string()))))
    mask = pc.and_(mask, pc.invert(pc.is_in(meant, pa.array(sorted(cells.exact), pa.string()))))
    folds = f.normalize == "" and f.type.name != "owners" and f.type.entity != "rep"
    result = pc.ascii_lower(meant) if f.normalize == "lower" else fold_all(meant) if folds else meant
    mask = mask.to_numpy(zero_copy_only=False)
    if f.normalize == "domain":
        mask &= registrable(meant)
    return result, np.flatnonzero(~mask)


def _plain_numbers(cells: Cells, habits: Habits | None, meant: pa.Array) -> tuple[Array, Array] | None:
    """(the number that each distinct text is, which of them must be asked about); None where all must."""
    f = cells.field
    if len(meant) <= FEW or not pa.types.is_string(meant.type) or f.type.name != "number" or f.reads or f.currency or f.aliases:
        return None
    pattern = r"^-?\d{1,15}(\.\d{1,9})?$" if habits is not None and habits.sign == "." and not f.format else r"^-?\d{1,15}$"
    mask = pc.fill_null(pc.match_substring_regex(meant, pattern), False)
    values = pc.if_else(mask, meant, pa.scalar(None, pa.string())).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return values, np.flatnonzero(~mask.to_numpy(zero_copy_only=False))


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


def _localize(name: str, f: Field, out: TypedColumns, problems: _Problems) -> None:
    """Read a column's texts by the country of their records: each pair of a text and a country once."""
    column, where = out.columns[name], out.columns.get("country")
    if not isinstance(column, Coded) or not len(column.meaning):
        return
    places, countries = (
        where.encode() if where is not None and not isinstance(where, Constant) else (np.zeros(out.n, np.int64), Dictionary([None]))
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
            out.reading.corrected[name, text, meant] += times[i]
        if not understood:
            lost[i] = True
            if f.standard:
                out.reading.unread[name, text] += times[i]
    if lost.any() and not f.standard:
        bad = np.zeros(out.n, bool)
        bad[at[lost[back]]] = True
        problems.add(name, bad, lambda i: (texts[column.codes[i]], f"`{texts[column.codes[i]]}` is not a state"))
    again[at] = fresh[back]
    items = column.meaning.items
    whole = (
        pa.concat_arrays([items, pa.array(more, pa.string())])
        if isinstance(items, pa.Array) and not column.meaning.null_first
        else [*texts, *more]
    )
    out.columns[name] = Coded(again, Dictionary(whole))


def _mendable(column: Coded, known: Array, named: list[Any]) -> Array:
    """The rows whose postal code may have lost a zero."""
    digits, pointed = np.zeros(len(column.meaning) + 1, np.int64), np.zeros(len(column.meaning) + 1, bool)
    items = column.meaning.items
    if isinstance(items, pa.Array) and not column.meaning.null_first:
        some = np.flatnonzero(pc.fill_null(pc.match_substring_regex(items, f"^{POSTAL.pattern}$"), False).to_numpy(zero_copy_only=False))
        listed: Iterable[tuple[int, Any]] = zip(some.tolist(), items.take(pa.array(some)).to_pylist())
    else:
        listed = enumerate(column.meaning.list)
    for code, text in listed:
        m = POSTAL.fullmatch(text) if text else None
        if m is not None:
            digits[code], pointed[code] = len(m[1]), m[3] is not None
    widths = np.array([ZEROS.get(c or "", 0) for c in named], np.int64)[known]
    length = digits[column.codes]
    return (widths > 0) & (length > 0) & ((length < widths) | pointed[column.codes])


def _texts_of(column: Coded) -> list[str]:
    """The texts of a column, as long as they are few."""
    used = np.flatnonzero(np.bincount(column.codes[column.codes >= 0], minlength=len(column.meaning))) if len(column.meaning) else []
    found: set[str] = set()
    for code in used:
        text = column.meaning.items[int(code)] if not column.meaning.null_first else column.meaning.list[int(code)]
        found.add(text.as_py() if isinstance(text, pa.Scalar) else text)
        if len(found) > FEW_VALUES:
            break
    return [x for x in found if x is not None]


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


def _identify(entity: str, out: TypedColumns, problems: _Problems, decided: bool) -> None:
    """Every record's id and name, as `coerce_table` gives them."""
    own = _texts(out, "id")
    if "id" in out.names:
        own = pa.nulls(out.n, pa.string()) if own is None else own
        out.ids, lacking, reason = own, own.is_null(), NAMELESS
    else:
        parts = [t for name in telling(entity, decided) if (t := _texts(out, name)) is not None]
        if not decided:
            parts.append(pa.array([f"{entity}-{line}" for line in out.lines.tolist()], pa.string()))
        out.ids = pc.coalesce(*parts) if parts else pa.nulls(out.n, pa.string())
        lacking, reason = out.ids.is_null(), UNKNOWN_RECORD
    if isinstance(out.ids, pa.ChunkedArray):
        out.ids = out.ids.combine_chunks()
    if out.ids.null_count:
        problems.add("id", lacking.to_numpy(zero_copy_only=False), lambda i: ("", reason))
        out.ids = out.ids.fill_null("")
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
        out.rejects.append(Reject(entity, out.ids[i].as_py(), int(out.lines[i]), name, shown(value), reason))
    out.rejects.sort(key=lambda r: r.line)
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
    typed = {name: c.take(again).values() for name, c in out.columns.items() if name != WRITTEN}
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
                found.append(Reject(entity, identity, listed[k], REPEATED, identity, reason))
    out.rejects += sorted(found, key=lambda r: r.line)
    out.repeated = len(found)


class Raw:
    """A table as it was read: Arrow arrays by column, or plain lists where no Arrow type holds a column's values.

    `origin` is its file and what the reading of it said. Of a portion of a table `habits` are what its whole columns settle.
    """

    def __init__(
        self,
        columns: Mapping[str, pa.Array | list[Any]],
        n: int,
        lines: Array | None = None,
        origin: Origin | None = None,
        habits: Mapping[str, Habits] | None = None,
    ) -> None:
        self.columns, self.n = columns, n
        self.lines = np.arange(1, n + 1) if lines is None else lines
        self.origin, self.habits = origin or Origin(""), habits

    @classmethod
    def of_table(
        cls,
        table: pa.Table,
        lines: Array | None = None,
        origin: Origin | None = None,
        habits: Mapping[str, Habits] | None = None,
    ) -> Raw:
        columns = {name: _flat(table.column(name)) for name in table.column_names}
        return cls(columns, table.num_rows, lines, origin, habits)

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Raw:
        """Records as the row evaluator reads them, with `$line` for where they stand."""
        origin = rows.origin if isinstance(rows, Records) else Origin("")
        rows = list(rows)
        keys = dict.fromkeys((*origin.header, *(k for row in rows for k in row if k != "$line")))
        columns = {key: _column([row.get(key) for row in rows]) for key in keys}
        lines = [line if type(line := row.get("$line")) is int and line > 0 else i for i, row in enumerate(rows, 1)]
        return cls(columns, len(rows), np.array(lines, np.int64), origin)

    @classmethod
    def of_sheet(cls, sheet: Sheet) -> Raw:
        """The rows of a file of texts."""
        held = zip(*sheet.rows, strict=True) if sheet.rows else ([] for _ in sheet.header)
        columns = {name: _column(list(cells)) for name, cells in zip(sheet.header, held, strict=True)}
        return cls(columns, len(sheet.rows), np.array(sheet.lines, np.int64), sheet.origin)

    def habits_of(self, column: str, f: Field) -> Habits | None:
        """What a column settles for a field whose texts may have two readings."""
        if not is_open(f):
            return None
        if self.habits is not None and column in self.habits:
            return self.habits[column]
        return habits_of(f, self.columns[column])

    def some(self, name: str, rows: Array) -> list[Any]:
        column = self.columns[name]
        return [column[i] for i in rows.tolist()] if isinstance(column, list) else column.take(pa.array(rows)).to_pylist()


def habits_of(f: Field, column: pa.Array | list[Any]) -> Habits:
    """The votes of a column's texts."""
    found = Habits()
    if isinstance(column, list):
        found.add(f, {x for x in column if isinstance(x, str)})
        return found
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return found
    texts = pc.unique(column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
    if len(texts) > FEW and f.type.name == "number":  # whole numbers have nothing to say, plain fractions vote for the point
        texts = texts.filter(pc.invert(pc.match_substring_regex(texts, r"^-?\d+$")))
        pointed = pc.match_substring_regex(texts, r"^\d+\.(\d{1,2}|\d{4,})$")
        found.add(f, texts.filter(pointed)[:1].to_pylist())
        texts = texts.filter(pc.invert(pointed))
    found.add(f, texts.to_pylist())
    return found


def _column(values: list[Any]) -> pa.Array | list[Any]:
    kinds = {type(x) for x in values if x is not None}
    if kinds == {str}:
        try:
            return pa.array(values, pa.string())
        except (ValueError, pa.ArrowException):  # a lone surrogate is not valid UTF-8
            return values
    return values


def _flat(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], whole.type)
    return whole.cast(pa.string()) if pa.types.is_large_string(whole.type) or pa.types.is_string_view(whole.type) else whole
