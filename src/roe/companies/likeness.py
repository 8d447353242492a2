"""How likely two names are one company: what they share, what each has alone, and what contradicts.

Words of both names are paired, each with the word that is most like it. A word counts by its rarity, between 0 and 1: how few of the
names that are searched have it, and how few of 44,097 listed companies. What is left over says most: another number, another country, another
legal form, or a rare word on both sides is another company, whatever else the names share. The signs add up to the log-odds of a logistic
model, whose weights were fitted (docs/matching.md names the sets). Each weight has the sign that its meaning asks for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz import fuzz
from rapidfuzz.distance import OSA

from roe.companies.name import KEPT, CompanyName, first_letters
from roe.companies.tables import ARMS, COMPOSED_WITH, common_words, places, same_words

COMMON = 15  # names of listed companies that a word stands in, for it to be one that people shorten
SAYS_LITTLE = 0.35  # rarity up to which a word may stand beside initials
MOST_INITIALS = 6
MUCH_SHARED = 3.0  # rarity of shared words beside the rarest, beyond which more says nothing
MUCH = 15  # letters of the other words, for a wrong one in a short word to be a mistake
RARE, SURELY = 0.75, 0.9  # of the word that a group's companies share: its rarity, and how alike it is
MOST_WRONG = 3  # letters of a misspelt word
WELL_SPELT = 0.89  # likeness of words from which on neither is misspelt
CUT = 10  # letters of a name from which on its last word may have been cut off

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


@dataclass(slots=True)
class Pairing:
    """Places of words of two names that belong together, how alike they are (0 to 1), and what each name has alone."""

    pairs: list[tuple[int, int, float]]
    left: set[int]
    right: set[int]
    initials: bool = False


def probability(signs: dict[str, float]) -> float:
    """The logistic function of the weighted signs, 0 to 1."""
    odds = INTERCEPT
    for name, value in signs.items():
        if value:
            odds += WEIGHTS[name] * value
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


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


def _alone(name: CompanyName, left: set[int], rarity: Callable[[str], float]) -> Alone:
    words, regions, common, same = [name.words[i] for i in left if not name.words[i].isdigit()], places(), common_words(), same_words()
    there = [word for word in words if word in regions]
    rare = [rarity(word) for word in words if word not in regions]
    return Alone(
        len(words) < len(left), any(word in common for word in words), any(same.get(word, word) in ARMS for word in words),
        bool(there), all(word in name.seat for word in there), sum(rare, 0.0), max(rare, default=0.0),
    )  # fmt: skip


def _shared(a: CompanyName, b: CompanyName, pairing: Pairing, rarity: Callable[[str], float]) -> tuple[float, float, float]:
    """(the rarity of all words that two names share, of the rarest, by how much a misspelt one is rarer than all that are well spelt)."""
    shared = rarest = well_spelt = misspelt = 0.0
    for i, j, like in pairing.pairs:
        word, written = a.words[i], b.words[j]
        rare = rarity(word) if word == written else _rarity_of(word, written, rarity)
        shared += rare * like
        rarest = max(rarest, rare * like)
        if like <= WELL_SPELT:
            misspelt = max(misspelt, rare)
        elif word not in common_words():
            well_spelt = max(well_spelt, rarity(word))
    return shared, rarest, max(0.0, misspelt - well_spelt)


def signs(a: CompanyName, b: CompanyName, letters: float, rarity: Callable[[str], float]) -> dict[str, float]:
    """What speaks for and against one company. `letters` is the cosine of the names' groups of three letters, 0 to 1."""
    pairing = pair(a, b, rarity)
    mine, other = _alone(a, pairing.left, rarity), _alone(b, pairing.right, rarity)
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
        "more_place": float(mine.has_place != other.has_place and not (mine if mine.has_place else other).is_seat),
        "other_form": _other_form(a, b),
    }


