"""Whether two words are meant to be one: other spellings, shortened and misspelt words."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rapidfuzz.distance import OSA

from roe.companies.name import KEPT, first_letters
from roe.companies.tables import CLUBS, COMPOSED_WITH, common_words, same_words

COMMON = 15  # names of listed companies that a word stands in, for it to be one that people shorten
MOST_WRONG = 3  # letters of a misspelt word
SHORTEST_WRONG = 11  # letters of two words together from which on one may be the other misspelt
# `Муромский` is `of Murom`, `Новосибирский` of `Novosibirsk`, `Тульский` of `Tula`, `Волжский` of the `Volga`, `Пензенский` of `Penza`, and `Ярославский` of `Yaroslavl`
_RUSSIAN_ADJECTIVE = re.compile(r"(\w{3,})sk(?:iy|ij|y|oy|oj|aya|aja|oe|oye)")


class Word(NamedTuple):
    """A word, its first letter, what it begins to sound like, the word that stands for all its spellings, and how many letters it has."""

    word: str
    first: str
    sound: str
    same: str
    letters: int


@lru_cache(maxsize=KEPT)
def known(word: str) -> Word:
    return Word(word, word[0], first_sound(word), same_words().get(word, word), len(word))


def word_likeness(a: str, b: str) -> float:
    """How likely two words are meant to be one, 0 to 1: equal, another spelling, shortened, or misspelt.

    A letter more or less makes another word of a short one. A beginning is a shortened word only of those that are
    common in names: `Technol`, `Pharm`; `Vale` is not short for `Valero`.
    """
    if a == b:
        return 1.0
    return _likeness(a, b) if may_be_like(known(a), known(b)) else 0.0


def may_be_like(a: Word, b: Word) -> bool:
    """Whether two words can be alike, which most are not: they begin alike, mean one thing, or one may be the other misspelt."""
    if a.first == b.first or a.sound == b.sound or a.same == b.same:
        return True
    return (
        -MOST_WRONG <= a.letters - b.letters <= MOST_WRONG and a.letters + b.letters >= SHORTEST_WRONG and wrong_letters(a.word, b.word) > 0
    )


@lru_cache(maxsize=KEPT)
def _likeness(a: str, b: str) -> float:
    """The same of two words that can be alike and are not equal."""
    if a.isdigit() or b.isdigit():
        return 0.0
    mine, other = known(a), known(b)
    if mine.same == other.same:
        return 0.97
    if mine.sound == other.sound or mine.first == other.first:
        short, long = (a, b) if len(a) <= len(b) else (b, a)
        if len(short) >= 4 and mine.sound == other.sound and _spelt(a) == _spelt(b):
            return 0.95
        if "sk" in long and _is_from(long, short):
            return 0.9
        shortened = _shortened(short, long) if short[0] == long[0] else 0.0
        if shortened:
            return shortened
    wrong = _misspelt(a, b)
    return 0.0 if wrong and a in common_words() and b in common_words() else wrong  # two words, not one misspelt


def _is_from(adjective: str, place: str) -> bool:
    """Whether a word is the Russian adjective of a place."""
    of = _RUSSIAN_ADJECTIVE.fullmatch(adjective)
    if of is None or len(place) < 3:
        return False
    stem = of[1]
    towns = (stem, stem + "sk", stem + "a", stem + "o", re.sub("zh$", "ga", stem), re.sub("en$", "a", stem), re.sub("v$", "vl", stem))
    return (len(place) >= 4 and adjective.startswith(place)) or place in towns


def _shortened(short: str, long: str) -> float:
    """How likely a word is short for a longer one that begins with the same letter, 0 to 1."""
    return _without_ending(short, long) or _abbreviated(short, long)


def _without_ending(short: str, long: str) -> float:
    if short + "s" == long:
        return 0.9 if len(short) >= 5 else 0.6
    if long == short + "co" and len(short) >= 4:
        return 0.9
    if len(short) >= 8 and long.startswith(short) and long[len(short) :].removeprefix("s") in COMPOSED_WITH:
        return 0.85
    return 0.0


def _abbreviated(short: str, long: str) -> float:
    common = common_words()
    known = common.get(long, 0)
    if known >= COMMON and _begins(short, long) and common.get(short, 0) < known:
        return 0.85
    if len(short) == 2 and long.endswith(CLUBS) and short == first_letters(long):
        return 0.85
    if _without_vowels(short, long, known >= COMMON):
        return 0.9
    if len(short) >= 7 and short[:3] == long[:3] and _shortened_behind(short, long):
        return 0.85
    is_common_alone = known >= COMMON and short not in common
    return 0.8 if is_common_alone and len(short) >= 4 and short[-1] == long[-1] and letters_of(short, long) else 0.0


def _shortened_behind(short: str, long: str) -> bool:
    """Whether a word is composed with a common word and the other with a shorter one for it: `Petrochem`, `Petrochemical`."""
    common = common_words()
    for n in range(3, len(long) - 4):
        if short[n - 1] != long[n - 1] or len(short) - n < 4:
            return False
        if common.get(long[n:], 0) >= COMMON and word_likeness(short[n:], long[n:]) >= 0.85:
            return True
    return False


def _begins(short: str, long: str) -> bool:
    """Whether a word of three letters or more is the beginning of another, but for an `s` at its end."""
    return len(short) >= 3 and long.startswith(short if len(short) < 5 else short.removesuffix("s"))


def first_sound(word: str) -> str:
    """What a word begins to sound like."""
    first = word[1] if word.startswith("ye") and len(word) > 2 else word[0]
    return _FIRST_SOUND.get(first, first)


def _misspelt(a: str, b: str) -> float:
    wrong = wrong_letters(a, b)
    if not wrong:
        return 0.0
    letters = max(len(a), len(b))
    if wrong == 1:
        return {6: 0.5, 7: 0.75, 8: 0.85}.get(letters, 0.92)
    return 0.6 if wrong == 3 else 0.5 if letters < 10 else 0.75


def wrong_letters(a: str, b: str) -> int:
    """How many letters of two words are wrong if one is the other misspelt; 0 if they are too many for words of that length."""
    m, n = len(a), len(b)
    letters = m if m > n else n
    most = MOST_WRONG if letters >= 11 else 2 if letters >= 8 else 1 if letters >= 6 else 0
    if not -most <= m - n <= most or not most:
        return 0
    wrong = OSA.distance(a, b, score_cutoff=most)
    return wrong if wrong <= most else 0


def _without_vowels(short: str, long: str, common: bool) -> bool:
    """Whether the shorter word is the longer one without its vowels: `WRKZG`, `Mfg`, `Svcs`."""
    if len(short) < 3 or len(long) < (4 if common else 5) or short[0] != long[0]:
        return False
    if any(c in "aeiou" for c in short[1:]):
        return False
    for vowels in ("aeiouy", "aeiou"):
        bare = _once(consonants(long, vowels))
        if len(short) >= 4 and (bare == _once(short) or bare.startswith(short)):
            return True
        if common and bare[-1] == short[-1] and letters_of(short, bare):
            return True
    return False


@lru_cache(maxsize=KEPT)
def consonants(word: str, vowels: str = "aeiou") -> str:
    """A word without its vowels, but for one that it begins with."""
    return word[0] + "".join([c for c in word[1:] if c not in vowels])


def letters_of(short: str, long: str) -> bool:
    """Whether a word is letters of another in their order: `Westn`, `Western`."""
    rest = iter(long)
    return all(c in rest for c in short)


# What one sound is spelt like, in names that came from other scripts and languages
_SPELLINGS = "schtsch-shch tsch-ch lyu-lu gh-g ph-f tch-ch ch-k y-i ck-k c-k w-v kh-h ae-a oe-o ue-u z-s j-i x-ks ou-u eo-u"
_SOUNDS = [sound.split("-") for sound in _SPELLINGS.split()]
# Words that sound alike begin with letters of one of these groups, or with the same letter
_FIRST_SOUND = {letter: group[0] for group in ("pf", "tckxh", "yijg", "wv", "zs", "aeou") for letter in group}


@lru_cache(maxsize=KEPT)
def _spelt(word: str) -> str:
    if word.startswith(("gia", "ye")):  # Greek `Giannis`, `Yannis`; Russian `Yevgeny`, `Evgeny`
        word = word[1:]
    if word.endswith("des"):  # Greek `Petrides`, `Petridis`
        word = word[:-2] + "is"
    for written, meant in _SOUNDS:
        word = word.replace(written, meant)
    return _once("kr" + word[2:] if word.startswith("hr") else word)  # Greek `Khristos`, `Christos`


def _once(word: str) -> str:
    """A word with one letter for two that are the same."""
    return "".join([c for c, before in zip(word, " " + word, strict=False) if c != before])
