"""Columns put one after another, and one or the other by row: whatever two kinds they are, the values stay."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from roe.columns.column import EPOCH, ByRow, Coded, Column, Constant, Days, Dictionary, Lists, Numbers, OwnersColumn, Plain, Refs, Truths
from roe.columns.make import from_values
from roe.dynamic import Array
from roe.grammar import values as v

if TYPE_CHECKING:
    from roe.columns.world import ColumnWorld


def append(first: Lists, second: Column, world: ColumnWorld | None) -> Column:
    """Each list with one more item at its end."""
    rows = np.concatenate([first.rows, np.arange(first.n)])
    order = np.argsort(rows, kind="stable")
    return Lists(rows[order], join(first.items, second, world).take(order), first.n)


def join(a: Column, b: Column, world: ColumnWorld | None) -> Column:
    """One column after another."""
    if isinstance(a, Constant) and not isinstance(b, Constant):
        a = like(a, b)
    elif isinstance(b, Constant) and not isinstance(a, Constant):
        b = like(b, a)
    if isinstance(a, Plain) and isinstance(b, Plain) and type(a) is type(b):
        return a.of(np.concatenate([a.data, b.data]))
    if isinstance(a, Refs) and isinstance(b, Refs) and a.entity == b.entity:
        return Refs(a.entity, np.concatenate([a.at, b.at]), a.world)
    if isinstance(a, Coded) and isinstance(b, Coded):
        codes = np.concatenate([a.codes, np.where(b.codes < 0, -1, b.codes + len(a.meaning))])
        return Coded(codes.astype(np.int32), _both(a.meaning, b.meaning))
    return from_values([*a.values(), *b.values()], world)


def _both(a: Dictionary, b: Dictionary) -> Dictionary:
    """The values of one after those of another; as Arrow where both are texts there."""
    if (
        not (a.null_first or b.null_first)
        and isinstance(a.items, pa.Array)
        and isinstance(b.items, pa.Array)
        and a.items.type == b.items.type
    ):
        return Dictionary(pa.concat_arrays([a.items, b.items]))
    return Dictionary([*a.list, *b.list])


def like(a: Constant, b: Column) -> Column:
    """A constant in the form of another column, so that the two can be joined; itself if it does not fit."""
    value, n = a.value, a.n
    if value is None:
        return _nulls_like(a, b)
    if isinstance(b, Numbers) and v.is_number(value):
        return Numbers(np.full(n, value, np.float64))
    if isinstance(b, Days) and type(value) is date:
        return Days(np.full(n, value.toordinal() - EPOCH, np.int64))
    if isinstance(b, Truths) and isinstance(value, bool):
        return Truths(np.full(n, int(value), np.int8))
    if isinstance(b, Coded) and isinstance(value, str):
        return Coded(np.zeros(n, np.int32), Dictionary([value]))
    return a


def _nulls_like(a: Constant, b: Column) -> Column:
    if isinstance(b, Plain):
        return b.of(np.full(a.n, b.null, b.data.dtype))
    if isinstance(b, Coded):
        return Coded(np.full(a.n, -1, np.int32), Dictionary([]))
    return Refs(b.entity, np.full(a.n, -1, np.int32), b.world) if isinstance(b, Refs) else a


def merge(yes: Array, then: Column, otherwise: Column, world: ColumnWorld | None) -> Column:
    """`then` where true, else `otherwise`."""
    if isinstance(then, Lists) or isinstance(otherwise, Lists) or isinstance(then, OwnersColumn) or isinstance(otherwise, OwnersColumn):
        raise ByRow
    n = len(yes)
    if isinstance(then, Constant) and isinstance(otherwise, Constant):
        return from_values([then.value, otherwise.value], world).take(np.where(yes, 0, 1))
    both = join(then, otherwise, world)
    return both.take(np.where(yes, 0, n) + np.arange(n))
