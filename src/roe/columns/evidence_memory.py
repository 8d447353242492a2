"""What the ledger knew as a run began, kept beside what the run saw: an explanation reads what it knew of the records around one."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from roe.dynamic import Json
from roe.ledger.remembered import Remembered, as_remembered
from roe.ledger.role_tables import Owners, as_arrow, of_arrow, of_mapping

MEMORY, REST = "memory", "memory.json"
LEFT_OUT = ("owners", "gone")  # what has files of its own, and what is about records that are not in the data


def keep_memory(folder: Path, state: Remembered) -> None:
    """Write the memory of a run's ledger into a folder; nothing before the first run."""
    if not state:
        return
    own = folder / MEMORY
    own.mkdir()
    files: list[tuple[str, str, str]] = []
    for (entity, role), table in sorted(of_mapping(state.get("owners", {})).roles.items(), key=lambda x: x[0]):
        files.append((entity, role, f"{len(files)}.parquet"))
        parquet.write_table(as_arrow(table), own / files[-1][-1])
    rest = {name: section for name, section in state.items() if name not in LEFT_OUT}
    (own / REST).write_text(json.dumps({"owners": files, "rest": rest}, default=dict), "utf-8")


def kept_memory(folder: Path, records: Mapping[str, Collection[str]]) -> Remembered:
    """What such a folder has of the owners of some records, by entity, and all else."""
    own = folder / MEMORY
    if not (own / REST).is_file():
        return {}
    kept: Json = json.loads((own / REST).read_text("utf-8"))
    roles = {}
    for entity, role, name in kept["owners"]:
        is_one = pc.field("record").isin(pa.array(list(records.get(entity, ())), pa.string()))
        roles[entity, role] = of_arrow(entity, role, parquet.read_table(own / Path(name).name, filters=is_one))
    return as_remembered({**kept["rest"], "owners": Owners(roles)})