def _inserted(a: CompanyName, b: CompanyName, pairing: Pairing, rarity: Callable[[str], float]) -> float:
    """The rarest word, 0 to 1, that one name alone has between words of both: `Wells Fargo Bank`, `Wells Bank`."""
    if bool(pairing.left) == bool(pairing.right) or not pairing.pairs:
        return 0.0
    name, left = (a, pairing.left) if pairing.left else (b, pairing.right)
    side = 0 if pairing.left else 1
    paired = [pair[side] for pair in pairing.pairs]
    first, last = min(paired), max(paired)
    return max((rarity(name.words[i]) for i in left if first < i < last), default=0.0)


def pair(a: CompanyName, b: CompanyName, rarity: Callable[[str], float]) -> Pairing:
    """The words of both names, the most alike first; of those equally alike the ones that stand at the same place."""
    if a.glued == b.glued:
        together = [(i, i, 1.0) for i in range(len(a.words))] if len(a.words) == len(b.words) else [(0, 0, 1.0)]
        return Pairing(together, set(), set())
    dotted = a.dotted or b.dotted
    once = len(set(a.words)) == len(a.words) and len(set(b.words)) == len(b.words)
    both = set(a.words).intersection(b.words) if once else ()  # such a word is paired with itself, whatever else it is like
    alike = [
        (likeness, -abs(i - j), -i, -j)
        for i, x in enumerate(a.words)
        for j, y in enumerate(b.words)
        if (likeness := 1.0 if x == y else 0.0 if x in both or y in both else word_likeness(x, y) or (dotted and _dotted(a, b, x, y)))
    ]
    found = Pairing([], set(range(len(a.words))), set(range(len(b.words))))
    for likeness, _, i, j in sorted(alike, reverse=True):
        if -i in found.left and -j in found.right:
            found.left.discard(-i)
            found.right.discard(-j)
            found.pairs.append((-i, -j, likeness))
    if not found.left or not found.right:
        return found
    _misread(a, b, found)
    _cut_off(a, b, found.left, found.right, found.pairs, False)
    _cut_off(b, a, found.right, found.left, found.pairs, True)
    for mine, other, left, right, swapped in ((a, b, found.left, found.right, False), (b, a, found.right, found.left, True)):
        _glue(mine.words, other.words, left, right, found.pairs, swapped)
        found.initials |= _initials(mine, other, left, right, rarity)
    return found


def _dotted(a: CompanyName, b: CompanyName, x: str, y: str) -> float:
    """How likely a word with a full stop is short for another, 0 to 1: `Benck.`, `R.`."""
    if x in a.dotted and y not in b.dotted and y.startswith(x):
        return 0.85 if len(x) > 2 else 0.5
    if y in b.dotted and x not in a.dotted and x.startswith(y):
        return 0.85 if len(y) > 2 else 0.5
    return 0.0


def _misread(a: CompanyName, b: CompanyName, found: Pairing) -> None:
    """One letter of a short word may be wrong where everything else agrees, and that is much."""
    if len(found.left) != 1 or len(found.right) != 1 or sum(len(a.words[i]) for i, _, like in found.pairs if like > 0.9) < MUCH:
        return
    (i,), (j,) = found.left, found.right
    x, y = a.words[i], b.words[j]
    common, regions = common_words(), places()
    may_be_wrong = any(word not in common and word not in regions for word in (x, y))
    if abs(i - j) <= 1 and len(x) == len(y) >= 4 and x.isalpha() and y.isalpha() and may_be_wrong and OSA.distance(x, y) == 1:
        found.pairs.append((i, j, 0.6))
        found.left.clear()
        found.right.clear()


