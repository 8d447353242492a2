"""A company's name taken apart: the words that tell it from others, its numbers, and its legal form.

`Müller & Söhne GmbH & Co. KG` is the words `muller sohne` and a limited company. Legal forms are recognised in some sixty
languages, abbreviated (`S.p.A.`, `S P A`) or written out; short ones only where a name begins or ends, since `AS`, `CO` and `SE` are words
elsewhere. Of names that carry a second one (`X LLC d/b/a Y`) each counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from roe.companies.notes import without_notes
from roe.companies.tables import (
    COMPOSED_WITH,
    LEADING,
    NUMBERS,
    READ_ALOUD,
    ROMAN,
    SITS_IN,
    SMALL,
    TENS,
    WRITTEN_TOGETHER,
    common_words,
    legal_forms,
    places,
)
from roe.node import node

KEPT = 200_000  # distinct words, and pairs of words, whose meaning is remembered
NAMES_KEPT = 20_000  # distinct names that are
DIGITS = frozenset("0123456789")
LONGEST_SHORT = 12  # letters of a name's short form
SHORT_FORM = 4  # letters of a legal form from which on it may begin any name
FULL = 31  # characters of the field in which lists of listed companies cut names off, in capitals
_WORD = re.compile(r"[^\W_]+")
_ELIDED = re.compile(r"\b([dl])['’´`](?=\w)", re.IGNORECASE)
_ITALIAN = re.compile(r"\b(dell|nell)['’´`](?=\w)", re.IGNORECASE)  # `dell'Etna`
_SILENT = re.compile(r"['’`´]")
_ASIDE = re.compile(r"\((?:publ|the)\)", re.IGNORECASE)
_ALSO = re.compile(
    r"\b(?:d[/.]?b[/.]?a|t/a|trading as|doing business as|a[/.]?k[/.]?a|f[/.]?k[/.]?a|(?:formerly|previously|now|also)(?: known as| called)|formerly|vorm\.|vormals|anciennement|ehemals|(?<=\()(?:now|ex|previously))(?!\w)\.?|\.{4,}",
    re.IGNORECASE,
)
# one of these is in whatever `_ALSO` finds
_SIGNS = "dba d.b / trading doing aka a.k fka f.k former now also previous vorm ancienn ehemals (ex (prev ...."
_ALSO_HAS = _SIGNS.split()
# A name that is a web address, `www.hanse-kontor.de`, is what the address begins with
_ADDRESS = re.compile(r"(?:https?://)?(?:www\.)?([^\W_][\w-]+)(?:\.(?:co|com|org|net))?\.[a-z]{2,}/?", re.IGNORECASE)
_FRATELLI = re.compile(r"\bf\.?lli\b\.?", re.IGNORECASE)  # `F.lli`, brothers
_DOTTED = re.compile(r"[^\W\d_]+(?=\.)")
_LETTERS_AND = re.compile(r"\b([A-Z]{1,2})&([A-Z])\b")  # `P&G`, `PG&E`
_AND = re.compile(r"&(?!\s*(?:co|cie|cia|cía|company)\b)|(?<=[\s-])(?-i:u)\.?(?=\s)", re.IGNORECASE)  # but `& Co.` is a legal form
_LONE_U = re.compile(r"[\s-]u[\s.]")  # is in what `_AND` finds, if no `&` is
_IN_BRACKETS = re.compile(r"\(([^()]{3,})\)")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)?")
_MANY = {"hundred": 100, "thousand": 1000}
_SAYS_A_NUMBER = frozenset(TENS) | frozenset(NUMBERS) | frozenset(_MANY) | frozenset(ROMAN)
_LATIN = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "æ": "ae", "Æ": "AE", "œ": "oe"})


NONE: frozenset[str] = frozenset()


@node
class CompanyName:
    """`words` without small words and legal forms, numbers as digits; `spoken` with small words; `kinds` of legal forms; `seat` are the
    words behind an `in`, which say where a company is and are often left out; `dotted` the words with a full stop, which may be cut short.
    """

    words: tuple[str, ...]
    spoken: tuple[str, ...]
    kinds: frozenset[str]
    text: str  # the words, with spaces
    glued: str  # and without: `Nordic Steel` and `NordicSteel` are one name
    seat: frozenset[str] = NONE
    dotted: frozenset[str] = NONE


@lru_cache(maxsize=NAMES_KEPT)
def names_in(text: str) -> tuple[CompanyName, ...]:
    """The name that a text is, first; and the names in it, where it has several."""
    whole = parse(text)
    if _ELIDED.match(text) and len(whole.words) == 1:  # `L'Oréal` is written `Loreal` too
        return (whole, parse(_ELIDED.sub(r"\1", text, count=1)))
    if _may_have_two(text.lower()) and _ALSO.search(text):
        parts = [part for part in _ALSO.split(text) if part.strip(" ,.()")]
    else:
        parts = _bracketed(text)
    if len(parts) > 1:
        return (whole, *(part for i, part in enumerate(map(parse, parts)) if _tells(part, behind=i > 0)))
    return (whole, *_beside_its_initials(whole))


def _may_have_two(text: str) -> bool:
    """Whether `_ALSO` may stand in a text, at a tenth of its cost."""
    return any(map(text.__contains__, _ALSO_HAS))


def _tells(name: CompanyName, behind: bool) -> bool:
    """Whether a part of a name says which company it is. A second name of two common words does, `… t/a The Coffee House`; what stands
    before one needs a word of its own: not `Chemische Fabrik vorm. …`, `Bank formerly …`.
    """
    known = common_words(), places(), legal_forms()
    return (behind and len(name.words) > 1) or any(len(word) > 1 and not any(word in words for words in known) for word in name.words)


def _beside_its_initials(name: CompanyName) -> list[CompanyName]:
    """A name that carries its own short form counts without it too: `NORD/LB Norddeutsche Landesbank`, `Petróleo Brasileiro - Petrobras`."""
    if len(name.words) < 3:
        return []
    for at in (0, -1):
        short, more = name.words[at], name.words[1:] if at == 0 else name.words[:-1]
        if not 3 <= len(short) <= LONGEST_SHORT or not short.isalpha() or all(short[0] != word[0] for word in more):
            continue
        long, _ = _without_forms(list(more))
        if _made_of(short, long):
            return [_shortened(name, long), _shortened(name, (short,))]
    if len(name.words) > 3 and name.words[0][0] == name.words[2][0] and _made_of("".join(name.words[:2]), name.words[2:]):
        return [_shortened(name, name.words[2:]), _shortened(name, ("".join(name.words[:2]),))]
    return []


def _shortened(name: CompanyName, words: Sequence[str]) -> CompanyName:
    """The same name by some of its words alone."""
    left, kinds = _without_forms(list(words))
    return CompanyName(tuple(left), tuple(left), shared_kinds(name.kinds | kinds), " ".join(left), "".join(left), name.seat, name.dotted)


def _made_of(short: str, words: Sequence[str]) -> bool:
    """Whether a word is made of the beginnings of words, one of each in their order, or of their first letters in any order."""
    if len(short) == len(words) and sorted(short) == sorted(word[0] for word in words):
        return True
    if not words:
        return not short
    first, more = words[0], words[1:]
    if len(short) < len(words) or short[0] != first[0] or short == "".join(words):
        return False
    shared = next((n for n, (x, y) in enumerate(zip(short, first, strict=False)) if x != y), min(len(short), len(first)))
    parts = [n for n in range(1, shared + 1) if n < len(short) or not more]
    return any(_made_of(short[n:], more) for n in parts) or (short[:2] == first_letters(first) and _made_of(short[2:], more))


def first_letters(word: str) -> str:
    """The first letter of a word, and of what it is composed with: `Kreditbank` is `kb`."""
    if not word.endswith(COMPOSED_WITH):
        return word[0]
    end = next((end for end in COMPOSED_WITH if word.endswith(end) and len(word) >= len(end) + 3), "")
    return word[0] + end[:1]


def _bracketed(text: str) -> list[str]:
    """A name and the short one in brackets behind it: `International Grain Trust (Intergrain)` is known by either.

    What is in brackets may also be a place, a number or a common word, which belongs to the name.
    """
    inside = _IN_BRACKETS.search(text) if "(" in text else None
    if inside is None:
        return []
    words = words_of(inside[1])
    known = common_words(), places(), SMALL, legal_forms()
    if not words or any(word.isdigit() or len(word) < 3 or any(word in some for some in known) for word in words):
        return []
    return [text[: inside.start()] + " " + text[inside.end() :], inside[1]]


def parse(text: str) -> CompanyName:
    kinds = set()
    if len(text) == FULL and text[-2] == " " and text.isupper():  # one letter does not tell which word it was
        text = text[:-2]
    if not text.isascii():
        for form, kind in WRITTEN_TOGETHER.items():
            if form in text:
                text = text.replace(form, " ")
                kinds |= {kind, "ltd"}
    text = without_notes(_in_words(text))
    written = _without_repeats(_joined(words_of(text)))
    spoken, more = _without_forms(written)
    last = len(spoken) - 1
    telling = [w for i, w in enumerate(spoken) if w not in SMALL or (more and len(w) == 1 and i == last > 0)] or spoken  # `Vitamin D Ltd`
    words = tuple(_with_digits(telling))
    if spoken and spoken[0] in SMALL and written[0] != spoken[0]:  # the form is heard in `GfK`, `Gesellschaft für Konsumforschung`
        spoken = [written[0], *spoken]
    said = words if words == tuple(spoken) else tuple(spoken)
    return CompanyName(
        words, said, shared_kinds(frozenset(kinds | more)), " ".join(words), "".join(words), _seat(spoken), _dotted(text, words)
    )


def _in_words(text: str) -> str:
    """A name without what stands aside, with its signs as words."""
    if "(" in text:
        text = _ASIDE.sub(" ", text)
    if "&" in text:
        text = _LETTERS_AND.sub(r"\1\2", text)
    if "&" in text or _LONE_U.search(text):
        text = _AND.sub(" and ", text)
    if "." in text and " " not in text and (address := _ADDRESS.fullmatch(text)):
        text = address[1]
    if "lli" in text or "LLI" in text:
        text = _FRATELLI.sub("Fratelli", text)
    return text


def _dotted(text: str, words: Sequence[str]) -> frozenset[str]:
    dotted = words_of(" ".join(_DOTTED.findall(text))) if "." in text else ()
    return frozenset(dotted).intersection(words) if dotted else NONE


def _seat(spoken: Sequence[str]) -> frozenset[str]:
    if SITS_IN.isdisjoint(spoken):
        return NONE
    at = max((i for i, word in enumerate(spoken) if word in SITS_IN and i), default=len(spoken))
    return frozenset(spoken[at + 1 :]) if at < len(spoken) else NONE


@lru_cache
def shared_kinds(kinds: frozenset[str]) -> frozenset[str]:
    """One object for each set of kinds: a million names have a handful of them."""
    return kinds - {""}


def words_of(text: str) -> list[str]:
    """The words of a text in plain Latin letters, lower case; apostrophes inside of words are dropped."""
    if text.isascii():
        if "'" in text or "`" in text:
            text = _SILENT.sub("", _without_elisions(text))
        return _WORD.findall(text.lower())
    text = unicodedata.normalize("NFKC", _without_elisions(text).translate(_LATIN)).casefold()
    if not text.isascii():
        text = _in_latin(text)
    return _WORD.findall(_SILENT.sub("", text))


def _without_elisions(text: str) -> str:
    """Small words that were written together with what follows stand alone: `d'Etna` is `d Etna`."""
    return _ELIDED.sub(r"\1 ", _ITALIAN.sub(r"\1a ", text))


def _in_latin(text: str) -> str:
    """A text in plain Latin letters. Accents go; other scripts are transliterated whole, since there a mark makes another sound."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    if plain.isascii():
        return plain
    from anyascii import anyascii

    for written in _read_aloud():
        text = text.replace(written, f" {READ_ALOUD[written]} ")
    return str(anyascii(text)).casefold()


