"""Names by the keys that they are looked up by, as sorted columns: many names at once, in a file that is mapped and not read.

A key is a number here. A group of letters, `.beginning`, `^initials` or `=beginning of all` is the number that its bytes are. What a name is
as a whole, `==name`, can be long: it is a digest behind a byte that no other key begins with.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from roe.companies.name import CompanyName
from roe.companies.pairing import MOST_INITIALS
from roe.dynamic import Array

BEGINNING, WHOLE = 5, 8  # letters of a word, and of a name without spaces, that are keys
SPANS_KEPT = 100_000  # keys whose places in columns are remembered
_DIGEST = 0xFF << 56  # the first byte of a digest
_SPACE = ord(" ")
MARKS = b".^=\x00"  # of keys that are not groups of letters; a shorter key begins with an empty byte


def code_of(key: str) -> int:
    """A key as a number of 64 bits."""
    if key.startswith("=="):
        return _digest(key[2:])
    return int.from_bytes((key[1:] if len(key) > WHOLE else key).encode(), "big")


def _digest(glued: str) -> int:
    return _DIGEST | int.from_bytes(blake2b(glued.encode(), digest_size=7).digest(), "big")


class KeyColumns(NamedTuple):
    """The distinct keys in order (uint64); where the names of each begin among `numbers`, and after the last its end (uint64); and the numbers
    of the names that have them (uint32).
    """

    codes: Array
    starts: Array
    numbers: Array

    @classmethod
    def of(cls, pairs: Sequence[tuple[Array, Array]]) -> KeyColumns:
        """The columns of (keys, numbers of the names that have them), each pair once."""
        codes, numbers = (np.concatenate(some) if pairs else np.empty(0) for some in (zip(*pairs, strict=True) if pairs else ((), ())))
        order = np.argsort(codes, kind="stable")  # merges portions that are in order, and so leaves the numbers of each key
        codes, numbers = codes[order], numbers[order]
        firsts = np.flatnonzero(np.concatenate(([True], codes[1:] != codes[:-1]))) if len(codes) else np.empty(0, np.int64)
        return cls(codes[firsts], np.append(firsts, len(codes)).astype(np.uint64), numbers)

    def spans(self) -> dict[str, tuple[int, int]]:
        """Where the names of a key begin and end, by the key."""
        return _Spans(self)

    def groups(self) -> Iterator[tuple[str, int]]:
        """Each group of letters, and how many names have it."""
        return ((group, size) for group, size in self._short_keys() if group)

    def _short_keys(self) -> Iterator[tuple[str, int]]:
        """The keys of three bytes or less, and how many names have each; an empty text in place of one that is no group of letters."""
        count = int(np.searchsorted(self.codes, 1 << 24))
        sizes = np.diff(self.starts[: count + 1].astype(np.int64)).tolist()
        for code, size in zip(self.codes[:count].tolist(), sizes, strict=True):
            key = code.to_bytes(3, "big")
            yield "" if key[0] in MARKS else key.decode(), size

    def sums_of_groups(self, weights: Mapping[str, int], names: int) -> Array:
        """Of each of so many names the sum of the weights of its groups of letters. They are far below 2 ** 53, so they are exact."""
        keys = list(self._short_keys())
        weight = np.array([weights[group] if group else 0 for group, _ in keys], np.float64)
        sizes = np.array([size for _, size in keys], np.int64)
        return np.bincount(self.numbers[: int(sizes.sum())], np.repeat(weight, sizes), minlength=names).astype(np.int64)


class _Spans(dict[str, tuple[int, int]]):
    """Where the names of a key begin and end in columns, found when it is asked for; most keys of a name are those of many others."""

    def __init__(self, columns: KeyColumns) -> None:
        super().__init__()
        self._codes, self._starts = memoryview(columns.codes), memoryview(columns.starts)

    def __missing__(self, key: str) -> tuple[int, int]:
        code, codes = code_of(key), self._codes
        at = bisect_left(codes, code)
        span = (self._starts[at], self._starts[at + 1]) if at < len(codes) and codes[at] == code else (0, 0)
        if key[0] != "=":  # what a whole name is or begins with does not come back
            if len(self) >= SPANS_KEPT:
                self.clear()
            self[key] = span
        return span


def keys_of_many(meant: Iterable[tuple[int, Sequence[CompanyName]]]) -> tuple[Array, Array]:
    """(keys, numbers) of texts, each with its number, that mean some names: for each name what `postings.keys_of` says, each pair once."""
    names = [(number, name) for number, several in meant for name in several]
    numbers = np.array([number for number, _ in names], np.uint32)
    words = _Letters([name.text for _, name in names])
    more = [i for i, (_, name) in enumerate(names) if name.spoken != name.words]
    spoken = _Letters([" ".join(names[i][1].spoken) for i in more])
    whole = np.array([_digest(name.glued) for _, name in names], np.uint64), np.arange(len(names))
    found = [words.groups(), words.beginnings(), words.short_words(), words.initials(), words.whole(), whole]
    codes = np.concatenate([codes for codes, _ in found])
    at = np.concatenate([numbers[places] for _, places in found])
    said, places = spoken.initials()
    codes, at = np.concatenate((codes, said)), np.concatenate((at, numbers[np.array(more, np.int64)][places]))
    order = np.lexsort((at, codes))
    codes, at = codes[order], at[order]
    again = np.concatenate(([False], (codes[1:] == codes[:-1]) & (at[1:] == at[:-1])))
    return codes[~again], at[~again]


class _Letters:
    """The letters of many texts in one row, each text with two spaces before and one behind it. Keys come with the places of their texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.count = len(texts)
        row = np.frombuffer("".join([f"  {text} " for text in texts]).encode("ascii"), np.uint8)
        sizes = np.array([len(text) + 3 for text in texts], np.int64)
        self.text = np.repeat(np.arange(len(texts)), sizes)  # of each letter, the text that it is in
        self.row = row.astype(np.uint64)
        is_letter = row != _SPACE
        before = np.concatenate(([False], is_letter[:-1]))
        self.starts = np.flatnonzero(is_letter & ~before)  # of words
        self.ends = np.flatnonzero(~is_letter & before)
        self.letters = np.flatnonzero(is_letter)

    def groups(self) -> tuple[Array, Array]:
        """The groups of three letters or spaces."""
        row, text = self.row, self.text
        codes = row[:-2] << np.uint64(16) | row[1:-1] << np.uint64(8) | row[2:]
        inside = text[:-2] == text[2:]
        return codes[inside], text[:-2][inside]

    def beginnings(self) -> tuple[Array, Array]:
        return self._run(".", self.starts, np.minimum(self.ends - self.starts, BEGINNING), self.row), self.text[self.starts]

    def short_words(self) -> tuple[Array, Array]:
        """Words that may be initials."""
        sizes = self.ends - self.starts
        short = (sizes > 1) & (sizes <= MOST_INITIALS)
        return self._run("^", self.starts[short], sizes[short], self.row), self.text[self.starts[short]]

    def initials(self) -> tuple[Array, Array]:
        """Of texts with several words."""
        firsts, sizes = self._firsts(self.text[self.starts])
        several = np.flatnonzero(sizes > 1)
        return self._run("^", firsts[several], np.minimum(sizes[several], MOST_INITIALS), self.row[self.starts]), several

    def whole(self) -> tuple[Array, Array]:
        """What a text begins with, without its spaces."""
        firsts, sizes = self._firsts(self.text[self.letters])
        letters, long = self.row[self.letters], np.flatnonzero(sizes >= WHOLE)
        codes = self._run("=", firsts, np.minimum(sizes, WHOLE - 1), letters)
        codes[long] = self._run("", firsts[long], np.full(len(long), WHOLE), letters)
        return codes, np.arange(self.count)

    def _firsts(self, text: Array) -> tuple[Array, Array]:
        """(the first, how many) of each text's things, which stand in the order of their texts."""
        firsts = np.searchsorted(text, np.arange(self.count + 1))
        return firsts[:-1], np.diff(firsts)

    @staticmethod
    def _run(mark: str, firsts: Array, sizes: Array, letters: Array) -> Array:
        """A mark and so many letters from the first on, as numbers."""
        codes = np.full(len(firsts), ord(mark) if mark else 0, np.uint64)
        for n in range(int(sizes.max()) if len(sizes) else 0):
            more = sizes > n
            codes[more] = codes[more] << np.uint64(8) | letters[firsts[more] + n]
        return codes
