"""A ledger as tables: entries, holdings and runs, for a warehouse or an auditor. Erasable values only where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from roe.ledger.encode import canonical, shape
from roe.ledger.entry import Stored
from roe.ledger.moment import At
from roe.ledger.store import Store

ENTRIES = ("number", "run", "kind", "entity", "record", "name", "at", "until", "recorded", "rep", "former", "facts")
HOLDINGS = ("entity", "record", "role", "rep", "queue", "from", "until", "entry", "decision", "by", "rule", "action")
ROWS = 50_000  # of a Parquet row group


def write(store: Store, out: Path, form: str, values: bool) -> dict[str, int]:
    """Write the tables; how many rows each has. ImportError without pyarrow for Parquet, OSError where nothing can be written."""
    out.mkdir(parents=True, exist_ok=True)
    columns = (*ENTRIES, "values") if values else ENTRIES
    put = _parquet if form == "parquet" else _csv
    return {
        "entries": put(out, "entries", columns, (_row(x, values) for x in store.entries())),
        "holdings": put(out, "holdings", HOLDINGS, _holdings(store)),
    }


def _row(x: Stored, values: bool) -> list[object]:
    e, s = x.entry, shape(x.kind)
    facts = {**s.words.of(e), **s.facts.of(e)}
    until: At | None = getattr(e, "until", None)
    row: list[object] = [
        x.number, x.run, x.kind, getattr(e, "entity", None), getattr(e, "record", None), getattr(e, s.name) if s.name else None, str(e.at),
        None if until is None else str(until), x.recorded.isoformat(), getattr(e, s.target) if s.target else None,
        getattr(e, s.former) if s.former else None, canonical(facts) if facts else None,
    ]  # fmt: skip
    if values:
        private = s.privates.of(e)
        row.append(canonical(private) if private else None)
    return row


def _holdings(store: Store) -> Iterator[list[object]]:
    for h in store.every_holding():
        stop = None if h.stop is None else str(h.stop)
        yield [
            h.entity, h.record, h.role, h.rep, h.queue or None, str(h.start), stop, h.entry, h.decision, h.by, h.rule or None, h.action or None,
        ]  # fmt: skip


def _csv(out: Path, name: str, columns: tuple[str, ...], rows: Iterator[list[object]]) -> int:
    import csv
    import os

    from roe.untrusted import is_formula

    draft, n = out / f".{name}.csv.{os.getpid()}", 0
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(["'" + x if isinstance(x, str) and is_formula(x) else x for x in row])
            n += 1
    os.replace(draft, out / f"{name}.csv")
    return n


def _parquet(out: Path, name: str, columns: tuple[str, ...], rows: Iterator[list[object]]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = {"number", "run", "entry", "decision"}
    form = pa.schema([(c, pa.int64() if c in numbers else pa.string()) for c in columns])
    n, page = 0, []
    with pq.ParquetWriter(out / f"{name}.parquet", form, compression="zstd") as file:
        for row in rows:
            page.append(dict(zip(columns, row, strict=True)))
            n += 1
            if len(page) == ROWS:
                file.write_table(pa.Table.from_pylist(page, form))
                page = []
        file.write_table(pa.Table.from_pylist(page, form))
    return n
