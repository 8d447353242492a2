"""Whether two names can reach a probability at all, at a fraction of the cost of comparing them: of most candidates, which share a few letters, none can.

Words that are like no word of the other name are left over, however the others are paired, and what is left over speaks against one
company. Where something else than the likeness of two words may pair them (initials, one word for several, a misread letter, a cut name),
nothing is said: the names are compared in full.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from roe.companies.likeness import INTERCEPT, WEIGHTS, alone, other_form
from roe.companies.name import CompanyName, first_letters
from roe.companies.pairing import CUT, MOST_INITIALS, MUCH, VOWELS, dotted
from roe.companies.spelling import word_likeness

ALWAYS = INTERCEPT + WEIGHTS["written_alike"]
RAREST, MORE = WEIGHTS["rarest_shared"], WEIGHTS["more_shared"]


def odds_at_most(a: CompanyName, b: CompanyName, rarity: Callable[[str], float], needed: float) -> float:
    """No less than the log-odds of `likeness.signs` but for those of the letters; infinite where nothing is known. Below `needed`, any number below it."""
    odds = ALWAYS + WEIGHTS["other_form"] * other_form(a, b) + (WEIGHTS["same_form"] if a.kinds & b.kinds else 0.0)
    mine, others = a.words, b.words
    if len(set(mine)) < len(mine) or len(set(others)) < len(others):
        return math.inf
    left, right, shared, rarest = set(range(len(mine))), set(range(len(others))), 0.0, 0.0
    may_be_short = bool(a.dotted or b.dotted)
    for i, x in enumerate(mine):
        rare = 0.0
        for j, y in enumerate(others):
            if x == y:
                left.discard(i)
                right.discard(j)
                rare = rarity(x)
                break
            if (x.startswith(y) and _goes_on(others, j, x, i)) or (y.startswith(x) and _goes_on(mine, i, y, j)):
                return math.inf
            if word_likeness(x, y) or (may_be_short and dotted(a, b, x, y)):
                left.discard(i)
                right.discard(j)
                rare = 1.0
        shared += rare
        if rare > rarest:
            rarest = rare
    if _may_be_paired(a, b, left, right):
        return math.inf
    odds += RAREST * rarest + MORE * (shared - rarest)
    if not left or not right:
        odds += WEIGHTS["contained"]
    if 0 in left or 0 in right:
        odds += WEIGHTS["other_beginning"]
    return odds if odds < needed else odds + _left_over(a, b, left, right, rarest, rarity)


def _left_over(a: CompanyName, b: CompanyName, left: set[int], right: set[int], rarest: float, rarity: Callable[[str], float]) -> float:
    """At least so much the words that are left over speak against one company; below 0."""
    mine, other = alone(a, left, rarity), alone(b, right, rarity)
    odds = WEIGHTS["both_have_more"] * min(mine.rarity, other.rarity)
    if mine.has_number or other.has_number:
        odds += max(WEIGHTS["other_number"], WEIGHTS["more_number"])
    if mine.has_place and other.has_place:
        odds += WEIGHTS["other_place"]
    if mine.has_common and other.has_common:
        odds += WEIGHTS["other_word"]
    if len(left) < len(a.words):
        odds += WEIGHTS["rarer_left"] * max(0.0, max(mine.rarest, other.rarest) - rarest)
    return odds


def _goes_on(words: Sequence[str], i: int, whole: str, at: int) -> bool:
    """Whether a word that another one begins with may be a part of it: the next word goes on, or the name was cut off there."""
    if i + 1 < len(words):
        return whole.startswith(words[i + 1], len(words[i]))
    return i == at and sum(map(len, words)) >= CUT


def _may_be_paired(a: CompanyName, b: CompanyName, left: set[int], right: set[int]) -> bool:
    """Whether words that are not alike may belong together all the same."""
    if VOWELS.isdisjoint(a.glued) or VOWELS.isdisjoint(b.glued) or _may_be_initials(a, b) or _may_be_initials(b, a):
        return True
    if len(a.words) != len(b.words) or len(left) > 1 or len(right) > 1 or not (left or right):
        return False
    if not (left and right):
        return True
    (i,), (j,) = left, right
    letters = len(a.words[i])
    return letters == len(b.words[j]) and len(a.glued) - letters >= MUCH


def _may_be_initials(mine: CompanyName, other: CompanyName) -> bool:
    """Whether a word of one name may be initials of the other."""
    if len(other.spoken) == 1 and len(first_letters(other.spoken[0])) == 1:
        return False
    short = [word for word in mine.words if 2 <= len(word) <= MOST_INITIALS and word not in other.words]
    if not short:
        return False
    firsts = {letter for word in (*other.words, *other.spoken) for letter in first_letters(word)}
    return any(map(firsts.issuperset, short))
