"""The partition index over columns: which rule holds, for every row of a table at once.

A subject's column becomes *cells*, one small integer per row, and each cell's bitsets become rows of 64-bit words. Rows
that fall into the same cells are decided once. Words are visited in order and rows leave as soon as a rule holds, so
the work is rows x words actually needed. A subject with many keys (ZIP codes, domains) has no bitsets: its rules are
found by key and checked one by one, since a key names few.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import EPOCH, NO_DAY, ByRow, Coded, Column, Constant, Days, Instants, Numbers, Truths, distinct, microseconds
from roe.dynamic import Array
from roe.grammar import values as v
from roe.plan.index import Index, Subject
from roe.plan.subjects import key_of

MANY = 1 << 20  # cells times words above which a subject is keyed
KEYS = 128  # keys from which it is, where each names a few rules only
SHARE = 100_000  # rows from which a second core is worth its while
WORD = np.uint64
_ONE = WORD(1)


@dataclass(slots=True)
class Fired:
    """Per row the first rule that holds, or -1; per rule, on how many rows it stood unknown before the one that held."""

    rule: Array
    unknown: Array


@dataclass(slots=True)
class Held:
    """Per row a number, and for each number the rules that hold and those that are unknown."""

    group: Array
    groups: list[tuple[tuple[int, ...], tuple[int, ...]]]


class ColumnIndex:
    """An `Index` ready for columns; made once per compiled policy."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.bits = len(index.rule_of)
        self.words = (self.bits + 63) // 64
        self.rule_of = np.array(index.rule_of, np.int32)
        self.rules = int(self.rule_of[-1]) + 1 if self.bits else 0
        self.single = len(set(index.rule_of)) == self.bits
        self.subjects = [_Cells(subject, self.words) for subject in index.subjects]
        self.dense = [c for c in self.subjects if not c.keyed]
        self.keyed = [c for c in self.subjects if c.keyed]
        by_key = np.zeros(self.bits, bool)  # a bit is found by the first keyed subject that it tests
        self.uses = {id(c): c.uses(self.bits) for c in self.subjects}
        self.pivots: list[tuple[_Cells, Array, Array, Array]] = []
        for c in self.keyed:
            own = c.positive(self.bits) & ~by_key
            by_key |= own
            self.pivots.append((c, *c.candidates(own)))
        uses = np.zeros(self.bits, bool)
        for c in self.keyed:
            uses |= self.uses[id(c)]
        self.odd = np.flatnonzero(uses & ~by_key)  # `not in` a long list: asked for every row
        self.general = _pack(~uses, self.words)

    def first(self, eval: Callable[[Any], Column], n: int) -> Fired:
        """The first rule that holds for each of `n` rows; `eval` gives a subject's column."""
        cells = {id(c): c.of(eval(c.subject.node)) for c in self.subjects}
        joint, kept = _joint([(cells[id(c)], c.count) for c in self.subjects], n) if n > 4096 else (None, None)
        if joint is None or kept is None:
            return self._shared(cells, n)
        few = {key: at[kept] for key, at in cells.items()}
        found = self._decide(few, len(kept), np.bincount(joint, minlength=len(kept)))
        return Fired(found.rule[joint], found.unknown)

    def _shared(self, cells: dict[int, Array], n: int) -> Fired:
        """Rows in as many portions as there are cores: NumPy lets go of the interpreter while it works."""
        cores = min(os.cpu_count() or 1, n // SHARE, 8)
        if cores < 2:
            return self._decide(cells, n, np.ones(n, np.int64))
        for c in self.dense:
            c.possible_word(0)  # made before threads ask for it
        from concurrent.futures import ThreadPoolExecutor

        cuts = [n * i // cores for i in range(cores + 1)]

        def part(i: int) -> Fired:
            some = slice(cuts[i], cuts[i + 1])
            return self._decide(
                {key: at[some] for key, at in cells.items()}, cuts[i + 1] - cuts[i], np.ones(cuts[i + 1] - cuts[i], np.int64)
            )

        with ThreadPoolExecutor(cores) as pool:
            found = list(pool.map(part, range(cores)))
        return Fired(np.concatenate([f.rule for f in found]), np.sum([f.unknown for f in found], axis=0))

    def _decide(self, cells: dict[int, Array], n: int, weights: Array) -> Fired:
        best = np.full(n, self.bits, np.int64)
        doubts: list[tuple[Array, Array]] = []
        for pivot, starts, bits, sure in self.pivots:
            place = cells[id(pivot)]
            at, end = starts[place], starts[place + 1]
            live = np.flatnonzero(at < end)
            at, end = at[live], end[live]
            while len(live):
                held = self._ask(bits[at], live, cells, best, doubts, pivot, sure[at])
                at = at + 1
                more = np.flatnonzero((at < end) & ~held)
                live, at, end = live[more], at[more], end[more]
        for bit in self.odd.tolist():
            live = np.flatnonzero(best > bit)
            self._ask(np.full(len(live), bit), live, cells, best, doubts)
        pending = self._scan(cells, n, best)
        rule = np.full(n, -1, np.int32)
        hit = best < self.bits
        rule[hit] = self.rule_of[best[hit]]
        return Fired(rule, self._unknown(pending, doubts, best, rule, weights))

    def _ask(
        self,
        bit: Array,
        rows: Array,
        cells: dict[int, Array],
        best: Array,
        doubts: list[tuple[Array, Array]],
        known: _Cells | None = None,
        sure: Array = None,
    ) -> Array:
        """Whether one rule's alternative holds for each of some rows; keeps the best so far, and what is unknown."""
        true, possible = np.ones(len(rows), bool) if sure is None else sure.copy(), np.ones(len(rows), bool)
        for c in self.subjects:
            if c is known or not self.uses[id(c)][bit].any():
                continue
            yes, maybe = c.truth(bit, cells[id(c)][rows])
            true &= yes
            possible &= maybe
        hit = np.flatnonzero(true & (bit < best[rows]))
        best[rows[hit]] = bit[hit]
        unsure = np.flatnonzero(possible & ~true)
        if len(unsure):
            doubts.append((rows[unsure], bit[unsure]))
        return true

    def _scan(self, cells: dict[int, Array], n: int, best: Array) -> list[tuple[Array, int, Array]]:
        """Word by word, lowers `best` to the first true bit; gives the unknown bits as (rows, word, bits)."""
        unknown = []
        live = np.arange(n)
        for w in range(self.words):
            if not self.general[w]:
                continue
            live = live[best[live] > w * 64]
            if not len(live):
                break
            used = [(c, cells[id(c)]) for c in self.dense if c.touches(w)]
            possible = np.full(len(live), self.general[w] & _tail(self.bits, w), WORD)
            for c, place in used:
                possible &= c.possible_word(w).take(place.take(live))
            some = np.flatnonzero(possible)
            if not len(some):
                continue
            rows, possible = live[some], possible[some]
            true = possible.copy()
            for c, place in used:
                if c.unsure(w):
                    true &= c.true_word(w).take(place.take(rows))
            low = true & (~true + _ONE)
            hit = np.flatnonzero(low)
            best[rows[hit]] = np.minimum(best[rows[hit]], w * 64 + _log2(low[hit]))
            open_ = possible & ~true
            some = np.flatnonzero(open_)
            if len(some):
                unknown.append((rows[some], w, open_[some]))
        return unknown

    def _unknown(
        self, pending: list[tuple[Array, int, Array]], doubts: list[tuple[Array, Array]], best: Array, rule: Array, weights: Array
    ) -> Array:
        """Per rule, on how many rows it was unknown before the one that held."""
        out = np.zeros(max(self.rules, 1), np.int64)
        pairs: list[tuple[Array, Array]] = []
        for rows, w, bits in pending:
            limit = best[rows] - w * 64
            below = np.where(limit >= 64, WORD(0xFFFFFFFFFFFFFFFF), (_ONE << np.clip(limit, 0, 63).astype(WORD)) - _ONE)
            bits = bits & below
            some = np.flatnonzero(bits)
            unpacked = np.unpackbits(bits[some].view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
            if self.single:
                counts = weights[rows[some]] @ unpacked
                here = min(64, self.bits - w * 64)
                out[self.rule_of[w * 64 : w * 64 + here]] += counts[:here]
            else:
                r, b = np.nonzero(unpacked)
                pairs.append((rows[some][r], self.rule_of[w * 64 + b].astype(np.int64)))
        for rows, bit in doubts:
            before = bit < best[rows]
            pairs.append((rows[before], self.rule_of[bit[before]].astype(np.int64)))
        if pairs:
            rows, rules = (np.concatenate(x) for x in zip(*pairs, strict=True))
            if not self.single:  # an unknown alternative of the rule that held, or a second of one rule, says nothing more
                key = np.unique((rows * self.rules + rules)[rules != rule[rows]])
                rows, rules = np.divmod(key, self.rules)
            out += np.bincount(rules, weights[rows], len(out)).astype(np.int64)
        return out

    # --- all --------------------------------------------------------------------------------------------------------

    def all(self, eval: Callable[[Any], Column], n: int) -> Held:
        """Every rule that holds, per row; rows with the same rules share a group."""
        if not self.bits:  # none of the rules can ever hold
            return Held(np.zeros(n, np.int64), [((), ())])
        cells = [(c, c.of(eval(c.subject.node))) for c in self.subjects]
        joint, kept = _joint([(at, c.count) for c, at in cells], n)
        if kept is None:
            joint, kept = np.arange(n), np.arange(n)
        true, possible = self._all_words(cells, kept)
        if true is None:
            seen: dict[Any, int] = {}
            group = np.array([seen.setdefault(key, len(seen)) for key in self._all_keyed(cells, kept)], np.int64)
            keys = list(seen)
            return Held(group[joint], keys)
        both = np.concatenate([true, possible], axis=1)
        view = np.ascontiguousarray(both).view(np.dtype((np.void, both.shape[1] * 8))).ravel()
        _, first, group = np.unique(view, return_index=True, return_inverse=True)
        groups = []
        for i in first.tolist():
            t = int.from_bytes(true[i].tobytes(), "little")
            p = int.from_bytes(possible[i].tobytes(), "little")
            groups.append(_hits(self.index, t, p))
        return Held(group[joint], groups)

    def _all_words(self, cells: list[tuple[_Cells, Array]], kept: Array) -> tuple[Array | None, Array]:
        if self.keyed or len(kept) * self.words > 1 << 25:
            return None, np.zeros(0)
        true = np.empty((len(kept), self.words), WORD)
        possible = np.empty((len(kept), self.words), WORD)
        for w in range(self.words):
            t = np.full(len(kept), _tail(self.bits, w), WORD)
            p = t.copy()
            for c, at in cells:
                t &= c.true_word(w)[at[kept]]
                p &= c.possible_word(w)[at[kept]]
            true[:, w], possible[:, w] = t, p
        return true, possible

    def _all_keyed(self, cells: list[tuple[_Cells, Array]], kept: Array) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Each combination of cells by the row index's own bitsets."""
        out = []
        for row in zip(*(at[kept].tolist() for _, at in cells), strict=True):
            true = possible = self.index.everything
            for (c, _), cell in zip(cells, row, strict=True):
                t, p = c.mask(cell)
                true &= t
                possible &= p
            out.append(_hits(self.index, true, possible))
        return out


def _hits(index: Index, true: int, possible: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    held = tuple(index.rules_of(true))
    return held, tuple(r for r in index.rules_of(possible & ~true) if r not in held)


def _joint(parts: list[tuple[Array, int]], n: int) -> tuple[Array | None, Array | None]:
    """(for each row its combination, a row of each combination), or Nones where nearly every row has its own."""
    if not parts:
        return np.zeros(n, np.int64), np.zeros(min(n, 1), np.int64)
    size = 1
    for _, count in parts:
        size *= max(count, 1)
    if size > 1 << 60:
        return None, None
    if size > 4 * n:
        step = max(1, n // 5000)
        sample = _mixed([(at[::step], count) for at, count in parts])
        if len(np.unique(sample)) > 0.6 * len(sample):
            return None, None
    codes = _mixed(parts)
    if size > 16 * n + 1024:
        _, first, joint = np.unique(codes, return_index=True, return_inverse=True)
        return joint, first
    used, joint = distinct(codes, size)
    first = np.empty(len(used), np.int64)
    first[joint[::-1]] = np.arange(n - 1, -1, -1)
    return joint, first


def _mixed(parts: list[tuple[Array, int]]) -> Array:
    codes = parts[0][0].astype(np.int64)
    for at, count in parts[1:]:
        codes *= count
        codes += at
    return codes


def _tail(bits: int, w: int) -> Any:
    """All ones for a whole word, fewer for the last."""
    left = bits - w * 64
    return WORD(0xFFFFFFFFFFFFFFFF) if left >= 64 else WORD((1 << left) - 1)


def _pack(flags: Array, words: int) -> Array:
    padded = np.zeros(words * 64, np.uint8)
    padded[: len(flags)] = flags
    return np.packbits(padded, bitorder="little").view(WORD)


def _log2(powers: Array) -> Array:
    """The exponents of powers of two; exact, since 64-bit floats hold every power of two."""
    return np.frexp(powers.astype(np.float64))[1] - 1


class _Cells:
    """A subject's cells: the number of the cell for every value, and what each cell says of the rules.

    Cell 0 is null, 1 anything else; then the constants, with the gaps between them where the subject is ordered.
    """

    def __init__(self, subject: Subject, words: int) -> None:
        self.subject, self.words = subject, words
        self.cuts, self.points = subject.cuts, subject.points
        ordered = self.cuts is not None
        self.places: list[Any] = [] if ordered else list(self.points)
        self.count = 2 + (2 * len(self.cuts) + 1 if self.cuts is not None else len(self.places))
        few_each = sum(map(len, self.points.values())) <= 4 * len(self.places)
        self.keyed = not ordered and (self.count * words > MANY or (len(self.places) >= KEYS and few_each))
        self._found: dict[Any, int] = {key: i + 2 for i, key in enumerate(self.places)}
        self._extra: list[tuple[int, int]] = []  # masks of values that fall into no cell: of another kind
        self._true: Array | None = None
        self._possible: Array | None = None
        self._sparse: tuple[Array, Array, Array] | None = None

    # --- values to cells --------------------------------------------------------------------------------------------

    def of(self, column: Column) -> Array:
        """The cell of every row."""
        if isinstance(column, Constant):
            return np.full(column.n, self.cell(column.value), np.int64)
        kind = self.subject.kind
        if not kind and all(not t.points and t.other is not None for _, t in self.subject.tests):  # null or not is all that matters
            return np.asarray(~column.nulls(), dtype=np.int64)
        if isinstance(column, Numbers) and kind == "number" and self._fits(column.data):
            return self._numeric(column.data, np.isnan(column.data), np.float64, lambda x: x)
        if isinstance(column, Days) and kind == "date":
            return self._numeric(column.data, column.data == NO_DAY, np.int64, lambda d: d.toordinal() - EPOCH)
        if isinstance(column, Instants) and kind == "date and time" and self.cuts and all(c.tzinfo for c in self.cuts):
            return self._numeric(column.data, column.data == NO_DAY, np.int64, microseconds)
        if isinstance(column, Truths) and not self.keyed:
            return np.array([self.cell(x) for x in (None, False, True)], np.int64)[column.data.astype(np.int64) + 1]
        if isinstance(column, Coded) and kind == "string" and self.cuts is None:
            return self._texts(column)
        codes, meaning = column.encode()
        return np.array([self.cell(x) for x in meaning.list], np.int64)[codes]

    def _fits(self, data: Array) -> bool:
        constants = self.cuts if self.cuts is not None else [k for k in self.points if not isinstance(k, tuple)]
        return all(abs(c) <= v.EXACT for c in constants)

    def _numeric(self, data: Array, null: Array, kind: Any, as_number: Callable[[Any], Any]) -> Array:
        constants = self.cuts if self.cuts is not None else list(self.points)
        values = np.array([as_number(c) for c in constants], kind)
        order = np.argsort(values)
        values = values[order]
        small = kind is np.float64 and len(data) > 100_000 and len(values)
        if small:
            low, high = np.nanmin(data) if not null.all() else 0.0, np.nanmax(data) if not null.all() else 0.0
            if high - low < 2_000_000:  # whole numbers in a small range: a table of their cells
                whole = np.where(null, low, data)
                floor = whole.astype(np.int64)
                if (floor == whole).all():
                    low = int(low)
                    table = self._place(np.arange(low, int(high) + 1).astype(np.float64), values, order)
                    out = table[floor - low]
                    out[null] = 0
                    return out
        out = self._place(data, values, order)
        out[null] = 0
        return out

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
            found = pc.index_in(items, pa.array([str(p) for p in self.places], items.type))
            at = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 2
        else:
            get = self._found.get
            at = np.array([get(x, 1) for x in column.meaning.list], np.int64)
        out = np.append(at, 0)
        return out[column.codes]  # -1 is the last: null

    def cell(self, value: Any) -> int:
        if value is None:
            return 0
        if not self.subject.kind and all(not t.points and t.other is not None for _, t in self.subject.tests):
            return 1
        if v.kind(value) == self.subject.kind:
            if self.cuts is None:
                return self._found.get(key_of(value), 1)
            place = self.subject.place(value)
            if place is not None:
                return 2 + place
        return self._another(self.subject.masks(value))

    def _another(self, masks: tuple[int, int]) -> int:
        """A value of a kind that the rules did not expect: a cell for what they say of it."""
        if masks not in self._extra:
            if self.keyed:
                raise ByRow
            self._extra.append(masks)
            self._true = self._possible = None
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

    def _matrix(self) -> None:
        size = self.words * 8
        true, possible = bytearray(), bytearray()
        for cell in range(self.count):
            t, p = self.mask(cell)
            true += t.to_bytes(size, "little")
            possible += p.to_bytes(size, "little")
        self._true = np.ascontiguousarray(np.frombuffer(bytes(true), WORD).reshape(self.count, self.words).T)
        self._possible = np.ascontiguousarray(np.frombuffer(bytes(possible), WORD).reshape(self.count, self.words).T)
        self._unsure = (self._true != self._possible).any(1)
        full = np.array([_tail(self.words * 64, w) for w in range(self.words)], WORD)
        self._touches = (self._possible != full[:, None]).any(1) | self._unsure

    def possible_word(self, w: int) -> Array:
        if self._possible is None:
            self._matrix()
        return self._possible[w]  # type: ignore[index]

    def true_word(self, w: int) -> Array:
        if self._true is None:
            self._matrix()
        return self._true[w]  # type: ignore[index]

    def touches(self, w: int) -> bool:
        """Whether some cell rules out, or leaves open, a rule of the word."""
        if self._true is None:
            self._matrix()
        return bool(self._touches[w])

    def unsure(self, w: int) -> bool:
        if self._true is None:
            self._matrix()
        return bool(self._unsure[w])

    # --- keyed ------------------------------------------------------------------------------------------------------

    def positive(self, bits: int) -> Array:
        """The rules' alternatives that only a named key can make true."""
        out = np.zeros(bits, bool)
        out[[bit for bit, test in self.subject.tests if test.other is False and test.null is False]] = True
        return out

    def uses(self, bits: int) -> Array:
        out = np.zeros(bits, bool)
        out[[bit for bit, _ in self.subject.tests]] = True
        return out

    def candidates(self, own: Array) -> tuple[Array, Array, Array]:
        """Per cell its alternatives among `own` that are true or unknown there: (where each begins, they, which are true)."""
        found = [
            (i + 2, bit, truth is True)
            for i, key in enumerate(self.places)
            for bit, truth in self.points[key]
            if own[bit] and truth is not False
        ]
        found.sort()
        cells = np.array([c for c, _, _ in found], np.int64)
        starts = np.concatenate([[0], np.cumsum(np.bincount(cells, minlength=self.count + 64))])
        return starts, np.array([b for _, b, _ in found], np.int64), np.array([x for _, _, x in found], bool)

    def truth(self, bit: Array, cell: Array) -> tuple[Array, Array]:
        """(true, not false) of alternatives at cells, pairwise."""
        if not self.keyed:
            if self._true is None:
                self._matrix()
            word, shift = bit >> 6, (bit & 63).astype(WORD)
            yes = (self._true[word, cell] >> shift) & _ONE  # type: ignore[index]
            maybe = (self._possible[word, cell] >> shift) & _ONE  # type: ignore[index]
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
        found = away[np.where(cell == 0, 0, 1), bit]
        if len(keys):
            wanted = bit * self.count + cell
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            same = keys[at] == wanted
            found[same] = truths[at[same]]
        return found[:, 0], found[:, 1]
