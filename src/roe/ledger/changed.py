"""A mapping that differs from another one in a few keys, so that what is as before is neither copied nor compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

V = TypeVar("V")


class Changed(Mapping[str, V]):
    """`before` with `changes`: by key the values that are not as before, None for a key that is gone."""

    def __init__(self, before: Mapping[str, V], changes: Mapping[str, V | None]) -> None:
        self.before, self.changes = before, changes

    def __getitem__(self, key: str) -> V:
        if key not in self.changes:
            return self.before[key]
        value = self.changes[key]
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from (key for key in self.before if key not in self.changes)
        yield from (key for key, x in self.changes.items() if x is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def differing(before: Mapping[str, V], after: Mapping[str, V]) -> set[str]:
    """The keys that two mappings have otherwise, or that only one has."""
    if isinstance(after, Changed) and after.before is before:
        return set(after.changes)
    return {key for key in {*before, *after} if before.get(key) != after.get(key)}
