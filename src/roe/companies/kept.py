"""An index of many names, made by every processor, and kept in the user's cache folder, so that the next run with the same accounts need not make
it again.

What is kept is texts and numbers: no code can come out of it. A run uses it only for the same names and the same version of roe, and only in
a folder that nobody else may write to. A service may begin with it if only a few names are new and none is gone: it adds names one by one
anyway. The three that were used last are kept, so that a service and a nightly match on one machine have one each. A file is mapped into memory: a search reads the pages that it needs, and all
processes share them. Where numpy is not installed, an index is made name by name and not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from roe.companies.index import NameIndex
from roe.companies.name import names_in
from roe.companies.postings import words_of_all
from roe.companies.written import WrittenNames, line_of
from roe.dynamic import Array
from roe.files import cache_folder, is_private, own_digest, uncollected
from roe.parallel import each

LARGE = 20_000  # names from which on an index is worth its place on the disk
FILES = ("names.index", "names.2.index", "names.3.index")
PORTION = 5_000  # names that a process takes apart together
FEW_NEW = 0.05  # of all names: with more new ones an index is made sooner than these are added
ALIGNED = 64  # each part of the file begins at a multiple of so many bytes


def index_of(names: Sequence[str], meanwhile: Callable[[], object] | None = None, grows: bool = False) -> NameIndex:
    """The index of these names, as it was kept or made now; `meanwhile` may be done while other processes make it. One that `grows` may have been
    kept when there were a few names less: it is the same, and searched a little slower.
    """
    if len(names) < LARGE or find_spec("numpy") is None:
        return NameIndex(names)
    folder = cache_folder()
    if folder is None or not is_private(folder):
        return built(names, meanwhile)
    asked = _Asked(names)
    for path in (folder / name for name in FILES):
        index = _read(path, asked, grows)
        if index is not None:
            break
    else:
        path, index = min((folder / name for name in FILES), key=_last_used), built(names, meanwhile)
        _write(path, index)
    with contextlib.suppress(OSError):
        os.utime(path, ns=(time.time_ns(), time.time_ns()))
    return index


class _Asked:
    """The names that an index is asked for."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.distinct = list(dict.fromkeys(names))
        self.digest = _digest(_joined(self.distinct))

    def known(self, digest: str, number: int, joined: memoryview, grows: bool) -> list[str] | None:
        """The distinct names of a kept index, if they can serve for these: they are the same, or all but a few of these."""
        if digest == self.digest:
            return self.distinct
        if not grows or not 0 <= len(self.distinct) - number <= FEW_NEW * len(self.distinct) or digest != _digest(joined):
            return None
        known = str(joined, "utf-8", "surrogatepass").split("\0")
        return known if len(known) == number and set(self.distinct).issuperset(known) else None


def _last_used(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def built(names: Sequence[str], meanwhile: Callable[[], object] | None = None) -> NameIndex:
    """The index of names, portions of which are taken apart in processes of their own."""
    from roe.companies.keys import KeyColumns

    distinct = list(dict.fromkeys(names))
    words: Counter[str] = Counter()
    pairs: list[tuple[Array, Array]] = []
    written: list[WrittenNames] = []
    with uncollected():
        starts = range(0, len(distinct), PORTION)
        work = each(
            lambda n: _portion(distinct[starts[n] : starts[n] + PORTION], starts[n]),
            len(starts),
            "indexing names",
            few=2,
            portion=1,
            meanwhile=meanwhile,
        )
        for keys, numbers, counts, lines in work:
            pairs.append((keys, numbers))
            written.append(lines)
            words.update(counts)
        return NameIndex.of(names, distinct, KeyColumns.of(pairs), words, WrittenNames.all(written))


def _portion(distinct: Sequence[str], start: int) -> tuple[Array, Array, dict[str, int], WrittenNames]:
    """(keys, the numbers of the names that have them, in how many names each word stands, what the names mean) of names, the first with a number."""
    from roe.companies.keys import keys_of_many

    meant = [names_in(name) for name in distinct]
    words: Counter[str] = Counter()
    for several in meant:
        words.update(words_of_all(several))
    return *keys_of_many(enumerate(meant, start)), dict(words), WrittenNames.of(map(line_of, meant))


def _write(path: Path, index: NameIndex) -> None:
    names, columns, words, written = index.parts()
    texts = ["\n".join(words).encode(), array("I", words.values()).tobytes(), written.lines, array("Q", written.ends).tobytes()]
    parts = [*(memoryview(column).cast("B") for column in columns), *texts, _joined(names)]
    sizes = [len(part) for part in parts]
    head = json.dumps({"digest": _digest(parts[-1]), "item": array("I").itemsize, "names": len(names), "sizes": sizes}).encode() + b"\n"
    with contextlib.suppress(OSError):  # a cache that cannot be written is not an error
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as file:
            for part in (head, *parts):
                file.write(part)
                file.write(bytes(-len(part) % ALIGNED))
        try:
            os.replace(draft, path)
        except OSError:  # Windows replaces no file that another process has mapped
            draft.unlink(missing_ok=True)


def _joined(names: Iterable[str]) -> bytes:
    return "\0".join(names).encode("utf-8", "surrogatepass")


def _digest(names: bytes | memoryview) -> str:
    """What says that names are those of this index, and this roe the one that made it."""
    digest = hashlib.sha256(own_digest().encode())
    digest.update(names)
    return digest.hexdigest()


def _read(path: Path, asked: _Asked, grows: bool) -> NameIndex | None:
    import numpy as np

    from roe.companies.keys import KeyColumns

    try:
        if os.name != "nt" and path.stat().st_uid not in (0, os.getuid()):  # from when the folder was open to others
            return None
        with path.open("rb") as file:
            line = file.readline()
            head = json.loads(line)
            if head["item"] != array("I").itemsize or (head["digest"] != asked.digest and not grows):
                return None
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        parts, start = [], len(line)
        for size in head["sizes"]:
            start += -start % ALIGNED
            parts.append(content[start : start + size])
            start += size
        if start + -start % ALIGNED != len(content):
            return None
        codes, starts, numbers = (np.frombuffer(part, kind) for part, kind in zip(parts, (np.uint64, np.uint64, np.uint32), strict=False))
        known = asked.known(head["digest"], head["names"], parts[7], grows)
        if known is None:
            return None
        words, counts, ends = str(parts[3], "utf-8").split("\n"), parts[4].cast("I"), parts[6].cast("Q")
        if len(codes) + 1 != len(starts) or starts[-1] != len(numbers) or len(words) != len(counts) or ends[-1] != len(parts[5]):
            return None
        with uncollected():
            counted = Counter(dict(zip(words, counts, strict=True)))
            return NameIndex.of(asked.names, known, KeyColumns(codes, starts, numbers), counted, WrittenNames(parts[5], ends))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
