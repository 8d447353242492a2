"""Waiting in tests: for what is to be, however busy the machine is, and never for a time.

A test that sleeps and then looks fails where the machine is slower than whoever wrote it thought.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
LONG = 120.0  # seconds: what has not come by then does not come
PAUSE = 0.01  # seconds between looks


def until(what: str | Callable[[], str], look: Callable[[], T], seconds: float = LONG) -> T:
    """Look again and again until the answer is true, and return it. A failure says `what` was waited for, made when it fails if it is a function."""
    end = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > end:
            raise AssertionError(f"in {seconds:g} seconds there was not: {what if isinstance(what, str) else what()}")
        time.sleep(PAUSE)
    return answer
