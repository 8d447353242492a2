"""Names for what mypy cannot follow, so that a signature says which kind of thing it means.

The types of a policy's values are proven by its own checks (`grammar/check.py`), those of a cell and of JSON by whoever reads it.
Where a function only hands a value on or asks for its class, `object` says more than any of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Value = Any  # of the language: what `grammar.values` describes, a record, or null
Values = dict[str, Value]  # a typed record: field -> value
Cell = Any  # of a table as a reader gives it: a text, or a value that a database or an Arrow file has typed
Record = Mapping[str, Cell]  # a raw record: column -> cell
Array = Any  # of NumPy; the text beside it says of what, such as int[reps]
Json = dict[str, Any]  # a JSON object that was just read, or is being made and read again
JsonObject = dict[str, object]  # a JSON object that is only made
Saved = Mapping[str, Any]  # a JSON object that was written earlier, to be read and not changed
Written = Any  # what stands in a YAML file: `Map`, `Seq` and `Text` of `roe.policy.loader`, numbers, booleans and null
