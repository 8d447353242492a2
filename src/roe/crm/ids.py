"""Ids of Salesforce: 15 characters that depend on case, or the same 15 and three that say which of them are capitals.

Reports and URLs have the short form, the API and Data Loader the long one, which stays the same id if a tool changes its case.
Everything that is loaded (records, references, texts of policies, tests and commands) is folded to the short one, so that both are
one id to every engine; files that are written have each record's id as the data had it. Source: Salesforce Knowledge 000385585, "How to convert a 15-character Id to 18".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    import pyarrow as pa

    from roe.dynamic import Array

SHORT, LONG = 15, 18
_SUMS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
T = TypeVar("T")
_SHAPE = re.compile(r"(?:[0-9A-Za-z]{15}[A-Z0-5]{3}|[0578]0[0-9a-z]{13}[a-z0-5]{3})", re.ASCII)  # the latter: in small letters


def checksum(short: str) -> str:
    """The three characters that the long form adds: for every five characters, which of them are capitals, as a number below 32."""
    return "".join(_SUMS[sum("A" <= c <= "Z" and 1 << i for i, c in enumerate(short[at : at + 5]))] for at in (0, 5, 10))


def fold(text: str) -> str:
    """The short form of a long id; any other text as it is, also one of 18 characters whose checksum is wrong.

    In a long id that a tool has put into small letters or capitals, the last three characters still say which ones were capitals.
    """
    if len(text) != LONG or not _SHAPE.fullmatch(text):
        return text
    short = text[:SHORT]
    if checksum(short) == text[SHORT:]:
        return short
    return _in_its_case(text) or text


def _in_its_case(text: str) -> str | None:
    """The short form of a long id of a standard object that is in one case throughout; None for another text."""
    if text not in (text.lower(), text.upper()) or text[0] not in "0578" or text[1] != "0":
        return None
    sums = [_SUMS.index(c) for c in text[SHORT:].upper()]
    capital = [bool(sums[i // 5] >> i % 5 & 1) for i in range(SHORT)]
    if any(is_capital and not c.isalpha() for c, is_capital in zip(text, capital, strict=False)):
        return None
    return "".join(c.upper() if is_capital else c.lower() for c, is_capital in zip(text, capital, strict=False))


def fold_all(texts: pa.Array) -> pa.Array:
    """`fold` of an Arrow array of strings; the same array if it has no long id."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    long = pc.equal(pc.binary_length(texts), LONG)
    rows = np.flatnonzero(pc.fill_null(long, False).to_numpy(zero_copy_only=False))
    some = texts.take(pa.array(rows))
    shaped = pc.match_substring_regex(some, rf"^{_SHAPE.pattern}$")
    rows, some = rows[shaped.to_numpy(zero_copy_only=False)], some.filter(shaped)
    if not len(rows):
        return texts
    letters = np.frombuffer("".join(some.to_pylist()).encode("ascii"), np.uint8).reshape(-1, LONG)
    capital = (letters[:, :SHORT] >= ord("A")) & (letters[:, :SHORT] <= ord("Z"))
    sums = capital.reshape(-1, 3, 5) @ (1 << np.arange(5))
    right = (np.frombuffer(_SUMS.encode(), np.uint8)[sums] == letters[:, SHORT:]).all(axis=1)
    if not right.all():  # in small letters, or an id of nothing
        texts = pc.replace_with_mask(
            texts, _marked(len(texts), rows[~right]), pa.array([fold(x) for x in some.filter(pa.array(~right)).to_pylist()])
        )
    if not right.any():
        return texts
    return pc.replace_with_mask(texts, _marked(len(texts), rows[right]), pc.utf8_slice_codeunits(some.filter(pa.array(right)), 0, SHORT))


def _marked(n: int, rows: Array) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    mask = np.zeros(n, bool)
    mask[rows] = True
    return pa.array(mask)


def spelt(value: T, spelling: dict[str, str]) -> T:
    """A JSON value with every id as the data has it."""
    return cast(T, _spelt(value, spelling))


def _spelt(value: object, spelling: dict[str, str]) -> object:
    if isinstance(value, str):
        return spelling.get(value, value)
    if isinstance(value, dict):
        return {k: _spelt(x, spelling) for k, x in value.items()}
    return [_spelt(x, spelling) for x in value] if isinstance(value, (list, tuple)) else value
