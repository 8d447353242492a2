"""The tables of runs as Delta tables (`--format delta`): a version of a table is the parts of one run, and the newest is the last that was complete.

The parts are files that were written without knowing of Delta, in tasks or here. Once they are in the folder of the table, its log names them, in one
step for each table. What an earlier version names stays there until a Delta tool clears it away (`VACUUM`), so older versions can be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from roe.diagnostics import user_error
from roe.dynamic import Json, Saved

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction

SUFFIX, STAGED = ".delta", ".parquet"  # of the folder of a table, in --out and while a run is written
VERSIONS = "delta"  # in run.json: which version of each table is this run
BOUNDED = "record"  # the column whose least and greatest value the log has of each file


@cache
def columns_of() -> dict[str, tuple[str, ...]]:
    """The columns of each table, all of which are texts, by the name of its folder."""
    from roe.evaluator.extra import COLUMNS as EXTRA
    from roe.run.files import COLUMNS, TABLES  # commands that only look at a run's folder need none of it

    return {f"{name.removesuffix('.csv')}{SUFFIX}": COLUMNS[name] for name in (*TABLES, *EXTRA)}


def in_table(staged: str) -> str:
    """Where a staged file of a run belongs in the folder of a Delta table; empty if it is not one of its parts."""
    table, _, part = staged.partition(f"{STAGED}/")
    name = f"{table}{SUFFIX}"
    return f"{name}/{part}" if part and name in columns_of() else ""


def is_part(name: str) -> bool:
    """Whether a file of a run is a part of a Delta table, to which only Delta's own tools may do anything."""
    return name.partition("/")[0] in columns_of()


def check(place: Path) -> None:
    """Raises PolicyError if the tables that are there cannot get another version, or the package is missing."""
    for name in columns_of():
        with _explained(place / name):
            table = _open(place / name)
            if table is None:
                continue
            about = table.metadata()
        if about.partition_columns:
            raise _refused(place / name, "it is partitioned by " + ", ".join(about.partition_columns))
        if about.configuration.get("delta.appendOnly") == "true":
            raise _refused(place / name, "its property `delta.appendOnly` lets no run replace the one before")


def publish(place: Path, mark: Saved) -> dict[str, int]:
    """Let the newest version of each Delta table be the parts of a run, which are in place; which version that is. It may be called again.

    A table to which the run has nothing to say is empty from then on. Raises PolicyError where Delta refuses.
    """
    parts: dict[str, list[Path]] = {name: [] for name in columns_of()}
    for name in filter(is_part, mark["files"]):
        parts[name.partition("/")[0]].append(place / name)
    versions = {}
    for name, paths in parts.items():
        with _explained(place / name):
            version = _commit(place / name, paths, {"run": mark["run"], "as_of": mark["as_of"]})
        if version is not None:
            versions[name] = version
    return versions


def _commit(folder: Path, parts: list[Path], about: Json) -> int | None:
    from deltalake import CommitProperties, Field, Schema
    from deltalake.schema import PrimitiveType
    from deltalake.transaction import create_table_with_add_actions

    table = _open(folder)
    if table is None and not parts:
        return None
    if table is not None and {re.split(r"[/\\]", uri)[-1] for uri in table.file_uris()} == {path.name for path in parts}:
        return table.version()  # this was done before the run was interrupted
    schema = Schema([Field(name, PrimitiveType("string")) for name in columns_of()[folder.name]])
    actions, commit = [_added(path) for path in parts], CommitProperties(custom_metadata=about)
    if table is None:
        create_table_with_add_actions(str(folder), schema, actions, name=folder.stem, commit_properties=commit)
    else:
        table.create_write_transaction([*actions], "overwrite", schema, commit_properties=commit)
    made = _open(folder)
    assert made is not None
    return made.version()


def _added(path: Path) -> AddAction:
    """A part as the log names it: with how many rows it has, how many of them lack a value, and between which records they are."""
    from deltalake.transaction import AddAction

    file = path.stat()
    return AddAction(path.name, file.st_size, {}, int(file.st_mtime * 1000), True, json.dumps(_stats(path), ensure_ascii=False))


def _stats(path: Path) -> Json:
    from pyarrow import parquet

    about = parquet.read_metadata(path)
    groups = [about.row_group(i) for i in range(about.num_row_groups)]
    columns = {name: [x.column(i).statistics for x in groups if x.num_rows] for i, name in enumerate(about.schema.names)}
    columns = {name: found for name, found in columns.items() if all(x is not None for x in found)}  # Parquet has none of very long values
    stats: Json = {"numRecords": about.num_rows, "nullCount": {name: sum(x.null_count for x in found) for name, found in columns.items()}}
    bounds = [x for x in columns.get(BOUNDED, ()) if x.num_values]
    if bounds and all(x.has_min_max for x in bounds):
        stats["minValues"], stats["maxValues"] = {BOUNDED: min(x.min for x in bounds)}, {BOUNDED: max(x.max for x in bounds)}
    return stats


def _open(folder: Path) -> DeltaTable | None:
    """The table in a folder; None if there is none yet."""
    from deltalake import DeltaTable

    return DeltaTable(str(folder)) if (folder / "_delta_log").is_dir() else None


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """What Delta refuses, as an error of the user's."""
    try:
        from deltalake.exceptions import DeltaError
    except ImportError:
        raise user_error("R406", "Delta tables need the package deltalake", folder, "pip install 'roe-policy[delta]'") from None
    try:
        yield
    except DeltaError as e:
        first = next(iter(str(e).splitlines()), type(e).__name__)
        raise _refused(folder, first[:200]) from e


def _refused(folder: Path, why: str) -> Exception:
    help = "mend the table with a Delta tool and run again, or choose another --out folder"
    return user_error("R805", f"roe cannot add a version to this Delta table: {why}", folder, help)