@lru_cache(maxsize=1)
def _read_aloud() -> list[str]:
    """The longest first: one word may be part of another."""
    return sorted(READ_ALOUD, key=len, reverse=True)


def trigrams(text: str) -> frozenset[str]:
    """The groups of three letters in a text, its beginning and end included."""
    padded = f"  {text} "
    return frozenset([padded[i : i + 3] for i in range(len(padded) - 2)])


def _joined(words: list[str]) -> list[str]:
    """Letters that stand alone beside each other as one word: `S P A` is `spa`."""
    if 1 not in map(len, words):
        return words
    joined: list[str] = []
    run = ""
    for word in [*words, ""]:
        if len(word) == 1 and word.isalpha():
            run += word
            continue
        joined += [w for w in (run, "o" if word == "0" and len(words) > 1 else word) if w]  # a scanner's O
        run = ""
    return joined


def _without_repeats(words: list[str]) -> list[str]:
    """The words without what exchanges write behind a legal form: the name again, or its beginning, or the class of the shares."""
    if len(words) < 3 or not (len(words[-1]) == 1 or words[0] in words[2:] or words[0].startswith(words[-1])):
        return words
    for end in [end for start, end, _, _ in _forms_at(words) if start and end < len(words)]:
        behind = words[end:]
        is_class = len(behind) == 1 and len(behind[0]) == 1 and behind[0].isalpha()
        is_beginning = len(behind) == 1 and len(behind[0]) > 2 and words[0].startswith(behind[0])
        if is_class or is_beginning or (len(words[0]) > 2 and behind[0] == words[0]):
            return words[:end]
    return words


