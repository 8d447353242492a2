"""The same work on many items, shared out to processes that are copies of this one.

A copy has everything that was made before it, look-ups of a million names included, without anything being sent to it. Where processes
cannot be copied (Windows, macOS), or the work is small, it is done here.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

from roe.progress import advance, phase

FEW = 2_000  # items that are not worth a second process
PORTION = 250  # items that are handed to a process together

Result = TypeVar("Result")
_work: tuple[Callable[[int], object], int, int] | None = None  # what is done, of how many items, and of how many together


def each(
    work: Callable[[int], Result],
    count: int,
    name: str,
    few: int = FEW,
    portion: int = PORTION,
    meanwhile: Callable[[], object] | None = None,
) -> Iterator[Result]:
    """`work(0)`, `work(1)`, … in order, counted as they are done. What it gives must be plain data.

    `meanwhile` is done here while other processes work, or before the work, where there are none.

    Where other threads run (a service), a copy could wait for ever for what one of them holds, so nothing is copied.
    """
    global _work
    phase(name, count)
    alone = sys.platform == "linux" and threading.active_count() == 1 and not multiprocessing.current_process().daemon
    workers = processors() if count >= few and alone else 1
    if workers == 1:
        if meanwhile is not None:
            meanwhile()
        for number in range(count):
            yield work(number)
            advance(1)
        return
    _work = work, count, portion
    gc.freeze()  # a collection in a copy would touch, and so duplicate, everything
    try:
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            portions = pool.imap(_portion, range(0, count, portion), chunksize=1)
            if meanwhile is not None:
                meanwhile()
            for results in portions:
                yield from cast(Sequence[Result], results)
                advance(len(results))
    finally:
        gc.unfreeze()
        _work = None


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _portion(start: int) -> Sequence[object]:
    assert _work is not None
    work, count, portion = _work
    return [work(number) for number in range(start, min(start + portion, count))]