def _cut_off(
    mine: CompanyName, other: CompanyName, left: set[int], right: set[int], pairs: list[tuple[int, int, float]], swapped: bool
) -> None:
    """A long name may end in the middle of a word, where a file had no more room: `Nisshin Sei`. What came after it was cut off as well."""
    last = len(mine.words) - 1
    if left != {last} or last not in right or len(mine.glued) < CUT or len(pairs) < last:
        return
    cut, whole = mine.words[last], other.words[last]
    if len(cut) >= 3 and whole.startswith(cut) and cut not in common_words():
        left.clear()
        right.difference_update({i for i in right if i >= last})
        pairs.append((last, last, 0.8))


def _glue(
    mine: Sequence[str], others: Sequence[str], left: set[int], right: set[int], pairs: list[tuple[int, int, float]], swapped: bool
) -> None:
    """One word of a name may be several of the other: `Goodwill`, `Good Will`."""
    if len(right) < 2:
        return
    for i in sorted(left):
        for j in sorted(right):
            end = j + 1
            while end in right and len(mine[i]) > sum(map(len, others[j:end])):
                end += 1
            if end > j + 1 and mine[i] == "".join(others[j:end]):
                left.discard(i)
                right.difference_update(range(j, end))
                pairs.append((j, i, 1.0) if swapped else (i, j, 1.0))
                break


def _initials(mine: CompanyName, other: CompanyName, left: set[int], right: set[int], rarity: Callable[[str], float]) -> bool:
    """Whether what one name has alone is the initials of what the other has alone; then nothing of it is left over."""
    if not right or not left:
        return False
    telling = [i for i in left if rarity(mine.words[i]) > SAYS_LITTLE]
    if len(telling) != 1 or not 2 <= len(mine.words[telling[0]]) <= MOST_INITIALS:
        return False
    short = mine.words[telling[0]]
    words = "".join(other.words[i][0] for i in sorted(right))
    spoken = "".join(word[0] for word in other.spoken)
    parts = "".join(first_letters(other.words[i]) for i in sorted(right))
    if short not in (words, spoken, parts) or (len(short) == 2 and not _two_letters_do(mine, other, len(left) < len(mine.words))):
        return False
    left.discard(telling[0])
    right.clear()
    return True


def _two_letters_do(mine: CompanyName, other: CompanyName, more_shared: bool) -> bool:
    """Two letters are initials only beside something else that agrees: a legal form, a word, or an *and* between the words."""
    return bool(mine.kinds & other.kinds) or more_shared or (len(other.spoken) == 3 and other.spoken[1] in ("and", "und", "et", "y", "e"))


def _rarity_of(x: str, y: str, rarity: Callable[[str], float]) -> float:
    """How rare what two words mean is: a shortened or misspelt common word is common, a rare one as rare as its rarer spelling."""
    if x == y:
        return rarity(x)
    common = common_words()
    return (min if x in common or y in common else max)(rarity(x), rarity(y))


def _other_form(a: CompanyName, b: CompanyName) -> float:
    """How surely the legal forms are of two companies, 0 to 1."""
    if not a.kinds or not b.kinds or a.kinds & b.kinds:
        return 0.0
    return min(_OTHER_FORM.get(frozenset((x, y)), 0.0) for x in a.kinds for y in b.kinds)


@lru_cache(maxsize=KEPT)
def word_likeness(a: str, b: str) -> float:
    """How likely two words are meant to be one, 0 to 1: equal, another spelling, shortened, or misspelt.

    A letter more or less makes another word of a short one. A beginning is a shortened word only of those that are
    common in names: `Technol`, `Pharm`; `Vale` is not short for `Valero`.
    """
    if a == b:
        return 1.0
    meant, spelt, letters = _read(a)
    other, spelt_too, letters_too = _read(b)
    if not letters or not letters_too:
        return 0.0
    if meant == other:
        return 0.97
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if spelt == spelt_too and len(short) >= 4:
        return 0.95
    if _RUSSIAN_ADJECTIVE.fullmatch(long) and len(short) >= 4 and long.startswith(short):
        return 0.85
    shortened = _shortened(short, long) if short[0] == long[0] else 0.0
    if shortened:
        return shortened
    if a in common_words() and b in common_words():  # two words, not one misspelt
        return 0.0
    if (letters ^ letters_too).bit_count() > 2 * MOST_WRONG:  # one wrong letter makes two letters differ at most
        return 0.0
    return _misspelt(a, b)


