"""A subject of the partition index over a column: the cell of every row, and what each cell says of the rules, as 64-bit words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import EPOCH, NO_DAY, ByRow, Coded, Column, Constant, Days, Instants, Numbers, Truths, microseconds
from roe.dynamic import Array, Value
from roe.grammar import values as v
from roe.node import node
from roe.plan.cells import Subject
from roe.plan.subjects import key_of

MANY = 1 << 20  # cells times words above which a subject is keyed
KEYS = 128  # keys from which it is, where each names a few rules only
WORD = np.uint64
ONE = WORD(1)


BLOCK = 1 << 15  # rows at a time where intermediate arrays are to stay in the processor's cache


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, n, BLOCK))


def _looked_up(table: Array, at: Array) -> Array:
    """`table[at]`, where -1 is the last."""
    found = np.empty(len(at), table.dtype)
    for part in _blocks(len(at)):
        table.take(at[part], out=found[part], mode="wrap")
    return found


def tail(bits: int, w: int) -> Array:
    """All ones for a whole word, fewer for the last."""
    left = bits - w * 64
    return WORD(0xFFFFFFFFFFFFFFFF) if left >= 64 else WORD((1 << left) - 1)


@node(frozen=False)
class _Matrix:
    """Of every cell its two bitsets as rows of words, uint64[words, cells]; and of every word what the cells leave open."""

    true: Array
    possible: Array
    unsure: Array  # bool[words]: whether some cell leaves a rule of the word unknown
    touches: Array  # bool[words]: whether some cell rules one out, or leaves it unknown

    @classmethod
    def of(cls, masks: list[tuple[int, int]], words: int) -> _Matrix:
        def packed(bitsets: Iterable[int]) -> Array:
            data = b"".join(bitset.to_bytes(words * 8, "little") for bitset in bitsets)
            return np.ascontiguousarray(np.frombuffer(data, WORD).reshape(len(masks), words).T)

        true, possible = packed(t for t, _ in masks), packed(p for _, p in masks)
        unsure = (true != possible).any(1)
        full = np.array([tail(words * 64, w) for w in range(words)], WORD)
        return cls(true, possible, unsure, (possible != full[:, None]).any(1) | unsure)


class SubjectCells:
    """A subject's cells: the number of the cell for every value, and what each cell says of the rules.

    Cell 0 is null, 1 anything else; then the constants, with the gaps between them where the subject is ordered.
    """

    def __init__(self, subject: Subject, words: int) -> None:
        self.subject, self.words = subject, words
        self.cuts, self.points = subject.cuts, subject.points
        ordered = self.cuts is not None
        self.places: list[Value] = [] if ordered else list(self.points)
        self.count = 2 + (2 * len(self.cuts) + 1 if self.cuts is not None else len(self.places))
        few_each = sum(map(len, self.points.values())) <= 4 * len(self.places)
        self.keyed = not ordered and (self.count * words > MANY or (len(self.places) >= KEYS and few_each))
        self._found: dict[Value, int] = {key: i + 2 for i, key in enumerate(self.places)}
        self._extra: list[tuple[int, int]] = []  # masks of values that fall into no cell: of another kind
        self._matrix: _Matrix | None = None
        self._sparse: tuple[Array, Array, Array] | None = None

    # --- values to cells --------------------------------------------------------------------------------------------

    def of(self, column: Column) -> Array:
        """The cell of every row, int[n]. Raises ByRow for a value of a kind that a keyed subject does not expect."""
        if isinstance(column, Constant):
            return np.full(column.n, self.cell(column.value), np.int64)
        if self._asks_null_alone:
            return np.asarray(~column.nulls(), dtype=np.int64)
        if isinstance(column, (Numbers, Days, Instants)):
            cells = self._ordered(column)
            if cells is not None:
                return cells
        if isinstance(column, Truths) and not self.keyed:
            return np.array([self.cell(x) for x in (None, False, True)], np.int64)[column.data.astype(np.int64) + 1]
        if isinstance(column, Coded) and self.subject.kind == "string" and self.cuts is None:
            return self._texts(column)
        codes, meaning = column.encode()
        return np.array([self.cell(x) for x in meaning.list], np.int64)[codes]

    @cached_property
    def _asks_null_alone(self) -> bool:
        """Whether null or not is all that the rules ask of the subject."""
        return not self.subject.kind and all(not t.points and t.other is not None for _, t in self.subject.tests)

    def _ordered(self, column: Numbers | Days | Instants) -> Array | None:
        """The cells of values that have an order; None where the subject's constants are of another kind."""
        kind, data = self.subject.kind, column.data
        if isinstance(column, Numbers):
            if kind != "number" or not self._fits():
                return None
            return self._by_number(data, np.isnan(data), np.float64, float)
        if isinstance(column, Days):
            return self._by_number(data, data == NO_DAY, np.int64, lambda d: d.toordinal() - EPOCH) if kind == "date" else None
        if kind == "date and time" and self.cuts and self.subject.zoned:
            return self._by_number(data, data == NO_DAY, np.int64, microseconds)
        return None

    def _fits(self) -> bool:
        """Whether every constant is exact as a float."""
        constants = self.cuts if self.cuts is not None else [k for k in self.points if not isinstance(k, tuple)]
        return all(abs(c) <= v.EXACT for c in constants)

    def _by_number(self, data: Array, null: Array, kind: type[np.generic], as_number: Callable[[Value], float]) -> Array:
        constants = self.cuts if self.cuts is not None else list(self.points)
        values = np.array([as_number(c) for c in constants], kind)
        order = np.argsort(values)
        values = values[order]
        cells = self._by_table(data, null, values, order) if kind is np.float64 and len(data) > 100_000 and len(values) else None
        if cells is None:
            cells = self._place(data, values, order)
        if null.any():
            cells[null] = 0
        return cells

    def _by_table(self, data: Array, null: Array, values: Array, order: Array) -> Array | None:
        """Cells of whole numbers in a small range, looked up in a table of the range's own cells; None for other numbers."""
        low, high = (int(np.nanmin(data)), int(np.nanmax(data))) if not null.all() else (0, 0)
        if high - low >= 2_000_000:
            return None
        table = self._place(np.arange(low, high + 1).astype(np.float64), values, order)
        has_null = null.any()
        cells = np.empty(len(data), np.int64)
        for part in _blocks(len(data)):
            numbers = np.where(null[part], low, data[part]) if has_null else data[part]
            whole = numbers.astype(np.int64)
            if not (whole == numbers).all():
                return None
            whole -= low
            table.take(whole, out=cells[part], mode="clip")
        return cells

    def _place(self, data: Array, values: Array, order: Array) -> Array:
        if not len(values):
            return np.ones(len(data), np.int64)
        at = np.searchsorted(values, data)
        same = values[np.minimum(at, len(values) - 1)] == data
        if self.cuts is not None:
            return 2 + 2 * at + same
        return np.where(same, 2 + order[np.minimum(at, len(values) - 1)], 1)

    def _texts(self, column: Coded) -> Array:
        items = column.meaning.items
        if isinstance(items, pa.Array) and len(items) > 1000 and len(self.places) > 8:
            at_place = pc.index_in(items, pa.array([str(p) for p in self.places], items.type))
            at = at_place.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 2
        else:
            get = self._found.get
            at = np.array([get(x, 1) for x in column.meaning.list], np.int64)
        return _looked_up(np.append(at, 0), column.codes)  # -1 is the last: null

    def cell(self, value: Value) -> int:
        if value is None:
            return 0
        if self._asks_null_alone:
            return 1
        if self.subject.fits(value):
            return self._found.get(key_of(value), 1) if self.cuts is None else 2 + self.subject.place(value)
        return self._another(self.subject.masks(value))

    def _another(self, masks: tuple[int, int]) -> int:
        """A value of a kind that the rules did not expect: a cell for what they say of it."""
        if masks not in self._extra:
            if self.keyed:
                raise ByRow
            self._extra.append(masks)
            self._matrix = None
            self.count += 1
        return self.count - len(self._extra) + self._extra.index(masks)

    # --- cells to bitsets -------------------------------------------------------------------------------------------

    def mask(self, cell: int) -> tuple[int, int]:
        plain = self.count - len(self._extra)
        if cell >= plain:
            return self._extra[cell - plain]
        if cell == 0:
            return self.subject.masks(None)
        if self.cuts is not None:
            return self.subject.ordered_masks(cell - 2) if cell > 1 else self.subject.other_masks
        return self.subject.point_masks(self.places[cell - 2]) if cell > 1 else self.subject.other_masks

    @property
    def matrix(self) -> _Matrix:
        """The bitsets of every cell; made when first asked for, and anew when a cell has come."""
        if self._matrix is None:
            self._matrix = _Matrix.of([self.mask(cell) for cell in range(self.count)], self.words)
        return self._matrix

    # --- keyed ------------------------------------------------------------------------------------------------------

    def positive(self, bits: int) -> Array:
        """The rules' alternatives that only a named key can make true."""
        is_positive = np.zeros(bits, bool)
        is_positive[[bit for bit, test in self.subject.tests if test.other is False and test.null is False]] = True
        return is_positive

    def uses(self, bits: int) -> Array:
        is_used = np.zeros(bits, bool)
        is_used[[bit for bit, _ in self.subject.tests]] = True
        return is_used

    def candidates(self, own: Array) -> tuple[Array, Array, Array]:
        """Per cell its alternatives among `own` that are true or unknown there: (where each begins, they, which are true)."""
        alternatives = [
            (i + 2, bit, truth is True)
            for i, key in enumerate(self.places)
            for bit, truth in self.points[key]
            if own[bit] and truth is not False
        ]
        alternatives.sort()
        cells = np.array([c for c, _, _ in alternatives], np.int64)
        starts = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=self.count + 64))])
        return starts, np.array([b for _, b, _ in alternatives], np.int64), np.array([x for _, _, x in alternatives], bool)

    def truth(self, bit: Array, cell: Array) -> tuple[Array, Array]:
        """(true, not false) of alternatives at cells, pairwise."""
        if not self.keyed:
            word, shift = bit >> 6, (bit & 63).astype(WORD)
            yes = (self.matrix.true[word, cell] >> shift) & ONE
            maybe = (self.matrix.possible[word, cell] >> shift) & ONE
            return yes != 0, maybe != 0
        if self._sparse is None:
            bits = self.words * 64
            away = np.ones((2, bits, 2), bool)  # (null, other) x bit x (true, possible)
            for b, test in self.subject.tests:
                for k, truth in enumerate((test.null, test.other)):
                    away[k, b] = (truth is True, truth is not False)
            named = [(b, i + 2, truth) for i, key in enumerate(self.places) for b, truth in self.points[key]]
            named.sort(key=lambda x: x[:2])
            keys = np.array([b * self.count + c for b, c, _ in named], np.int64)
            self._sparse = away, keys, np.array([(t is True, t is not False) for _, _, t in named], bool).reshape(-1, 2)
        away, keys, truths = self._sparse
        verdicts = away[np.where(cell == 0, 0, 1), bit]
        if len(keys):
            wanted = bit * self.count + cell
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            same = keys[at] == wanted
            verdicts[same] = truths[at[same]]
        return verdicts[:, 0], verdicts[:, 1]
