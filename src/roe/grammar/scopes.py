"""Scopes: where a compiled expression finds the values of names.

A *scope* is a dict from names to values; `CLOCK` in it holds the run's clock. Inside a filter bare names are the fields of the item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from roe.dynamic import Value
from roe.grammar import syntax as s

Scope = dict[str, Value]
Code = Callable[[Scope], Value]
Watch = Callable[[s.Node, Code], Code]
CLOCK = "$clock"
IMPLICIT = "$item"  # the record whose fields bare names mean: a filter's item, a cell's record


@lru_cache(maxsize=1024)
def look_up(name: str) -> Code:
    """The value of a name. Thousands of conditions that name the same thing share it: what a processor has near stays small."""

    def look(scope: Scope) -> object:
        try:
            return scope[name]
        except KeyError:
            item = scope.get(IMPLICIT)
            return item.get(name) if isinstance(item, dict) else None

    return look


def item_scopes(inside: s.Node) -> Callable[[list[object], Scope], Iterator[tuple[object, Scope]]]:
    """Each item of a list with the scope in which `inside` is asked of it: `item` is the item, and bare names are its fields.

    The scope is one and the same dict, changed from item to item.
    """
    names = sorted(s.names(inside) - {"item"})

    def scopes(items: list[Value], scope: Scope) -> Iterator[tuple[object, Scope]]:
        inner = dict(scope)
        outer = scope.get(IMPLICIT)
        for item in items:
            inner["item"] = item
            if isinstance(item, dict):
                inner[IMPLICIT] = item
                for name in names:
                    if name in item:
                        inner[name] = item[name]
                    elif name in scope:
                        inner[name] = scope[name]
                    elif outer is not None and name in outer:
                        inner[name] = outer[name]
                    else:
                        inner.pop(name, None)
            yield item, inner

    return scopes
