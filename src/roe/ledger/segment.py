"""Segments: entries on disk that are not in a ledger yet.

Tasks that decide some of a run's records each write what they have to say of these as Parquet. Whoever commits the run reads all segments in
the order of the ledger, some entries at a time. So no process ever has all entries of a run, and the ledger still has one writer and one form.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from heapq import merge
from itertools import islice
from pathlib import Path

import pyarrow as pa

from roe.dynamic import Value
from roe.ledger.encode import Draft, Drafted, Subject, draft, entry, small, whole
from roe.ledger.entry import Entry

SEGMENT = pa.schema(  # the first three columns are the order; `place` numbers the entries of one key
    [
        ("section", pa.int32()), ("key", pa.string()), ("place", pa.int32()),
        ("kind", pa.string()), ("entity", pa.string()), ("record", pa.string()), ("name", pa.string()),
        ("at", pa.int64()), ("grain", pa.string()), ("until", pa.int64()),
        ("target_entity", pa.string()), ("target", pa.string()), ("former_entity", pa.string()), ("former", pa.string()),
        ("word", pa.string()), ("fact", pa.string()), ("kept", pa.binary()),
    ]
)  # fmt: skip
ROWS = 5_000  # of a segment that are written together
READ = 1_000  # of each segment that are read together
TOGETHER = 200  # segments that are read at once, so that few files are open
Row = tuple[Value, ...]


def write_segment(entries: Iterable[tuple[int, Entry]], path: Path) -> int:
    """Write entries, each with the number of its section (see `in_sections`), in that order. How many there were; without any there is no file."""
    return _write(_rows(entries), path)


def _write(rows: Iterator[Row], path: Path) -> int:
    from pyarrow import parquet

    writer, n = None, 0
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
    before: Row = ()
    with ExitStack() as stack:
        for section, key, place, *cells in _merged([*paths], stack):
            if (section, key, place) != before:
                d = _draft(*cells)
                yield section, (entry(d, with_values=False), d)
            before = section, key, place


def _merged(paths: list[Path], stack: ExitStack) -> Iterator[Row]:
    """The rows of segments in their order; of very many segments, some are put together on disk first."""
    if len(paths) > TOGETHER:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=paths[0].parent)))
        groups = [paths[i : i + TOGETHER] for i in range(0, len(paths), TOGETHER)]
        paths = [scratch / f"{i}.parquet" for i in range(len(groups))]
        for group, path in zip(groups, paths, strict=True):
            _write(merge(*map(_rows_in, group)), path)
        return _merged(paths, stack)
    return merge(*map(_rows_in, paths))


def _rows_in(path: Path) -> Iterator[Row]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(READ):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


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
