"""Segments: entries on disk that are not in a ledger yet.

Tasks that decide some of a run's records each write what they have to say of these as Parquet. Whoever commits the run reads all segments in
the order of the ledger, some entries at a time. So no process ever has all entries of a run, and the ledger still has one writer and one form.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from roe.ledger.encode import Draft, Drafted, Subject, draft, entry, small, whole
from roe.ledger.entry import Entry

ORDER = ("section", "key", "place")  # `place` numbers the entries of one key
SEGMENT = pa.schema(
    [
        *zip(ORDER, (pa.int32(), pa.string(), pa.int32()), strict=True),
        ("kind", pa.string()), ("entity", pa.string()), ("record", pa.string()), ("name", pa.string()),
        ("at", pa.int64()), ("grain", pa.string()), ("until", pa.int64()),
        ("target_entity", pa.string()), ("target", pa.string()), ("former_entity", pa.string()), ("former", pa.string()),
        ("word", pa.string()), ("fact", pa.string()), ("kept", pa.binary()),
    ]
)  # fmt: skip
ROWS = 50_000  # of a segment that are written together
READ = 5_000  # of all segments that are read together
MEMORY = "256MB"  # for putting segments in order; the rest waits on disk
Row = tuple[int | str | bytes | None, ...]


def write_segment(entries: Iterable[tuple[int, Entry]], path: Path) -> int:
    """Write entries, each with the number of its section (see `in_sections`), in that order. How many there were; without any there is no file."""
    from pyarrow import parquet

    rows, n = _rows(entries), 0
    writer = None
    try:
        while some := list(islice(rows, ROWS)):
            writer = writer or parquet.ParquetWriter(path, SEGMENT)
            columns = zip(SEGMENT.types, zip(*some, strict=True), strict=True)
            writer.write_table(pa.table([pa.array(values, kind) for kind, values in columns], schema=SEGMENT))
            n += len(some)
    finally:
        if writer is not None:
            writer.close()
    return n


def _rows(entries: Iterable[tuple[int, Entry]]) -> Iterator[Row]:
    before, place = (-1, ""), 0
    for section, e in entries:
        d = draft(e)
        entity, record = d.subject or ("", "")
        key = f"{entity}|{record}|{d.name}" if d.name else f"{entity}|{record}"
        place = place + 1 if (section, key) == before else 0
        before = section, key
        kept = None if d.value is None else small(d.value)
        others = (*(d.target or (None, None)), *(d.former or (None, None)))
        yield section, key, place, d.kind, entity, record, d.name, d.at, d.grain, d.until, *others, d.word, d.fact, kept


def read_segments(paths: Sequence[Path]) -> Iterator[tuple[int, Drafted]]:
    """The entries of all segments in the order of the ledger, each with the number of its section, without what can be erased of them: that is
    only in their drafts. What several tasks say alike, of a record that all of them have, is there once.
    """
    if not paths:
        return
    import duckdb

    ordered = f"SELECT * FROM read_parquet(?) ORDER BY {', '.join(ORDER)}"
    with tempfile.TemporaryDirectory(dir=paths[0].parent) as scratch, duckdb.connect(config=_limits(scratch)) as con:
        con.execute(ordered, [[str(path) for path in paths]])
        before: Row = ()
        while rows := con.fetchmany(READ):
            for section, key, place, *cells in rows:
                if (section, key, place) != before:
                    d = _draft(*cells)
                    yield section, (entry(d, with_values=False), d)
                before = section, key, place


def _limits(scratch: str) -> dict[str, str]:
    return {"memory_limit": MEMORY, "temp_directory": scratch}


def _draft(
    kind: str, entity: str, record: str, name: str, at: int, grain: str, until: int | None, target_entity: str | None, target: str | None,
    former_entity: str | None, former: str | None, word: str, fact: str | None, kept: bytes | None,
) -> Draft:  # fmt: skip
    value = None if kept is None else whole(kept)
    return Draft(
        kind,
        (entity, record),
        name,
        at,
        grain,
        until,
        _subject(target_entity, target),
        _subject(former_entity, former),
        word,
        fact,
        value,
        kept,
    )


def _subject(entity: str | None, record: str | None) -> Subject | None:
    return None if entity is None or record is None else (entity, record)
