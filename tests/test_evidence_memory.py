"""What a trace keeps of the ledger's memory is found by record: an explanation reads that of the records around one, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyarrow")
from roe.columns.evidence_memory import keep_memory, kept_memory
from roe.ledger.remembered import Remembered

IDS = ["A1", "A2", "A|3", "日本", "A1|ae"]


def owner(rep: str) -> dict[str, Any]:
    return {"rep": rep, "since": "2026-01-02", "base": rep}


def memory() -> Remembered:
    of_leads = {f"lead|{x}|sdr": {"rep": x, "pool": "p", "by": "p", "on": "2026-01-02", "at": "", "position": 1} for x in IDS}
    of_both = [f"{entity}|{x}|{role}" for entity, role in (("account", "ae"), ("account", "csm"), ("lead", "sdr")) for x in IDS]
    return {
        "version": 2,
        "as_of": "2026-02-01",
        "owners": {key: owner(f"rep of {key}") for key in of_both},  # type: ignore[misc]
        "assigned": of_leads,
        "pools": {"p": {"turns": 5, "counts": {"ann": 5}, "credits": {}}},
        "days": {"ann": {"2026-01-31": 2}},
        "events": {f"account|{x}|hot": "2026-01-03" for x in IDS},
        "claims": {"K1": "", "K2": "too late"},
        "seen": {f"account|{x}|segment": x for x in IDS},
        "past": {
            "owners": {key: [["ann", "2025-01-01", None, None, None]] for key in of_both},
            "seen": {f"account|{x}|segment": [["2025-01-01", x]] for x in IDS},
        },
    }


def of_records(section: Any, around: dict[str, list[str]]) -> dict[str, Any]:
    """By hand: the keys that begin with an entity and one of its records, and end with a word without a line."""
    starts = [f"{entity}|{record}|" for entity, records in around.items() for record in records]
    return {key: section[key] for key in section for start in starts if key.startswith(start) and "|" not in key[len(start) :]}


@pytest.mark.parametrize("around", [{"account": ["A1"]}, {"lead": ["A|3", "日本"], "account": ["A2"]}, {"lead": ["nobody"]}, {}])
def test_only_what_is_of_the_records_is_read(around: dict[str, list[str]], tmp_path: Path) -> None:
    whole: Any = memory()
    keep_memory(tmp_path, whole)
    kept: Any = kept_memory(tmp_path, around)
    for part in ("owners", "assigned", "events", "seen"):
        assert dict(kept.get(part, {})) == of_records(whole[part], around), part
    for part in ("owners", "seen"):
        assert kept["past"][part] == of_records(whole["past"][part], around), part
    for part in ("version", "as_of", "pools", "days", "claims"):
        assert kept[part] == whole[part], part


def test_what_the_crm_has_no_longer_is_not_kept_and_no_memory_is_none(tmp_path: Path) -> None:
    gone: Any = {"version": 2, "owners": {}, "gone": {"account|A1": {"kind": "deleted", "into": "", "read_at": ""}}}
    keep_memory(tmp_path, gone)
    assert kept_memory(tmp_path, {"account": ["A1"]}) == {"version": 2}
    (tmp_path / "first").mkdir()
    keep_memory(tmp_path / "first", {})
    assert kept_memory(tmp_path / "first", {"account": ["A1"]}) == {}
