"""Lists of related records, each as one value: how many, their sum, the least or greatest, the mean, and the item at a place."""

from __future__ import annotations

import math

import numpy as np

from roe.columns.column import ByRow, Column, Constant, Days, Instants, Lists, Numbers, _number
from roe.grammar import values as v


def reduced(name: str, lists: Lists) -> Column:
    """`count`, `sum`, `min`, `max` or `mean` of each list; null where an item is null, or where there is none but for `count`. Raises ByRow."""
    if name == "count":
        return Numbers(np.bincount(lists.rows, minlength=lists.n).astype(np.float64))
    items = lists.items
    if not isinstance(items, (Numbers, Days, Instants)) or (name in ("sum", "mean") and not isinstance(items, Numbers)):
        raise ByRow
    starts, ends = lists.bounds()
    bad = np.bincount(lists.rows[items.nulls()], minlength=lists.n) > 0
    bad |= starts == ends
    good = ~bad
    if name in ("min", "max"):
        data = np.full(lists.n, items.null, items.data.dtype)
        if good.any():
            act = np.minimum if name == "min" else np.maximum
            full = starts != ends
            data[full] = act.reduceat(items.data, starts[full])
            data[bad] = items.null
        return items.of(data)
    results = np.full(lists.n, np.nan)
    values = items.data
    whole = len(values) == 0 or bool(np.all((values == np.floor(values)) | np.isnan(values)) and np.nansum(np.abs(values)) < v.EXACT)
    if whole:
        totals = np.bincount(lists.rows, np.where(np.isnan(values), 0, values), lists.n)
        results[good] = totals[good]
    else:
        for i in np.flatnonzero(good).tolist():
            total = v.attempt(lambda i=i: v.number(math.fsum(map(_number, values[starts[i] : ends[i]].tolist()))))  # type: ignore[misc]
            results[i] = np.nan if total is None else total
    if name == "mean":
        with np.errstate(all="ignore"):
            results = results / np.where(good, ends - starts, 1)
    return Numbers(results)


def nth(base: Lists, position: float) -> Column:
    """The item at a place of each list, from 1 or, where it is negative, from the end; null where there is none."""
    if position != int(position) or not int(position):
        return Constant(None, base.n)
    starts, ends = base.bounds()
    at = starts + int(position) - 1 if position > 0 else ends + int(position)
    return base.items.take(np.where((at >= starts) & (at < ends), at, -1))
