"""How likely names can be beside one name at most, at a fraction of the cost of comparing them: of most candidates, which share a few letters, none
is likely enough.

Words that are like no word of the other name are left over, however the others are paired, and what is left over speaks against one
company. Where something else than the likeness of two words may pair them (initials, one word for several, a misread letter, a cut name),
nothing is said: the names are compared in full. The candidates of a name share words, so what a word can be beside that name is found once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from roe.companies.likeness import INTERCEPT, WEIGHTS, Alone, alone, other_form, rarity_of
from roe.companies.name import CompanyName, first_letters
from roe.companies.pairing import CUT, MOST_INITIALS, MUCH, VOWELS, shortened_to
from roe.companies.spelling import known, may_be_like, word_likeness

ALWAYS = INTERCEPT + WEIGHTS["written_alike"]
RAREST, MORE = WEIGHTS["rarest_shared"], WEIGHTS["more_shared"]


class AtMost:
    """The most that other names can reach beside one."""

    def __init__(self, name: CompanyName, rarity: Callable[[str], float]) -> None:
        self.name = name
        words = name.words
        self._words, self._rarity = _WordsBeside(name, rarity), rarity
        self._is_comparable = len(set(words)) == len(words) and not VOWELS.isdisjoint(name.glued)
        self._short = [(word, len(set(word))) for word in words if 2 <= len(word) <= MOST_INITIALS]
        self._all = (1 << len(words)) - 1
        self._alone: dict[int, Alone] = {}  # by the words that are paired: what the others say

    def odds(self, other: CompanyName, needed: float) -> float:
        """No less than the log-odds of `likeness.signs` but for those of the letters; infinite where nothing is known. Below `needed`, any number below it."""
        words = other.words
        if not self._is_comparable or VOWELS.isdisjoint(other.glued) or len(set(words)) < len(words):
            return math.inf
        of, dotted = self._words, other.dotted
        beside = [of[word + "." if word in dotted else word] for word in words] if dotted else [of[word] for word in words]
        paired, shared, rarest, left = 0, 0.0, 0.0, 0
        for j, (places, rare, may_be_other) in enumerate(beside):
            if may_be_other is not None and may_be_other(words, j):
                return math.inf
            if places:
                paired |= places
                shared += rare
                if rare > rarest:
                    rarest = rare
            else:
                left += 1
        if (self._short and self._has_initials_of(other)) or self._may_be_misread(words, paired, beside, left):
            return math.inf
        odds = ALWAYS + RAREST * rarest + MORE * (shared - rarest) + _of_forms(self.name, other)
        if paired == self._all or not left:
            odds += WEIGHTS["contained"]
        if not paired & 1 or not beside[0].places:
            odds += WEIGHTS["other_beginning"]
        if odds < needed:
            return odds
        return odds + self._left_over(other, paired, {j for j, word in enumerate(beside) if not word.places}, rarest)

    def _left_over(self, other: CompanyName, paired: int, right: set[int], rarest: float) -> float:
        """At least so much the words that are left over speak against one company; below 0."""
        mine = self._alone.get(paired)
        if mine is None:
            left = {i for i in range(len(self.name.words)) if not paired >> i & 1}
            mine = self._alone[paired] = alone(self.name, left, self._rarity)
        others = alone(other, right, self._rarity)
        odds = WEIGHTS["both_have_more"] * min(mine.rarity, others.rarity)
        if mine.has_number or others.has_number:
            odds += max(WEIGHTS["other_number"], WEIGHTS["more_number"])
        if mine.has_place and others.has_place:
            odds += WEIGHTS["other_place"]
        if mine.has_common and others.has_common:
            odds += WEIGHTS["other_word"]
        if paired:
            odds += WEIGHTS["rarer_left"] * max(0.0, max(mine.rarest, others.rarest) - rarest)
        return odds

    def _has_initials_of(self, other: CompanyName) -> bool:
        """Whether a word may be the initials of the other name, each of whose words has one letter among them, or two where it is composed."""
        words, spoken = other.words, other.spoken
        most = 2 * (len(words) if spoken is words else len(words) + len(spoken))
        firsts = {spoken[0][0], *[word[0] for word in words]}
        short = [word for word, letters in self._short if letters <= most and word[0] in firsts and word not in words]
        return bool(short) and any(map(_initials_of(other).issuperset, short))

    def _may_be_misread(self, words: Sequence[str], paired: int, beside: Sequence[WordBeside], left: int) -> bool:
        """Whether a letter of the only word that each name has alone may be wrong, or all words are paired in more than one way."""
        mine, alone = self.name.words, self._all & ~paired
        if len(mine) != len(words) or left > 1 or alone & (alone - 1) or not (alone or left):
            return False
        if not (alone and left):
            return True
        letters = len(mine[alone.bit_length() - 1])
        word = next(word for word, at in zip(words, beside, strict=True) if not at.places)
        return letters == len(word) and len(self.name.glued) - letters >= MUCH


class WordBeside(NamedTuple):
    """What a word can be beside a name: the places of the name's words that it is like, as bits; the most that they say, by their rarity; whether
    something else may pair it, which depends on the words that it stands among.
    """

    places: int
    rarity: float
    may_be_other: Callable[[Sequence[str], int], bool] | None


class _WordsBeside(dict[str, WordBeside]):
    """What each word can be beside a name, found when it is asked for. A full stop behind a word says that it may be cut short."""

    def __init__(self, name: CompanyName, rarity: Callable[[str], float]) -> None:
        super().__init__()
        self._name, self._rarity, self._initials = name, rarity, _initials_of(name)
        self._mine = [known(word) for word in name.words]
        self._firsts = {word[0] for word in name.words}
        self._can_be_cut = len(name.glued) >= CUT

    def __missing__(self, written: str) -> WordBeside:
        is_dotted = written[-1] == "."
        beside = self[written] = self._beside(written[:-1] if is_dotted else written, is_dotted)
        return beside

    def _beside(self, word: str, is_dotted: bool) -> WordBeside:
        mine, dotted = self._name.words, self._name.dotted
        if word in mine:
            return WordBeside(1 << mine.index(word), self._rarity(word), None)
        places, most, other = 0, 0.0, known(word)
        for i, each in enumerate(self._mine):
            if may_be_like(each, other):
                x = each.word
                likeness = word_likeness(x, word) or shortened_to(x, x in dotted, word, is_dotted)
                if likeness:
                    places |= 1 << i
                    most = max(most, likeness * rarity_of(x, word, self._rarity))
        return WordBeside(places, most, self._other(word))

    def _other(self, word: str) -> Callable[[Sequence[str], int], bool] | None:
        """Whether a word, at a place among others, may belong to a name though it is like no word of it."""
        if 2 <= len(word) <= MOST_INITIALS and self._initials.issuperset(word):
            return _always
        if word[0] not in self._firsts:
            return None
        mine = self._name.words
        begun = [(i, x) for i, x in enumerate(mine) if x.startswith(word)]  # this word and the next may be one, or it was cut off
        begins = [i for i, x in enumerate(mine) if word.startswith(x)]
        last = len(mine) - 1
        if any(word.startswith(mine[i + 1], len(mine[i])) for i in begins if i < last):
            return _always
        cut_at = last if last in begins and self._can_be_cut else -1
        if not begun and cut_at < 0:
            return None

        def may_be(words: Sequence[str], j: int) -> bool:
            if j + 1 < len(words):
                return j == cut_at or any(x.startswith(words[j + 1], len(word)) for _, x in begun)
            return j == cut_at or (any(i == j for i, _ in begun) and sum(map(len, words)) >= CUT)

        return may_be


def _always(words: Sequence[str], j: int) -> bool:
    return True


def _initials_of(name: CompanyName) -> frozenset[str]:
    """The letters that initials of a name are of; none if it has but one."""
    if len(name.spoken) == 1 and len(first_letters(name.spoken[0])) == 1:
        return frozenset()
    return frozenset([letter for word in {*name.words, *name.spoken} for letter in first_letters(word)])


def _of_forms(a: CompanyName, b: CompanyName) -> float:
    """What the legal forms speak for or against one company."""
    if not (a.kinds and b.kinds):
        return 0.0
    return WEIGHTS["other_form"] * other_form(a, b) + (WEIGHTS["same_form"] if a.kinds & b.kinds else 0.0)
