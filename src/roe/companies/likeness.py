"""How likely two names are one company: what they share, what each has alone, and what contradicts.

Words of both names are paired, each with the word that is most like it. A word counts by its rarity, between 0 and 1: how few of the
names that are searched have it, and how few of 44,097 listed companies. What is left over says most: another number, another country, another
legal form, or a rare word on both sides is another company, whatever else the names share. The signs add up to the log-odds of a logistic
model, whose weights were fitted (docs/matching.md names the sets). Each weight has the sign that its meaning asks for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz

from roe.companies.name import KEPT, CompanyName
from roe.companies.pairing import SAYS_LITTLE, Pairing, pair
from roe.companies.tables import ARMS, common_words, places, same_words, translations

MUCH_SHARED = 3.0  # rarity of shared words beside the rarest, beyond which more says nothing
RARE, SURELY = 0.75, 0.9  # of the word that a group's companies share: its rarity, and how alike it is
WELL_SPELT = 0.89  # likeness of words from which on neither is misspelt

# sign -> weight; fitted by benchmarks/fit_names.py
INTERCEPT = -2.86
WEIGHTS = {
    "contained": 1.08, "other_word": -2.04, "letters": 2.82, "written_alike": 0.31, "same": 1.01, "rarest_shared": 1.03, "more_shared": 0.63,
    "initials": 3.08, "same_form": 0.72, "both_have_more": -0.98, "rarer_left": -1.98, "other_beginning": -1.86, "other_number": -4.22,
    "more_number": -3.93, "more_arm": -2.64, "misspelt": -1.9, "inserted": -3.6, "other_place": -4.0, "more_place": -4.86, "other_form": -6.77,
}  # fmt: skip
# Kinds of legal forms that exclude each other, and how surely. People write Inc and Ltd for whatever a company is.
_OTHER_FORM = {
    frozenset(pair): sure
    for sure, pairs in {
        1.0: (("stock", "limited"), ("stock", "partners"), ("plc", "partners"), ("trader", "stock"), ("trader", "limited")),
        0.5: (
            ("trader", "partners"),
            ("limited", "partners"),
            ("inc", "limited"),
            ("inc", "partners"),
            ("plc", "ltd"),
            ("plc", "limited"),
            ("ltd", "partners"),
        ),
        0.2: (("inc", "ltd"), ("inc", "plc"), ("stock", "ltd")),
    }.items()
    for pair in pairs
}


def probability(signs: dict[str, float]) -> float:
    """The logistic function of the weighted signs, 0 to 1."""
    odds = INTERCEPT
    for name, value in signs.items():
        if value:
            odds += WEIGHTS[name] * value
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


@lru_cache
def odds_of(probability: float) -> float:
    """The log-odds of a probability; without end for 0 and less, and for 1 and more."""
    if not 0 < probability < 1:
        return math.inf if probability > 0 else -math.inf
    return math.log(probability / (1 - probability))


def of_one_group(a: CompanyName, b: CompanyName, letters: float, rarity: Callable[[str], float]) -> float:
    """How likely two names are of one corporate group, 0 to 1: both begin with the same rare word, and nothing that tells companies
    apart (places, numbers, legal forms, what else they do) speaks against it.
    """
    pairing = pair(a, b, rarity)
    brand = [(a.words[i], like) for i, j, like in pairing.pairs if i == j == 0 and a.words[i].isalpha() and a.words[i] not in places()]
    if not brand or brand[0][1] < SURELY or rarity(brand[0][0]) < RARE or brand[0][0] in common_words():
        return 0.0
    return probability({name: max(value, 0.0) if WEIGHTS[name] > 0 else 0.0 for name, value in signs(a, b, letters, rarity).items()})


class Alone(NamedTuple):
    """What one of two names has alone: whether a number, a word that is common in names, an arm or a place, and whether all its places are its
    seat; how rare the other words are together, and the rarest of them.
    """

    has_number: bool
    has_common: bool
    has_arm: bool
    has_place: bool
    is_seat: bool
    rarity: float
    rarest: float


_NOTHING = Alone(False, False, False, False, True, 0.0, 0.0)


@lru_cache(maxsize=KEPT)
def _kind_of(word: str) -> tuple[bool, bool, bool, bool]:
    """Whether a word is a number, common in names, an arm or a place; a number is nothing else."""
    if word.isdigit():
        return True, False, False, False
    return False, word in common_words(), same_words().get(word, word) in ARMS, word in places()


def alone(name: CompanyName, left: set[int], rarity: Callable[[str], float]) -> Alone:
    """What the words at some places of a name say, if it has them alone."""
    if not left:
        return _NOTHING
    has_number, has_common, has_arm, has_place, is_seat, total, rarest = _NOTHING
    for i in left:
        word = name.words[i]
        is_number, is_common, is_arm, is_place = _kind_of(word)
        has_common = has_common or is_common
        has_arm = has_arm or is_arm
        if is_number:
            has_number = True
        elif is_place:
            has_place = True
            is_seat = is_seat and word in name.seat
        else:
            rare = rarity(word)
            total += rare
            if rare > rarest:
                rarest = rare
    return Alone(has_number, has_common, has_arm, has_place, is_seat, total, rarest)


def _shared(a: CompanyName, b: CompanyName, pairing: Pairing, rarity: Callable[[str], float]) -> tuple[float, float, float]:
    """(the rarity of all words that two names share, of the rarest, by how much a misspelt one is rarer than all that are well spelt)."""
    common = common_words()
    shared = rarest = well_spelt = misspelt = 0.0
    for i, j, like in pairing.pairs:
        word, written = a.words[i], b.words[j]
        rare = rarity(word) if word == written else rarity_of(word, written, rarity)
        shared += rare * like
        rarest = max(rarest, rare * like)
        if like <= WELL_SPELT:
            misspelt = max(misspelt, rare)
        elif word not in common:
            well_spelt = max(well_spelt, rarity(word))
    return shared, rarest, max(0.0, misspelt - well_spelt)


def signs(a: CompanyName, b: CompanyName, letters: float, rarity: Callable[[str], float]) -> dict[str, float]:
    """What speaks for and against one company. `letters` is the cosine of the names' groups of three letters, 0 to 1."""
    pairing = pair(a, b, rarity)
    mine, other = alone(a, pairing.left, rarity), alone(b, pairing.right, rarity)
    shared, rarest, misspelt = _shared(a, b, pairing, rarity)
    is_same, both_have_more = a.glued == b.glued, min(mine.rarity, other.rarity)
    one_contains = not (pairing.left and pairing.right)
    some_common = 0.5 if (mine.has_common or other.has_common) and both_have_more > SAYS_LITTLE else 0.0
    return {
        "letters": 1.0 if is_same else letters,
        "written_alike": float(fuzz.ratio(a.glued, b.glued)) / 100,
        "same": float(is_same),
        "rarest_shared": rarest,
        "more_shared": min(shared - rarest, MUCH_SHARED),
        "rarer_left": max(0.0, max(mine.rarest, other.rarest) - rarest) if pairing.pairs else 0.0,
        "initials": float(pairing.initials),
        "same_form": float(bool(a.kinds & b.kinds)),
        "contained": float(bool(pairing.pairs) and one_contains),
        "both_have_more": both_have_more,
        "other_word": 1.0 if mine.has_common and other.has_common else some_common,
        "more_arm": float(mine.has_arm != other.has_arm and one_contains),
        "misspelt": misspelt,
        "inserted": _inserted(a, b, pairing, rarity),
        "other_beginning": float(0 in pairing.left or 0 in pairing.right),
        "other_number": float(mine.has_number and other.has_number),
        "more_number": float(mine.has_number != other.has_number),
        "other_place": float(mine.has_place and other.has_place),
        "more_place": float(mine.has_place != other.has_place and not _place_is_said(a, b, pairing, mine, other)),
        "other_form": other_form(a, b),
    }


