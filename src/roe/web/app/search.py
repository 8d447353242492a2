"""Search as you type: records, reps, territories and pools by any of their names.

All names stand in one long text, each at the start of a line, and a search is the C library's search in it: a few milliseconds for ten
million characters, with nothing to build but the text. Starts of names come before starts of words, and these before anything else.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

LOOKED_AT = 400  # hits of one kind that are looked at
SHORTEST = 2  # letters that a search inside of words needs


class Hit(NamedTuple):
    """Something that can be found: its kind (an entity, `rep`, `territory` or `pool`), id and label; `keys` are all texts it answers to."""

    kind: str
    id: str
    label: str
    keys: tuple[str, ...]


def plain(text: str) -> str:
    """A text for comparing: without case and accents, in one line."""
    if text.isascii():
        return " ".join(text.lower().split())
    folded = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).split())


class SearchIndex:
    """Everything that can be found."""

    def __init__(self, hits: Iterable[Hit]) -> None:
        self.hits: list[Hit] = list(hits)
        pieces: list[str] = []
        self._starts: list[int] = []
        length = 0
        for hit in self.hits:
            lines = "".join(f"\n{plain(key)}" for key in dict.fromkeys((hit.label, *hit.keys)) if key) + "\n"
            self._starts.append(length)
            pieces.append(lines)
            length += len(lines)
        self._text = "".join(pieces)

    def search(self, text: str, most: int = 40) -> list[Hit]:
        """The hits that answer to every word of a text, the best first."""
        words = plain(text).split(" ")
        wanted = " ".join(words)
        if not wanted:
            return []
        ranked = {number: self._rank(number, wanted) for number in self._containing(wanted)} if len(wanted) >= SHORTEST else {}
        if len(ranked) >= LOOKED_AT or len(wanted) < SHORTEST:  # there are more than were looked at: the best of them first
            for rank, needle in enumerate((f"\n{wanted}\n", f"\n{wanted}", f" {wanted}")):
                for number in self._containing(needle):
                    ranked[number] = min(rank, ranked.get(number, rank))
                if rank and sum(r <= rank for r in ranked.values()) >= most:
                    break
        if len(words) > 1 and len(ranked) < most:
            for number in self._with_all(words):
                ranked.setdefault(number, 4)
        best = sorted(ranked, key=lambda n: (ranked[n], len(self.hits[n].label), self.hits[n].label, n))
        return [self.hits[n] for n in best[:most]]

    def near(self, text: str, most: int = 5) -> list[Hit]:
        """The hits whose label is most like a text that nothing answers to."""
        from rapidfuzz import fuzz, process

        wanted = plain(text)
        if len(wanted) < 3:
            return []
        labels = [plain(hit.label) for hit in self.hits]
        nearest = process.extract(wanted, labels, scorer=fuzz.ratio, limit=most, score_cutoff=70)
        return [self.hits[number] for _, _, number in nearest]

    def _rank(self, number: int, wanted: str) -> int:
        """0 for a whole name, 1 for the start of one, 2 for the start of a word, 3 for any other place."""
        lines = self._text[self._starts[number] : self._end(number)]
        return next((rank for rank, needle in enumerate((f"\n{wanted}\n", f"\n{wanted}", f" {wanted}")) if needle in lines), 3)

    def _containing(self, needle: str) -> Iterator[int]:
        """The numbers of the hits with a needle, each once, in their order; the first of many."""
        at, seen, last = self._text.find(needle), 0, -1
        while at >= 0 and seen < LOOKED_AT:
            number = bisect_right(self._starts, at) - 1
            if number != last:
                yield number
                seen, last = seen + 1, number
            at = self._text.find(needle, self._end(number))

    def _end(self, number: int) -> int:
        return self._starts[number + 1] if number + 1 < len(self._starts) else len(self._text)

    def _with_all(self, words: list[str]) -> Iterator[int]:
        """Hits that have each word somewhere, looked for by the longest one."""
        for number in self._containing(max(words, key=len)):
            lines = self._text[self._starts[number] : self._end(number)]
            if all(word in lines for word in words):
                yield number
