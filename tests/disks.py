"""Disks that fail: one that loses its power, and one that is full.

After a loss of power what SQLite has synchronised is there, and of what it has written since then any part. The calls that SQLite makes to
write its files are watched, so this works where Python and this file reach the same SQLite. The disk that is full is a real file system.
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SECTOR = 512  # bytes that a disk writes whole or not at all
Write = tuple[int, bytes | None]  # offset and bytes; None for the size that a file was cut to

_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods of SQLite 3: the calls on an open file."""

    _fields_ = [
        ("iVersion", ctypes.c_int), ("xClose", ctypes.c_void_p), ("xRead", ctypes.c_void_p), ("xWrite", ctypes.c_void_p),
        ("xTruncate", ctypes.c_void_p), ("xSync", ctypes.c_void_p), ("others", ctypes.c_void_p * 13),
    ]  # fmt: skip


class _Vfs(ctypes.Structure):
    """The beginning of sqlite3_vfs."""

    _fields_ = [
        ("iVersion", ctypes.c_int), ("szOsFile", ctypes.c_int), ("mxPathname", ctypes.c_int), ("pNext", ctypes.c_void_p),
        ("zName", ctypes.c_char_p), ("pAppData", ctypes.c_void_p), ("xOpen", ctypes.c_void_p),
    ]  # fmt: skip


@dataclass
class File:
    """What is safe of a file, and what was written since that was made sure of."""

    safe: bytearray = field(default_factory=bytearray)
    since: list[Write] = field(default_factory=list)

    def sync(self) -> None:
        for write in self.since:
            _apply(self.safe, *write)
        self.since.clear()

    def after(self, chance: random.Random | None) -> bytes:
        """The file after a loss of power, with some of the sectors that were not safe, or with none of them."""
        left = bytearray(self.safe)
        for offset, data in self.since if chance is not None else ():
            assert chance is not None
            for start in range(0, len(data), SECTOR) if data is not None else (0,):
                if chance.random() < 0.5:
                    _apply(left, offset + start, None if data is None else data[start : start + SECTOR])
        return bytes(left)


def _apply(to: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del to[offset:]
        return
    to.extend(bytes(max(0, offset + len(data) - len(to))))
    to[offset : offset + len(data)] = data


class Disk:
    """The files under a folder. `happened` is called before each write, cut and synchronisation."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, dict[str, File]()
        self.happened: Callable[[], None] = lambda: None

    def after(self, chance: random.Random | None) -> dict[str, bytes]:
        return {name: file.after(chance) for name, file in self.files.items()}


@contextlib.contextmanager
def watched(folder: Path) -> Iterator[Disk]:
    """The disk of what SQLite writes under a folder meanwhile."""
    import _sqlite3

    try:
        find = ctypes.CDLL(_sqlite3.__file__).sqlite3_vfs_find
    except (AttributeError, OSError):
        pytest.skip("Python has an SQLite of its own, which cannot be watched")
    find.restype = ctypes.POINTER(_Vfs)
    vfs = find(None).contents
    disk, kept, original = Disk(folder), list[Any](), vfs.xOpen
    opened = _OPEN(original)

    def on_open(of: int, name: bytes | None, file: int, flags: int, out: int) -> int:
        code: int = opened(of, name, file, flags, out)
        methods = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
        path = Path(name.decode()) if name else None
        if code == 0 and path is not None and path.is_relative_to(folder) and methods[0]:
            table = _watching(disk, disk.files.setdefault(path.name, File()), ctypes.cast(methods[0], ctypes.POINTER(_Methods)).contents)
            kept.append(table)
            methods[0] = ctypes.addressof(table[0])
        return code

    replaced = _OPEN(on_open)
    vfs.xOpen = ctypes.cast(replaced, ctypes.c_void_p).value
    try:
        yield disk
    finally:
        vfs.xOpen = original
        _KEPT.append((replaced, kept))  # connections that are still open go on calling them


_KEPT: list[Any] = []


def _watching(disk: Disk, file: File, methods: _Methods) -> tuple[Any, ...]:
    """The methods of an open file, which also note what is done; and the callbacks, so that they stay."""
    table = _Methods.from_buffer_copy(methods)
    write, truncate, sync = _WRITE(methods.xWrite), _TRUNCATE(methods.xTruncate), _SYNC(methods.xSync)

    def on_write(of: int, data: int, size: int, offset: int) -> int:
        disk.happened()
        file.since.append((offset, ctypes.string_at(data, size)))
        return int(write(of, data, size, offset))

    def on_truncate(of: int, size: int) -> int:
        disk.happened()
        file.since.append((size, None))
        return int(truncate(of, size))

    def on_sync(of: int, flags: int) -> int:
        disk.happened()
        file.sync()
        return int(sync(of, flags))

    calls = _WRITE(on_write), _TRUNCATE(on_truncate), _SYNC(on_sync)
    table.xWrite, table.xTruncate, table.xSync = (ctypes.cast(call, ctypes.c_void_p).value for call in calls)
    return table, calls


# --- a disk that is full ----------------------------------------------------------------------------------------------


class SmallDisk:
    """A file system of its own on a folder, with so much room that it can be filled."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._filler = folder, folder / "filler"

    def fill(self) -> None:
        """Leave no byte free."""
        with contextlib.suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(bytes(SECTOR)):
                pass

    def free(self) -> None:
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int, options: str = "mode=700") -> Iterator[SmallDisk]:
    """Put a small disk on a folder. Only who may mount file systems can."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,{options}", "roe-test", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
