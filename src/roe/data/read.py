"""The one reader of data: the files of a folder, whatever their format, as raw records with what their reading said.

A file is found by the names of its entity in any case, or as the policy declares it. What is broken as a whole is an error, and nothing is
decided; a row that is not a record is a reject with its line. Rows and columns are read from the same `Sheet`, so both have
the same records, and the same rejects, of every file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time
from pathlib import Path

from roe.data.coerce import RawRecords
from roe.data.content import PACKED, is_packed, read_bytes
from roe.data.encoding import Unreadable, decode, lost_letters
from roe.data.scan import Sheet, TableOrigin, scan
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic, suggest
from roe.dynamic import Cell
from roe.policy.model import DataSource, Policy
from roe.policy.standard import FILES
from roe.progress import phase
from roe.source import Span

DATABASES = (".duckdb", ".ddb")
LINES_OF_JSON = (".jsonl", ".ndjson")
WORKBOOKS = (".xlsx", ".xlsm")
TEXTS = (".csv", ".tsv", ".txt")
SUFFIXES = (*TEXTS[:2], *PACKED, *WORKBOOKS, ".json", *LINES_OF_JSON, ".parquet")
_NAMED = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zip", ".zip", ".xlsx", ".xlsm", ".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz", ".parquet")  # fmt: skip
_JSON = re.compile(r"\ufeff?\s*(\{\s*[\"}]|\[\s*[{\]])")  # how JSON begins, and no header
Tables = dict[str, RawRecords]


def read_tables(policy: Policy, folder: Path, complete: bool = False) -> tuple[Tables, list[Diagnostic]]:
    """Every entity's records in a folder. An entity without a file has no records; a folder without any is an error.

    `complete` asks for a file of every entity that the policy decides.
    """
    paths, diagnostics = files_of(policy, folder, complete)
    tables: Tables = {}
    for entity, path in paths.items():
        source = policy.data.get(entity, DataSource())
        rows, problems = read_file(path, source)
        diagnostics += problems or misshapen(policy, entity, rows.origin, len(rows))
        tables[entity] = rows
    return tables, diagnostics


def files_of(policy: Policy, folder: Path, complete: bool = False) -> tuple[dict[str, Path], list[Diagnostic]]:
    """entity -> its file in a folder, and what is wrong with the folder."""
    if not folder.is_dir():
        return {}, [none_found(policy, folder)]
    paths: dict[str, Path] = {}
    diagnostics: list[Diagnostic] = []
    files = sorted((p for p in folder.iterdir() if p.is_file()), key=lambda p: p.name)
    for entity in policy.model.entities:
        path, problems = file_of(policy, entity, folder, files)
        diagnostics += problems
        if path is not None:
            paths[entity] = path
    if not paths and not diagnostics:
        diagnostics.append(none_found(policy, folder))
    elif complete:
        diagnostics += lacking(policy, folder, paths)
    return paths, diagnostics


def lacking(policy: Policy, folder: Path, there: Iterable[str]) -> list[Diagnostic]:
    """The entities that the policy decides and that a folder or database has no records of."""
    decided = dict.fromkeys(entity for entity, _ in policy.plan.engagement)
    diagnostics = []
    for entity in decided:
        source = policy.data.get(entity, DataSource())
        if entity not in there and not source.optional and not source.file:
            names = " or ".join(f"`{n}.csv`" for n in FILES.get(entity, (entity + "s",))[:2])
            help = f"add {names}, or `data: {{{entity}: {{file: …}}}}`; if there are none: `data: {{{entity}: {{optional: true}}}}`"
            diagnostics.append(
                Diagnostic("R631", f"`{folder}` has no {entity} records, but the policy decides them", Span(str(folder), 1, 1, 1), help)
            )
    return diagnostics


def table_names(policy: Policy, entity: str) -> tuple[str, ...]:
    """What the table of an entity may be called in a database: as the policy says, or one of the usual names."""
    source = policy.data.get(entity)
    return (source.file,) if source and source.file else FILES.get(entity, (entity + "s", entity))


def none_found(policy: Policy, folder: Path) -> Diagnostic:
    """What to say where no records are."""
    here = Span(str(folder), 1, 1, 1)
    if not folder.exists():
        return Diagnostic("R606", f"there is no folder `{folder}`", here, "name the folder of the export with --data")
    names = ", ".join(f"`{FILES.get(e, (e + 's',))[0]}.csv`" for e in list(policy.model.entities)[:4])
    return Diagnostic("R606", f"`{folder}` has no file of an entity", here, f"files are named {names}, or under `data:`")


def file_of(policy: Policy, entity: str, folder: Path, files: list[Path]) -> tuple[Path | None, list[Diagnostic]]:
    """The file of an entity's records among the files of a folder, in order, if there is one; a second one is a warning."""
    source = policy.data.get(entity)
    if source and source.file:
        return _declared_file(source.file, entity, folder, files)
    by_name: dict[str, list[Path]] = {}
    for path in files:
        by_name.setdefault(path.name.lower(), []).append(path)
    # a file of deals holds opportunities, unless the policy declares an entity `deal`
    declared = {name for other in policy.model.entities if other not in FILES for name in (other + "s", other)}
    free = [name for name in FILES.get(entity, (entity + "s", entity)) if entity not in FILES or name not in declared]
    wanted = (f"{name}{suffix}" for name in free for suffix in _NAMED)
    paths = [path for name in wanted for path in by_name.get(name, ())]
    if len(paths) < 2:
        return (paths[0] if paths else None), []
    names = ", ".join(f"`{p.name}`" for p in paths)
    help = f"remove the others, or say which one it is: `data: {{{entity}: {{file: {paths[0].name}}}}}`"
    said = f"there are several files with {entity} records; roe reads `{paths[0].name}`: {names}"
    return paths[0], [Diagnostic("R637", said, Span(str(folder), 1, 1, 1), help)]


