"""Ids of Salesforce: 15 characters that depend on case, or the same 15 and three that say which of them are capitals.

Reports and URLs have the short form, the API and Data Loader the long one. Everything that is loaded (records, references, texts
of policies, tests and commands) is folded to the short one, so that both are one id to every engine; files that are written
have each record's id as the data had it. Source: Salesforce Knowledge 000385585, "How to convert a 15-character Id to 18".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    import pyarrow as pa

SHORT, LONG = 15, 18
_SUMS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
T = TypeVar("T")
_SHAPE = re.compile(r"[0-9A-Za-z]{15}[A-Z0-5]{3}", re.ASCII)


def checksum(short: str) -> str:
    """The three characters that the long form adds: for every five characters, which of them are capitals, as a number below 32."""
    return "".join(_SUMS[sum("A" <= c <= "Z" and 1 << i for i, c in enumerate(short[at : at + 5]))] for at in (0, 5, 10))


def fold(text: str) -> str:
    """The short form of a long id; any other text as it is, also one of 18 characters whose checksum is wrong."""
    if len(text) != LONG or not _SHAPE.fullmatch(text):
        return text
    short = text[:SHORT]
    return short if checksum(short) == text[SHORT:] else text


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
    mask = np.zeros(len(texts), bool)
    mask[rows[right]] = True
    return (
        pc.replace_with_mask(texts, pa.array(mask), pc.utf8_slice_codeunits(some.filter(pa.array(right)), 0, SHORT))
        if right.any()
        else texts
    )


def spelt(value: T, spelling: dict[str, str]) -> T:
    """A JSON value with every id as the data has it."""
    return cast(T, _spelt(value, spelling))


def _spelt(value: object, spelling: dict[str, str]) -> object:
    if isinstance(value, str):
        return spelling.get(value, value)
    if isinstance(value, dict):
        return {k: _spelt(x, spelling) for k, x in value.items()}
    return [_spelt(x, spelling) for x in value] if isinstance(value, (list, tuple)) else value
