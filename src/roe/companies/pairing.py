"""Which words of two names belong together: each with the one that is most like it, and what each name has alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import OSA

from roe.companies.name import CompanyName, first_letters
from roe.companies.spelling import consonants, letters_of, word_likeness
from roe.companies.tables import SMALL, common_words, places

SAYS_LITTLE = 0.35  # rarity up to which a word may stand beside initials
MOST_INITIALS = 6
MUCH = 15  # letters of the other words, for a wrong one in a short word to be a mistake
VOWELS = frozenset("aeiou")
SHORTENED = 0.85  # likeness of a word with a full stop and the one that it is short for
CUT = 10  # letters of a name from which on its last word may have been cut off


@dataclass(slots=True)
class Pairing:
    """Places of words of two names that belong together, how alike they are (0 to 1), and what each name has alone."""

    pairs: list[tuple[int, int, float]]
    left: set[int]
    right: set[int]
    initials: bool = False


def pair(a: CompanyName, b: CompanyName, rarity: Callable[[str], float]) -> Pairing:
    """The words of both names, the most alike first; of those equally alike the ones that stand at the same place."""
    if a.glued == b.glued:
        together = [(i, i, 1.0) for i in range(len(a.words))] if len(a.words) == len(b.words) else [(0, 0, 1.0)]
        return Pairing(together, set(), set())
    left, right = set(range(len(a.words))), set(range(len(b.words)))
    pairing = Pairing(_equal(a.words, b.words), left, right)
    for i, j, _ in pairing.pairs:
        left.discard(i)
        right.discard(j)
    if not left or not right:
        return pairing
    for likeness, _, i, j in sorted(_alike(a, b, left, right), reverse=True):
        if -i in left and -j in right:
            left.discard(-i)
            right.discard(-j)
            pairing.pairs.append((-i, -j, likeness))
    if left and right:
        _pair_the_rest(a, b, pairing, rarity)
    return pairing


def _equal(mine: Sequence[str], others: Sequence[str]) -> list[tuple[int, int, float]]:
    """Words that both names have, the nearest first, if none stands twice: such a word is paired with itself, whatever else it is like."""
    equal = [(i, others.index(word), 1.0) for i, word in enumerate(mine) if word in others]
    if not equal or len(set(mine)) < len(mine) or len(set(others)) < len(others):
        return []
    if len(equal) > 1:
        equal.sort(key=lambda pair: (abs(pair[0] - pair[1]), pair))
    return equal


def _alike(a: CompanyName, b: CompanyName, left: set[int], right: set[int]) -> list[tuple[float, int, int, int]]:
    """(likeness, how far apart, and the two places, all three negative) of words that may belong together."""
    alike: list[tuple[float, int, int, int]] = []
    may_be_short = a.dotted or b.dotted
    bare = next((name for name in (a, b) if VOWELS.isdisjoint(name.glued) and sum(len(word) > 2 for word in name.words) > 1), None)
    for i in left:
        x = a.words[i]
        for j in right:
            y = b.words[j]
            likeness = word_likeness(x, y) or (shortened_to(x, x in a.dotted, y, y in b.dotted) if may_be_short else 0.0)
            if bare is not None and not likeness:
                likeness = _without_vowels(*((x, y) if bare is a else (y, x)))
            if likeness:
                alike.append((likeness, -abs(i - j), -i, -j))
    return alike


def _pair_the_rest(a: CompanyName, b: CompanyName, pairing: Pairing, rarity: Callable[[str], float]) -> None:
    """What both names have alone: a misread or cut word, one word for several, or initials."""
    left, right, pairs = pairing.left, pairing.right, pairing.pairs
    if len(left) == len(right) == 1:
        _misread(a, b, pairing)
    if len(left) == 1:
        _cut_off(a, b, left, right, pairs)
    if len(right) == 1:
        _cut_off(b, a, right, left, pairs)
    if len(right) > 1:
        _glue(a.words, b.words, left, right, pairs, False)
    if left and right:
        pairing.initials |= _initials(a, b, left, right, rarity)
    if len(left) > 1:
        _glue(b.words, a.words, right, left, pairs, True)
    if left and right:
        pairing.initials |= _initials(b, a, right, left, rarity)


def shortened_to(x: str, x_is_dotted: bool, y: str, y_is_dotted: bool) -> float:
    """How likely one of two words has a full stop because it is short for the other, 0 to 1: `Benck.`, `R.`."""
    if x_is_dotted is y_is_dotted or x[0] != y[0]:
        return 0.0
    short, long = (x, y) if x_is_dotted else (y, x)
    return 0.0 if not letters_of(short, long) else SHORTENED if len(short) > 2 else 0.5


def _without_vowels(short: str, long: str) -> float:
    """How likely a word of a name that has no vowels at all is short for another, 0 to 1: `KLD WBR WRK`."""
    is_short = (
        len(short) > 2 and short.isalpha() and short[0] == long[0] and VOWELS.isdisjoint(short) and letters_of(short, consonants(long))
    )
    return 0.9 if is_short and len(consonants(long)) - len(short) <= 1 else 0.0


def _misread(a: CompanyName, b: CompanyName, pairing: Pairing) -> None:
    """One letter of a short word may be wrong where everything else agrees, and that is much."""
    if sum(len(a.words[i]) for i, _, like in pairing.pairs if like > 0.9) < MUCH:
        return
    (i,), (j,) = pairing.left, pairing.right
    x, y = a.words[i], b.words[j]
    common, regions = common_words(), places()
    may_be_wrong = any(word not in common and word not in regions for word in (x, y))
    if abs(i - j) <= 1 and len(x) == len(y) >= 4 and x.isalpha() and y.isalpha() and may_be_wrong and OSA.distance(x, y) == 1:
        pairing.pairs.append((i, j, 0.6))
        pairing.left.clear()
        pairing.right.clear()


def _cut_off(mine: CompanyName, other: CompanyName, left: set[int], right: set[int], pairs: list[tuple[int, int, float]]) -> None:
    """A long name may end in the middle of a word, where a file had no more room: `Nisshin Sei`. What came after it was cut off as well."""
    last = len(mine.words) - 1
    if last not in left or last not in right or len(mine.glued) < CUT or len(pairs) < last:
        return
    cut, whole = mine.words[last], other.words[last]
    is_beginning = whole.startswith(cut) and cut != whole
    if is_beginning and (cut not in common_words() if len(cut) >= 3 else last > 1 and not mine.kinds and whole in common_words()):
        left.clear()
        right.difference_update({i for i in right if i >= last})
        pairs.append((last, last, 0.8 if len(cut) >= 3 else 0.6))


def _glue(
    mine: Sequence[str], others: Sequence[str], left: set[int], right: set[int], pairs: list[tuple[int, int, float]], swapped: bool
) -> None:
    """One word of a name may be several of the other: `Goodwill`, `Good Will`."""
    for i in sorted(left):
        for j in sorted(right):
            if not mine[i].startswith(others[j]):
                continue
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
    firsts = other.words[min(right)][0], other.spoken[0][0]
    if not any(2 <= len(mine.words[i]) <= MOST_INITIALS and mine.words[i][0] in firsts for i in left):
        return False
    telling = [i for i in left if rarity(mine.words[i]) > SAYS_LITTLE]
    if len(telling) != 1 or not 2 <= len(mine.words[telling[0]]) <= MOST_INITIALS:
        return False
    short = mine.words[telling[0]]
    if short[0] not in firsts:
        return False
    words = [other.words[i] for i in sorted(right)]
    spoken = [word for word in other.spoken if word in SMALL or word in words or word not in other.words]
    if not (_spells(short, words) or _spells(short, spoken)):
        return False
    if len(short) == 2 and not _two_letters_do(mine, other, len(left) < len(mine.words)):
        return False
    left.discard(telling[0])
    right.clear()
    return True


def _spells(short: str, words: Sequence[str]) -> bool:
    """Whether letters are the first ones of words, of which small ones may be left out, and composed ones may have two."""
    if not short or not words:
        return not short and SMALL.issuperset(words)
    word, more = words[0], words[1:]
    if word[0] == short[0] and _spells(short[1:], more):
        return True
    letters = first_letters(word)
    return (len(letters) > 1 and short.startswith(letters) and _spells(short[len(letters) :], more)) or (
        word in SMALL and _spells(short, more)
    )


def _two_letters_do(mine: CompanyName, other: CompanyName, more_shared: bool) -> bool:
    """Two letters are initials only beside something else that agrees: a legal form, a word, or an *and* between the words."""
    return bool(mine.kinds & other.kinds) or more_shared or (len(other.spoken) == 3 and other.spoken[1] in ("and", "und", "et", "y", "e"))
