"""Compiled policies kept in the user's cache folder, so that the next start need not read, check or lower them again.

What is kept is the plan itself, as JSON that holds nothing but values and the names of a few known classes: no code can
come out of it. Its first line has all but the conditions of rules; those of each rule are a line that is read when somebody asks for them,
as the rules themselves are made one by one. It counts only while the digest of the policy's files and of roe's own is the same, and only
in a folder that nobody else may write to: what is kept decides who owns what.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from roe.diagnostics import Diagnostic, errors
from roe.dynamic import Json
from roe.files import cache_folder, is_private, own_digest, read_own, uncollected, write_aside
from roe.policy.model import Policy
from roe.policy.store import PolicyReader, write_policy
from roe.policy.worked_out import WorkedOut, remember
from roe.progress import phase
from roe.source import Span

LARGE = 1 << 16  # characters of a kept policy from which working something out of it takes time


def load_policy(path: Path, fresh: bool = False, known_as: str = "") -> tuple[Policy | None, list[Diagnostic]]:
    """The policy of a folder (or policy.yaml) and its findings; `fresh` checks everything again. `known_as` stands for the folder's path
    where the same files are in another folder each time.
    """
    root = path.parent if path.name == "policy.yaml" else path
    folder = cache_folder()
    if folder is not None and not is_private(folder):
        folder = None
    place = _place(folder, root, known_as) if folder and not fresh else None
    if place is not None:
        known = _read(place, root)
        if known is not None:
            return known
    from roe.stages.build import build

    phase("reading the policy")
    with uncollected():
        policy, problems = build(root)
    if policy is not None and not errors(problems) and folder is not None:
        _write(_place(folder, root, known_as), root, policy, problems)
    return policy, problems


def is_known_sound(text: str, known_as: str) -> bool:
    """Whether `remember_sound` has seen this very text, under this name, in this version of roe."""
    place = _sound_place(known_as)
    try:
        return place is not None and read_own(place) == _sound_digest(text)
    except (OSError, ValueError):
        return False


def remember_sound(text: str, known_as: str) -> None:
    """Keep that the schema has nothing against a text, so that the next start need not load the schema's reader for it."""
    place = _sound_place(known_as)
    if place is not None:
        write_aside(place, _sound_digest(text))


def _sound_place(known_as: str) -> Path | None:
    folder = cache_folder()
    return folder / f"{hashlib.sha256(known_as.encode()).hexdigest()[:32]}.sound" if folder is not None and is_private(folder) else None


def _sound_digest(text: str) -> str:
    return hashlib.sha256(f"{own_digest()}\0{text}".encode()).hexdigest()


def _place(folder: Path, root: Path, known_as: str) -> Path:
    """One cache file per policy folder; what it says counts only if its digest is that of the files of today."""
    return folder / (hashlib.sha256((known_as or str(root.resolve())).encode()).hexdigest()[:32] + ".json")


def _digest(root: Path, files: list[str]) -> str:
    digest = hashlib.sha256(own_digest().encode())
    for name in files:
        data = (root / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _read(place: Path, root: Path) -> tuple[Policy, list[Diagnostic]] | None:
    """A policy that has not changed, and its findings; None if there is nothing to trust."""
    try:
        text = read_own(place)
        head, _, conditions = text.partition("\n")
        stored = json.loads(head)
        if stored["digest"] != _digest(root, stored["files"]) or stored["follow"] != len(conditions):
            return None
        stored["policy"]["conditions"] = conditions.split("\n")
        policy = PolicyReader(stored["policy"], root).policy()
        _remember(policy, place, stored["digest"], len(text))
        return policy, [_diagnostic(d) for d in stored["found"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None


def _write(place: Path, root: Path, policy: Policy, diagnostics: list[Diagnostic]) -> None:
    stored: Json = {
        "digest": _digest(root, list(policy.files)),
        "files": list(policy.files),
        "policy": write_policy(policy),
        "found": [_plain_diagnostic(d) for d in diagnostics],
    }
    conditions = "\n".join(stored["policy"].pop("conditions"))
    stored["follow"] = len(conditions)  # characters, so that half a file is not taken for a whole one
    text = json.dumps(stored, ensure_ascii=False, separators=(",", ":")) + "\n" + conditions
    write_aside(place, text)
    _remember(policy, place, stored["digest"], len(text))


def _remember(policy: Policy, place: Path, digest: str, size: int) -> None:
    """Let a large policy keep what is worked out from it beside it; of a small one that takes no time."""
    if size >= LARGE:
        remember(policy, WorkedOut(place.with_suffix(".more.json"), digest))


PlainSpan = tuple[str, int, int, int, str, str]
PlainDiagnostic = tuple[str, str, PlainSpan, str, list[tuple[str, PlainSpan]], str]


def _plain_diagnostic(d: Diagnostic) -> PlainDiagnostic:
    def span(x: Span) -> PlainSpan:
        return x.file, x.line, x.column, x.end_column, x.excerpt, x.cell

    return d.code, d.message, span(d.span), d.help, [(note, span(x)) for note, x in d.related], d.severity


def _diagnostic(plain: PlainDiagnostic) -> Diagnostic:
    code, message, span, help, related, severity = plain
    return Diagnostic(code, message, Span(*span), help, tuple((note, Span(*x)) for note, x in related), severity)
