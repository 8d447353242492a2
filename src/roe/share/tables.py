"""The tables of a run whose records are shared out: which file goes in pieces, which is here, and what goes whole to every task."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from roe.columns.csv_blocks import NotInBlocks
from roe.columns.database import as_parquet
from roe.columns.raw import Raw
from roe.columns.read import habits_of_file, in_blocks, read_columns
from roe.data.coerce import MODIFIED
from roe.data.encoding import Unreadable
from roe.data.habits import Habits
from roe.data.headers import columns_of, field_of
from roe.data.read import files_of, is_database, kind_of, unreadable_parquet
from roe.data.scan import TableOrigin
from roe.data.shape import misshapen
from roe.diagnostics import Diagnostic, PolicyError, errors
from roe.policy.model import DataSource, Policy
from roe.progress import phase
from roe.share import tasks
from roe.share.parcels import LINE, Key, Named, key_of, table_of
from roe.share.plan import Share
from roe.share.tasks import Piece, Shared

DAMAGED = "it is damaged or not in UTF-8; see the notes on its reading"
UNKNOWN = "it has a column of a type that Parquet does not have"


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
    rows_of: dict[str, int] = field(default_factory=dict)  # of each table that is shared out
    warnings: list[Diagnostic] = field(default_factory=list)
    whole: dict[str, str] = field(default_factory=dict)  # large files that could only be read whole, and why

    def of_kind(self, policy: Policy, how: Share) -> Cut:
        """What goes to tasks by one kind of records."""
        own = {of: self.shared[of] for of in (how.entity, *how.children) if of in self.shared}
        pieces, held = [piece for piece in self.pieces if piece.entity in own], {of: self.held[of] for of in own if of in self.held}
        rows_of = {of: self.rows_of[of] for of in own}
        shared = {of: _keyed(policy, how, of, table) for of, table in own.items()}
        return replace(self, shared=shared, pieces=pieces, held=held, rows_of=rows_of, rows=sum(rows_of.values()))

    def by_name(self, named: Named, entity: str) -> Cut:
        """The tables where rows refer to records of the entity by names as well."""
        return replace(self, shared={of: table.by_name(named, of, entity) for of, table in self.shared.items()})

    def leading_by_name(self, named: Named) -> Cut:
        """The tables where rows lead by names, too, to records that are decided before theirs."""
        return replace(self, shared={of: table.leading_by_name(named) for of, table in self.shared.items()})


def _keyed(policy: Policy, how: Share, entity: str, shared: Shared) -> Shared:
    """A table with how its rows say to which record they belong, and to which they lead."""
    names = shared.schema.names
    key = key_of(policy, entity, "id" if entity == how.entity else how.children[entity], names)
    links, back, leads = (
        tuple(k for name in fields if (k := key_of(policy, entity, name, names)).column is not None)
        for fields in (how.links.get(entity, ()), how.back if entity == how.entity else (), how.leads.get(entity, ()))
    )
    own = Key() if entity == how.entity else key_of(policy, entity, "id", names)
    return replace(shared, key=key, links=links, back=back, leads=leads, id=own)


def cut_up(policy: Policy, data: Path, how: Share, scratch: Path) -> list[Cut] | str:
    """The tables, cut up for each kind of records, with large files of CSV or JSON and tables of a database as Parquet in `scratch`; or
    why their records must stay together. Raises PolicyError for data that cannot be read.
    """
    cut, parted = Cut(), dict.fromkeys(of for kind in how.kinds for of in (kind.entity, *kind.children))
    in_pieces = _of_database(policy, data, parted, scratch, cut) if is_database(data) else _of_folder(policy, data, parted, scratch, cut)
    read, cut.warnings = read_columns(policy, data, leave_out=in_pieces, complete=True)
    _heed(cut.warnings)
    for entity in policy.model.entities:
        if entity in in_pieces:
            schema, habits = _of_parquet(policy, entity, in_pieces[entity], cut)
        elif entity in parted and entity in read:
            schema, habits = _held_here(policy, entity, read[entity], cut)
        else:
            cut.broadcast |= {entity: read[entity]} if entity in read else {}
            continue
        cut.shared[entity] = Shared(cut.origins[entity].shown, schema, Key(), habits)
    cuts = [cut.of_kind(policy, kind) for kind in how.kinds]
    if not cut.rows_of or not any(cut.rows_of.values()):
        return "there are none"
    for kind, one in zip(how.kinds, cuts, strict=True):
        if not one.rows:
            return f"there are no {kind.entity} records"
        if kind.entity not in one.shared or one.shared[kind.entity].key.column is None:
            return f"no column has the ids of {kind.entity} records"
    return cuts


def _heed(problems: list[Diagnostic]) -> None:
    if errors(problems):
        raise PolicyError(problems)


@dataclass(frozen=True)
class Parquet:
    """A file that goes in pieces. `has_lines`: it says itself which lines its rows were."""

    path: Path
    has_lines: bool = False


def _of_database(policy: Policy, data: Path, parted: Collection[str], scratch: Path, cut: Cut) -> dict[str, Parquet]:
    """What the tables of a database that are shared out are made into."""
    made, not_made = as_parquet(policy, data, parted, scratch)
    cut.origins |= {entity: origin for entity, (_, origin) in made.items()}
    cut.whole |= dict.fromkeys(not_made, UNKNOWN)
    return {entity: Parquet(path) for entity, (path, _) in made.items()}


def _of_folder(policy: Policy, data: Path, parted: Collection[str], scratch: Path, cut: Cut) -> dict[str, Parquet]:
    """The files of a folder that can be read in pieces: Parquet, and what large files of CSV or JSON are made into."""
    paths, problems = files_of(policy, data, complete=True)
    _heed(problems)
    found: dict[str, Parquet] = {}
    for entity, path in paths.items():
        if entity in parted and kind_of(path) == ".parquet":
            found[entity] = Parquet(path)
        elif entity in parted and (made := _of_text(policy, entity, path, scratch, cut)) is not None:
            found[entity] = Parquet(made, has_lines=True)
    return found


def _of_text(policy: Policy, entity: str, path: Path, scratch: Path, cut: Cut) -> Path | None:
    """What a large file of CSV or JSON is made into; None for any other file, which is read whole."""
    large = in_blocks(path, policy.data.get(entity, DataSource()))
    if large is None:
        return None
    from pyarrow import parquet

    phase(f"reading {path.name}")
    made = scratch / f"{entity}.parquet"
    try:
        with ExitStack() as opened:
            file = None
            for rows, lines in large.records():
                if LINE in rows.column_names:
                    return None
                table = rows.append_column(LINE, pa.array(lines, pa.int64()))
                file = file or opened.enter_context(parquet.ParquetWriter(made, table.schema))
                if len(lines):
                    file.write_table(table)
    except NotInBlocks:
        cut.whole[path.name] = DAMAGED
        return None
    except Unreadable as e:
        raise PolicyError([e.diagnostic(str(path))]) from e
    cut.origins[entity] = large.origin
    return made


def _of_parquet(policy: Policy, entity: str, given: Parquet, cut: Cut) -> tuple[pa.Schema, Mapping[str, Habits]]:
    """A Parquet file in pieces of as many rows as a task has, where row groups are no larger."""
    from pyarrow import parquet

    path = given.path
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
            cut.pieces.append(Piece(entity, str(path.resolve()), first, group + 1, before, given.has_lines))
            first, before, rows = group + 1, before + rows, 0
    cut.rows_of[entity] = file.metadata.num_rows
    schema = file.schema_arrow
    return schema if given.has_lines else schema.remove_metadata().append(pa.field(LINE, pa.int64())), habits


def _held_here(policy: Policy, entity: str, raw: Raw, cut: Cut) -> tuple[pa.Schema, Mapping[str, Habits]]:
    """Any other file, read whole."""
    fields = policy.model.entities[entity]
    columns = columns_of(entity, fields, raw.columns, policy.model.roles())
    cut.origins[entity], cut.held[entity] = raw.origin, table_of(raw)
    cut.rows_of[entity] = raw.n
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