def _without_forms(words: list[str]) -> tuple[list[str], set[str]]:
    """The words that are not part of a legal form, and the kinds of the forms. A name that is nothing but a form stays as it is."""
    hits = _forms_at(words)
    if not hits and words and words[-1] not in SMALL:
        return words, set()
    if len(hits) == 1 and hits[0][1] == len(words) and hits[0][0] > 0 and words[hits[0][0] - 1] not in SMALL:  # as most names have it
        return words[: hits[0][0]], {hits[0][2]}
    at_an_end = _at_an_end(words, hits)
    gone = [hit for i, hit in enumerate(hits) if i in at_an_end or (hit[3] and hit[1] - hit[0] < len(words))]
    dropped = {i for start, end, _, _ in gone for i in range(start, end)}
    left = [w for i, w in enumerate(words) if i not in dropped]
    return (left, {kind for _, _, kind, _ in gone}) if left else (words, set())


def _at_an_end(words: Sequence[str], hits: Sequence[tuple[int, int, str, bool]]) -> set[int]:
    """Which of the legal forms stand at the beginning or the end of a name, beside others that do."""
    first, last = 0, len(words)
    at_an_end: set[int] = set()
    changed = True
    while changed:
        changed = False
        for i, (start, end, _, _) in enumerate(hits):
            if i not in at_an_end and end == last and start > first:
                last, changed = start, True
                at_an_end.add(i)
            elif i not in at_an_end and start == first and end < last and _may_lead(words[start:end], last < len(words)):
                first, changed = end, True
                at_an_end.add(i)
        while last - 1 > first and words[last - 1] in SMALL:  # `& Co.`, `and Company`
            last, changed = last - 1, True
    return at_an_end