def _declared_file(name: str, entity: str, folder: Path, files: list[Path]) -> tuple[Path | None, list[Diagnostic]]:
    """The file that the policy names, in any case of letters, inside the folder."""
    path = folder / name
    if not path.is_file():
        path = next((p for p in files if p.name.lower() == name.lower()), path)
    if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
        return path, []
    near = [p.name for p in files]
    help = suggest(name, near, f"the folder has {', '.join(near[:8])}")
    return None, [Diagnostic("R601", f"there is no `{name}` for {entity} records", Span(str(folder), 1, 1, 1), help)]


def is_database(place: Path) -> bool:
    """Whether records are in tables of a database rather than in files of a folder."""
    return place.is_file() and place.suffix in DATABASES


def kind_of(path: Path) -> str:
    """The suffix that says what a file holds: of `accounts.csv.gz` it is `.csv`."""
    return (Path(path.stem).suffix.lower() or ".csv") if is_packed(path) else path.suffix.lower()


def read_file(path: Path, source: DataSource | None = None) -> tuple[RawRecords, list[Diagnostic]]:
    """The records of one file, each with `$line`, its line or number there."""
    phase(f"reading {path.name}")
    shown, kind = str(path), kind_of(path)
    if kind == ".parquet":
        return _read_parquet(path)
    try:
        if kind in (".json", *LINES_OF_JSON):
            text, said = decode(read_bytes(path), source.encoding if source else "")
            return _read_json(
                text.replace("\r\n", "\n").replace("\r", "\n"),
                TableOrigin(shown, notes=[f"read as {said}"] if said else []),
                kind != ".json",
            )
        sheet = read_sheet(path, source)
    except Unreadable as e:
        return RawRecords((), TableOrigin(shown)), [e.diagnostic(shown)]
    header = sheet.header
    rows = []
    for cells, line in zip(sheet.rows, sheet.lines, strict=True):
        row: dict[str, object] = dict(zip(header, cells, strict=True))
        row["$line"] = line
        rows.append(row)
    return RawRecords(rows, sheet.origin), []


def read_sheet(path: Path, source: DataSource | None = None) -> Sheet:
    """The rows of a text file or of a spreadsheet. Raises Unreadable."""
    if kind_of(path) in WORKBOOKS:
        from roe.data.spreadsheet import read_spreadsheet

        return read_spreadsheet(path)
    text, said = decode(read_bytes(path), source.encoding if source else "")
    if _JSON.match(text):
        help = "if it holds records, give it a name that ends with .json; if it is an error of the CRM, it says why there are none"
        raise Unreadable("it is JSON, not a table", help)
    sheet = scan(text, str(path))
    sheet.origin.notes[:0] = lost_letters(text)
    if said:
        sheet.origin.notes.insert(0, f"read as {said}, since it is not UTF-8" if "UTF" not in said.upper() else f"read as {said}")
    return sheet


