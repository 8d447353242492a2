"""The partition index over columns: which rule holds, for every row of a table at once.

A subject's column becomes *cells*, one small integer per row, and each cell's bitsets become rows of 64-bit words. Rows
that fall into the same cells are decided once. Words are visited in order and rows leave as soon as a rule holds, so
the work is rows x words actually needed. A subject with many keys (ZIP codes, domains) has no bitsets: its rules are
found by key and checked one by one, since a key names few.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import Column
from roe.columns.make import distinct
from roe.columns.subject_cells import ONE, WORD, SubjectCells, tail
from roe.dynamic import Array, Value
from roe.node import node
from roe.plan.index import PartitionIndex

if TYPE_CHECKING:
    from roe.grammar import syntax as s


SHARE = 100_000  # rows from which a second core is worth its while


@node(frozen=False)
class Fired:
    """Per row the first rule that holds, or -1; per rule, on how many rows it stood unknown before the one that held."""

    rule: Array
    unknown: Array


@node(frozen=False)
class HeldRules:
    """Per row a number, and for each number the rules that hold and those that are unknown."""

    group: Array
    groups: list[tuple[tuple[int, ...], tuple[int, ...]]]


class ColumnIndex:
    """An `PartitionIndex` ready for columns; made once per compiled policy."""

    def __init__(self, index: PartitionIndex) -> None:
        self.index = index
        self.bits = len(index.rule_of)
        self.words = (self.bits + 63) // 64
        self.rule_of = np.array(index.rule_of, np.int32)
        self.rules = int(self.rule_of[-1]) + 1 if self.bits else 0
        self.single = len(set(index.rule_of)) == self.bits
        self.subjects = [SubjectCells(subject, self.words) for subject in index.subjects]
        self.dense = [c for c in self.subjects if not c.keyed]
        self.keyed = [c for c in self.subjects if c.keyed]
        by_key = np.zeros(self.bits, bool)  # a bit is found by the first keyed subject that it tests
        self.uses = {id(c): c.uses(self.bits) for c in self.subjects}
        self.pivots: list[tuple[SubjectCells, Array, Array, Array]] = []
        for c in self.keyed:
            own = c.positive(self.bits) & ~by_key
            by_key |= own
            self.pivots.append((c, *c.candidates(own)))
        uses = np.zeros(self.bits, bool)
        for c in self.keyed:
            uses |= self.uses[id(c)]
        self.odd = np.flatnonzero(uses & ~by_key)  # `not in` a long list: asked for every row
        self.general = _pack(~uses, self.words)

    def first(self, eval: Callable[[s.Node], Column], n: int) -> Fired:
        """The first rule that holds for each of `n` rows; `eval` gives a subject's column."""
        cells = {id(c): c.of(eval(c.subject.node)) for c in self.subjects}
        joint, firsts = _joint([(cells[id(c)], c.count) for c in self.subjects], n) if n > 4096 else (None, None)
        if joint is None or firsts is None:
            return self._shared(cells, n)
        few = {key: at[firsts] for key, at in cells.items()}
        fired = self._decide(few, len(firsts), np.bincount(joint, minlength=len(firsts)))
        return Fired(fired.rule[joint], fired.unknown)

    def _shared(self, cells: dict[int, Array], n: int) -> Fired:
        """Rows in as many portions as there are cores: NumPy lets go of the interpreter while it works."""
        cores = min(os.cpu_count() or 1, n // SHARE, 8)
        if cores < 2:
            return self._decide(cells, n, np.ones(n, np.int64))
        for c in self.dense:
            _ = c.matrix  # made before threads ask for it
        from concurrent.futures import ThreadPoolExecutor

        cuts = [n * i // cores for i in range(cores + 1)]

        def part(i: int) -> Fired:
            some = slice(cuts[i], cuts[i + 1])
            return self._decide(
                {key: at[some] for key, at in cells.items()}, cuts[i + 1] - cuts[i], np.ones(cuts[i + 1] - cuts[i], np.int64)
            )

        with ThreadPoolExecutor(cores) as pool:
            fired = list(pool.map(part, range(cores)))
        return Fired(np.concatenate([f.rule for f in fired]), np.sum([f.unknown for f in fired], axis=0))

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
        known: SubjectCells | None = None,
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
            used = [(c, cells[id(c)]) for c in self.dense if c.matrix.touches[w]]
            possible = np.full(len(live), self.general[w] & tail(self.bits, w), WORD)
            for c, place in used:
                possible &= c.matrix.possible[w].take(place.take(live))
            some = np.flatnonzero(possible)
            if not len(some):
                continue
            rows, possible = live[some], possible[some]
            true = possible.copy()
            for c, place in used:
                if c.matrix.unsure[w]:
                    true &= c.matrix.true[w].take(place.take(rows))
            low = true & (~true + ONE)
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
        counts_of = np.zeros(max(self.rules, 1), np.int64)
        pairs: list[tuple[Array, Array]] = []
        for rows, w, bits in pending:
            limit = best[rows] - w * 64
            below = np.where(limit >= 64, WORD(0xFFFFFFFFFFFFFFFF), (ONE << np.clip(limit, 0, 63).astype(WORD)) - ONE)
            bits = bits & below
            some = np.flatnonzero(bits)
            unpacked = np.unpackbits(bits[some].view(np.uint8).reshape(-1, 8), axis=1, bitorder="little")
            if self.single:
                counts = weights[rows[some]] @ unpacked
                here = min(64, self.bits - w * 64)
                counts_of[self.rule_of[w * 64 : w * 64 + here]] += counts[:here]
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
            counts_of += np.bincount(rules, weights[rows], len(counts_of)).astype(np.int64)
        return counts_of

    # --- all --------------------------------------------------------------------------------------------------------

    def all(self, eval: Callable[[s.Node], Column], n: int) -> HeldRules:
        """Every rule that holds, per row; rows with the same rules share a group."""
        if not self.bits:  # none of the rules can ever hold
            return HeldRules(np.zeros(n, np.int64), [((), ())])
        cells = [(c, c.of(eval(c.subject.node))) for c in self.subjects]
        joint, firsts = _joint([(at, c.count) for c, at in cells], n)
        if firsts is None:
            joint, firsts = np.arange(n), np.arange(n)
        true, possible = self._all_words(cells, firsts)
        if true is None:
            seen: dict[Value, int] = {}
            group = np.array([seen.setdefault(key, len(seen)) for key in self._all_keyed(cells, firsts)], np.int64)
            keys = list(seen)
            return HeldRules(group[joint], keys)
        both = np.concatenate([true, possible], axis=1)
        view = np.ascontiguousarray(both).view(np.dtype((np.void, both.shape[1] * 8))).ravel()
        _, first, group = np.unique(view, return_index=True, return_inverse=True)
        groups = []
        for i in first.tolist():
            t = int.from_bytes(true[i].tobytes(), "little")
            p = int.from_bytes(possible[i].tobytes(), "little")
            groups.append(_hits(self.index, t, p))
        return HeldRules(group[joint], groups)

    def _all_words(self, cells: list[tuple[SubjectCells, Array]], firsts: Array) -> tuple[Array | None, Array]:
        if self.keyed or len(firsts) * self.words > 1 << 25:
            return None, np.zeros(0)
        true = np.empty((len(firsts), self.words), WORD)
        possible = np.empty((len(firsts), self.words), WORD)
        for w in range(self.words):
            t = np.full(len(firsts), tail(self.bits, w), WORD)
            p = t.copy()
            for c, at in cells:
                t &= c.matrix.true[w][at[firsts]]
                p &= c.matrix.possible[w][at[firsts]]
            true[:, w], possible[:, w] = t, p
        return true, possible

    def _all_keyed(self, cells: list[tuple[SubjectCells, Array]], firsts: Array) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Each combination of cells by the row index's own bitsets."""
        hits = []
        for row in zip(*(at[firsts].tolist() for _, at in cells), strict=True):
            true = possible = self.index.everything
            for (c, _), cell in zip(cells, row, strict=True):
                t, p = c.mask(cell)
                true &= t
                possible &= p
            hits.append(_hits(self.index, true, possible))
        return hits


def _hits(index: PartitionIndex, true: int, possible: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
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


def _pack(flags: Array, words: int) -> Array:
    padded = np.zeros(words * 64, np.uint8)
    padded[: len(flags)] = flags
    return np.packbits(padded, bitorder="little").view(WORD)


def _log2(powers: Array) -> Array:
    """The exponents of powers of two; exact, since 64-bit floats hold every power of two."""
    return np.frexp(powers.astype(np.float64))[1] - 1
