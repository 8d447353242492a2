"""Numbers with their nouns: `1 account`, `2 accounts`, `8,800 rows`; and the first of many names."""

from __future__ import annotations

from collections.abc import Sequence

IRREGULAR = {"person": "people", "child": "children"}


def plural(noun: str) -> str:
    """The plural of a noun; of a phrase such as `record with a date` give the noun alone."""
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def counted(n: int | float, noun: str) -> str:
    """A number with its noun: `1 file`, `0 files`, `1,200 records`."""
    return f"{n:,} {noun if n == 1 else plural(noun)}"


def some(names: Sequence[object], most: int) -> str:
    """Names in a line: the first of them, and a sign that there are more."""
    return ", ".join(map(str, names[:most])) + (", …" if len(names) > most else "")


def verb(n: int | float, one: str, many: str) -> str:
    """The form of a verb, or of any word, that goes with a number: `1 changes hands`, `2 change hands`."""
    return one if n == 1 else many