class NotARecord(Exception):
    """A value of JSON is not an object."""


def records_in(text: str) -> list[dict[str, object]]:
    """The records of some JSON: an object, or a list of them. Raises NotARecord, ValueError or RecursionError."""
    value = json.loads(text)
    records = value if isinstance(value, list) else [value]
    if not all(isinstance(record, dict) for record in records):
        raise NotARecord
    return records


def _read_json(text: str, origin: TableOrigin, lines: bool) -> tuple[RawRecords, list[Diagnostic]]:
    shown = origin.shown
    rows: list[dict[str, object]] = []
    diagnostics: list[Diagnostic] = []
    if not text.strip():
        return RawRecords((), origin), [
            Unreadable("it is empty", "export it again; a file without records is `[]`", code="R631").diagnostic(shown)
        ]
    pieces = [(i, line) for i, line in enumerate(text.split("\n"), 1) if line.strip()] if lines else [(1, text)]
    for number, piece in pieces:
        try:
            records = records_in(piece)
        except NotARecord:
            diagnostics.append(Diagnostic("R601", "a record is a JSON object", Span(shown, number, 1, 2), "write `{…}` per record"))
            continue
        except (ValueError, RecursionError) as e:
            line = number + getattr(e, "lineno", 1) - 1
            at = Span(shown, line, getattr(e, "colno", 1), getattr(e, "colno", 1) + 1)
            diagnostics.append(Diagnostic("R601", f"not valid JSON: {getattr(e, 'msg', 'nested too deeply')}", at, "correct the file"))
            if len(diagnostics) > 20:
                break
            continue
        rows += [{**record, "$line": number if lines else i} for i, record in enumerate(records, 1)]
    origin.header = tuple(dict.fromkeys(k for row in rows for k in row if k != "$line"))
    return RawRecords(rows, origin), diagnostics


def _read_parquet(path: Path) -> tuple[RawRecords, list[Diagnostic]]:
    origin = TableOrigin(str(path))
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        at = Span(str(path), 1, 1, 1)
        return RawRecords(), [
            Diagnostic("R406", "reading Parquet needs the package pyarrow", at, "pip install 'roe-policy[parquet]', or export CSV")
        ]
    try:
        table = parquet.ParquetFile(path).read()
    except (ArrowException, OSError) as e:
        return RawRecords(), [unreadable_parquet(path, e)]
    origin.header = tuple(table.column_names)
    rows: list[dict[str, object]] = table.to_pylist()
    for number, row in enumerate(rows, 1):
        row["$line"] = number
    return RawRecords(rows, origin), []


def unreadable_parquet(path: Path, e: Exception) -> Diagnostic:
    first = str(e).strip().splitlines()[0][:200] if str(e).strip() else type(e).__name__
    return Diagnostic("R601", f"`{path}` cannot be read as Parquet: {first}", Span(str(path), 1, 1, 1), "write it again")


def row_warnings(origin: TableOrigin) -> Iterator[Diagnostic]:
    """The rows that are not records, for commands that have no reading report."""
    for line, text, reason in origin.rejects[:20]:
        yield Diagnostic("R602", f"a row was skipped: {reason}", Span(origin.shown, line, 1, 2, text), "correct the row, or remove it")


def newest(evaluator: Cell, tables: Cell, otherwise: datetime = datetime(2026, 1, 1)) -> datetime:
    """The moment of the newest record: the day that a data folder is about, where nobody says another."""
    world = evaluator.bind(tables, as_of="2000-01-01").world
    days = [
        row[name]
        for entity, names in (
            ("account", ("created", "last_activity", "owner_since")),
            ("lead", ("created",)),
            ("opportunity", ("created",)),
            ("activity", ("date", "at")),
        )
        for row in world.rows[entity]
        for name in names
        if isinstance(row[name], date)
    ]
    whole = [d if isinstance(d, datetime) else datetime.combine(d, time()) for d in days]
    return max((d.replace(tzinfo=None) for d in whole), default=otherwise)
