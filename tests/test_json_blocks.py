"""A JSON file in blocks has the records that the ordinary reader finds in all of it, or is left to that."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
import pyarrow as pa

from effort import tries
from roe.columns import csv_blocks
from roe.columns.csv_blocks import NotInBlocks
from roe.columns.json_blocks import JsonBlocks
from roe.columns.raw import Raw
from roe.data import plain
from roe.data.read import read_file
from roe.diagnostics import errors
from roe.policy.model import DataSource

VALUES = st.one_of(
    st.sampled_from(["", "x", "Zürich", "a\nb", "\u2028", "\ud800", '"', "[{", None, None, 1, 2**70, 1.5, True, [1, "a"], {"b": [None]}]),
    st.text(max_size=5),
)
RECORDS = st.lists(st.dictionaries(st.sampled_from(["id", "name", "country", "employees", "$line"]), VALUES, max_size=4), max_size=30)
DAMAGE = ["", "\n", "  \r\n", "{", '{"id": 1} x', "[1]", "7", "[]", "\0", "\ufeff", ',{"id": 2}', "]", '{"id": "A}']


def compared(path: Path) -> bool:
    """Compare the readers; whether the file can be read in blocks."""
    large = JsonBlocks.of(path, DataSource())
    if large is None:
        return False
    try:
        parts = list(large.records())
    except NotInBlocks:
        return False
    rows, problems = read_file(path)
    assert not errors(problems), "read in blocks, and yet there is something wrong"
    whole = Raw.of_rows(rows)
    lines = [line for _, places in parts for line in places.tolist()]
    ours = Raw.of_table(pa.concat_tables(table for table, _ in parts))
    assert (ours.n, lines, list(ours.columns)) == (whole.n, whole.lines.tolist(), list(whole.columns))
    for name, column in whole.columns.items():
        assert type(column) is type(ours.columns[name]), name
        assert [repr(x) for x in column] == [repr(x) for x in ours.columns[name]], name  # 1 is not True
    assert large.origin == rows.origin
    return True


def written(records: list[dict[str, object]], form: str, width: int, damage: str, place: int) -> str:
    """Records as text, with something between two of them. `width`: how many are in a line, or how far they are moved in."""
    if form == "json":
        texts = [json.dumps(record, ensure_ascii=place % 2 == 0, indent=width or None) for record in records]
        at = place % (len(texts) + 1)
        return (
            "[" + ",\n".join(texts[:at]) + damage + ("," if 0 < at < len(texts) else "") + ",".join(texts[at:]) + "]" + " \n" * (place % 2)
        )
    cuts = range(0, len(records), width + 1)
    lines = [json.dumps(records[i : i + width + 1] if width else records[i]) for i in cuts]
    at = place % (len(lines) + 1)
    return "\n".join([*lines[:at], *([damage] if damage else []), *lines[at:]]) + "\n" * (place % 3)


@settings(max_examples=tries(80, 300, 5000), deadline=None)
@given(
    RECORDS,
    st.sampled_from(["json", "jsonl"]),
    st.integers(0, 2),
    st.one_of(st.just(""), st.sampled_from(DAMAGE)),
    st.integers(0, 40),
    st.sampled_from([30, 80, 400, 1 << 20]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-8", "utf-16", "cp1252"]),
    st.booleans(),
)
def test_blocks_are_read_as_the_whole(
    records: list[dict[str, object]], form: str, width: int, damage: str, place: int, size: int, encoding: str, is_packed: bool
) -> None:
    content = written(records, form, width, damage, place).encode(encoding, "replace")
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "LARGE", 0)
        patch.setattr(plain, "BLOCK", size)
        path = Path(folder, f"accounts.{form}{'.gz' if is_packed else ''}")
        path.write_bytes(gzip.compress(content, mtime=0) if is_packed else content)
        is_read = compared(path)
        is_sound = not damage and encoding.startswith("utf-8") and any(key != "$line" for record in records for key in record)
        assert is_read or not is_sound


def test_what_cannot_be_read_in_blocks_is_left_to_the_ordinary_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accounts.json"
    path.write_text('[{"id": "A1"}, {"id": "A2", "name": "Acme"}]', "utf-8")
    assert JsonBlocks.of(path, DataSource()) is None  # it is small
    monkeypatch.setattr(csv_blocks, "LARGE", 0)
    assert compared(path)
    assert JsonBlocks.of(path, DataSource(encoding="cp1252")) is None
    path.write_text('{"id": "A1"}', "utf-8")
    assert not compared(path)  # one record
    monkeypatch.setattr(plain, "BLOCK", 10)
    monkeypatch.setattr(plain, "LONGEST", 100)
    path.write_text('[{"id": "A1", "name": "' + "A" * 1000 + '"}]', "utf-8")
    assert not compared(path)  # nothing waits for the end of a record that does not end
