"""Reading the files of a policy: inside its folder only, bounded in size, UTF-8 with or without a mark, any line ends."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from roe.diagnostics import Diagnostic
from roe.dynamic import Json
from roe.source import Span, span_of

MAX_POLICY_BYTES = 4 << 20
MAX_TABLE_BYTES = 64 << 20
MAX_SETTINGS_BYTES = 1 << 20
SHEETS = (".xlsx", ".xlsm", ".xltx", ".xltm")  # spreadsheets that `roe.sheets` reads
OTHER_SHEETS = (".xls", ".xlsb", ".ods", ".numbers")  # and those that nothing here does
# A cell that holds an error, as Excel and Google Sheets write it into a CSV file, in English and in the languages of the CRM profiles.
# "Not available" is what a look-up gives that finds nothing; the others are mistakes of the sheet, and so is a date in too narrow a column.
NOT_AVAILABLE = frozenset({"#N/A", "#NV", "#N/D", "#N/B"})
SHEET_ERROR = re.compile(
    "#(?:REF!|DIV/0!|VALUE!|NAME[?]|NUM!|NULL!|SPILL!|CALC!|FIELD!|ERROR!|BEZUG!|WERT!|ZAHL!|VALEUR!|NOM[?]|NOMBRE!|NUL!"
    "|¡REF!|¡DIV/0!|¡VALOR!|¿NOMBRE[?]|¡NUM!|¡NULO!|RIF!|VALORE!|NOME[?]|NULLO!|VALOR!|NÚM!|NULO!|VERW!|DEEL/0!|WAARDE!|NAAM[?]|GETAL!|LEEG!|##+)"
)


_DRAFTS: ContextVar[Mapping[Path, str]] = ContextVar("drafts", default={})  # noqa: B039 (nobody changes it)


@contextmanager
def drafts(texts: Mapping[Path, str]) -> Iterator[None]:
    """Files as an editor has them, not saved yet: their texts by resolved path, in the place of what is on disk."""
    token = _DRAFTS.set(texts)
    try:
        yield
    finally:
        _DRAFTS.reset(token)


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection inside: building millions of small objects that all stay sets it off again and again."""
    import gc

    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def resolve(root: Path, name: str) -> tuple[Path | None, list[Diagnostic]]:
    """The path of a reference in a policy, which must stay inside the policy folder, links followed."""
    bad = name.startswith(("/", "\\", "~")) or "\\" in name or ":" in name or "\0" in name
    path = root / name
    try:
        inside = not bad and path.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside:
        help = "write a path below the folder of policy.yaml, with / between folders"
        return None, [Diagnostic("R308", f"`{name}` is outside the policy folder", span_of(name), help)]
    if not path.is_file():
        near = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
        from roe.diagnostics import suggest

        help = suggest(path.name, near, "create it, or correct the name")
        return None, [Diagnostic("R307", f"there is no file `{name}`", span_of(name), help)]
    return path, []


def read_text(path: Path, shown: str, limit: int, asked: Span | None = None) -> tuple[str | None, list[Diagnostic]]:
    """The text of a file, line ends as `\\n`; `asked` is the place that refers to it."""
    place = asked or Span(shown, 1, 1, 1)
    draft = _DRAFTS.get().get(path.resolve()) if _DRAFTS.get() else None
    if draft is not None:
        return draft.replace("\r\n", "\n").replace("\r", "\n"), []
    try:
        if path.stat().st_size > limit:
            return None, [Diagnostic("R309", f"`{shown}` is larger than {limit >> 20} MiB", place, "split it")]
        raw = path.read_bytes()
    except OSError as e:
        return None, [Diagnostic("R307", f"`{shown}` cannot be read: {e.strerror or e}", place, "check name and permissions")]
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        at = Span(shown, line, e.start - raw.rfind(b"\n", 0, e.start), e.start - raw.rfind(b"\n", 0, e.start) + 1)
        return None, [Diagnostic("R307", f"`{shown}` is not UTF-8 text", at, "save it as UTF-8 (in Excel: CSV UTF-8)")]
    return text.replace("\r\n", "\n").replace("\r", "\n"), []


def read_toml(path: Path) -> Json:
    """A file of settings, with or without a mark. Raises OSError or ValueError for one that cannot be read."""
    import tomllib

    if path.stat().st_size > MAX_SETTINGS_BYTES:
        raise ValueError("it is too large")
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


@cache
def schema(name: str) -> Json:
    """A published JSON Schema: from the installed package, or from the checkout's `schemas/`."""
    here = Path(__file__).parent
    packaged = here / "schemas" / f"{name}.schema.json"
    path = packaged if packaged.is_file() else here.parents[1] / "schemas" / f"{name}.schema.json"
    content: Json = json.loads(path.read_text("utf-8"))
    return content


def cache_folder() -> Path | None:
    """The user's cache folder for roe; None if `ROE_CACHE` says `off`."""
    chosen = os.environ.get("ROE_CACHE", "")
    if chosen == "off":
        return None
    if chosen:
        return Path(chosen)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "roe" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roe"


def is_private(folder: Path) -> bool:
    """Whether only this user (or the administrator) can put files into a folder: it, and every folder above it, links followed.

    A folder above that everybody may write to is fine where it keeps others from renaming what is not theirs, as /tmp does.
    """
    if os.name == "nt":
        return True
    trusted = (0, os.getuid())
    try:
        real = folder.resolve()
        for place in (real, *real.parents):
            if not place.exists():
                continue
            status = place.stat()
            shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
            if status.st_uid not in trusted or (shared and (place == real or not status.st_mode & stat.S_ISVTX)):
                return False
    except (OSError, RuntimeError):
        return False
    return True


def read_own(place: Path) -> str:
    """The text of a file in the cache folder. Raises OSError where it is another user's, from when the folder was open to others."""
    if os.name != "nt" and place.stat().st_uid not in (0, os.getuid()):
        raise PermissionError(f"{place} belongs to somebody else")
    return place.read_text("utf-8")


def write_aside(place: Path, text: str) -> None:
    """Put a file into the cache folder, whole or not at all; a cache that cannot be written is not an error."""
    with suppress(OSError):
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = place.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        draft.write_text(text, "utf-8")
        os.replace(draft, place)


@cache
def own_digest() -> str:
    """The digest of the roe that runs: its version and the sizes and times of its source files."""
    from roe import __version__

    here = Path(__file__).parent
    marks = []
    for folder, _, names in os.walk(here):
        for name in names:
            if name.endswith((".py", ".json", ".csv")):
                status = os.stat(os.path.join(folder, name))
                marks.append(f"{name}:{status.st_size}:{status.st_mtime_ns}")
    return f"{__version__} {' '.join(sorted(marks))}"
