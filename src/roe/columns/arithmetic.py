"""What operators do to arrays: Kleene logic on truths (1, 0, and -1 for null), numbers as floats, and both sides of a comparison."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

import numpy as np

from roe.columns.column import EPOCH, Column, Constant, Days, Instants, Numbers, Truths, microseconds
from roe.dynamic import Array, Value
from roe.grammar import values as v

LAST_DAY = date.max.toordinal() - EPOCH + 1


OPERATORS: dict[str, Callable[[Array, Array], Array]] = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {"+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide}


def truths_of(column: Column) -> Array:
    if isinstance(column, Truths):
        return column.data
    value = column.value if isinstance(column, Constant) else None
    return np.full(column.n, int(value) if isinstance(value, bool) else -1, np.int8)


def negated(data: Array) -> Array:
    return np.where(data < 0, data, 1 - data).astype(np.int8)


def either(a: Array, b: Array) -> Array:
    return np.where((a == 1) | (b == 1), 1, np.where((a == 0) & (b == 0), 0, -1)).astype(np.int8)


def both(a: Array, b: Array) -> Array:
    return np.where((a == 0) | (b == 0), 0, np.where((a == 1) & (b == 1), 1, -1)).astype(np.int8)


def floats(c: Column) -> Array | None:
    """Numbers as floats, NaN for null; None if they are something else."""
    if isinstance(c, Numbers):
        return c.data
    if isinstance(c, Constant) and (c.value is None or v.is_number(c.value)):
        return np.float64(np.nan if c.value is None else c.value)
    return None


def ordered(a: Column, b: Column) -> tuple[Array, Array, Array, Array] | None:
    """Both sides as arrays that compare as the values do, and where each is null; None if they are of other kinds."""
    for one, other in ((a, b), (b, a)):
        if isinstance(one, Constant) and isinstance(other, (Numbers, Days, Instants)):
            constant = constant_like(one.value, other)
            if constant is None:
                return None
            x, y = other.data, constant
            no_x, no_y = other.nulls(), np.bool_(False)
            return (x, y, no_x, no_y) if other is a else (y, x, no_y, no_x)
    if isinstance(a, (Numbers, Days, Instants)) and isinstance(b, (Numbers, Days, Instants)) and type(a) is type(b):
        return a.data, b.data, a.nulls(), b.nulls()
    return None


def constant_like(value: Value, like: Column) -> Value:
    if isinstance(like, Numbers):
        return np.float64(value) if v.is_number(value) and abs(value) <= v.EXACT else None
    if isinstance(like, Days):
        return np.int64(value.toordinal() - EPOCH) if type(value) is date else None
    if isinstance(value, datetime) and value.tzinfo is not None:
        return np.int64(microseconds(value))
    return None
