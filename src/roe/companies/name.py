"""A company's name taken apart: the words that tell it from others, its numbers, and its legal form.

`Müller & Söhne GmbH & Co. KG` is the words `muller sohne` and a limited company. Legal forms are recognised in some sixty
languages, abbreviated (`S.p.A.`, `S P A`) or written out; short ones only where a name begins or ends, since `AS`, `CO` and `SE` are words
elsewhere. Of names that carry a second one (`X LLC d/b/a Y`) each counts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from roe.companies.tables import NUMBERS, READ_ALOUD, ROMAN, SMALL, TENS, WRITTEN_TOGETHER, common_words, legal_forms, places
from roe.grammar.node import node

KEPT = 200_000  # distinct names that are remembered
LONG_FORM = 6  # letters from which on a legal form is recognised in the middle of a name
_WORD = re.compile(r"[^\W_]+")
_ELIDED = re.compile(r"\b[dl]['’´`](?=\w)", re.IGNORECASE)
_SILENT = re.compile(r"['’`´]")
_ASIDE = re.compile(r"\((?:publ|the)\)", re.IGNORECASE)
_ALSO = re.compile(r"\b(?:d[/.]?b[/.]?a|t/a|trading as|doing business as|a[/.]?k[/.]?a|f[/.]?k[/.]?a|formerly)\b\.?", re.IGNORECASE)
# What is written behind a name and is not part of it
_NOTES = (
    # the state of the company
    re.compile(
        r"[\s,(]+(?:(?:in|en|im|i|v|w)\.?\s+(?:li[qk][uvw]\w*\.?|konkurs\w*|insolven\w*|administration|receivership|bankruptcy|faillissement|"
        r"fallimento|concurso|faillite|abwicklung|vereffening)|aufgel[öo]st|erloschen|dissolved|struck off|i\.\s?l\.|i\.\s?k\.)(?!\w)[.,)]*",
        re.IGNORECASE,
    ),
    # a reference to another place in the register
    re.compile(r"\s*[,(]?\s*\b(?:siehe|vgl\.)(?!\w).*$", re.IGNORECASE),
    # a street and its number
    re.compile(
        r"(?:,|(?<=\w\w\w)\.)[^,()\d]*?(?:str\.|stra(?:ss|ß)e|street|\bst\.?|platz|allee|gasse|damm|weg|ufer|ring|linden|\bave(?:nue)?|\broad|\brd|\bblvd|\brue\b.*?|"
        r"\bvia\b.*?|\bcalle\b.*?)[.,]?\s*\d+.*$",
        re.IGNORECASE,
    ),
    # the kind of its shares, and the state that a regulator adds
    re.compile(
        r"\s+(?:(?:american|global) deposit[ao]ry|(?:spons?ored|sponosred) (?:adr|gdr)|adrs?\b|gdrs?\b|class [a-d]\b|common (?:stock|shares)|ord(?:inary)? sh).*$|"
        r"\s*/\s?[a-z]{2,3}\s?/?$|\s*-,\d+$",
        re.IGNORECASE,
    ),
)
_MAY_HAVE_NOTES = re.compile(r"\d|/|siehe|vgl\.|\b(?:in|en|im|i|v|w)\b|lös|los|soff|struck|deposit|adr|gdr|class|common|ord", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"\(([^()]{3,})\)")
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)?")
_COUNTED = TENS | NUMBERS
_SAYS_A_NUMBER = frozenset(_COUNTED) | frozenset(ROMAN)
_LATIN = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "æ": "ae", "Æ": "AE", "œ": "oe"})


@node
class CompanyName:
    """`words` without small words and legal forms, numbers as digits; `spoken` with small words; `kinds` of legal forms."""

    words: tuple[str, ...]
    spoken: tuple[str, ...]
    kinds: frozenset[str]
    text: str  # the words, with spaces
    glued: str  # and without: `Nordic Steel` and `NordicSteel` are one name


@lru_cache(maxsize=KEPT)
def names_in(text: str) -> tuple[CompanyName, ...]:
    """The name that a text is, first; and the names in it, where it has several."""
    parts = [part for part in _ALSO.split(text) if part.strip(" ,.()")] if _ALSO.search(text) else _bracketed(text)
    whole = (parse(text),)
    return whole + tuple(parse(part) for part in parts) if len(parts) > 1 else whole


def _bracketed(text: str) -> list[str]:
    """A name and the short one in brackets behind it: `International Grain Trust (Intergrain)` is known by either.

    What is in brackets may also be a place, a number or a common word, which belongs to the name.
    """
    inside = _IN_BRACKETS.search(text) if "(" in text else None
    if inside is None:
        return []
    words = words_of(inside[1])
    known = common_words().keys() | places() | SMALL | legal_forms().keys()
    if not words or any(word.isdigit() or word in known or len(word) < 3 for word in words):
        return []
    return [text[: inside.start()] + " " + text[inside.end() :], inside[1]]


def without_notes(text: str) -> str:
    """A name without what registers and exchanges write behind it; a text that is nothing but a note stays as it is."""
    for note in _NOTES if _MAY_HAVE_NOTES.search(text) else ():
        left = note.sub(" ", text)
        if left.strip(" ,.()"):
            text = left
    return text


def parse(text: str) -> CompanyName:
    kinds = set()
    if not text.isascii():
        for form, kind in WRITTEN_TOGETHER.items():
            if form in text:
                text = text.replace(form, " ")
                kinds.add(kind)
    if "(" in text:
        text = _ASIDE.sub(" ", text)
    text = without_notes(text)
    spoken, more = _without_forms(_joined(words_of(text)))
    kept = [w for w in spoken if w not in SMALL] or spoken
    words = tuple(_with_digits(kept))
    said = words if words == tuple(spoken) else tuple(spoken)
    return CompanyName(words, said, _kinds(frozenset(kinds | more)), " ".join(words), "".join(words))


@lru_cache
def _kinds(kinds: frozenset[str]) -> frozenset[str]:
    """One object for each set of kinds: a million names have a handful of them."""
    return kinds - {""}


def words_of(text: str) -> list[str]:
    """The words of a text in plain Latin letters, lower case; apostrophes inside of words are dropped."""
    if text.isascii():
        if "'" in text or "`" in text:
            text = _SILENT.sub("", _ELIDED.sub(" ", text))
        return _WORD.findall(text.lower())
    text = unicodedata.normalize("NFKC", _ELIDED.sub(" ", text).translate(_LATIN)).casefold()
    if not text.isascii():
        text = _in_latin(text)
    return _WORD.findall(_SILENT.sub("", text))


def _in_latin(text: str) -> str:
    """A text in plain Latin letters. Accents go; other scripts are transliterated whole, since there a mark makes another sound."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    if plain.isascii():
        return plain
    from anyascii import anyascii

    for written, read in READ_ALOUD.items():
        text = text.replace(written, f" {read} ")
    return str(anyascii(text)).casefold()


