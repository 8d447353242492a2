"""Postal codes in table cells: prefixes and ranges hold for what a reader would say, and for longer codes behind them."""

from __future__ import annotations

from pathlib import Path

import pytest

import roe
from helpers import policy_text

CELLS: list[tuple[str, list[str], list[str | None]]] = [  # a cell, codes that it holds for, codes that it does not
    ("94*", ["94", "94110", "94110-1234"], ["93999", "95", "9", "A94", None]),
    ("9*", ["9", "90210", "99999"], ["8", ":", "10"]),
    ("SW1*, EC*", ["SW1A 1AA", "EC2"], ["SW2", "sw1", "E1"]),
    ("90001..93999", ["90001", "92000", "93999", "93999-0001"], ["90000", "94000", None]),
    ("01000-06999, 10001", ["01000", "06999", "06999-9", "10001"], ["00999", "07000", "10002"]),
    ("99000..99999", ["99999", "99999-1"], ["98999", "A"]),
    ("Mid-Market", ["Mid-Market"], ["Mid"]),
]


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_cells_of_codes(tmp_path: Path, number: int) -> None:
    cell, inside, outside = CELLS[number]
    policy_text(
        tmp_path,
        f"""
roe: 1
name: codes
roles: [ae]
territories: {{rows: [{{name: here, postal_code: "{cell}", region: W}}]}}
engagement:
  account:
    ae: [{{name: in, when: territory.name != null, then: {{assign: '"x"'}}}}]
""",
    )
    evaluator = roe.compile(roe.load(tmp_path))
    for code in [*inside, *outside]:
        decision = evaluator.decide({"id": "1", "postal_code": code}, as_of="2026-02-01")
        assert (decision.owner == "x") is (code in inside), code
