"""An index of many names, made by every processor, and kept in the user's cache folder, so that the next run with the same accounts need not make
it again.

What is kept is texts and numbers: no code can come out of it. It counts only while the digest of the names and of roe's own
files is the same, and only in a folder that nobody else may write to. One index is kept, the last one that was large enough.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from roe.companies.index import NameIndex, keys_of, keys_of_all, words_of_all
from roe.companies.name import names_in
from roe.companies.written import WrittenNames, line_of
from roe.files import cache_folder, is_private, own_digest, uncollected
from roe.parallel import each

LARGE = 20_000  # names from which on an index is worth its place on the disk
FILE = "names.index"
PORTION = 5_000  # names that a process takes apart together


def index_of(names: Sequence[str]) -> NameIndex:
    """The index of these names, as it was kept or made now."""
    if len(names) < LARGE:
        return NameIndex(names)
    folder = cache_folder()
    if folder is None or not is_private(folder):
        return built(names)
    digest = hashlib.sha256("\0".join((own_digest(), *names)).encode("utf-8", "surrogatepass")).hexdigest()
    index = _read(folder / FILE, digest, names)
    if index is None:
        index = built(names)
        _write(folder / FILE, digest, index)
    return index


def built(names: Sequence[str]) -> NameIndex:
    """The index of names, portions of which are taken apart in processes of their own."""
    distinct = list(dict.fromkeys(names))
    having: dict[str, int | array[int]] = {}
    words: Counter[str] = Counter()
    with uncollected():
        portions = range(0, len(distinct), PORTION)
        work = each(lambda n: _portion(distinct, portions[n]), len(portions), "indexing names", few=2, portion=1)
        written: list[WrittenNames] = []
        for keys, sizes, numbers, counts, lines in work:
            written.append(lines)
            start = 0
            for key, size in zip(keys, sizes, strict=True):
                known = having.get(key)
                if known is None:
                    having[key] = numbers[start] if size == 1 else numbers[start : start + size]
                elif type(known) is int:
                    having[key] = array("I", (known, *numbers[start : start + size]))
                else:
                    known.extend(numbers[start : start + size])  # type: ignore[union-attr]
                start += size
            words.update(counts)
        return NameIndex.of(names, having, words, WrittenNames.all(written))


def _portion(distinct: Sequence[str], start: int) -> tuple[list[str], array[int], array[int], dict[str, int], WrittenNames]:
    """(keys, how many names have each, the numbers of these, in how many names each word stands, what they mean) of some names."""
    having: dict[str, list[int]] = {}
    words: Counter[str] = Counter()
    lines = []
    for number in range(start, min(start + PORTION, len(distinct))):
        meant = names_in(distinct[number])
        for key in keys_of(meant[0]) if len(meant) == 1 else keys_of_all(meant):
            having.setdefault(key, []).append(number)
        words.update(words_of_all(meant))
        lines.append(line_of(meant))
    numbers = array("I")
    for some in having.values():
        numbers.extend(some)
    return list(having), array("I", map(len, having.values())), numbers, dict(words), WrittenNames.of(lines)


def _write(path: Path, digest: str, index: NameIndex) -> None:
    keys, sizes, numbers, words, written = index.parts()
    counts = array("I", words.values())
    parts = ["\n".join(keys).encode(), sizes.tobytes(), numbers.tobytes(), "\n".join(words).encode(), counts.tobytes()]
    parts += [written.lines, written.ends.tobytes()]
    head = json.dumps({"digest": digest, "item": sizes.itemsize, "sizes": [len(part) for part in parts]}).encode()
    with contextlib.suppress(OSError):  # a cache that cannot be written is not an error
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as file:
            file.write(head + b"\n")
            file.writelines(parts)
        os.replace(draft, path)


def _read(path: Path, digest: str, names: Sequence[str]) -> NameIndex | None:
    try:
        if os.name != "nt" and path.stat().st_uid not in (0, os.getuid()):  # from when the folder was open to others
            return None
        with path.open("rb") as file:
            head = json.loads(file.readline())
            if head["digest"] != digest or head["item"] != array("I").itemsize:
                return None
            parts = [file.read(size) for size in head["sizes"]]
            if [len(part) for part in parts] != head["sizes"] or file.read(1):
                return None
        keys, words = parts[0].decode().split("\n"), parts[3].decode().split("\n")
        sizes, numbers, counts, ends = _numbers(parts[1]), _numbers(parts[2]), _numbers(parts[4]), _numbers(parts[6], "Q")
        if len(keys) != len(sizes) or len(words) != len(counts) or sum(sizes) != len(numbers) or ends[-1] != len(parts[5]):
            return None
        having: dict[str, int | array[int]] = {}
        start = 0
        with uncollected():
            for key, size in zip(keys, sizes, strict=True):
                having[key] = numbers[start] if size == 1 else numbers[start : start + size]
                start += size
            return NameIndex.of(names, having, Counter(dict(zip(words, counts, strict=True))), WrittenNames(parts[5], ends))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def _numbers(data: bytes, kind: str = "I") -> array[int]:
    numbers = array(kind)
    numbers.frombytes(data)
    return numbers
