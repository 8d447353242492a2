"""The probability that a name is one of an index, by the rarity of words and letters among its names.

Letters are weighed by how few names have them. The comparison in full is the last step: before it stands the most that two names can
reach (`at_most.py`), first whatever their letters, then with them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from roe.companies.at_most import AtMost
from roe.companies.likeness import WEIGHTS, odds_of, of_one_group, probability, rarity_in, signs
from roe.companies.name import CompanyName, trigrams

if TYPE_CHECKING:
    from roe.companies.index import NameIndex
    from roe.companies.keys import KeyColumns

WHOLE = 1 << 20  # what a weight of 1 is
MEASURED = 2_000  # names whose letters are remembered
DIGITS = 4  # of a probability
ROUNDED = 10.0**-DIGITS  # by less than this a probability changes when it is rounded

Asked = TypeVar("Asked", CompanyName, AtMost)


class Scores:
    """How likely names are those of an index; of names that carry several, those count that are most alike."""

    def __init__(self, index: NameIndex) -> None:
        self._index = index
        self._weights = _SquaredWeights(index)
        self._measured: dict[str, tuple[frozenset[str], int]] = {}
        self._lengths: Sequence[int] | None = None  # of each name's vector of letters, squared, until a name comes or goes
        self._rarity: Callable[[str], float] | None = None

    def forget(self) -> None:
        """Rarity changes with every name that comes or goes."""
        self._rarity = None
        self._weights.clear()
        self._measured.clear()
        self._lengths = None

    def measure(self, columns: KeyColumns) -> None:
        """Weigh every group of letters, and so the names, before processes share them."""
        self._weights.update((group, self._weights.of_size(size)) for group, size in columns.groups())
        self._lengths = array("q", columns.sums_of_groups(self._weights, self._index.count).tobytes())

    def asked(self, names: Sequence[CompanyName]) -> list[AtMost]:
        """Names, ready to be compared with many."""
        return [AtMost(name, self.rarity) for name in names]

    def likely(self, asked: Sequence[AtMost], i: int, least: float) -> float:
        """The probability that a name is the i-th one. Below `least`, 0."""
        meant = self._index.meant(i)
        if len(asked) == len(meant) == 1:
            return self._probability(asked[0], meant[0], self._lengths[i] if self._lengths is not None else None, least)
        squared = self._lengths[i] if self._lengths is not None and len(meant) == 1 else None
        return max([self._probability(mine, other, squared, least) for mine, other in pairs_of(asked, meant)])

    def _probability(self, asked: AtMost, other: CompanyName, squared: int | None, least: float) -> float:
        mine = asked.name
        if mine.glued == other.glued:
            likely = round(probability(signs(mine, other, 1.0, self.rarity)), DIGITS)
            return likely if likely >= least else 0.0
        needed = odds_of(least - ROUNDED)
        most = asked.odds(other, needed - WEIGHTS["letters"]) if needed > -math.inf else 0.0
        if most + WEIGHTS["letters"] < needed:
            return 0.0
        letters = self._cosine(mine, other, squared)
        if most + WEIGHTS["letters"] * letters < needed:
            return 0.0
        likely = round(probability(signs(mine, other, letters, self.rarity)), DIGITS)
        return likely if likely >= least else 0.0

    def of_one_group(self, asked: Sequence[AtMost], i: int) -> float:
        """The probability that a name is of one corporate group with the i-th one."""
        pairs = pairs_of(asked, self._index.meant(i))
        likely = (of_one_group(mine.name, other, self._cosine(mine.name, other), self.rarity) for mine, other in pairs)
        return round(max(likely), DIGITS)

    def signs(self, mine: CompanyName, other: CompanyName) -> dict[str, float]:
        """What speaks for and against two names being one company."""
        return signs(mine, other, self._cosine(mine, other), self.rarity)

    @property
    def rarity(self) -> Callable[[str], float]:
        """How rare a word is, 0 to 1, among the names that are there and listed companies."""
        if self._rarity is None:
            self._rarity = rarity_in(self._index.words, self._index.count)
        return self._rarity

    def _cosine(self, mine: CompanyName, other: CompanyName, squared: int | None = None) -> float:
        """How alike the groups of letters of two names are, each weighted by its rarity, 0 to 1. `squared` is the length of the other's vector, where it is known."""
        groups, length = self._letters(mine)
        if squared is None:
            squared = self._letters(other)[1]
        text, weights = f"  {other.text} ", self._weights
        return sum([weights[group] for group in groups if group in text]) / math.sqrt(length * squared) if length and squared else 0.0

    def _letters(self, name: CompanyName) -> tuple[frozenset[str], int]:
        """The groups of letters of a name, and the length of the vector of their weights, squared."""
        letters = self._measured.get(name.text)
        if letters is None:
            if len(self._measured) >= MEASURED:
                del self._measured[next(iter(self._measured))]
            groups = trigrams(name.text)
            letters = self._measured[name.text] = groups, sum(map(self._weights.__getitem__, groups))
        return letters


class _SquaredWeights(dict[str, int]):
    """The square of the weight of each group of letters, made when asked for: whole numbers, so that a sum is the same in any order."""

    def __init__(self, index: NameIndex) -> None:
        super().__init__()
        self._index = index

    def __missing__(self, group: str) -> int:
        weight = self[group] = self.of_size(self._index.having(group))
        return weight

    def of_size(self, size: int) -> int:
        """The weight of a group that so many names have."""
        return round(math.log(1 + self._index.count / (size or 1)) ** 2 * WHOLE)


def pairs_of(asked: Sequence[Asked], meant: Sequence[CompanyName]) -> list[tuple[Asked, CompanyName]]:
    """Which names of two texts are compared; that both have the same in brackets, such as a province, says nothing."""
    if len(asked) == len(meant) == 1:
        return [(asked[0], meant[0])]
    return [(mine, other) for i, mine in enumerate(asked) for j, other in enumerate(meant) if i < 2 or j < 2]
