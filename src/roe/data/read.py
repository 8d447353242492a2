"""Records from CSV, JSON, JSON lines or Parquet files that are named after their entity."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from roe.diagnostics import Diagnostic, suggest
from roe.files import read_text
from roe.policy.model import Policy
from roe.policy.standard import FILES
from roe.progress import phase
from roe.source import Span

MAX_DATA_BYTES = 4 << 30
DATABASES = (".duckdb", ".ddb")
SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson", ".parquet")
Tables = dict[str, list[dict[str, Any]]]

csv.field_size_limit(1 << 20)


def read_tables(policy: Policy, folder: Path) -> tuple[Tables, list[Diagnostic]]:
    """Every entity's records in a folder. An entity without a file has no records; a folder without any is an error."""
    if not folder.is_dir():
        return {}, [none_found(policy, folder)]
    tables: Tables = {}
    found: list[Diagnostic] = []
    for entity in policy.model.entities:
        path, problems = file_of(policy, entity, folder)
        found += problems
        if path is not None:
            rows, problems = read_file(path)
            found += problems
            tables[entity] = rows
    if not tables and not found:
        found.append(none_found(policy, folder))
    return tables, found


def none_found(policy: Policy, folder: Path) -> Diagnostic:
    """What to say where no records are."""
    here = Span(str(folder), 1, 1, 1)
    if not folder.exists():
        return Diagnostic("R606", f"there is no folder `{folder}`", here, "name the folder of the export with --data")
    names = ", ".join(f"`{FILES.get(e, (e + 's',))[0]}.csv`" for e in list(policy.model.entities)[:4])
    return Diagnostic("R606", f"`{folder}` has no file of an entity", here, f"files are named {names}, or under `data:`")


def file_of(policy: Policy, entity: str, folder: Path) -> tuple[Path | None, list[Diagnostic]]:
    """The file of an entity's records in a folder, if there is one."""
    source = policy.data.get(entity)
    if source and source.file:
        path = folder / source.file
        if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            return path, []
        near = sorted(p.name for p in folder.iterdir())
        help = suggest(source.file, near, f"the folder has {', '.join(near[:8])}")
        return None, [Diagnostic("R601", f"there is no `{source.file}` for {entity} records", Span(str(folder), 1, 1, 1), help)]
    for name in FILES.get(entity, (entity + "s", entity)):
        for suffix in SUFFIXES:
            path = folder / f"{name}{suffix}"
            if path.is_file():
                return path, []
    return None, []


def read_file(path: Path) -> tuple[list[dict[str, Any]], list[Diagnostic]]:
    """The records of one file, each with `$line`, its line or number there."""
    phase(f"reading {path.name}")
    if path.suffix == ".parquet":
        return _read_parquet(path)
    text, problems = read_text(path, str(path), MAX_DATA_BYTES)
    if text is None:
        return [], problems
    if path.suffix == ".csv":
        return _read_csv(text, str(path))
    return _read_json(text, str(path), path.suffix != ".json")


def _read_csv(text: str, shown: str) -> tuple[list[dict[str, Any]], list[Diagnostic]]:
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=lambda d: (first.count(d), d == ","))
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows: list[dict[str, Any]] = []
    found: list[Diagnostic] = []
    try:
        header = [h.strip() for h in next(reader, [])]
        for cells in reader:
            if not cells:
                continue
            if len(cells) > len(header) and any(cells[len(header) :]):
                place = Span(shown, reader.line_num, 1, 2, ",".join(cells)[:200])
                found.append(
                    Diagnostic(
                        "R602", f"the row has {len(cells)} cells, and the header {len(header)}", place, "quote cells that have a comma"
                    )
                )
            row: dict[str, Any] = dict(zip(header, cells, strict=False))
            row["$line"] = reader.line_num
            rows.append(row)
    except csv.Error as e:
        found.append(Diagnostic("R601", f"`{shown}` is no CSV: {e}", Span(shown, reader.line_num, 1, 2), "save it again as CSV UTF-8"))
    return rows, found


def _read_json(text: str, shown: str, lines: bool) -> tuple[list[dict[str, Any]], list[Diagnostic]]:
    rows: list[dict[str, Any]] = []
    found: list[Diagnostic] = []
    pieces = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()] if lines else [(1, text)]
    for number, piece in pieces:
        try:
            value = json.loads(piece)
        except (ValueError, RecursionError) as e:
            line = number + getattr(e, "lineno", 1) - 1
            at = Span(shown, line, getattr(e, "colno", 1), getattr(e, "colno", 1) + 1)
            found.append(Diagnostic("R601", f"not valid JSON: {getattr(e, 'msg', 'nested too deeply')}", at, "correct the file"))
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                rows.append({**item, "$line": number if lines else len(rows) + 1})
            else:
                found.append(Diagnostic("R601", "a record is a JSON object", Span(shown, number, 1, 2), "write `{…}` per record"))
    return rows, found


def _read_parquet(path: Path) -> tuple[list[dict[str, Any]], list[Diagnostic]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        at = Span(str(path), 1, 1, 1)
        return [], [Diagnostic("R406", "reading Parquet needs the package pyarrow", at, "pip install 'roe-policy[parquet]', or export CSV")]
    try:
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as e:
        return [], [Diagnostic("R601", f"`{path}` cannot be read as Parquet: {e}", Span(str(path), 1, 1, 1), "write it again")]
    for number, row in enumerate(rows, 1):
        row["$line"] = number
    return rows, []


def newest(evaluator: Any, tables: Any) -> datetime:
    """The moment of the newest record: the day that a data folder is about, where nobody says another."""
    world = evaluator.bind(tables, as_of="2000-01-01").world
    days = [
        row[name]
        for entity, names in (
            ("account", ("created", "last_activity", "owner_since")),
            ("lead", ("created",)),
            ("activity", ("date", "at")),
        )
        for row in world.rows[entity]
        for name in names
        if isinstance(row[name], date)
    ]
    whole = [d if isinstance(d, datetime) else datetime.combine(d, time()) for d in days]
    return max((d.replace(tzinfo=None) for d in whole), default=datetime(2026, 1, 1))
