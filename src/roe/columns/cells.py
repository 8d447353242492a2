"""One raw column on its way to a typed one: the makers of `roe.data` are asked once per distinct value, plain texts and numbers by the million."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import NO_DAY, Coded, Column, Constant, Days, Dictionary, Instants, Numbers
from roe.columns.hosts import registrable
from roe.columns.make import from_values
from roe.crm.ids import fold_all
from roe.data.cells import Cells, corrected
from roe.data.habits import Habits
from roe.data.reading import Problem, Reading
from roe.dynamic import Array, Cell, Value
from roe.policy.model import Field, Keys

FEW = 20_000  # distinct texts of a column of figures that vote one by one
PLAIN_FROM = 1_000  # distinct texts from which those that mean themselves are told apart at once; fewer are simply asked about


_PLAIN = r"""^[!"$-<>-~]([ -~]*[!-~])?$"""


class Problems:
    """The first problem of each row: fields are looked at in order."""

    def __init__(self, n: int) -> None:
        self.found: dict[int, Problem] = {}

    def add(self, name: str, rows: Array, say: Callable[[int], tuple[Cell, str]]) -> None:
        for i in np.flatnonzero(rows).tolist():
            if i not in self.found:
                self.found[i] = (name, *say(i))


class ColumnReader:
    """One raw column on its way to a typed one: each distinct value is read once, and counted by how often it stands there."""

    def __init__(self, name: str, cells: Cells, zone: tzinfo, habits: Habits | None, reading: Reading, problems: Problems) -> None:
        self.name, self.cells, self.zone, self.habits = name, cells, zone, habits
        self.reading, self.problems = reading, problems

    def read(self, arr: pa.Array | list[Cell]) -> Column:
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
        indices = arr.indices.fill_null(-1) if arr.indices.null_count else arr.indices
        codes = indices.to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
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

    def _distinct(self, codes: Array, items: list[Cell]) -> Column:
        cells, name, reading = self.cells, self.name, self.reading
        meant: list[Value] = []
        wrong: dict[int, str] = {}
        unread: dict[int, str] = {}
        aliased: dict[int, str] = {}
        for i, value in enumerate(items):
            value_of, problem, alias, text = cells.read(value)
            if alias is not None:
                aliased[i] = alias
            if problem:
                wrong[i] = problem
            elif text:
                unread[i] = text
            meant.append(value_of)
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


def _already(f: Field, arr: pa.Array, zone: tzinfo) -> Column | None:
    """A column that Parquet holds in the field's own type."""
    kind = f.type.name
    if kind == "number" and (pa.types.is_integer(arr.type) or pa.types.is_floating(arr.type)):
        numbers = arr.cast(pa.float64(), safe=False)
        data = (numbers.fill_null(np.nan) if numbers.null_count else numbers).to_numpy(zero_copy_only=False)
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
    reference = f.type.name in ("record", "owners")
    if len(meant) <= PLAIN_FROM or not pa.types.is_string(meant.type) or f.aliases or not (text or reference):
        return None
    mask = _mean_themselves(meant, cells)
    folds = f.normalize == "" and f.type.name != "owners" and f.type.entity != "rep"
    result = pc.ascii_lower(meant) if f.normalize == "lower" else fold_all(meant) if folds else meant
    if f.normalize == "domain":
        mask &= registrable(meant)
    if cells.names and _has_byte(meant, "+"):
        mask &= ~pc.fill_null(pc.match_substring(meant, "E+"), False).to_numpy(zero_copy_only=False)
    if f.keys is not None:
        mask &= ~_may_name_another(meant, f.keys)
    return result, np.flatnonzero(~mask)


def _may_name_another(texts: pa.Array, keys: Keys) -> Array:
    """Whether a reference may mean something else than its text: one of several records, who has left, a queue, or another entity's record."""
    signs = [pc.starts_with(texts, start) for start in (*keys.others, *keys.queue_prefixes)]
    if keys.several:
        signs.append(pc.match_substring(texts, keys.several))
    if keys.left:
        signs.append(pc.ends_with(texts, ")"))
    if keys.queues:
        signs.append(pc.is_in(fold_all(texts), value_set=pa.array(sorted(keys.queues), pa.string())))
    found = np.zeros(len(texts), bool)
    for sign in signs:
        found |= pc.fill_null(sign, False).to_numpy(zero_copy_only=False)
    return found


def _mean_themselves(texts: pa.Array, cells: Cells) -> Array:
    """Whether each text is printable ASCII without a space at its ends, not a word for a missing value, and not `#…` or `="…"`, which
    may be a spreadsheet's; a null counts as such a text.
    """
    starts, letters = _bytes_of(texts)
    used = letters[starts[0] : starts[-1]]
    low = used.min() if len(used) else 0
    if low < ord(" ") or used.max() > ord("~"):
        mask = pc.fill_null(pc.match_substring_regex(texts, _PLAIN), True).to_numpy(zero_copy_only=False).copy()
    elif low > ord("#"):
        mask = np.diff(starts) > 0
    else:
        first, last = np.minimum(starts[:-1], starts[-1] - 1), np.maximum(starts[1:] - 1, starts[0])
        mask = (np.diff(starts) > 0) & (letters[first] != ord(" ")) & (letters[last] != ord(" "))
        mask &= (letters[first] != ord("#")) & (letters[first] != ord("="))
    words, exact = (pa.array(sorted(x), pa.string()) for x in (cells.words, cells.exact))
    short = np.flatnonzero(np.diff(starts) <= max((len(x) for x in (*cells.words, *cells.exact)), default=0))
    if len(short):  # the others are longer than all words
        some = texts.take(pa.array(short))
        is_word = pc.or_(pc.is_in(pc.ascii_lower(some), words), pc.is_in(some, exact))
        mask[short] &= ~is_word.to_numpy(zero_copy_only=False)
    return mask | texts.is_null().to_numpy(zero_copy_only=False) if texts.null_count else mask


def _has_byte(texts: pa.Array, sign: str) -> bool:
    """Whether some text has an ASCII sign: a tenth of the time that a search in each text takes."""
    starts, letters = _bytes_of(texts)
    return bool((letters[starts[0] : starts[-1]] == ord(sign)).any())


def lengths(texts: pa.Array) -> Array:
    """The bytes of each text, int32[n]."""
    return np.diff(_bytes_of(texts)[0])


def _bytes_of(texts: pa.Array) -> tuple[Array, Array]:
    """Where each text begins among the bytes of all of them, int32[n + 1], and these bytes."""
    _, starts, letters = texts.buffers()
    offsets = np.frombuffer(starts, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return offsets, np.frombuffer(letters, np.uint8) if letters is not None else np.zeros(0, np.uint8)


def _plain_numbers(cells: Cells, habits: Habits | None, meant: pa.Array) -> tuple[Array, Array] | None:
    """(the number that each distinct text is, which of them must be asked about); None where all must."""
    f = cells.field
    if len(meant) <= PLAIN_FROM or not pa.types.is_string(meant.type) or f.type.name != "number" or f.reads or f.currency or f.aliases:
        return None
    pattern = r"^-?\d{1,15}(\.\d{1,9})?$" if habits is not None and habits.sign == "." and not f.format else r"^-?\d{1,15}$"
    mask = pc.fill_null(pc.match_substring_regex(meant, pattern), False)
    values = pc.if_else(mask, meant, pa.scalar(None, pa.string())).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return values, np.flatnonzero(~mask.to_numpy(zero_copy_only=False))


def _shaped(f: Field, values: list[Value]) -> Column:
    """A column in the shape of the field's type, whatever values happen to be there."""
    if f.type.name in ("string", "record", "owners"):
        column = from_values(values)
        return Coded(np.full(len(values), -1, np.int32), Dictionary([])) if isinstance(column, Constant) else column
    if f.type.name == "date and time":
        zones = {x.tzinfo for x in values if isinstance(x, datetime)}
        if len(zones) == 1 and None not in zones:
            from roe.columns.column import microseconds

            return Instants(np.array([NO_DAY if x is None else microseconds(x) for x in values], np.int64), cast("tzinfo", zones.pop()))
    return from_values(values)
