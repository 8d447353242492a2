"""Domains by the million: hosts that are registrable as they stand are recognised with Arrow, the others asked about."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from roe.columns.column import Coded, Dictionary, Truths
from roe.dynamic import Array
from roe.grammar.functions import sales as own

MANY = 5_000  # distinct texts from which it is worth it
_PLAIN_HOST = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?\.[a-z]{2,}$"
_PLAIN_ADDRESS = r"^[A-Za-z0-9._%+-]+@(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.[a-z]{2,})$"


def registrable(hosts: pa.Array) -> Array:
    """Which hosts are `name.suffix` of a suffix that the public-suffix list has, and no suffix themselves."""
    ends = pc.struct_field(pc.extract_regex(hosts, r"\.(?P<tld>[a-z]+)$"), "tld").dictionary_encode()
    known, taken = [], []
    for tld in ends.dictionary.to_pylist():
        rules = own.suffix_rules().get(tld, [])
        known.append(tld in rules and f"*.{tld}" not in rules)
        taken += [r for r in rules if r.count(".") == 1 and r[0] not in "!*"]
    simple = np.append(np.array(known, bool), False)
    codes = ends.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    two = pc.equal(pc.count_substring(hosts, "."), 1).fill_null(False).to_numpy(zero_copy_only=False)
    free = ~pc.is_in(hosts, pa.array(taken, pa.string())).to_numpy(zero_copy_only=False)
    punycode = pc.match_substring(hosts, "xn--").fill_null(True).to_numpy(zero_copy_only=False)  # which is spelt out
    plain = pc.match_substring_regex(hosts, _PLAIN_HOST).fill_null(False).to_numpy(zero_copy_only=False)
    return np.asarray(plain & simple[codes] & two & free & ~punycode)


_HOST = r"^(?:[A-Za-z0-9._%+-]+@)?(?P<host>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.[a-z]{2,})$"


def _hosts(column: Coded, pattern: str) -> tuple[pa.Array, Array]:
    """The distinct hosts of a column's texts (a text that has no plain one stands for itself), and which each text has."""
    items = column.meaning.items
    texts = items if isinstance(items, pa.Array) else pa.array(column.meaning.list, pa.string())
    hosts = pc.struct_field(pc.extract_regex(texts, pattern), "host")
    encoded = pc.if_else(hosts.is_valid(), hosts, texts).dictionary_encode()
    return encoded.dictionary, encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)


def freemails(column: Coded) -> Truths:
    """`is_freemail` of every text, asked once for each host."""
    hosts, which = _hosts(column, _HOST)
    is_free = pc.is_in(hosts, pa.array(sorted(own.freemail_domains()))).to_numpy(zero_copy_only=False).astype(np.int8)
    for i in np.flatnonzero(~registrable(hosts)).tolist():
        is_free[i] = own.is_freemail(hosts[i].as_py())
    return Truths(np.append(np.append(is_free, np.int8(-1))[which], np.int8(-1))[column.codes])


def domains(column: Coded) -> Coded:
    """`domain` of every text: of a plain address it is that of its host, which many addresses share."""
    hosts, which = _hosts(column, _PLAIN_ADDRESS)
    texts = hosts.to_pylist()
    for i in np.flatnonzero(~registrable(hosts)).tolist():
        texts[i] = own.domain(texts[i])
    seen: dict[str, int] = {}
    codes = np.array([-1 if x is None else seen.setdefault(x, len(seen)) for x in texts] + [-1], np.int32)
    return Coded(np.append(codes[which], np.int32(-1))[column.codes], Dictionary(list(seen)))
