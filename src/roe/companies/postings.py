"""Which names have which key: beginnings of their words, initials, and groups of three letters.

Those of names that were taken apart together are sorted columns. Names that come later are beside them, by key.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from roe.companies.name import CompanyName, trigrams
from roe.companies.pairing import MOST_INITIALS
from roe.dynamic import Array

if TYPE_CHECKING:
    from roe.companies.keys import KeyColumns


class Postings:
    """Names, by number, under their keys."""

    def __init__(self, columns: KeyColumns | None = None) -> None:
        self.columns = columns  # of names that were taken apart together
        self._spans: dict[str, tuple[int, int]] = columns.spans() if columns is not None else {}
        self._having: dict[str, int | array[int]] = {}  # key -> the name, or the names, that came later
        self._gone: Counter[str] = Counter()  # key -> how many of all those are gone

    def add(self, meant: Sequence[CompanyName], number: int) -> None:
        """A name that was not here before."""
        having = self._having
        for key in keys_of(meant[0]) if len(meant) == 1 else keys_of_all(meant):
            numbers = having.get(key)
            if numbers is None:
                having[key] = number
            elif type(numbers) is int:
                having[key] = array("I", (numbers, number))
            else:
                numbers.append(number)  # type: ignore[union-attr]

    def leave(self, meant: Sequence[CompanyName]) -> None:
        """A name goes. It still stands under its keys, and no longer counts."""
        self._gone.update(keys_of_all(meant))

    def come_back(self, meant: Sequence[CompanyName]) -> None:
        self._gone.subtract(keys_of_all(meant))

    def count(self, key: str) -> int:
        """How many names have a key."""
        return next((size for size, *_ in self.sized((key,))), 0)

    def sized(self, keys: Sequence[str]) -> list[tuple[int, str, int, int]]:
        """(how many names have it, key, where those in the columns begin, where they end) of the keys that names have."""
        having, gone = self._having, self._gone
        if self.columns is None:
            some = [(key, having[key]) for key in keys if key in having]
            return [(size, key, 0, 0) for key, numbers in some if (size := _count(numbers) - gone.get(key, 0))]
        spans, found = self._spans, []
        for key in keys:
            start, end = spans[key]
            size = end - start
            if having or gone:
                size += _count(having.get(key)) - gone.get(key, 0)
            if size:
                found.append((size, key, start, end))
        return found

    def later(self, key: str) -> Sequence[int]:
        """The names with a key that are not in the columns."""
        numbers = self._having[key]
        return (numbers,) if isinstance(numbers, int) else numbers

    def arrays(self, looked_up: Iterable[tuple[float, str, int, int]], np: ModuleType) -> tuple[list[float], list[Array]]:
        """The names that have each of some keys: those from where they start to where they end in the columns, and those that came later. A key has
        a weight, which stands beside each array of its names.
        """
        columns, having = self.columns, self._having
        weights: list[float] = []
        arrays: list[Array] = []
        for weight, key, start, end in looked_up:
            if end > start and columns is not None:
                weights.append(weight)
                arrays.append(columns.numbers[start:end])
            more = having.get(key) if having else None
            if more is not None:
                weights.append(weight)
                arrays.append(np.frombuffer(array("I", (more,)) if isinstance(more, int) else more, np.uintc))
        return weights, arrays


def _count(numbers: int | array[int] | None) -> int:
    return 0 if numbers is None else 1 if isinstance(numbers, int) else len(numbers)


@cache
def numpy_if_installed() -> ModuleType | None:
    try:
        return import_module("numpy")
    except ImportError:
        return None


def words_of_all(meant: Iterable[CompanyName]) -> set[str]:
    return {word for name in meant for word in name.words}


def keys_of_all(meant: Iterable[CompanyName]) -> set[str]:
    return {key for name in meant for key in keys_of(name)}


def keys_of(name: CompanyName) -> set[str]:
    """What a name is looked up by: beginnings of words, of the whole, initials, and groups of letters.

    A group of letters is three letters or spaces; every other key begins with a mark that says what it is.
    """
    keys = {"." + word[:5] for word in name.words}
    keys.add("=" + name.glued[:8])
    keys.add("==" + name.glued)
    for words in (name.words, name.spoken):
        if len(words) > 1:
            keys.add("^" + "".join([w[0] for w in words])[:MOST_INITIALS])
    keys.update(["^" + word for word in name.words if 2 <= len(word) <= MOST_INITIALS])
    keys |= trigrams(name.text)
    return keys
