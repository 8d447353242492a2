"""Names that were taken apart, as bytes: a tenth of the room that objects need, and read ten times as fast as a name is taken apart.

A text has one line. Its names stand one after the other, each with five lists of words: of the name, spoken, kinds, seat, dotted.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache

from roe.companies.name import NONE, CompanyName, shared_kinds

NAMES, LISTS, WORDS = "\n", "\t", " "  # what stands between them; no word has one


class WrittenNames:
    """The lines of many texts, one after the other; each ends at its place in `ends`."""

    def __init__(self, lines: bytes | memoryview = b"", ends: Sequence[int] = ()) -> None:
        self.lines, self.ends = lines, ends

    @classmethod
    def of(cls, lines: Iterable[str]) -> WrittenNames:
        ends, encoded, end = array("Q"), [line.encode() for line in lines], 0
        for line in encoded:
            end += len(line)
            ends.append(end)
        return cls(b"".join(encoded), ends)

    @classmethod
    def all(cls, portions: Iterable[WrittenNames]) -> WrittenNames:
        """Some lines and then the others."""
        ends, end = array("Q"), 0
        portions = list(portions)
        for portion in portions:
            ends.extend([end + at for at in portion.ends])
            end += len(portion.lines)
        return cls(b"".join([portion.lines for portion in portions]), ends)

    def meant(self, i: int) -> tuple[CompanyName, ...]:
        """What the i-th text means."""
        line = str(self.lines[self.ends[i - 1] if i else 0 : self.ends[i]], "utf-8")
        return tuple(map(_read, line.split(NAMES))) if NAMES in line else (_read(line),)


def line_of(meant: Iterable[CompanyName]) -> str:
    """What a text means, in a line."""
    return NAMES.join([_line(name) for name in meant])


def _line(name: CompanyName) -> str:
    spoken = () if name.spoken == name.words else name.spoken
    return LISTS.join([WORDS.join(x) for x in (name.words, spoken, sorted(name.kinds), sorted(name.seat), sorted(name.dotted))])


def _read(line: str) -> CompanyName:
    text, spoken, kinds, seat, dotted = line.split(LISTS)
    words = tuple(text.split())
    return CompanyName(
        words, tuple(spoken.split()) if spoken else words, _kinds(kinds), text, "".join(words),
        frozenset(seat.split()) if seat else NONE, frozenset(dotted.split()) if dotted else NONE,
    )  # fmt: skip


@lru_cache
def _kinds(written: str) -> frozenset[str]:
    return shared_kinds(frozenset(written.split()))
