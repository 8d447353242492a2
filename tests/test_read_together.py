"""Records that are read together, as when a service starts, mean what each of them means that is read alone."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC
from typing import Any

import pytest

from helpers import example_policy
from roe.data.coerce import OneByOne, coerce_table
from roe.policy.model import DataSource

ODD: tuple[Any, ...] = (
    None, "", " ", "Acme", " Acme ", "ACME", "Café", "Cafe\u0301", "NULL", "null", "n/a", "None", "-", "#N/A", "#REF!", "#1 Pizza", "=SUM(A1)",
    '="02139"', "0018000000ABCDE", "0018000000ABCDEAA2", "0018000000abcdeaa2", "ABCDEFGHIJKLMNOPQR", "1.5E+11", "acme.com", "www.acme.com",
    "https://acme.co.uk/x", "acme.co.uk", "co.uk", "github.io", "x.github.io", "xn--mller-kva.de", "a.kawasaki.jp", "Acme.COM", "a.com\nb.com", "not a host",
    "jo@acme.com", "US", "usa", "Germany", "Atlantis", "CA", "California", "2139", "02139", "+1 415 555 0100", "yes", "Ja", "2026-02-01", "01/02/2026",
    "1,5", "1.234,5", "1000", "$5", "5 EUR", 0, 1, 7, 1.0, -0.0, 2.5, float("nan"), float("inf"), True, False, ["a"], {"a": 1}, "x" * 300,
)  # fmt: skip


def kinds(rows: list[dict[str, Any]]) -> list[list[tuple[str, type, str]]]:
    """Values with their types: 1, 1.0 and true are equal, and not the same."""
    return [[(name, type(x), repr(x)) for name, x in row.items()] for row in rows]


@pytest.mark.parametrize("entity", ["account", "lead", "rep", "opportunity"])
def test_a_record_means_the_same_whoever_stands_beside_it(entity: str) -> None:
    fields = example_policy("distribution").model.entities[entity]
    rng = random.Random(entity)
    names = [name for name, f in fields.items() if not f.via and f.type.name != "owners" and name != "id"]
    few = [*rng.sample(names, min(len(names), 12)), "owner_ae", "nobody_knows_it"]
    raw = [{"id": f"R{n:03}", **{name: rng.choice(ODD) if rng.random() < 0.1 else None for name in few}} for n in range(400)]
    raw += [{**row, "id": f"S{n:03}", "$line": 1000 + n} for n, row in enumerate(raw[:20])]

    def read(rows: list[dict[str, Any]]) -> Any:
        return coerce_table(entity, fields, rows, ["ae", "sdr"], UTC, DataSource(), True, None, OneByOne(), True)

    together, alone = read(raw), [read([{"$line": n, **row}]) for n, row in enumerate(raw, 1)]
    assert kinds(together.rows) == kinds([row for one in alone for row in one.rows])
    assert together.rejects == sorted((r for one in alone for r in one.rejects), key=lambda r: r.line)
    for counted in ("filled", "unread", "corrected", "reasons"):
        counts = sum((getattr(one.reading, counted) for one in alone), Counter[Any]())
        assert +getattr(together.reading, counted) == counts
    assert len(together.rows) + len(together.rejects) == len(raw)
    assert min(len(together.rows), len(together.rejects)) > 50