def _shortened(short: str, long: str) -> float:
    """How likely a word is short for a longer one that begins with the same letter, 0 to 1."""
    if short + "s" == long:
        return 0.9 if len(short) >= 5 else 0.6
    if long == short + "co" and len(short) >= 4:
        return 0.9
    if len(short) >= 8 and long.startswith(short) and long[len(short) :].removeprefix("s") in COMPOSED_WITH:
        return 0.85
    known = common_words().get(long, 0)
    if known >= COMMON and _begins(short, long) and common_words().get(short, 0) < known:
        return 0.85
    if _without_vowels(short, long, known >= COMMON):
        return 0.9
    is_common_alone = known >= COMMON and short not in common_words()
    return 0.8 if is_common_alone and len(short) >= 4 and short[-1] == long[-1] and _letters_of(short, long) else 0.0


def _begins(short: str, long: str) -> bool:
    """Whether a word of three letters or more is the beginning of another, but for an `s` at its end."""
    return len(short) >= 3 and long.startswith(short if len(short) < 5 else short.removesuffix("s"))


@lru_cache(maxsize=KEPT)
def _read(word: str) -> tuple[str, str, int]:
    """(the word that stands for all its spellings, what it sounds like, its letters as bits; none of a number)."""
    letters = 0
    if not word.isdigit():
        for c in word:
            letters |= 1 << (ord(c) & 63)
    return same_words().get(word, word), _spelt(word), letters


def _misspelt(a: str, b: str) -> float:
    letters = max(len(a), len(b))
    if letters < 6 or abs(len(a) - len(b)) > MOST_WRONG:
        return 0.0
    wrong = OSA.distance(a, b, score_cutoff=MOST_WRONG)
    if wrong == 1:
        return {6: 0.5, 7: 0.75, 8: 0.85}.get(letters, 0.92)
    if wrong == 2 and letters >= 8:
        return 0.5 if letters < 10 else 0.75
    return 0.6 if wrong == 3 and letters >= 11 else 0.0


def _without_vowels(short: str, long: str, common: bool) -> bool:
    """Whether the shorter word is the longer one without its vowels: `WRKZG`, `Mfg`, `Svcs`."""
    if len(short) < 3 or len(long) < (4 if common else 5) or short[0] != long[0]:
        return False
    if any(c in "aeiou" for c in short[1:]):
        return False
    for vowels in ("aeiouy", "aeiou"):
        bare = _once(long[0] + "".join(c for c in long[1:] if c not in vowels))
        if (bare == _once(short) and (common or len(short) >= 4)) or (bare.startswith(short) and len(short) >= 4):
            return True
    return False


def _letters_of(short: str, long: str) -> bool:
    """Whether a word is letters of another in their order: `Westn`, `Western`."""
    rest = iter(long)
    return all(c in rest for c in short)


# `Муромский` is `of Murom`, and `Новосибирский` of `Novosibirsk`
_RUSSIAN_ADJECTIVE = re.compile(r"\w{4,}sk(?:iy|ij|y|aya|aja|oe|oye)")


# What one sound is spelt like, in names that came from other scripts and languages
_SPELLINGS = "ph-f tch-ch ch-k y-i ck-k c-k w-v kh-h ae-a oe-o ue-u z-s j-i x-ks ou-u eo-u"
_SOUNDS = [sound.split("-") for sound in _SPELLINGS.split()]


def _spelt(word: str) -> str:
    for written, meant in _SOUNDS:
        word = word.replace(written, meant)
    return _once(word)


def _once(word: str) -> str:
    """A word with one letter for two that are the same."""
    return "".join(c for i, c in enumerate(word) if i == 0 or c != word[i - 1])


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
