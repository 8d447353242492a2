"""How much a test tries: a little every day, more for each change in CI, and all of it where somebody asks for long checks."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

HEAVY = bool(os.environ.get("ROE_HEAVY"))  # long checks, which nobody runs every day
CI = "CI" in os.environ
T = TypeVar("T")
in_ci = pytest.mark.skipif(not (CI or HEAVY), reason="needs CI=1")  # a long way through parts that have everyday tests of their own


def tries(every_day: T, in_ci: T, at_length: T) -> T:
    return at_length if HEAVY else in_ci if CI else every_day


def seeds(every_day: int, in_ci: int, at_length: int) -> range:
    return range(tries(every_day, in_ci, at_length))