def _may_lead(form: Sequence[str], ends_with_one: bool) -> bool:
    """Whether a legal form may begin a name; of the short ones few do, and `KB Home`, `SAS Institute` and `SC Johnson` begin with a name."""
    return (
        len(form) > 1 or len(form[0]) >= SHORT_FORM or form[0] in LEADING or (form[0] == "sc" and ends_with_one)
    )  # Romanian `S.C. … S.R.L.`


def _forms_at(words: list[str]) -> list[tuple[int, int, str, bool]]:
    """(first word, the word after the last, kind, whether it is long enough to be one anywhere) of each legal form."""
    forms = legal_forms()
    hits: list[tuple[int, int, str, bool]] = []
    after = 0
    for i, word in enumerate(words):
        if i < after or word not in forms:
            continue
        for form, kind, anywhere in forms[word]:
            if len(form) == 1 or tuple(words[i : i + len(form)]) == form:
                after = i + len(form)
                hits.append((i, after, kind, anywhere))
                break
    return hits


def _with_digits(words: list[str]) -> list[str]:
    """Number words, ordinals and Roman numerals as digits. `I`, `V` and `X` are numerals only where a name ends."""
    if _SAYS_A_NUMBER.isdisjoint(words) and not any(w[0] in DIGITS for w in words):
        return words
    written = []
    i = 0
    while i < len(words):
        word, alone, ends = words[i], len(words) == 1, i == len(words) - 1
        digits = _ORDINAL.fullmatch(word)
        number, taken = (0, 0) if alone else _counted(words, i)
        if taken:
            written.append(str(number))
            i += taken - 1
        elif digits:
            written.append(str(int(digits[1])))
        elif i and word in ROMAN and (len(word) > 1 or ends):
            written.append(str(ROMAN[word]))
        else:
            written.append(word)
        i += 1
    return written


def _counted(words: Sequence[str], i: int) -> tuple[int, int]:
    """(the number that is written out from the i-th word on, how many words it takes): `one hundred twenty one` is (121, 4)."""
    number, at = _below_hundred(words, i)
    if at < len(words) and words[at] in _MANY and (number or at == i):
        number, at = (number or 1) * _MANY[words[at]], at + 1
        rest, end = _below_hundred(words, at)
        number, at = number + rest, end
    return number, at - i


def _below_hundred(words: Sequence[str], i: int) -> tuple[int, int]:
    """(a number below a hundred, the word after it); (0, i) where there is none."""
    word, after = words[i] if i < len(words) else "", words[i + 1] if i + 1 < len(words) else ""
    if word in TENS:
        unit = NUMBERS.get(after, 0)
        return (TENS[word] + unit, i + 2) if 0 < unit < 10 else (TENS[word], i + 1)
    return (NUMBERS[word], i + 1) if word in NUMBERS else (0, i)
