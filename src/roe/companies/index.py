"""Company names against many: which of them a name most likely means.

Names are looked up by the beginnings of their words, by their initials and by groups of three letters (*blocking*); those that share the rarest
of them are compared in full. Equal names are compared once: what tells the branches of one company apart is not in
their names. The rarity of words and letters is that of the names which are searched, so a score never depends on who else asks.

Names come and go one by one. Nothing depends on the order in which they came: an index that grew gives the answers of one that was
made of the same names at once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from roe.companies.at_most import AtMost
from roe.companies.name import CompanyName, names_in
from roe.companies.postings import Postings, keys_of, numpy_if_installed, words_of_all
from roe.companies.scores import Scores
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
REMEMBERED = 2_000  # names whose candidates are
MANY = 5_000  # names from which on numpy adds up what they share, where it is installed


# by the candidate and whether a group is asked for: the probability, and the least one that was asked for; below that it is not exact
Reached = dict[tuple[int, bool], tuple[float, float]]


class Looked(NamedTuple):
    """A name that was looked up: its candidates, the closest first, what they can reach at most, and how likely they are."""

    closest: list[int]
    asked: list[AtMost]
    scores: Reached


class NameIndex:
    """Names, each at one or more places (numbers that the caller chooses), ready to be searched."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._texts: list[str] = []  # the distinct names
        self._meant: list[tuple[CompanyName, ...] | None] = []  # and taken apart; none of those that are written down
        self._written = WrittenNames()  # what the names that were taken apart together mean
        self._at: list[list[int]] = []  # their places; none for a name that is gone
        self._numbers: dict[str, int] = {}
        self.count = 0  # distinct names that are there
        self.words: Counter[str] = Counter()  # in how many of them each word stands
        self._postings = Postings()
        self.scores = Scores(self)
        self._sums: Array = None
        self._looked: dict[str, Looked] = {}  # names that were looked up since a name came or went
        with uncollected():
            for place, name in enumerate(names):
                number = self._numbers.get(name)
                if number is None:
                    number = self._numbers[name] = len(self._texts)
                    self._take_up(name, number)
                self._at[number].append(place)
            self.count = len(self._texts)
            for number in range(self.count):
                for word in words_of_all(self.meant(number)):
                    self.words[word] += 1

    @classmethod
    def of(cls, names: Iterable[str], known: Sequence[str], columns: KeyColumns, words: Counter[str], written: WrittenNames) -> NameIndex:
        """The index of names. Of those that are `known`, each once, keys and words are: `columns` has their numbers. All of them are among the names."""
        index = cls()
        names = list(names)
        index._texts, index._meant = list(known), [None] * len(known)
        index._numbers = dict(zip(known, range(len(known)), strict=True))
        index.count, index.words, index._postings, index._written = len(known), words, Postings(columns), written
        new: list[tuple[str, int]] = []
        if index._texts == names:
            index._at = [[place] for place in range(len(names))]
        else:
            index._at = [[] for _ in known]
            for place, (name, number) in enumerate(zip(names, map(index._numbers.get, names), strict=True)):
                if number is None:
                    new.append((name, place))
                else:
                    index._at[number].append(place)
        if not new:
            index.scores.measure(columns)
        for name, place in new:
            index.add(name, place)
        return index

    def parts(self) -> tuple[Sequence[str], KeyColumns, Counter[str], WrittenNames]:
        """What `of` makes an index from, of one that it made and that has not changed."""
        assert self._postings.columns is not None
        return self._texts, self._postings.columns, self.words, self._written

    # --- what is in it ----------------------------------------------------------------------------------------------

    def add(self, name: str, place: int) -> None:
        self._looked.clear()
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self._texts)
            self._take_up(name, number)
        elif not self._at[number]:
            self._postings.come_back(self.meant(number))
        if not self._at[number]:
            self._count_name(number, 1)
        self._at[number].append(place)

    def _take_up(self, name: str, number: int) -> None:
        meant = names_in(name)
        self._meant.append(meant)
        self._texts.append(name)
        self._at.append([])
        self._postings.add(meant, number)

    def remove(self, name: str, place: int) -> None:
        self._looked.clear()
        number = self._numbers[name]
        self._at[number].remove(place)
        if not self._at[number]:
            self._postings.leave(self.meant(number))
            self._count_name(number, -1)

    def _count_name(self, number: int, n: int) -> None:
        """Rarity changes with every name that comes or goes."""
        for word in words_of_all(self.meant(number)):
            self.words[word] += n
        self.count += n
        self.scores.forget()

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
        return self._postings.count(key)

    # --- searching --------------------------------------------------------------------------------------------------

    def search(
        self, name: str, least: float, group: bool = False, only: Callable[[int], bool] | None = None, within: float = 1.0
    ) -> list[tuple[float, int]]:
        """(probability, place) of the names that are the same company at least so likely, the best first; of equals the first.

        With `group`, the probability that both are of one corporate group. `only` says which places may be found at all. Those that are less
        likely than the best by more than `within` may be left out.
        """
        if not names_in(name)[0].words:
            return []
        scored, looked = [], self._look_up(name)
        for i in looked.closest:
            score = self._score(looked, i, least, group)
            if score >= least:
                found = [(score, place) for place in self._at[i] if only is None or only(place)]
                scored += found
                if found:
                    least = max(least, score - within)
        return sorted(scored, key=lambda x: (-x[0], x[1]))

    def _score(self, looked: Looked, i: int, least: float, group: bool) -> float:
        """The probability that a name is the i-th one, or of its group; below `least`, any number below it."""
        score, enough = looked.scores.get((i, group), (0.0, 2.0))
        if score < enough and least < enough:
            score = self.scores.of_one_group(looked.asked, i) if group else self.scores.likely(looked.asked, i, least)
            looked.scores[i, group] = score, least
        return score

    def candidates(self, name: str) -> list[int]:
        """The distinct names that share the most with a name, by its rarest keys."""
        return self._look_up(name).closest

    def _look_up(self, name: str) -> Looked:
        """A name's candidates. Methods ask for one name after the other, and many leads have the same."""
        looked = self._looked.get(name)
        if looked is None:
            if len(self._looked) >= REMEMBERED:  # the oldest alone: to let go of all of them takes 60 ms, for which one search would wait
                del self._looked[next(iter(self._looked))]
            looked = self._looked[name] = Looked(self._closest(name), self.scores.asked(names_in(name)), {})
        return looked

    def _closest(self, name: str) -> list[int]:
        """The names that share the most with a name, the closest first."""
        shared = sorted(self._shared(self._looked_up(name)), reverse=True)
        if len(shared) > CLOSEST:
            as_close = AS_CLOSE * shared[CLOSEST - 1][0]
            shared = [x for x in shared if x[0] >= as_close]
        if len(shared) > MOST:  # of names that share as much, the first in the alphabet: numbers tell only in which order names came
            texts = self._texts
            shared.sort(key=lambda x: (-x[0], texts[x[1]]))
        return [i for _, i in shared[:MOST]]

    def _looked_up(self, name: str) -> list[tuple[float, str, int, int]]:
        """The rarest keys of a name, the rarest first: (weight, key, where its names in the columns begin, where they end)."""
        looked_up = []
        for meant in names_in(name):
            seen = 0
            for n, (size, key, start, end) in enumerate(sorted(self._postings.sized(list(keys_of(meant))))[:BLOCKS]):
                seen += size
                if size > TOO_MANY or (n >= FEW and seen > LOOKED_AT):
                    break
                looked_up.append((math.log(1 + self.count / size), key, start, end))
        return looked_up

    def _shared(self, looked_up: list[tuple[float, str, int, int]]) -> list[tuple[float, int]]:
        """(weight of the keys that it shares, number) of the names that share enough to be compared."""
        numpy = numpy_if_installed() if len(self._texts) > MANY or self._postings.columns is not None else None
        if numpy is not None:
            return self._shared_by_columns(looked_up, numpy)
        shared: dict[int, float] = {}
        for weight, key, _, _ in looked_up:
            for i in self._postings.later(key):
                shared[i] = shared.get(i, 0.0) + weight
        if len(self._texts) > self.count:
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
        weights, numbers = self._postings.arrays(looked_up, np)
        touched = np.concatenate(numbers).astype(np.intp)
        np.add.at(sums, touched, np.repeat(weights, list(map(len, numbers))))
        weights = sums[touched]
        sums[touched] = 0.0
        if len(self._texts) > self.count:  # names that are gone share nothing
            there = np.fromiter((bool(self._at[i]) for i in touched.tolist()), bool, len(touched))
            touched, weights = touched[there], weights[there]
        if not len(touched):
            return []
        near = np.flatnonzero(weights >= SHARES_LITTLE * weights.max())
        touched, weights = touched[near], weights[near]
        nth = np.arange(len(near), dtype=float)
        sums[touched] = nth
        once = np.flatnonzero(sums[touched] == nth)  # a name stands there for each of its keys
        sums[touched] = 0.0
        touched, weights = touched[once], weights[once]
        if len(weights) > CLOSEST:
            near = np.flatnonzero(weights >= AS_CLOSE * np.partition(weights, -CLOSEST)[-CLOSEST])
            touched, weights = touched[near], weights[near]
        return list(zip(weights.tolist(), touched.tolist(), strict=True))
