"""A CSV file in blocks has the records, the rejects and the notes that the ordinary reader finds in all of it, or is left to that."""

from __future__ import annotations

import gzip
import io
import random
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("pyarrow")
from effort import tries
from roe.columns import csv_blocks
from roe.columns.csv_blocks import CsvBlocks, NotInBlocks
from roe.data import content as content_of_files
from roe.data import plain
from roe.data.encoding import Unreadable
from roe.data.read import read_sheet
from roe.policy.model import DataSource

HEADER = "id,name,country,employees\n"
SOUND = [f"A{i},Name {i},DE,{i}\n" for i in range(4)]
LINES = [
    "\n",
    ",,,\n",
    ' ,"  ",,\n',
    'A7,"two\nlines",DE,1\n',
    'A8,"has ""quotes""",DE,1\n',
    'A9,5" pipe,DE,1\n',
    'A10,"closes" early,DE,1\n',
    "A11,too,few\n",
    "A12,more,DE,1,2\n",
    "A13,empty more,DE,1,,\n",
    HEADER,
    "id,another,DE,1\n",
    "Total,,,12\n",
    "Northwind Report,,,\n",
    "Copyright (c) 2026,,,\n",
    "A note of many words,,,\n",
    "A14,Windows,DE,1\r\n",
    "A15,old Mac,DE,1\rA16,old Mac,DE,2\n",
    "\ufeffA17,mark,DE,1\n",
    "A18,é\u2028ü,DE,1\n",
    ",no id,DE,1\n",
]
RARE = ['A20,"never closed,DE,1\n', "A21,lost \ufffd,DE,1\n", "A22,zero \0,DE,1\n"]


def packed(content: bytes, kind: str) -> bytes:
    """A file's content as it is, as a gzip archive, also one of two members, or as a ZIP archive."""
    if kind == "gz":
        half = len(content) // 2
        return gzip.compress(content[:half], mtime=0) + gzip.compress(content[half:], mtime=0) + b"\0" * 3
    if kind == "zip":
        with zipfile.ZipFile(archive := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("accounts.csv", content)
        return archive.getvalue()
    return content


KINDS = {"": "accounts.csv", "gz": "accounts.csv.gz", "zip": "accounts.zip"}


def compared(path: Path) -> bool:
    """Compare the readers; whether the file can be read in blocks."""
    large = CsvBlocks.of(path, DataSource())
    if large is None:
        return False
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    try:
        for table, places in large.records():
            rows += zip(*(column.to_pylist() for column in table.columns), strict=True)
            lines += places.tolist()
    except NotInBlocks:
        return False
    sheet = read_sheet(path)
    assert (rows, lines) == ([tuple(row) for row in sheet.rows], sheet.lines)
    ours, other = large.origin, sheet.origin
    for name in ("shown", "header", "rejects", "blank", "notes", "twice"):
        assert getattr(ours, name) == getattr(other, name), name
    return True


@settings(max_examples=tries(80, 300, 5000), deadline=None)
@given(
    st.lists(st.one_of(st.sampled_from(SOUND), st.sampled_from(LINES), st.sampled_from(SOUND + LINES + RARE)), max_size=60),
    st.sampled_from([30, 80, 400, 1 << 20]),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-8", "cp1252"]),
    st.sampled_from(list(KINDS)),
)
def test_blocks_are_read_as_the_whole(lines: list[str], size: int, is_cut: bool, encoding: str, kind: str) -> None:
    text = HEADER + "".join(SOUND) + "".join(lines)
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "LARGE", 0)
        patch.setattr(plain, "BLOCK", size)
        path = Path(place, KINDS[kind])
        path.write_bytes(packed((text[:-1] if is_cut else text).encode(encoding, "replace"), kind))
        try:
            compared(path)
        except Unreadable as e:
            raise AssertionError(f"read in blocks, and yet {e.message}") from e


@pytest.mark.parametrize("kind", list(KINDS)[1:])
def test_a_packed_file_that_is_damaged_or_a_bomb_is_refused_as_a_whole_one_is(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is damaged, and before more than its limit is read; what was read of it is no table."""
    monkeypatch.setattr(csv_blocks, "LARGE", 100)
    monkeypatch.setattr(plain, "BLOCK", 1000)
    path, rng = tmp_path / KINDS[kind], random.Random(4)
    rows = [f"B{i},Name {rng.random()},FR,{i}\n" for i in range(20_000)]
    sound = packed((HEADER + "".join(rows)).encode(), kind)
    for place in (9, len(sound) // 5, len(sound) * 9 // 10):
        spoilt = bytearray(sound)
        spoilt[place : place + 40] = bytes(40)
        for content in (bytes(spoilt), sound[:place]):
            path.write_bytes(content)
            refused(path)
    monkeypatch.setattr(content_of_files, "_ROOM", 1000)
    path.write_bytes(packed((HEADER + "A,B,C,D\n" * 500_000).encode(), kind))
    assert "unpacks to more than" in refused(path)


def refused(path: Path) -> str:
    """What both readers say of a file that is not a table."""
    with pytest.raises(Unreadable) as whole:
        read_sheet(path)
    large = CsvBlocks.of(path, DataSource())
    if large is not None:
        with pytest.raises(Unreadable) as in_blocks:
            for _ in large.records():
                pass
        assert (in_blocks.value.message, in_blocks.value.code) == (whole.value.message, whole.value.code)
    return whole.value.message


def test_nothing_waits_for_the_end_of_a_line_that_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_blocks, "LARGE", 0)
    monkeypatch.setattr(plain, "BLOCK", 100)
    monkeypatch.setattr(plain, "LONGEST", 1000)
    path = tmp_path / "accounts.csv"
    path.write_text(HEADER + "".join(SOUND) + "A" * 5000, "utf-8")
    assert not compared(path)


@pytest.mark.parametrize("line", LINES)
def test_damaged_lines_need_not_be_read_whole(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each damage alone, at a random place and at the end."""
    monkeypatch.setattr(csv_blocks, "LARGE", 0)
    monkeypatch.setattr(plain, "BLOCK", 100)
    for seed in range(6):
        rng = random.Random(seed)
        sound = [f"B{i},Name {i},FR,{i}\n" for i in range(rng.randrange(5, 80))]
        at = rng.randrange(len(sound)) if seed else len(sound)
        path = tmp_path / f"{seed}.csv"
        path.write_bytes((HEADER + "".join([*sound[:at], line, *sound[at:]])).encode())
        assert compared(path), (seed, at)


def test_what_cannot_be_read_in_blocks_is_left_to_the_ordinary_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(HEADER + "".join(SOUND), "utf-8")
    assert CsvBlocks.of(path, DataSource()) is None  # it is small
    monkeypatch.setattr(csv_blocks, "LARGE", 0)
    assert CsvBlocks.of(path, DataSource(encoding="cp1252")) is None
    assert compared(path)
    for line in RARE:
        path.write_text(HEADER + "".join(SOUND) + line, "utf-8", newline="\n")
        assert not compared(path)
    path.write_bytes(HEADER.encode() + "A1,Zürich,CH,1\n".encode("cp1252"))
    assert not compared(path)
