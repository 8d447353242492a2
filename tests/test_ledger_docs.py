"""docs/ledger.md shows an example of every kind of entry, and what it shows is what `roe history` says."""

from __future__ import annotations

import re

from helpers import ROOT
from roe.ledger.entries import KINDS
from roe.ledger.history import told
from test_ledger import EXAMPLES

PAGE = (ROOT / "docs" / "ledger.md").read_text("utf-8")


def test_every_kind_of_entry_has_an_example() -> None:
    shown = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.M))
    assert shown == set(KINDS)


def test_the_examples_are_what_history_says() -> None:
    quiet = {"run", "activated", "standing", "cycle", "corrected", "erased", "evidence"}
    for example in EXAMPLES:
        if example.KIND in quiet:
            continue
        what, _ = told(example)
        assert what in PAGE, f"{example.KIND}: {what}"