def _place_is_said(a: CompanyName, b: CompanyName, pairing: Pairing, mine: Alone, other: Alone) -> bool:
    """Whether the place that one name alone has is its seat, or the other name says it by its language: `… Neumaticos`, `… Tire Argentina`."""
    if (mine if mine.has_place else other).is_seat:
        return True
    translated = translations()
    words = ((b.words[j], a.words[i]) if mine.has_place else (a.words[i], b.words[j]) for i, j, like in pairing.pairs if like < 1)
    return any(there in translated and here not in translated for there, here in words)


def _inserted(a: CompanyName, b: CompanyName, pairing: Pairing, rarity: Callable[[str], float]) -> float:
    """The rarest word, 0 to 1, that one name alone has between words of both: `Wells Fargo Bank`, `Wells Bank`."""
    if bool(pairing.left) == bool(pairing.right) or not pairing.pairs:
        return 0.0
    name, left = (a, pairing.left) if pairing.left else (b, pairing.right)
    side = 0 if pairing.left else 1
    paired = [pair[side] for pair in pairing.pairs]
    first, last = min(paired), max(paired)
    return max((rarity(name.words[i]) for i in left if first < i < last), default=0.0)


def rarity_of(x: str, y: str, rarity: Callable[[str], float]) -> float:
    """How rare what two words mean is: a shortened or misspelt common word is common, a rare one as rare as its rarer spelling."""
    if x == y:
        return rarity(x)
    common = common_words()
    return (min if x in common or y in common else max)(rarity(x), rarity(y))


def other_form(a: CompanyName, b: CompanyName) -> float:
    """How surely the legal forms are of two companies, 0 to 1."""
    return _other_kinds(a.kinds, b.kinds)


@lru_cache(maxsize=KEPT)
def _other_kinds(mine: frozenset[str], others: frozenset[str]) -> float:
    if not mine or not others or mine & others:
        return 0.0
    return min(_OTHER_FORM.get(frozenset((x, y)), 0.0) for x in mine for y in others)


def rarity_in(names: Counter[str], count: int) -> Callable[[str], float]:
    """How rare a word is, 0 (in nearly every name) to 1 (in none): among `count` names, of which `names` has the words, and listed companies."""
    from roe.companies.tables import NAMES_COUNTED

    listed = common_words()
    everything = NAMES_COUNTED / LISTED_COUNT + count
    most = math.log(everything / 0.5)

    class Known(dict[str, float]):
        def __missing__(self, word: str) -> float:
            rarity = self[word] = math.log(everything / (listed.get(word, 0) / LISTED_COUNT + names[word] + 0.5)) / most
            return rarity

    return Known().__getitem__


LISTED_COUNT = 4  # listed companies that count as one of the names that are searched
