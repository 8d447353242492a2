"""Company names against many: which of them a name most likely means.

Names are looked up by the beginnings of their words, by their initials and by groups of three letters (*blocking*); those that share the rarest
of them are compared in full. Equal names are compared once: what tells the branches of one company apart is not in
their names. The rarity of words and letters is that of the names which are searched, so a score never depends on who else asks.

Names come and go one by one. Nothing depends on the order in which they came: an index that grew gives the answers of one that was
made of the same names at once.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from roe.companies.likeness import of_one_group, probability, rarity_in, signs
from roe.companies.name import CompanyName, names_in, trigrams
from roe.companies.pairing import MOST_INITIALS
from roe.companies.written import WrittenNames
from roe.dynamic import Array
from roe.files import uncollected

if TYPE_CHECKING:
    from roe.companies.keys import KeyColumns

BLOCKS = 18  # the rarest keys of a name that are looked up
FEW, TOO_MANY = 4, 20_000  # the rarest few are looked up unless more names than this have them
LOOKED_AT = 5_000  # names with a name's rarest keys, beyond which further keys are left
CLOSEST, AS_CLOSE, MOST = 6, 0.99, 60  # names that are compared in full; more, where they share as much as the last one
SHARES_LITTLE = 0.4  # of what the closest name shares: names that share less are not compared
WHOLE = 1 << 20  # what a weight of 1 is
MEASURED = 2_000  # names whose letters, or candidates, are remembered
DIGITS = 4  # of a probability
MANY = 5_000  # names from which on numpy adds up what they share, where it is installed


# by the candidate and whether a group is asked for: the probability, and the least one that was asked for; below that it is not exact
Scores = dict[tuple[int, bool], tuple[float, float]]


class Looked(NamedTuple):
    """A name that was looked up: its candidates, the closest first, and how likely they are."""

    closest: list[int]
    scores: Scores


class NameIndex:
    """Names, each at one or more places (numbers that the caller chooses), ready to be searched."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._texts: list[str] = []  # the distinct names
        self._meant: list[tuple[CompanyName, ...] | None] = []  # and taken apart; none of those that are written down
        self._written = WrittenNames()  # what the names that were taken apart together mean
        self._at: list[list[int]] = []  # their places; none for a name that is gone
        self._numbers: dict[str, int] = {}
        self._count = 0  # distinct names that are there
        self._words: Counter[str] = Counter()
        self._having: dict[str, int | array[int]] = {}  # key -> the name, or the names, that have it, or had it
        self._columns: KeyColumns | None = None  # the same of names that were taken apart together
        self._gone: Counter[str] = Counter()  # key -> how many of those are gone
        self._weights = _SquaredWeights(self)
        self._measured: dict[str, tuple[frozenset[str], int]] = {}
        self._lengths: Sequence[int] | None = None  # of each name's vector of letters, squared, until a name comes or goes
        self._rarity: Callable[[str], float] | None = None
        self._sums: Array = None
        self._looked: dict[str, Looked] = {}  # names that were looked up since a name came or went
        with uncollected():
            for place, name in enumerate(names):
                number = self._numbers.get(name)
                if number is None:
                    number = self._numbers[name] = len(self._texts)
                    self._take_up(name, number)
                self._at[number].append(place)
            self._count = len(self._texts)
            for number in range(self._count):
                for word in words_of_all(self.meant(number)):
                    self._words[word] += 1

    @classmethod
    def of(cls, names: Iterable[str], columns: KeyColumns, words: Counter[str], written: WrittenNames) -> NameIndex:
        """The index of names whose keys and words are known: `columns` has the numbers of the distinct names."""
        index = cls()
        for place, name in enumerate(names):
            number = index._numbers.setdefault(name, len(index._texts))
            if number == len(index._texts):
                index._texts.append(name)
                index._meant.append(None)
                index._at.append([])
            index._at[number].append(place)
        index._count, index._words, index._columns, index._written = len(index._texts), words, columns, written
        index._measure_columns(columns)
        return index

    def _measure_columns(self, columns: KeyColumns) -> None:
        """Weigh every group of letters, and so the names, before processes share them."""
        lengths = array("q", bytes(8 * self._count))
        as_array = import_module("numpy").frombuffer(lengths, "q")
        for group, numbers in columns.groups():
            weight = self._weights[group] = self._weights.of_size(len(numbers))
            as_array[numbers] += weight
        self._lengths = lengths

    def parts(self) -> tuple[KeyColumns, Counter[str], WrittenNames]:
        """What `of` makes an index from, of one that it made and that has not changed."""
        assert self._columns is not None
        return self._columns, self._words, self._written

    # --- what is in it ----------------------------------------------------------------------------------------------

    def add(self, name: str, place: int) -> None:
        self._looked.clear()
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._texts)
            self._take_up(name, number)
        elif not self._at[number]:
            self._gone.subtract(keys_of_all(self.meant(number)))
        if not self._at[number]:
            self._count_name(number, 1)
        self._at[number].append(place)

    def _take_up(self, name: str, number: int) -> None:
        meant = names_in(name)
        self._meant.append(meant)
        self._texts.append(name)
        self._at.append([])
        having = self._having
        for key in keys_of(meant[0]) if len(meant) == 1 else keys_of_all(meant):
            numbers = having.get(key)
            if numbers is None:
                having[key] = number
            elif type(numbers) is int:
                having[key] = array("I", (numbers, number))
            else:
                numbers.append(number)  # type: ignore[union-attr]

    def remove(self, name: str, place: int) -> None:
        self._looked.clear()
        number = self._numbers[name]
        self._at[number].remove(place)
        if not self._at[number]:
            self._gone.update(keys_of_all(self.meant(number)))
            self._count_name(number, -1)

    def _count_name(self, number: int, n: int) -> None:
        """Rarity changes with every name that comes or goes."""
        for word in words_of_all(self.meant(number)):
            self._words[word] += n
        self._count += n
        self._rarity = None
        self._weights.clear()
        self._measured.clear()
        self._lengths = None

    def meant(self, i: int) -> tuple[CompanyName, ...]:
        """The i-th distinct name, taken apart."""
        meant = self._meant[i]
        return self._written.meant(i) if meant is None else meant

    def places(self, i: int) -> list[int]:
        """Where the i-th distinct name stands."""
        return self._at[i]

    def number(self, name: str) -> int:
        """The place of a name among the distinct ones."""
        return self._numbers[name]

    def having(self, key: str) -> int:
        """How many names have a key."""
        return next((size for size, *_ in self._sized((key,))), 0)

    def _sized(self, keys: Sequence[str]) -> list[tuple[int, str, int, int]]:
        """(how many names have it, key, where those in the columns begin, where they end) of the keys that names have."""
        having, gone = self._having, self._gone
        if self._columns is None:
            some = [(key, having[key]) for key in keys if key in having]
            return [(size, key, 0, 0) for key, numbers in some if (size := _count(numbers) - gone.get(key, 0))]
        spans = self._columns.find(keys)
        if not having and not gone:
            return [(end - start, key, start, end) for key, start, end in spans]
        in_columns = {key: (start, end) for key, start, end in spans}
        every = (
            (_count(having.get(key)) + end - start - gone.get(key, 0), key, start, end)
            for key in keys
            for start, end in (in_columns.get(key, (0, 0)),)
        )
        return [sized for sized in every if sized[0]]

    # --- searching --------------------------------------------------------------------------------------------------

    def search(self, name: str, least: float, group: bool = False, only: Callable[[int], bool] | None = None) -> list[tuple[float, int]]:
        """(probability, place) of the names that are the same company at least so likely, the best first; of equals the first.

        With `group`, the probability that both are of one corporate group. `only` says which places may be found at all.
        """
        asked = names_in(name)
        if not asked[0].words:
            return []
        scored, looked = [], self._look_up(name)
        for i in looked.closest:
            places = self._at[i] if only is None else list(filter(only, self._at[i]))
            if places and (score := self._score(asked, i, least, group, looked.scores)) >= least:
                scored += [(score, place) for place in places]
        return sorted(scored, key=lambda x: (-x[0], x[1]))

    def _score(self, asked: Sequence[CompanyName], i: int, least: float, group: bool, scores: Scores) -> float:
        """The probability that a name is the i-th one, or of its group; below `least`, any number below it."""
        score, enough = scores.get((i, group), (0.0, 2.0))
        if score < enough and least < enough:
            score = self._of_one_group(asked, i) if group else self._likely(asked, i, least)
            scores[i, group] = score, least
        return score

    def candidates(self, name: str) -> list[int]:
        """The distinct names that share the most with a name, by its rarest keys."""
        return self._look_up(name).closest

    def _look_up(self, name: str) -> Looked:
        """A name's candidates. Methods ask for one name after the other, and many leads have the same."""
        looked = self._looked.get(name)
        if looked is None:
            if len(self._looked) >= MEASURED:
                self._looked.clear()
            shared = self._shared(self._looked_up(name))
            texts = self._texts
            closest = sorted(((-weight, texts[i], i) for weight, i in shared))[:MOST]
            if len(closest) > CLOSEST:
                as_close = AS_CLOSE * closest[CLOSEST - 1][0]
                closest = [x for n, x in enumerate(closest) if n < CLOSEST or x[0] <= as_close]
            looked = self._looked[name] = Looked([i for _, _, i in closest], {})
        return looked

    def _looked_up(self, name: str) -> list[tuple[float, str, int, int]]:
        """The rarest keys of a name, the rarest first: (weight, key, where its names in the columns begin, where they end)."""
        looked_up = []
        for meant in names_in(name):
            seen = 0
            for n, (size, key, start, end) in enumerate(sorted(self._sized(list(keys_of(meant))))[:BLOCKS]):
                seen += size
                if size > TOO_MANY or (n >= FEW and seen > LOOKED_AT):
                    break
                looked_up.append((math.log(1 + self._count / size), key, start, end))
        return looked_up

    def _shared(self, looked_up: list[tuple[float, str, int, int]]) -> list[tuple[float, int]]:
        """(weight of the keys that it shares, number) of the names that share enough to be compared."""
        numpy = _numpy() if len(self._texts) > MANY or self._columns is not None else None
        if numpy is not None:
            return self._shared_by_columns(looked_up, numpy)
        shared: dict[int, float] = {}
        for weight, key, _, _ in looked_up:
            numbers = self._having[key]
            for i in (numbers,) if isinstance(numbers, int) else numbers:
                shared[i] = shared.get(i, 0.0) + weight
        if len(self._texts) > self._count:
            shared = {i: weight for i, weight in shared.items() if self._at[i]}
        enough = SHARES_LITTLE * max(shared.values(), default=0.0)
        return [(weight, i) for i, weight in shared.items() if weight >= enough]

    def _shared_by_columns(self, looked_up: list[tuple[float, str, int, int]], np: ModuleType) -> list[tuple[float, int]]:
        """The same sums, each in the same order, so to the last digit the same."""
        if not looked_up:
            return []
        sums = self._sums
        if sums is None or len(sums) < len(self._texts):
            sums = self._sums = np.zeros(len(self._texts) * 5 // 4)
        of_each = [(weight, numbers) for weight, key, start, end in looked_up for numbers in self._numbers_of(key, start, end, np)]
        touched = np.concatenate([numbers for _, numbers in of_each]).astype(np.intp)
        np.add.at(sums, touched, np.repeat([weight for weight, _ in of_each], [len(numbers) for _, numbers in of_each]))
        weights = sums[touched]
        sums[touched] = 0.0
        if len(self._texts) > self._count:  # names that are gone share nothing
            there = np.fromiter((bool(self._at[i]) for i in touched.tolist()), bool, len(touched))
            touched, weights = touched[there], weights[there]
        if not len(touched):
            return []
        near = np.flatnonzero(weights >= SHARES_LITTLE * weights.max())
        touched, firsts = np.unique(touched[near], return_index=True)
        weights = weights[near][firsts]
        if len(weights) > CLOSEST:  # those that share less than is compared need no look at their texts
            near = np.flatnonzero(weights >= AS_CLOSE * np.partition(weights, -CLOSEST)[-CLOSEST])
            touched, weights = touched[near], weights[near]
        return list(zip(weights.tolist(), touched.tolist(), strict=True))

    def _numbers_of(self, key: str, start: int, end: int, np: ModuleType) -> Iterator[Array]:
        """The names that have a key: those from `start` to `end` in the columns, and those that came one by one."""
        if end > start and self._columns is not None:
            yield self._columns.numbers[start:end]
        more = self._having.get(key)
        if more is not None:
            yield np.frombuffer(array("I", (more,)) if isinstance(more, int) else more, np.uintc)

    def _likely(self, asked: Sequence[CompanyName], i: int, least: float) -> float:
        """The probability that a name is the i-th one; of names that carry several, of those that are most alike. Below `least`, 0."""
        meant = self.meant(i)
        squared = self._lengths[i] if self._lengths is not None and len(meant) == 1 else None
        return max([self._probability(mine, other, squared, least) for mine, other in pairs_of(asked, meant)])

    def _probability(self, mine: CompanyName, other: CompanyName, squared: int | None, least: float) -> float:
        """The probability that two names are one company. Letters are compared only where they may still lift it to `least`; else it is 0."""
        found = signs(mine, other, 1.0, self.rarity)
        likely = round(probability(found), DIGITS)
        if likely < least or mine.glued == other.glued:
            return likely if likely >= least else 0.0
        found["letters"] = self._cosine(mine, other, squared)
        return round(probability(found), DIGITS)

    def _of_one_group(self, asked: Sequence[CompanyName], i: int) -> float:
        likely = (of_one_group(mine, other, self._cosine(mine, other), self.rarity) for mine, other in pairs_of(asked, self.meant(i)))
        return round(max(likely), DIGITS)

    @property
    def rarity(self) -> Callable[[str], float]:
        """How rare a word is, 0 to 1, among the names that are there and listed companies."""
        if self._rarity is None:
            self._rarity = rarity_in(self._words, self._count)
        return self._rarity

    def signs(self, mine: CompanyName, other: CompanyName) -> dict[str, float]:
        """What speaks for and against two names being one company."""
        return signs(mine, other, self._cosine(mine, other), self.rarity)

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
                self._measured.clear()
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
        return round(math.log(1 + self._index._count / (size or 1)) ** 2 * WHOLE)


def pairs_of(asked: Sequence[CompanyName], meant: Sequence[CompanyName]) -> list[tuple[CompanyName, CompanyName]]:
    """Which names of two texts are compared; that both have the same in brackets, such as a province, says nothing."""
    if len(asked) == len(meant) == 1:
        return [(asked[0], meant[0])]
    return [(mine, other) for i, mine in enumerate(asked) for j, other in enumerate(meant) if i < 2 or j < 2]


def _count(numbers: int | array[int] | None) -> int:
    return 0 if numbers is None else 1 if isinstance(numbers, int) else len(numbers)


@cache
def _numpy() -> ModuleType | None:
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
