"""Company names against many: which of them a name means, by words and letters that say something.

A score of two names is the mean of two measures. One compares words: each finds the word of the other name that is most
like it, and counts by how rare it is among all names, so that `Memel` says more than `Bank` (Cohen, Ravikumar and
Fienberg, "A Comparison of String Distance Metrics for Name-Matching Tasks", 2003: soft TF-IDF). The other is the cosine of
the names' groups of three letters, weighted alike, which forgives what scanning and typing do to words. The rarity of words
and letters is that of the names which are searched, so that the score of a name never depends on who else asks.

Only names that share a rare word's beginning, or rare groups of letters, are compared (*blocking*).
"""

from __future__ import annotations

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

from roe.grammar.field_functions import company

ALIKE = 75  # of 100: two words that are less like each other have nothing in common
LONGER, SHORTER = 0.35, 0.65  # how the shares of both names' words count: the shorter name may leave words out
GLUED = 0.9  # names that are so alike without spaces are as alike as that
ACRONYM, LETTERS = 0.6, 6  # the score of initials, and how many they may be
GRAM = "~"  # what the keys of groups of letters begin with
BLOCKS = 6  # rare keys of a name that are looked up
CROWDED, TOO_MANY, FEW = 2_000, 20_000, 4  # names that share a key, beyond which it says too little; of the rarest few, more
CLOSEST = 20  # names that are compared in full


class NameIndex:
    """Names by their place in a sequence, ready to be searched."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [company(x) for x in names]
        self._count = len(names)
        words: Counter[str] = Counter()
        self._at: dict[str, array[int]] = {}
        for i, name in enumerate(self.names):
            parts = name.split()
            words.update(set(parts))
            for key in _keys(parts, trigrams(name)):
                held = self._at.get(key)
                if held is None:
                    held = self._at[key] = array("I")
                held.append(i)
        self._word_weight = {w: math.log(1 + self._count / n) for w, n in words.items()}
        self._gram_weight = {key[1:]: math.log(1 + self._count / len(at)) for key, at in self._at.items() if key[0] == GRAM}
        self._unknown = math.log(1 + self._count) if self._count else 1.0
        self._norms = array("d", (self._norm(trigrams(name)) for name in self.names))

    def search(self, name: str, least: float) -> list[tuple[float, int]]:
        """(score, place) of the names that score at least so much, the best first; of equals the first."""
        text = company(name)
        if not text:
            return []
        words, grams = text.split(), trigrams(text)
        norm = self._norm(grams)
        found = [(self._score(text, words, grams, norm, i), i) for i in self.candidates(words, grams)]
        return sorted(((score, i) for score, i in found if score >= least), key=lambda x: (-x[0], x[1]))

    def candidates(self, words: list[str], grams: Counter[str]) -> Iterable[int]:
        """The places of the names that share the most with a name, by its rarest keys."""
        keys = sorted((len(at), key) for key in _keys(words, grams) if (at := self._at.get(key)) is not None)
        shared: dict[int, float] = {}
        for n, (size, key) in enumerate(keys[: 3 * BLOCKS]):
            if size > (CROWDED if n >= FEW else TOO_MANY):
                break
            weight = math.log(1 + self._count / size)
            for i in self._at[key]:
                shared[i] = shared.get(i, 0.0) + weight
        if len(shared) <= CLOSEST:
            return shared
        return [i for i, _ in heapq.nlargest(CLOSEST, shared.items(), key=lambda x: (x[1], -x[0]))]

    def _score(self, text: str, words: list[str], grams: Counter[str], norm: float, i: int) -> float:
        from rapidfuzz import fuzz

        other = self.names[i]
        theirs = other.split()
        glued = text.replace(" ", ""), other.replace(" ", "")
        if glued[0] == glued[1]:
            return 1.0
        mine, yours = self._share(words, theirs), self._share(theirs, words)
        by_words = SHORTER * max(mine, yours) + LONGER * min(mine, yours)
        score = (by_words + self._cosine(grams, norm, i)) / 2
        if _initials(words) == other or _initials(theirs) == text:
            score = max(score, ACRONYM)
        close = fuzz.ratio(*glued) / 100
        return round(max(score, close) if close >= GLUED else score, 4)

    def _share(self, words: list[str], others: list[str]) -> float:
        """How much of a name's weight has a counterpart in another, 0 to 1."""
        total = found = 0.0
        for word in words:
            weight = self._word_weight.get(word, self._unknown)
            total += weight
            found += weight * (1.0 if word in others else max((_alike(word, w) for w in others), default=0.0))
        return found / total if total else 0.0

    def _cosine(self, grams: Counter[str], norm: float, i: int) -> float:
        theirs = trigrams(self.names[i])
        small, large = (grams, theirs) if len(grams) <= len(theirs) else (theirs, grams)
        weight = self._gram_weight
        dot = sum((1 + math.log(n)) * (1 + math.log(large[g])) * weight[g] ** 2 for g, n in small.items() if g in large)
        return dot / (norm * self._norms[i]) if norm and self._norms[i] else 0.0

    def _norm(self, grams: Counter[str]) -> float:
        return math.sqrt(sum(((1 + math.log(n)) * self._gram_weight.get(g, self._unknown)) ** 2 for g, n in grams.items()))


@lru_cache(maxsize=1 << 18)
def _alike(a: str, b: str) -> float:
    from rapidfuzz import fuzz

    return float(fuzz.ratio(a, b, score_cutoff=ALIKE)) / 100


def trigrams(text: str) -> Counter[str]:
    padded = f"  {text} "
    return Counter(padded[i : i + 3] for i in range(len(padded) - 2))


def _initials(words: list[str]) -> str:
    """What a name of several words may be called for short."""
    return "".join(w[0] for w in words) if 3 <= len(words) <= LETTERS else ""


def _keys(words: list[str], grams: Iterable[str]) -> set[str]:
    """What names are looked up by: beginnings of words, of the whole, and groups of letters."""
    found = {w[:5] for w in words}
    glued = "".join(words)
    found |= {"=" + glued[:8], "==" + glued}
    acronym = _initials(words) or (words[0] if len(words) == 1 and len(words[0]) <= LETTERS else "")
    if acronym:
        found.add("^" + acronym)
    return found | {GRAM + g for g in grams}
