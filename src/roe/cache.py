"""Checked policies remembered by digest, so that a second start neither parses nor checks.

What is kept is the fact that these very files, under this very version of roe, passed every check, with the findings that
are no errors and the syntax trees of their expressions, as JSON. Reading it runs no code; a file that is damaged is
ignored. `ROE_CACHE=off` turns it off, `ROE_CACHE=DIR` moves it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from roe.diagnostics import Diagnostic, errors
from roe.files import cache_folder
from roe.grammar import parser
from roe.grammar import syntax as s
from roe.grammar import values as v
from roe.policy.build import build
from roe.policy.model import Policy
from roe.source import Span


def load_policy(path: Path, fresh: bool = False) -> tuple[Policy | None, list[Diagnostic]]:
    """The policy of a folder (or policy.yaml) and its findings; `fresh` checks everything again."""
    root = path.parent if path.name == "policy.yaml" else path
    folder = cache_folder()
    place = _place(folder, root) if folder and not fresh else None
    if place is not None:
        known = _read(place, root)
        if known is not None:
            policy, _ = build(root, trusted=True)
            if policy is not None:
                return policy, known
    policy, found = build(root)
    if policy is not None and not errors(found) and folder is not None:
        _write(folder, root, policy, found)
    return policy, found


def _place(folder: Path, root: Path) -> Path:
    """One cache file per policy folder; what it says counts only if its digest is that of the files of today."""
    return folder / (hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:32] + ".json")


def _digest(root: Path, files: list[str]) -> str:
    digest = hashlib.sha256(_own_digest().encode())
    for name in files:
        data = (root / name).read_bytes()
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return digest.hexdigest()


def _own_digest() -> str:
    """The digest of roe itself: its version and the sizes and times of its source files."""
    from roe import __version__

    here = Path(__file__).parent
    marks = []
    for folder, _, names in os.walk(here):
        for name in names:
            if name.endswith((".py", ".json")):
                stat = os.stat(os.path.join(folder, name))
                marks.append(f"{name}:{stat.st_size}:{stat.st_mtime_ns}")
    return f"{__version__} {' '.join(sorted(marks))}"


def _read(place: Path, root: Path) -> list[Diagnostic] | None:
    """The findings of a policy that has not changed, its trees put in place; None if there is nothing to trust."""
    try:
        kept = json.loads(place.read_text("utf-8"))
        if kept["digest"] != _digest(root, kept["files"]):
            return None
        trees = [(kind, text, _tree(tree)) for kind, text, tree in kept["trees"]]
        words = [(str(kind), str(text)) for kind, text in kept["words"]]
        found = [_diagnostic(d) for d in kept["found"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    for kind, text in words:
        parser.skip(kind, text)
    for kind, text, tree in trees:
        parser.remember(kind, text, tree)
    return found


def _write(folder: Path, root: Path, policy: Policy, found: list[Diagnostic]) -> None:
    kept = {
        "digest": _digest(root, list(policy.files)),
        "files": list(policy.files),
        "trees": [[kind, text, _plain(tree)] for (kind, text), tree in parser.used()],
        "words": [list(key) for key in parser.failed()],
        "found": [_plain_diagnostic(d) for d in found],
    }
    with contextlib.suppress(OSError):  # a cache that cannot be written is no error
        folder.mkdir(parents=True, exist_ok=True)
        place = _place(folder, root)
        draft = place.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(kept, ensure_ascii=False, separators=(",", ":")), "utf-8")
        os.replace(draft, place)


def _plain_diagnostic(d: Diagnostic) -> list[Any]:
    def span(x: Span) -> list[Any]:
        return [x.file, x.line, x.column, x.end_column, x.excerpt, x.cell]

    return [d.code, d.message, span(d.span), d.help, [[note, span(x)] for note, x in d.related], d.severity]


def _diagnostic(kept: list[Any]) -> Diagnostic:
    code, message, span, help, related, severity = kept
    return Diagnostic(code, message, Span(*span), help, tuple((note, Span(*x)) for note, x in related), severity)


# --- syntax trees as JSON -------------------------------------------------------------------------------------------

_VALUES: dict[type[Any], str] = {date: "d", datetime: "dt", time: "t", timedelta: "td", v.Months: "m", v.WorkingDays: "w"}


def _plain(node: Any) -> Any:
    """A node as ["Name", field, …]; a tuple as ["", item, …]; other values as themselves or ["!kind", text]."""
    if type(node) in s.FIELDS:
        return [type(node).__name__, *(_plain(getattr(node, f)) for f in s.FIELDS[type(node)])]
    if isinstance(node, tuple):
        return ["", *map(_plain, node)]
    mark = _VALUES.get(type(node))
    if mark == "m":
        return ["!m", node.months]
    if mark == "w":
        return ["!w", node.days]
    return [f"!{mark}", v.literal(node)] if mark else node


def _tree(kept: Any) -> Any:
    if not isinstance(kept, list):
        return kept
    head, *rest = kept
    if head == "":
        return tuple(map(_tree, rest))
    if head[0] == "!":
        if head in ("!m", "!w"):
            return v.Months(rest[0]) if head == "!m" else v.WorkingDays(rest[0])
        return v.parse_temporal(rest[0])
    return s.NODES[head](*map(_tree, rest))
