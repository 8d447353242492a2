"""`# roe: allow CODE because …`: a comment at a finding's line, or alone on the line above it, silences that one finding."""

from __future__ import annotations

import re

from roe.diagnostics import CODES, Diagnostic
from roe.files import MAX_TABLE_BYTES, read_text
from roe.policy.model import Policy
from roe.source import Span

_COMMENT = re.compile(r"#\s*roe:\s*allow\s+([A-Z]\d{3}(?:\s*,\s*[A-Z]\d{3})*)(?:\s+because\s+(\S.*))?")
TEXTUAL = (".yaml", ".yml", ".csv", ".tsv", ".txt")


def allowed(policy: Policy, findings: list[Diagnostic]) -> list[Diagnostic]:
    """The findings that no comment allows, and one for each comment that has no reason or that silences nothing."""
    comments = {(file, line): (codes, why, span) for file in policy.files for line, codes, why, span in _comments(policy, file)}
    alone = {place for place, (*_, span) in comments.items() if not span.excerpt[: span.column - 1].strip()}
    used: set[tuple[str, int, str]] = set()
    remaining = []
    for d in findings:
        here, above = ((d.span.file, n) for n in (d.span.line, d.span.line - 1))
        near = [here, above] if above in alone else [here]
        spot = next((place for place in near if d.code in comments.get(place, ((),))[0]), None)
        if spot is None or not comments[spot][1]:
            remaining.append(d)
        if spot is not None:
            used.add((*spot, d.code))
    for (file, line), (codes, why, span) in comments.items():
        if not why:
            remaining.append(Diagnostic("R424", "the comment gives no reason", span, "write `# roe: allow R405 because …`"))
        for code in codes:
            if (file, line, code) not in used:
                message = f"the comment allows {code}, but suppresses no finding here" if code in CODES else f"there is no finding `{code}`"
                remaining.append(Diagnostic("R424", message, span, "remove it, or put it on the line of the finding or above it"))
    return remaining


def _comments(policy: Policy, file: str) -> list[tuple[int, tuple[str, ...], str, Span]]:
    if not file.endswith(TEXTUAL):
        return []
    text, _ = read_text(policy.root / file, file, MAX_TABLE_BYTES)
    comments = []
    for number, line in enumerate((text or "").split("\n"), 1) if text and "roe:" in text else ():
        m = _COMMENT.search(line)
        if m:
            codes = tuple(re.split(r"\s*,\s*", m[1]))
            comments.append((number, codes, (m[2] or "").strip(), Span(file, number, m.start() + 1, m.end() + 1, line)))
    return comments
