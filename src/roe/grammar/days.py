"""Days as people write them, `2026-01-01`: to the grammar a subtraction of numbers, which nobody has ever meant.

A cell in a column of dates takes it for the day. Everywhere else it is an error that says how a day is written.
"""

from __future__ import annotations

import re

from roe.diagnostics import Diagnostic
from roe.grammar import syntax as s
from roe.source import span_of

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def day_text(node: s.Node, text: str) -> str | None:
    """`2026-01-01`, if that is what the node was parsed from."""
    if not (isinstance(node, s.Binary) and node.op == "-" and isinstance(node.left, s.Binary)):
        return None
    spelt = str(text[node.at[0] : node.at[1]])
    return spelt if _DAY.fullmatch(spelt) else None


def not_a_day(node: s.Node, text: str) -> Diagnostic | None:
    """The error of a day without its quotes; None for any other node."""
    spelt = day_text(node, text)
    if spelt is None:
        return None
    return Diagnostic("R205", f"`{spelt}` is a subtraction here, not a day", span_of(text, *node.at), f'write `@"{spelt}"`')
