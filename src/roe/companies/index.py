"""Company names against many: which of them a name most likely means.

Names are looked up by the beginnings of their words, by their initials and by groups of three letters (*blocking*); those that share the rarest
of them are compared in full. Equal names are compared once: what tells the branches of one company apart is not in
their names. The rarity of words and letters is that of the names which are searched, so a score never depends on who else asks.
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from roe.companies.likeness import MOST_INITIALS, probability, rarity_in, signs
from roe.companies.name import CompanyName, names_in, trigrams

LETTERS = "~"  # what the keys of groups of letters begin with
BLOCKS = 18  # the rarest keys of a name that are looked up
FEW, TOO_MANY = 4, 20_000  # the rarest few are looked up unless more names than this have them
LOOKED_AT = 5_000  # names with a name's rarest keys, beyond which further keys are left
CLOSEST, AS_CLOSE, MOST = 20, 0.95, 150  # names that are compared in full; more, where they share as much as the last one
SHARES_LITTLE = 0.35  # of what the closest name shares: names that share less are not compared


class NameIndex:
    """Names by their place in a sequence, ready to be searched."""

    def __init__(self, names: Sequence[str]) -> None:
        places: dict[str, list[int]] = {}
        for i, name in enumerate(names):
            places.setdefault(name, []).append(i)
        self.names = [names_in(name) for name in places]
        self._at = list(places.values())
        self._numbers = {name: i for i, name in enumerate(places)}
        self._count = len(self.names)
        words: Counter[str] = Counter()
        self._having: dict[str, array[int]] = {}
        for i, meant in enumerate(self.names):
            words.update({word for name in meant for word in name.words})
            for key in {key for name in meant for key in keys_of(name)}:
                self._having.setdefault(key, array("I")).append(i)
        self._rarity = rarity_in(words, self._count)
        self._letter_weight = {k[1:]: math.log(1 + self._count / len(at)) for k, at in self._having.items() if k[0] == LETTERS}
        self._unknown = math.log(1 + self._count) if self._count else 1.0
        self._asked: CompanyName | None = None
        self._asked_norm = 0.0
        self._norms = array("d", (self._norm(trigrams(meant[0].text)) for meant in self.names))

    def search(self, name: str, least: float) -> list[tuple[float, int]]:
        """(probability, place) of the names that are the same company at least so likely, the best first; of equals the first."""
        asked = names_in(name)
        if not asked[0].words:
            return []
        found = [(self._likely(asked, i), i) for i in self.candidates(name)]
        scored = [(score, place) for score, i in found if score >= least for place in self._at[i]]
        return sorted(scored, key=lambda x: (-x[0], x[1]))

    def places(self, i: int) -> list[int]:
        """Where the i-th distinct name stands."""
        return self._at[i]

    def number(self, name: str) -> int:
        """The place of a name among the distinct ones."""
        return self._numbers[name]

    def candidates(self, name: str) -> list[int]:
        """The distinct names that share the most with a name, by its rarest keys."""
        shared: dict[int, float] = {}
        for meant in names_in(name):
            keys = sorted((len(at), key) for key in keys_of(meant) if (at := self._having.get(key)) is not None)
            seen = 0
            for n, (size, key) in enumerate(keys[:BLOCKS]):
                seen += size
                if size > TOO_MANY or (n >= FEW and seen > LOOKED_AT):
                    break
                weight = math.log(1 + self._count / size)
                for i in self._having[key]:
                    shared[i] = shared.get(i, 0.0) + weight
        enough = SHARES_LITTLE * max(shared.values(), default=0.0)
        closest = heapq.nlargest(MOST, ((weight, -i) for i, weight in shared.items() if weight >= enough))
        if len(closest) > CLOSEST:
            as_close = AS_CLOSE * closest[CLOSEST - 1][0]
            closest = [x for n, x in enumerate(closest) if n < CLOSEST or x[0] >= as_close]
        return [-i for _, i in closest]

    def _likely(self, asked: Iterable[CompanyName], i: int) -> float:
        """The probability that a name is the i-th one; of names that carry several, of those that are most alike."""
        return round(max(probability(self.signs(mine, other, i)) for mine in asked for other in self.names[i]), 4)

    def signs(self, mine: CompanyName, other: CompanyName, i: int) -> dict[str, float]:
        """What speaks for and against `mine` being `other`, which is one of the i-th name's."""
        return signs(mine, other, self._cosine(mine, other, i), self._rarity)

    def _cosine(self, mine: CompanyName, other: CompanyName, i: int) -> float:
        """How alike the groups of letters of two names are, each weighted by its rarity, 0 to 1."""
        grams = trigrams(mine.text)
        if mine is not self._asked:  # the same name is compared with many
            self._asked, self._asked_norm = mine, self._norm(grams)
        theirs = trigrams(other.text)
        weight, unknown = self._letter_weight, self._unknown
        dot = sum(weight.get(g, unknown) ** 2 for g in grams & theirs)
        norms = self._asked_norm * (self._norms[i] if other is self.names[i][0] else self._norm(theirs))
        return dot / norms if norms else 0.0

    def _norm(self, grams: frozenset[str]) -> float:
        return math.sqrt(sum(self._letter_weight.get(g, self._unknown) ** 2 for g in grams))


def keys_of(name: CompanyName) -> set[str]:
    """What a name is looked up by: beginnings of words, of the whole, initials, and groups of letters."""
    keys = {word[:5] for word in name.words}
    keys |= {"=" + name.glued[:8], "==" + name.glued}
    keys |= {"^" + "".join(w[0] for w in words)[:MOST_INITIALS] for words in (name.words, name.spoken) if len(words) > 1}
    keys |= {"^" + word for word in name.words if 2 <= len(word) <= MOST_INITIALS}
    return keys | {LETTERS + group for group in trigrams(name.text)}
