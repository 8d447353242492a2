"""The bytes of a data file, unpacked if its name says that it is packed: all of them, or some at a time.

Both ways have the same limit for what a packed file unpacks to, so no small file fills the memory or the disk.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from roe.data.encoding import Unreadable

PACKED = (".gz", ".zip")
MAX_DATA_BYTES = 4 << 30  # of a file that is read as a whole
MAX_RATIO = 200  # an archive that unpacks to more than so many times its size is not an export
_ROOM = 64 << 20  # but a small one may
_STEP = 1 << 16  # bytes that are unpacked at once: a thousand times as many at the most


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises Unreadable."""
    try:
        if path.stat().st_size > MAX_DATA_BYTES:
            raise _too_large()
        return b"".join(_within(_unpacked(path), MAX_DATA_BYTES)) if is_packed(path) else path.read_bytes()
    except OSError as e:
        raise Unreadable(f"it cannot be read: {e.strerror or e}", "check name and permissions") from e


def pieces(path: Path, size: int) -> Generator[bytes, None, None]:
    """A file's content, so many bytes at a time. Raises Unreadable, or OSError."""
    if not is_packed(path):
        with path.open("rb") as file:
            while piece := file.read(size):
                yield piece
        return
    held = bytearray()
    for piece in _unpacked(path):
        held += piece
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
    if held:
        yield bytes(held)


def head_of(path: Path, size: int) -> bytes:
    """The first bytes of a file's content. Raises Unreadable, or OSError."""
    with closing(pieces(path, size)) as found:
        return next(found, b"")


def is_longer(path: Path, size: int) -> bool:
    """Whether a file's content has more than so many bytes. Raises Unreadable, or OSError."""
    stored = path.stat().st_size
    return stored > size if stored > size or not is_packed(path) else len(head_of(path, size + 1)) > size


def is_packed(path: Path) -> bool:
    return path.suffix.lower() in PACKED


def _too_large() -> Unreadable:
    return Unreadable(f"it is larger than {MAX_DATA_BYTES >> 30} GiB", "split it", code="R309")


def _within(parts: Iterable[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for part in parts:
        size += len(part)
        if size > limit:
            raise _too_large()
        yield part


def _unpacked(path: Path) -> Iterator[bytes]:
    """What a packed file unpacks to, as far as that is believable."""
    limit, size = max(_ROOM, MAX_RATIO * path.stat().st_size), 0
    with path.open("rb") as file:
        for piece in _gunzipped(file) if path.suffix.lower() == ".gz" else _unzipped(file, limit):
            size += len(piece)
            if size > limit:
                raise _unbelievable(limit)
            yield piece


def _unbelievable(limit: int) -> Unreadable:
    return Unreadable(f"it unpacks to more than {limit >> 20} MiB", "unpack it, and look at what it holds", code="R309")


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """A gzip file may have several members, one after the other, with zeros below each."""
    import zlib

    unpack, is_begun, is_first = zlib.decompressobj(16 + zlib.MAX_WBITS), False, True
    try:
        while rest := file.read(_STEP):
            while rest := rest if is_begun or is_first else rest.lstrip(b"\0"):
                is_begun = True
                yield unpack.decompress(rest)
                rest = b""
                if unpack.eof:
                    rest, unpack, is_begun, is_first = unpack.unused_data, zlib.decompressobj(16 + zlib.MAX_WBITS), False, False
    except zlib.error as e:
        raise Unreadable(f"it is not a valid gzip archive ({e})", "download it again, or export CSV") from e
    if is_begun:
        raise Unreadable("the archive ends before its content does", "download it again: it was cut off")


def _unzipped(file: BinaryIO, limit: int) -> Iterator[bytes]:
    import zipfile
    import zlib

    try:
        with zipfile.ZipFile(file) as archive:
            held = [
                i
                for i in archive.infolist()
                if not i.is_dir() and not Path(i.filename).name.startswith(".") and "__MACOSX" not in i.filename
            ]
            if len(held) != 1:
                names = ", ".join(i.filename for i in held[:4])
                raise Unreadable(f"the archive holds {len(held)} files ({names})", "unpack it, or pack one table alone")
            if held[0].file_size > limit:
                raise _unbelievable(limit)
            if not held[0].filename.lower().endswith((".csv", ".tsv", ".txt")):
                raise Unreadable(f"the archive holds `{held[0].filename}`, which is not a CSV file", "pack one CSV file, or unpack it")
            with archive.open(held[0]) as content:
                while piece := content.read(_STEP):
                    yield piece
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError, KeyError, IndexError) as e:
        raise Unreadable(f"it is not a valid ZIP archive ({e})", "download it again, or export CSV") from e
