"""FEEL's functions of lists (DMN 1.5, section 10.3.4.4), and roe's `latest` and `earliest`."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta

from roe.dynamic import Value
from roe.grammar import values as v
from roe.grammar.registry import function, own_function


@function(
    "list_contains",
    "list: list, element: any",
    "boolean",
    'list_contains(["US", "CA"], "CA")',
    "true",
    "whether the list has the element",
)
def _list_contains(items: list[object], element: object) -> bool:
    return any(v.equal(i, element) is True for i in items)


@function("count", "list: list", "number", "count([1, 2, 3])", "3", "how many items the list has", variadic=True, sql="COUNT(*)")
def _count(items: list[object]) -> int:
    return len(items)


def _extreme(items: list[object], wins: Callable[[object, object], bool | None]) -> Value:
    best = items[0] if items else None
    for item in items:
        verdict = wins(item, best)
        if verdict is None:
            return None
        best = item if verdict else best
    return best


@function(
    "min",
    "list: list",
    "any",
    "min([3, 1, 2])",
    "1",
    "the least item; null if the list is empty or holds null",
    variadic=True,
    sql="MIN(list)",
)
def _min(items: list[object]) -> object:
    return _extreme(items, v.less)


@function(
    "max",
    "list: list",
    "any",
    'max([@"2026-01-05", @"2026-02-01"])',
    "2026-02-01",
    "the greatest item; null if the list is empty or holds null",
    variadic=True,
    sql="MAX(list)",
)
def _max(items: list[object]) -> object:
    return _extreme(items, lambda a, b: v.less(b, a))


def _numbers(items: list[object]) -> bool:
    return bool(items) and all(map(v.is_number, items))


@function(
    "sum",
    "list: list",
    "number",
    "sum([10, 20, 30])",
    "60",
    "the total; null if the list is empty or holds a null",
    variadic=True,
    sql="SUM(list)",
)
def _sum(items: list[object]) -> object:
    if items and all(isinstance(i, (timedelta, v.Months)) for i in items):
        total = items[0]
        for item in items[1:]:
            total = v.add(total, item)
        return total
    return v.number(_total(items)) if _numbers(items) else None


def _total(items: list[Value]) -> float:
    return sum(items) if all(type(i) is int for i in items) else math.fsum(items)


@function("mean", "list: list", "number", "mean([1, 2, 6])", "3", "the average", variadic=True, sql="AVG(list)")
def _mean(items: list[object]) -> object:
    return v.divide(v.number(_total(items)), len(items)) if _numbers(items) else None


@function("product", "list: list", "number", "product([2, 3, 4])", "24", "the product", variadic=True)
def _product(items: list[Value]) -> float | None:
    return v.attempt(lambda: v.number(math.prod(items))) if _numbers(items) else None


@function("median", "list: list", "number", "median([8, 2, 5, 7])", "6", "the middle number", variadic=True)
def _median(items: list[Value]) -> object:
    if not _numbers(items):
        return None
    ordered, half = sorted(items), len(items) // 2
    return ordered[half] if len(items) % 2 else v.divide(ordered[half - 1] + ordered[half], 2)


@function(
    "stddev",
    "list: list",
    "number",
    "stddev([2, 4, 7, 5])",
    "2.0816659994661326",
    "the sample standard deviation; null for fewer than two",
    variadic=True,
)
def _stddev(items: list[Value]) -> float | None:
    if not _numbers(items) or len(items) < 2:
        return None
    mean = math.fsum(items) / len(items)
    return v.number(math.sqrt(math.fsum((i - mean) ** 2 for i in items) / (len(items) - 1)))


@function("mode", "list: list", "list", "mode([6, 3, 9, 6])", "[6]", "the most frequent numbers, ascending", variadic=True)
def _mode(items: list[Value]) -> list[float] | None:
    if not items:
        return []
    if not _numbers(items):
        return None
    counts = {i: items.count(i) for i in dict.fromkeys(items)} if len(items) < 64 else _tally(items)
    most = max(counts.values())
    return sorted(i for i, n in counts.items() if n == most)


def _tally(items: list[object]) -> dict[Value, int]:
    counts: dict[object, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    return counts


@function("all", "list: list", "boolean", "all([true, true])", "true", "whether every item is true; null counts as unknown", variadic=True)
def _all_true(items: list[object]) -> bool | None:
    return _kleene(items, False)


@function("any", "list: list", "boolean", "any([false, true])", "true", "whether some item is true; null counts as unknown", variadic=True)
def _any_true(items: list[object]) -> bool | None:
    return _kleene(items, True)


def _kleene(items: list[object], decides: bool) -> bool | None:
    if any(i is decides for i in items):
        return decides
    return not decides if all(i is (not decides) for i in items) else None


@function(
    "sublist",
    "list: list, start_position: number, length: number?",
    "list",
    "sublist([4, 5, 6], 2)",
    "[5, 6]",
    "part of a list; positions count from 1, negative ones from the end",
)
def _sublist(items: list[object], start: float, length: float | None = None) -> list[object] | None:
    at = int(start)
    if at == 0 or abs(at) > len(items) or (length is not None and length < 0):
        return None
    at = at - 1 if at > 0 else len(items) + at
    if length is not None and at + int(length) > len(items):
        return None
    return items[at : len(items) if length is None else at + int(length)]


@function("append", "list: list, item: any", "list", "append([1], 2)", "[1, 2]", "the list with the items at its end")
def _append(items: list[object], *more: object) -> list[object]:
    return [*items, *more]


@function("concatenate", "list: list", "list", "concatenate([1], [2, 3])", "[1, 2, 3]", "the lists one after the other", variadic=True)
def _concatenate(lists: list[Value]) -> list[object]:
    return [i for items in lists for i in items] if all(isinstance(p, list) for p in lists) else list(lists)


@function(
    "union", "list: list", "list", "union([1, 2], [2, 3])", "[1, 2, 3]", "the lists one after the other, without repetitions", variadic=True
)
def _union(lists: list[object]) -> list[object]:
    return _distinct([i for items in lists for i in (items if isinstance(items, list) else [items])])


@function("distinct_values", "list: list", "list", "distinct_values([1, 2, 1])", "[1, 2]", "the list without repetitions")
def _distinct(items: list[object]) -> list[object]:
    distinct: list[object] = []
    seen: set[object] = set()
    for item in items:
        if type(item) in (str, int, float):
            if item in seen:
                continue
            seen.add(item)
        elif any(v.equal(item, o) is True for o in distinct):
            continue
        distinct.append(item)
    return distinct


@function(
    "insert_before",
    "list: list, position: number, newItem: any",
    "list",
    "insert_before([1, 3], 2, 2)",
    "[1, 2, 3]",
    "the list with an item put in",
)
def _insert_before(items: list[object], position: float, item: object) -> list[object] | None:
    at = _index(items, position)
    return None if at is None else [*items[:at], item, *items[at:]]


@function("remove", "list: list, position: number", "list", "remove([1, 2, 3], 2)", "[1, 3]", "the list without the item at a position")
def _remove(items: list[object], position: float) -> list[object] | None:
    at = _index(items, position)
    return None if at is None else [*items[:at], *items[at + 1 :]]


@function(
    "list_replace",
    "list: list, position: number, newItem: any",
    "list",
    "list_replace([1, 2, 3], 2, 4)",
    "[1, 4, 3]",
    "the list with the item at a position replaced",
)
def _list_replace(items: list[object], position: float, item: object) -> list[object] | None:
    at = _index(items, position)
    return None if at is None else [*items[:at], item, *items[at + 1 :]]


def _index(items: list[object], position: float) -> int | None:
    at = int(position)
    if at == 0 or abs(at) > len(items):
        return None
    return at - 1 if at > 0 else len(items) + at


@function("reverse", "list: list", "list", "reverse([1, 2, 3])", "[3, 2, 1]", "the list backwards")
def _reverse(items: list[object]) -> list[object]:
    return list(reversed(items))


@function("index_of", "list: list, match: any", "list", "index_of([1, 2, 1], 1)", "[1, 3]", "the positions of an item")
def _index_of(items: list[object], match: object) -> list[int]:
    return [i for i, item in enumerate(items, 1) if v.equal(item, match) is True]


@function("flatten", "list: list", "list", "flatten([[1, [2]], 3])", "[1, 2, 3]", "lists in lists made one list")
def _flatten(items: list[object]) -> list[object]:
    flat: list[object] = []
    todo = list(reversed(items))
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(reversed(item))
        else:
            flat.append(item)
    return flat


def _per_item(items: list[object], by: object) -> None:
    """The parser makes a node of its own of `latest` and `earliest`, whose second argument is asked of each item: see `syntax.Pick`."""
    return


for _name, _which in (("latest", "greatest"), ("earliest", "least")):
    own_function(
        _name,
        "list: list, field: any",
        "any",
        f'{_name}([@"2026-01-05", @"2026-02-01"], item)',
        {"latest": "2026-02-01", "earliest": "2026-01-05"}[_name],
        f"the item with the {_which} value of a field, such as `{_name}(account.activities, date)`; of equals the first, and items "
        "without a value do not count",
    )(_per_item)


@function("sort", "list: list", "list", "sort([3, 1, 2])", "[1, 2, 3]", "the list in ascending order; null if its items have no order")
def _sort(items: list[object]) -> list[object] | None:
    if any(v.less(items[0], i) is None for i in items):
        return None
    return sorted(items, key=v.in_order)
