"""Names for what mypy cannot follow, so that a signature says which kind of thing it means.

The types of a policy's values are proven by its own checks (`grammar/check.py`), those of JSON and of a cell by whoever reads it.
Where a function only hands a value on or asks for its class, `object` says more than any of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Value = Any  # of the language: what `grammar.values` describes, a record, or null
Cell = Any  # of a table as a reader gives it: a text, or a value that a database or an Arrow file has typed
Json = dict[str, Any]  # a JSON object, made or just read
State = Mapping[str, Any]  # what earlier runs kept, read-only: `owners`, `pools`, `assigned`, `days`, `frozen` and so on
