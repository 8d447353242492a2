"""Columns made of values: the kind that holds them best, and functions asked once for each distinct combination of their operands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from roe.columns.column import EPOCH, NO_DAY, Coded, Column, Constant, Days, Dictionary, Numbers, Refs, Truths, compact, opaque
from roe.dynamic import Array, Value
from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.columns.world import ColumnWorld


def from_values(values: Sequence[Value], world: ColumnWorld | None = None) -> Column:
    """The column that holds these values best. Rows of tables are references only where their `world` is given."""
    kinds = {type(x) for x in values if x is not None}
    if not kinds:
        return Constant(None, len(values))
    if kinds <= {int, float}:
        return _numbers(values)
    if kinds == {bool}:
        return Truths(np.array([-1 if x is None else x for x in values], np.int8))
    if kinds == {date}:
        return Days(np.array([NO_DAY if x is None else x.toordinal() - EPOCH for x in values], np.int64))
    if all(issubclass(k, str) for k in kinds):
        return _texts(values)
    if world is not None and all(hasattr(k, "at") for k in kinds):
        return _references(values, world)
    return opaque(list(values))


def _numbers(values: Sequence[Value]) -> Column:
    """Floats, NaN for null; one by one if a whole number has no exact float."""
    if any(type(x) is int and abs(x) > v.EXACT for x in values):
        return opaque(list(values))
    return Numbers(np.array([np.nan if x is None else x for x in values], np.float64))


def _texts(values: Sequence[Value]) -> Column:
    seen: dict[str, int] = {}
    codes = [-1 if x is None else seen.setdefault(x, len(seen)) for x in values]
    return Coded(np.array(codes, np.int32), Dictionary(list(seen)))


def _references(values: Sequence[Value], world: ColumnWorld) -> Column:
    entities = {x.entity for x in values if x is not None}
    if len(entities) != 1:
        return opaque(list(values))
    return Refs(entities.pop(), np.array([-1 if x is None else x.at for x in values], np.int32), world)


def lookup(act: Callable[..., Value], columns: Sequence[Column], world: ColumnWorld | None = None) -> Column:
    """`act` of every row's values, asked once for each distinct combination of them."""
    parts = [c.encode() for c in columns]
    codes, sizes = parts[0][0], [len(m) for _, m in parts]
    if len(parts) == 1:
        return from_values([act(x) for x in parts[0][1].list], world).take(codes)
    size = 1
    for (own, _), width in zip(parts, sizes, strict=True):
        codes = own if size == 1 else codes * width + own
        size *= width
        if size > 1 << 40:
            return _each(act, parts, world)
    used, codes = distinct(codes, size)
    combinations: list[list[Value]] = []
    rest = used
    for (_, meaning), width in zip(reversed(parts), reversed(sizes), strict=True):
        rest, at = np.divmod(rest, width)
        items = meaning.list
        combinations.append([items[i] for i in at.tolist()])
    combinations.reverse()
    return from_values([act(*values) for values in zip(*combinations, strict=True)], world).take(codes)


def distinct(codes: Array, size: int) -> tuple[Array, Array]:
    """(the codes that occur, for each row its place among them)."""
    if size <= 8 * len(codes) + 1024:
        places, used = compact(codes, size)
        return used, places
    used, places = np.unique(codes, return_inverse=True)
    return used, places


def _each(act: Callable[..., Value], parts: list[tuple[Array, Dictionary]], world: ColumnWorld | None) -> Column:
    """Too many combinations to number: one call per row, with what was seen remembered."""
    seen: dict[tuple[int, ...], Value] = {}
    values = []
    for key in zip(*(codes.tolist() for codes, _ in parts), strict=True):
        if key not in seen:
            seen[key] = act(*(meaning.list[i] for i, (_, meaning) in zip(key, parts, strict=True)))
        values.append(seen[key])
    return from_values(values, world)
