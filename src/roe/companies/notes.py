"""What registers and exchanges write behind a company's name: its state, a street, the kind of its shares, its branches."""

from __future__ import annotations

import re

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
        r"[\s.](?:sp?\.\s?)?(?:adr|gdr)s?\s?\d+(?:/\d+)?$|\s+(?:(?:american|global) deposit[ao]ry|(?:spons?ored|sponosred) (?:adr|gdr)|adrs?\b|gdrs?\b|class [a-d]\b|common (?:stock|shares)|ord(?:inary)? sh).*$|"
        r"\s*/\s?[a-z]{2,3}\s?/?$|\s*-,\d+$|\s+cl\.\s?[a-d1-9]\b.*$",
        re.IGNORECASE,
    ),
    # and what its shares are worth, as German exchanges print it: `NAM. DK 5`, `INH O.N.`, `H YC 1`
    re.compile(
        r"(?:\s+(?:(?:NAM|INH|NOM|REG|PORT|PREF|PFD|SP|ADR|NEW|ST|VZ)\b\.?|[A-H]\b))*"
        r"\s*(?:\b(?:EO|DL|LS|SF|SK|NK|DK|YC|YN|HD|SD|RC|RP|AD|CD|IR|TN)\s?-?,?\s?\d[\d,]*|\bO\.\s?N\.?)$"
    ),
    # the branches that it has besides
    re.compile(r"[\s,;(]+(?:mit|nebst|with)\s+(?:zweig|filial|branches)\w*.*$|,?\s+(?:mit dem |mit )?sitz(?= in )", re.IGNORECASE),
)


# The postal district behind the city that a company sits in: `in Heilbronn 3`, `in Berlin, W. 9`
_DISTRICT = re.compile(
    r"(\b(?:in|zu|à)\s+[^\W\d_][\w-]{2,}(?:\s[^\W\d_][\w-]{2,})?|,\s*[^\W\d_][\w-]{2,}(?=,?\s+[NSOW]{1,2}\.)),?(?:\s+[NSOW]{1,2}\b\.?,?)?(?:\s+\d{1,2})?[.,;\s]*$"
)


# one of these is in whatever `_NOTES` and `_DISTRICT` find
_MAY_HAVE_NOTES = re.compile(r"[\d/]")
_NOTES_HAVE = (
    " in ", " en ", " im ", " i ", " i.", " v ", " v.", " w ", " zu ", "(in ", "(i.", ",in ", "o.n", "o. n", "sitz", "zweig", "filial", "branches",
    "siehe", "vgl.", "lös", "los", "soff", "struck", "deposit", "adr", "gdr", "class", "common", "ord",
)  # fmt: skip


def without_notes(text: str) -> str:
    """A name without what registers and exchanges write behind it; a text that is nothing but a note stays as it is."""
    if not _MAY_HAVE_NOTES.search(text):
        if not any(map(text.lower().__contains__, _NOTES_HAVE)):
            return text
    for note in _NOTES:
        left = note.sub(" ", text)
        if left.strip(" ,.()"):
            text = left
    return _DISTRICT.sub(r"\1", text)
