"""`Relate` over columns: candidate pairs by key or by block, conditions over the pairs, then the tiebreakers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import ByRow, Coded, Column, Constant, Refs
from roe.columns.load import all_text
from roe.columns.vector import Frame
from roe.dynamic import Array, Value
from roe.evaluator.look_ups import blocking_keys, plan_of
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.plan.operators import Method, Relate
from roe.progress import advance, phase

if TYPE_CHECKING:
    from roe.columns.table import RecordTable

PAIRS = 2_000_000  # looked at together


def match_columns(step: Relate, table: RecordTable) -> Refs:
    """The related row of every row of the table; -1 for none."""
    if any(method.similar is not None for method in step.methods):
        raise ByRow  # a search per name, which nothing is gained for by columns
    other = table.world.tables[step.target]
    best = np.full(table.n, -1, np.int32)
    for method in step.methods:
        todo = np.flatnonzero(best < 0)
        if not len(todo) or not other.n:
            break
        for left, right in _pairs(method, step, table, other, todo):
            holding = _held(method, step, table, left, right)
            left, right = left[holding], right[holding]
            if len(left):
                winners, chosen = _winners(step, table, left, right)
                best[winners] = chosen
    return Refs(step.target, best, table.world)


def _frame(step: Relate, table: RecordTable, left: Array, right: Array) -> Frame:
    names = {table.entity: Refs(table.entity, left.astype(np.int32), table.world)}
    names[step.target] = Refs(step.target, right.astype(np.int32), table.world)
    return _Pairs(step, table, names)


class _Pairs(Frame):
    """Pairs of rows. What is about one side alone is computed once per row of it, and gathered."""

    def __init__(self, step: Relate, table: RecordTable, names: dict[str, Refs]) -> None:
        mine = names[table.entity]
        super().__init__(table.world, mine.n, names, (mine,))
        other = table.world.tables[step.target]
        self._sides = {table.entity: (table, mine.at), step.target: (other, names[step.target].at)}

    def eval(self, node: s.Node) -> Column:
        if isinstance(node, s.Call):
            roots = s.names(node)
            if len(roots) == 1 and (side := self._sides.get(next(iter(roots)))) is not None:
                table, at = side
                return table.frame.eval(node).take(at)
        return super().eval(node)


def _held(method: Method, step: Relate, table: RecordTable, left: Array, right: Array) -> Array:
    frame = _frame(step, table, left, right)
    holds = frame.truths(method.match.tree) == 1
    if method.unless is not None:
        holds &= frame.truths(method.unless.tree) != 1
    return np.flatnonzero(holds)


def _pairs(method: Method, step: Relate, table: RecordTable, other: RecordTable, todo: Array) -> Iterator[tuple[Array, Array]]:
    """Candidate pairs of rows (left, right), in portions; all candidates of one left row are in one portion."""
    kind, mine, theirs = plan_of(method.match.tree, table.entity, step.target)
    if kind == "among":
        raise ByRow
    if kind == "all" or mine is None or theirs is None:
        starts = np.zeros(len(todo), np.int64)
        counts = np.full(len(todo), other.n)
        rights = np.arange(other.n)
    else:
        a, b = table.frame.eval(mine).take(todo), _of(other, step.target, theirs)
        rows, keys, width = (_equal if kind == "equal" else _blocks)(a, b)
        order = np.argsort(keys[1], kind="stable")
        rights = rows[1][order]
        first = np.searchsorted(keys[1][order], np.arange(width + 1))
        starts, counts = first[keys[0]], first[keys[0] + 1] - first[keys[0]]
        todo = todo[rows[0]]
    at = 0
    total = np.cumsum(counts)
    phase(f"matching {table.entity} records to {step.target} records by {method.name}", len(todo))
    while at < len(todo):
        # a left row with several keys stands several times in a row: portions end between left rows
        until = int(np.searchsorted(total, (total[at - 1] if at else 0) + PAIRS, "right"))
        until = max(until, at + 1)
        while until < len(todo) and todo[until] == todo[until - 1]:
            until += 1
        n = counts[at:until]
        left = np.repeat(todo[at:until], n)
        begin = np.cumsum(n) - n
        right = rights[np.repeat(starts[at:until], n) + np.arange(len(left)) - np.repeat(begin, n)]
        if kind == "block":  # the same pair by two blocks
            pair = np.unique(left.astype(np.int64) * other.n + right)
            left, right = np.divmod(pair, other.n)
        advance(until - at)
        at = until
        if len(left):
            yield left, right


def _of(other: RecordTable, target: str, tree: s.Node) -> Column:
    return other.frame.eval(tree)


def _equal(a: Column, b: Column) -> tuple[tuple[Array, Array], tuple[Array, Array], int]:
    """Rows and key codes of both sides, where `a = b` can be true: null and lists have no key."""
    if isinstance(a, Coded) and isinstance(b, Coded) and all_text(a) and all_text(b):
        known = _arrow(b)
        place = pc.index_in(_arrow(a), known).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        first = pc.index_in(known, known).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        keys_a, keys_b = np.append(place, -1)[a.codes], np.append(first, -1)[b.codes]
        rows_a, rows_b = np.flatnonzero(keys_a >= 0), np.flatnonzero(keys_b >= 0)
        return (rows_a, rows_b), (keys_a[rows_a], keys_b[rows_b]), len(known)
    return _by_keys(
        [() if x is None or isinstance(x, (list, dict)) else (x,) for x in _items(a)],
        [() if x is None or isinstance(x, (list, dict)) else (x,) for x in _items(b)],
        a,
        b,
    )


def _arrow(column: Coded) -> pa.Array:
    items = column.meaning.items
    return items if isinstance(items, pa.Array) else pa.array(column.meaning.list, pa.string())


def _blocks(a: Column, b: Column) -> tuple[tuple[Array, Array], tuple[Array, Array], int]:
    def keys(x: object) -> tuple[str, ...]:
        return blocking_keys(x) if isinstance(x, str) else ()

    return _by_keys([keys(x) for x in _items(a)], [keys(x) for x in _items(b)], a, b)


def _items(column: Column) -> list[Value]:
    return column.encode()[1].list


def _by_keys(
    a_keys: list[tuple[Value, ...]], b_keys: list[tuple[Value, ...]], a: Column, b: Column
) -> tuple[tuple[Array, Array], tuple[Array, Array], int]:
    numbers: dict[Value, int] = {}
    for keys in b_keys:
        for key in keys:
            numbers.setdefault((v.kind(key), key), len(numbers))

    def rows_of(column: Column, keys: list[tuple[Value, ...]]) -> tuple[Array, Array]:
        numbers_of = [[n for k in ks if (n := numbers.get((v.kind(k), k))) is not None] for ks in keys]
        counts = np.array([len(f) for f in numbers_of], np.int64)
        flat = np.array([n for f in numbers_of for n in f], np.int64)
        begin = np.cumsum(counts) - counts
        codes = column.encode()[0]
        n = counts[codes]
        rows = np.repeat(np.arange(len(codes)), n)
        first = np.cumsum(n) - n
        return rows, flat[np.repeat(begin[codes], n) + np.arange(len(rows)) - np.repeat(first, n)]

    (rows_a, keys_a), (rows_b, keys_b) = rows_of(a, a_keys), rows_of(b, b_keys)
    return (rows_a, rows_b), (keys_a, keys_b), len(numbers)


def _winners(step: Relate, table: RecordTable, left: Array, right: Array) -> tuple[Array, Array]:
    """(left rows, the right row of each that wins): by the tiebreakers in order, then by the lower id."""
    for kind, expr in step.tie_break:
        _, counts = np.unique(left, return_counts=True)
        if (counts == 1).all():
            break
        values = _frame(step, table, left, right).eval(expr.tree)
        best = _best(values, left, kind == "most")
        left, right = left[best], right[best]
    order = np.lexsort((right, left))
    rows, first = np.unique(left[order], return_index=True)
    return rows, right[order][first]


def _best(values: Column, left: Array, most: bool) -> Array:
    """Which pairs have the best value among those of their left row; all of them where no value is known."""
    if isinstance(values, Constant):
        return np.arange(len(left))
    codes, meaning = values.encode()
    items = meaning.list
    known = [x for x in items if x is not None]
    if isinstance(values, Coded) and any(isinstance(x, (list, dict)) for x in known):
        return np.arange(len(left))
    order = sorted(range(len(items)), key=lambda i: (items[i] is not None, v.in_order(items[i]) if items[i] is not None else 0))
    rank = np.empty(len(items), np.int64)
    place = 0
    for k, i in enumerate(order):
        if k and items[i] is not None and (items[order[k - 1]] is None or v.equal(items[i], items[order[k - 1]]) is not True):
            place += 1
        rank[i] = -1 if items[i] is None else place
    if not most:
        rank = np.where(rank < 0, -1, rank.max(initial=0) - rank)
    ranks = rank[codes]
    rows, group = np.unique(left, return_inverse=True)
    best = np.full(len(rows), -2, np.int64)
    np.maximum.at(best, group, ranks)
    return np.flatnonzero(ranks == best[group])
