"""The functions of the language: FEEL's built-in ones (DMN 1.5, section 10.3.4) and roe's own, one row each (see `registry`).

Importing this package fills `BY_NAME`, in the order in which the documentation shows the functions. A function sees arguments
of its parameters' types only: `Function.invoke` has already answered null for the rest.
"""

from __future__ import annotations

# isort: off
from roe.grammar.functions import conversion as _conversion, strings as _strings, lists as _lists, numbers as _numbers  # noqa: F401
from roe.grammar.functions import dates as _dates, ranges as _ranges, sales as _sales, history as _history  # noqa: F401

# isort: on
from roe.grammar.registry import ALIASES, BY_NAME, Function, canonical

__all__ = ["ALIASES", "BY_NAME", "Function", "canonical"]