@lru_cache(maxsize=KEPT)
def trigrams(text: str) -> frozenset[str]:
    """The groups of three letters in a text, its beginning and end included."""
    padded = f"  {text} "
    return frozenset(padded[i : i + 3] for i in range(len(padded) - 2))


def _joined(words: list[str]) -> list[str]:
    """Letters that stand alone beside each other as one word: `S P A` is `spa`."""
    if all(len(word) > 1 for word in words):
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


def _without_forms(words: list[str]) -> tuple[list[str], set[str]]:
    """The words that are not part of a legal form, and the kinds of the forms. A name that is nothing but a form stays as it is."""
    hits = _forms_at(words)
    if not hits and words and words[-1] not in SMALL:
        return words, set()
    first, last = 0, len(words)
    at_an_end = set()
    changed = True
    while changed:
        changed = False
        for i, (start, end, _, _) in enumerate(hits):
            if i not in at_an_end and end == last and start > first:
                last, changed = start, True
                at_an_end.add(i)
            elif i not in at_an_end and start == first and end < last:
                first, changed = end, True
                at_an_end.add(i)
        while last - 1 > first and words[last - 1] in SMALL:  # `& Co.`, `and Company`
            last, changed = last - 1, True
    gone = [hit for i, hit in enumerate(hits) if i in at_an_end or (hit[3] and hit[1] - hit[0] < len(words))]
    dropped = {i for start, end, _, _ in gone for i in range(start, end)}
    left = [w for i, w in enumerate(words) if i not in dropped]
    return (left, {kind for _, _, kind, _ in gone}) if left else (words, set())


def _forms_at(words: list[str]) -> list[tuple[int, int, str, bool]]:
    """(first word, the word after the last, kind, whether it is long enough to be one anywhere) of each legal form."""
    forms = legal_forms()
    hits: list[tuple[int, int, str, bool]] = []
    if forms.keys().isdisjoint(words):
        return hits
    i = 0
    while i < len(words):
        for form, kind in forms.get(words[i], ()):
            if tuple(words[i : i + len(form)]) == form:
                anywhere = len("".join(form)) >= LONG_FORM and form != ("company",)
                hits.append((i, i + len(form), kind, anywhere))
                i += len(form) - 1
                break
        i += 1
    return hits


def _with_digits(words: list[str]) -> list[str]:
    """Number words, ordinals and Roman numerals as digits. `I`, `V` and `X` are numerals only where a name ends."""
    if _SAYS_A_NUMBER.isdisjoint(words) and not any(w[0].isdigit() for w in words):
        return words
    written = []
    i = 0
    while i < len(words):
        word, alone, ends = words[i], len(words) == 1, i == len(words) - 1
        digits = _ORDINAL.fullmatch(word)
        if word in TENS and not ends and NUMBERS.get(words[i + 1], 10) < 10:
            written.append(str(TENS[word] + NUMBERS[words[i + 1]]))
            i += 1
        elif digits:
            written.append(str(int(digits[1])))
        elif not alone and word in _COUNTED:
            written.append(str(_COUNTED[word]))
        elif i and word in ROMAN and (len(word) > 1 or ends):
            written.append(str(ROMAN[word]))
        else:
            written.append(word)
        i += 1
    return written
