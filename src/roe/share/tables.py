"""The tables of a run whose records are shared out: which file goes in pieces, which is here, and what goes whole to every task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from roe.columns.csv_blocks import CsvBlocks, NotInBlocks
from roe.columns.raw import Raw
from roe.columns.read import habits_of_file, read_columns
from roe.data.coerce import MODIFIED
from roe.data.habits import Habits
from roe.data.headers import columns_of, field_of
from roe.data.read import files_of, kind_of, unreadable_parquet
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.policy.model import DataSource, Policy
from roe.progress import phase
from roe.share import tasks
from roe.share.parcels import LINE, key_of, table_of
from roe.share.plan import Share
from roe.share.tasks import Piece, Shared


@dataclass
class Cut:
    """The tables of a run: those that are shared out, with the pieces of the large files, and the rows of other files; all others whole; the
    number of rows that are shared out; and what the reading said, short of an error.
    """

    shared: dict[str, Shared] = field(default_factory=dict)
    pieces: list[Piece] = field(default_factory=list)
    held: dict[str, pa.Table] = field(default_factory=dict)
    origins: dict[str, TableOrigin] = field(default_factory=dict)  # of what is shared out: what its reading said
    broadcast: dict[str, Raw] = field(default_factory=dict)
    rows: int = 0
    warnings: list[Diagnostic] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)  # files that are large, and yet could only be read whole


def cut_up(policy: Policy, data: Path, how: Share, scratch: Path | None) -> Cut | str:
    """The tables, cut up, with large CSV files as Parquet in `scratch`; or why their records must stay together. Raises PolicyError for data
    that cannot be read.
    """
    cut = Cut()
    paths, problems = files_of(policy, data, complete=True)
    _heed(problems)
    in_pieces = {
        entity: made
        for entity, path in paths.items()
        if entity in (how.entity, *how.children) and (made := _as_parquet(policy, entity, path, scratch, cut)) is not None
    }
    read, cut.warnings = read_columns(policy, data, leave_out=in_pieces, complete=True)
    _heed(cut.warnings)
    for entity, path in paths.items():
        if entity != how.entity and entity not in how.children:
            cut.broadcast[entity] = read[entity]
            continue
        schema, habits = (
            _of_parquet(policy, entity, in_pieces[entity], cut) if entity in in_pieces else _held_here(policy, entity, read[entity], cut)
        )
        key = key_of(policy, entity, "id" if entity == how.entity else how.children[entity], schema.names)
        links, back = (
            tuple(k for name in names if (k := key_of(policy, entity, name, schema.names)).column is not None)
            for names in (how.links.get(entity, ()), how.back if entity == how.entity else ())
        )
        cut.shared[entity] = Shared(str(path), schema, key, habits, links, back)
    if not cut.rows:
        return "there are none"
    if how.entity not in cut.shared or cut.shared[how.entity].key.column is None:
        return f"no column has the ids of {how.entity} records"
    return cut


def _heed(problems: list[Diagnostic]) -> None:
    if errors(problems):
        raise PolicyError(problems)


def _as_parquet(policy: Policy, entity: str, path: Path, scratch: Path | None, cut: Cut) -> Path | None:
    """A file that can be read in pieces: Parquet, or what a large CSV file is made into; None for any other."""
    if kind_of(path) == ".parquet":
        return path
    large = CsvBlocks.of(path, policy.data.get(entity, DataSource())) if scratch is not None else None
    if large is None or scratch is None or LINE in large.origin.header:
        return None
    from pyarrow import parquet

    phase(f"reading {path.name}")
    made = scratch / f"{entity}.parquet"
    schema = pa.schema([*((name, pa.string()) for name in large.origin.header), (LINE, pa.int64())])
    try:
        with parquet.ParquetWriter(made, schema) as file:
            for rows, lines in large.records():
                if len(lines):
                    file.write_table(rows.append_column(LINE, pa.array(lines)))
    except NotInBlocks:
        cut.whole.append(path.name)
        return None
    cut.origins[entity] = large.origin
    return made


def _of_parquet(policy: Policy, entity: str, path: Path, cut: Cut) -> tuple[pa.Schema, Mapping[str, Habits]]:
    """A Parquet file in pieces of as many rows as a task has, where row groups are no larger."""
    from pyarrow import parquet

    has_lines = entity in cut.origins
    try:
        file = parquet.ParquetFile(path)
        origin = cut.origins.setdefault(entity, TableOrigin(str(path), tuple(file.schema_arrow.names)))
        habits = habits_of_file(policy, entity, file, origin.header)
    except (pa.ArrowException, OSError) as e:
        raise PolicyError([unreadable_parquet(path, e)]) from e
    problems = misshapen(policy, entity, origin, file.metadata.num_rows)
    _heed(problems)
    cut.warnings += problems
    first, before, rows = 0, 0, 0
    for group in range(file.metadata.num_row_groups):
        rows += file.metadata.row_group(group).num_rows
        if rows >= tasks.ROWS_A_TASK or group == file.metadata.num_row_groups - 1:
            cut.pieces.append(Piece(entity, str(path.resolve()), first, group + 1, before, has_lines))
            first, before, rows = group + 1, before + rows, 0
    cut.rows += file.metadata.num_rows
    return file.schema_arrow if has_lines else file.schema_arrow.append(pa.field(LINE, pa.int64())), habits


def _held_here(policy: Policy, entity: str, raw: Raw, cut: Cut) -> tuple[pa.Schema, Mapping[str, Habits]]:
    """Any other file, read whole."""
    fields = policy.model.entities[entity]
    columns = columns_of(entity, fields, raw.columns, policy.model.roles())
    cut.origins[entity], cut.held[entity] = raw.origin, table_of(raw)
    cut.rows += raw.n
    return cut.held[entity].schema, {c: h for name, c in columns.items() if (h := raw.habits_of(c, field_of(fields, name))) is not None}


def dated(cut: Cut, policy: Policy, entity: str) -> Iterator[Raw]:
    """The rows of an entity that is shared out, at least with the column that says when the CRM last changed them: of a file in pieces some at a
    time, since the driver is not to hold a column of all.
    """
    shared = cut.shared[entity]
    if entity in cut.held:
        yield Raw.of_table(cut.held[entity], habits=shared.habits)
        return
    from pyarrow import parquet

    column = columns_of(entity, policy.model.entities[entity], cut.origins[entity].header, policy.model.roles()).get(MODIFIED)
    path = next((piece.path for piece in cut.pieces if piece.entity == entity), None)
    if column is None or path is None:
        return
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(tasks.ROWS_A_TASK, columns=[column]):
                yield Raw.of_table(pa.Table.from_batches([batch]), habits=shared.habits)
    except (pa.ArrowException, OSError) as e:
        raise PolicyError([unreadable_parquet(Path(shared.shown), e)]) from e
