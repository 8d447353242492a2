"""What is being done right now, for whoever is watching.

Anything that takes long names its phase and counts what it has done; who shows it, if anybody does, is not its business. On a terminal
the command line does (`roe.cli.terminal`). Elsewhere these calls cost an assignment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import field
from typing import TypeVar

from roe.node import node

T = TypeVar("T")


@node(frozen=False)
class Phase:
    """`done` of `total` things (0 if nobody knows how many) since `began`, in seconds of a steady clock."""

    name: str = ""
    total: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)


_now = Phase()


def current() -> Phase:
    return _now


def phase(name: str, total: int = 0) -> None:
    """A new piece of work begins, such as `reading accounts.csv`."""
    global _now
    _now = Phase(name, total)


def advance(number: int) -> None:
    """So many more things are done."""
    _now.done += number


def counted(items: Iterable[T], total: int, name: str) -> Iterator[T]:
    """The items, each counted when the next is asked for."""
    phase(name, total)
    mine = _now
    for item in items:
        yield item
        mine.done += 1


def line(width: int, now: float) -> str:
    """The phase in one line: a bar where the total is known, a rate where things are counted, and the seconds."""
    p = _now
    seconds = max(now - p.began, 1e-9)
    words = []
    if p.total:
        share = min(1.0, p.done / p.total)
        words.append(f"[{'#' * int(share * 20):<20}] {share:4.0%}")
    if p.done:
        words.append(f"{p.done / seconds:,.0f}/s")
    figures = "  ".join([*words, f"{seconds:,.0f} s"])
    room = max(8, width - len(figures) - 3)
    name = p.name or "working"
    return f"{name if len(name) <= room else name[: room - 1] + '…'}  {figures}"
