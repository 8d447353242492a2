"""The folder that a run writes: put together under a temporary name, and put in place with `run.json` last.

Whoever loads the files can tell by `run.json`, which has the digest of each, that they are whole and belong together. What an earlier run
left there is replaced whole; files that are not roe's stay. A run that was killed is finished by the next command if it had happened (the
ledger has it), and otherwise it never did.

Files of fixed names are missing for a moment while they are replaced. A run whose files stand apart, in a folder of its own that `run.json`
names, never is: whoever reads `run.json` sees the run before or this one, whole. So does whoever reads one of its Delta tables.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from roe.diagnostics import user_error
from roe.dynamic import Json, Saved
from roe.run import delta

MARK = "run.json"
STAGED = ".roe-run"  # the temporary name, inside the folder, so that putting in place is a matter of names alone
OLD = "old.json"  # in the staged folder: the files of the run before
NEXT = "next.json"  # there, too: the mark while it is written again
PUBLISHED = ("committed", "forgetful")  # the outcomes of runs that become versions of Delta tables
LOCK = ".roe-lock"
VERSION = 1
BLOCK = 1 << 20


class OutFolder:
    """The --out folder of a run. `apart`: its files go to a folder of their own in there; `delta`: those of tables become a version of Delta tables."""

    def __init__(self, place: Path, apart: bool = False, delta: bool = False) -> None:
        self.place, self.apart, self.delta = place, apart or delta, delta
        self.staged = place / STAGED

    @contextmanager
    def locked(self, wait: float) -> Iterator[None]:
        """Keep other runs away. Raises PolicyError if one of them is still writing after `wait` seconds, OSError for a place that cannot
        be written.
        """
        new = not self.place.exists()
        self.place.mkdir(parents=True, exist_ok=True)
        until = time.monotonic() + wait
        while (file := _lock(self.place / LOCK)) is None:
            if time.monotonic() >= until:
                help = "try again when it is done, wait longer: --wait 600, or name another --out folder"
                message = f"another run is writing to this folder, also after {wait:g} seconds"
                raise user_error("R642", message, self.place, help)
            time.sleep(0.05)
        try:
            yield
        finally:
            (self.place / LOCK).unlink(missing_ok=True)
            file.close()
            if new and not any(self.place.iterdir()):  # nothing was decided
                self.place.rmdir()

    def begin(self, known: tuple[str, ...]) -> Path:
        """An empty folder to write to. `known` are the files that a roe without `run.json` may have left. Raises PolicyError for Delta tables that
        cannot be written.
        """
        if self.delta:
            delta.check(self.place)
        shutil.rmtree(self.staged, ignore_errors=True)
        self.staged.mkdir(parents=True)
        mark = read_mark(self.place)
        files = [name for name in mark.get("files", ()) if not _is_delta(name, mark)] or [
            name for name in known if (self.place / name).is_file()
        ]
        _write(self.staged / OLD, json.dumps(files))
        return self.staged

    def seal(self, about: Saved) -> Json:
        """Write the mark, with the digests of all files; from now on the run can be put in place even after a crash."""
        files = {name: digest(self.staged / name) for name in _files(self.staged)}
        for name in files:
            _synchronise(self.staged / name)
        mark: Json = {"roe": VERSION, **about}
        if self.apart:  # the same run may be made twice
            mark["folder"] = f"run={about['run']}-{os.urandom(4).hex()}"
        if self.delta and about["outcome"] in PUBLISHED:
            mark[delta.VERSIONS] = {}
        mark["files"] = {_place_of(name, mark): sha for name, sha in files.items()}
        _write(self.staged / MARK, _text(mark))
        _synchronise(self.staged)
        return mark

    def put_in_place(self) -> None:
        """Move the sealed files over those of the run before, the mark last. It may be interrupted, and called again."""
        mark = read_mark(self.staged)
        if not _apart(mark):
            (self.place / MARK).unlink(missing_ok=True)
            _synchronise(self.place)
            self._remove_old(mark)
        for written in _files(self.staged):
            path = self.place / _place_of(written, mark)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.staged / written, path)
        _synchronise(self.place)
        if delta.VERSIONS in mark:
            mark[delta.VERSIONS] = delta.publish(self.place, mark)
            _write(self.staged / NEXT, _text(mark))
            os.replace(self.staged / NEXT, self.staged / MARK)
        os.replace(self.staged / MARK, self.place / MARK)
        _synchronise(self.place)
        self._remove_old(mark)
        self.discard()

    def _remove_old(self, mark: Saved) -> bool:
        """Remove the files of the run before that this one does not have; whether there were any."""
        try:
            listed = json.loads((self.staged / OLD).read_text("utf-8"))
        except (OSError, ValueError):  # there is none, or its run was killed while it was written, before anything else
            return False
        old = [name for name in listed if _inside(self.place, name)]
        other = sorted({*old} - {*mark["files"]})
        left = [self.place / name for name in other if (self.place / name).is_file()]  # where a folder is called so, it is this run's
        for path in left:
            path.unlink(missing_ok=True)
        self._remove_empty(self.place / name for name in old)
        return bool(left)

    def _remove_empty(self, files: Iterable[Path]) -> None:
        """Remove the folders of some files, if nothing is in them any more."""
        folders = {folder for path in files for folder in path.parents if self.place in folder.parents}
        for folder in sorted(folders, reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def discard(self) -> None:
        """Remove what was staged."""
        shutil.rmtree(self.staged, ignore_errors=True)

    def recover(self, happened: Callable[[Saved], bool]) -> str:
        """Finish what a killed run left, if it `happened`, or remove it; a sentence about it, empty if there was nothing."""
        if not self.staged.exists():
            return ""
        mark = read_mark(self.staged)
        if mark and (self.staged / OLD).is_file() and happened(mark):
            self.put_in_place()
            return f"the run {mark['run']} was interrupted while its files were put in place; that is finished now"
        now = read_mark(self.place)
        is_done = not mark and bool(now) and self._remove_old(now)  # it was in place, and only the run before was not removed
        if (own := _apart(mark)) and own != _apart(now):
            shutil.rmtree(self.place / own, ignore_errors=True)
        self.discard()
        return "" if is_done else "a run was interrupted before it was complete; what it left is removed"


def read_mark(folder: Path) -> Json:
    """What `run.json` says; empty where there is none, or none that can be read."""
    try:
        mark = json.loads((folder / MARK).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    sound = isinstance(mark, dict) and isinstance(mark.get("files"), dict) and mark.get("roe") == VERSION
    return mark if sound and all(_inside(folder, name) for name in mark["files"]) else {}


def files_of(folder: Path) -> Path:
    """Where the files of the run in a folder are."""
    return folder / _apart(read_mark(folder))


def _apart(mark: Saved) -> str:
    """The name of the folder of its own that a run has; empty if it has none."""
    name = mark.get("folder")
    return name if isinstance(name, str) and re.fullmatch(r"run=[\w-]+", name) else ""


def damaged(folder: Path) -> list[str]:
    """The files that are not as `run.json` says they are, or `run.json` itself: what a loader should ask first."""
    mark = read_mark(folder)
    if not mark:
        return [MARK]
    return [name for name, expected in mark["files"].items() if not (folder / name).is_file() or digest(folder / name) != expected]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            total.update(block)
    return total.hexdigest()


def _files(folder: Path) -> list[str]:
    """The files of a staged run, by their path in it."""
    every = (p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file())
    return [name for name in every if name not in (OLD, MARK, NEXT)]


def _place_of(staged: str, mark: Saved) -> str:
    """Where a staged file of a run goes, from the --out folder."""
    own = _apart(mark)
    return (delta.VERSIONS in mark and delta.in_table(staged)) or (f"{own}/{staged}" if own else staged)


def _is_delta(name: str, mark: Saved) -> bool:
    return delta.VERSIONS in mark and delta.is_part(name)


def _text(mark: Saved) -> str:
    return json.dumps(mark, indent=2, ensure_ascii=False) + "\n"


def _inside(folder: Path, name: object) -> bool:
    return isinstance(name, str) and bool(name) and (folder / name).resolve().is_relative_to(folder.resolve())


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _synchronise(path: Path) -> None:
    """Let the disk confirm a file or a folder; a system that cannot do it for folders goes without."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        if path.is_file():
            raise
    finally:
        os.close(handle)


def _lock(path: Path) -> BinaryIO | None:
    """An open file with a lock that ends with this process; None while another process has it."""
    file = path.open("a+b")
    try:
        try:
            import fcntl
        except ImportError:  # Windows
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists() or not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise OSError("whoever had it before has removed the file")
    except OSError:
        file.close()
        return None
    return file
